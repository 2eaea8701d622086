package source

import (
	"bytes"
	"encoding/binary"
	"time"
)

// Stamp is what each access unit tells of itself: when it was sent, which one
// it is and of which layer.
type Stamp struct {
	Sent  time.Time // nanosecond UTC
	Frame uint32    // counted per publisher from 0, over all that is played
	Layer uint8
}

// The identity of our user_data_unregistered SEI (H.264 D.1.7): a version 4
// UUID that nobody else uses.
var stampID = [16]byte{0x5b, 0x1c, 0xe0, 0x57, 0x6a, 0x1d, 0x4f, 0x42, 0x9c, 0x3e, 0x2d, 0x7a, 0xb0, 0x44, 0x91, 0xe6}

const (
	seiUserData  = 5 // user_data_unregistered
	stampPayload = 16 + 8 + 4 + 1
)

// AppendSEI appends the stamp as one SEI NAL unit.
func (s Stamp) AppendSEI(dst []byte) []byte {
	var p [stampPayload]byte
	copy(p[:], stampID[:])
	binary.BigEndian.PutUint64(p[16:], uint64(s.Sent.UnixNano()))
	binary.BigEndian.PutUint32(p[24:], s.Frame)
	p[28] = s.Layer
	dst = append(dst, nalSEI, seiUserData, stampPayload)
	dst = escape(dst, p[:])
	return append(dst, 0x80) // rbsp_trailing_bits
}

// FindStamp looks for a stamp in one RTP payload of H.264 (RFC 6184): a single
// NAL unit or a STAP-A that holds the SEI. Fragments never hold it: an SEI is short.
func FindStamp(payload []byte) (Stamp, bool) {
	if len(payload) == 0 {
		return Stamp{}, false
	}
	switch payload[0] & 0x1f {
	case nalSEI:
		return readSEI(payload)
	case stapA:
		for rest := payload[1:]; len(rest) > 2; {
			n := int(binary.BigEndian.Uint16(rest))
			if rest = rest[2:]; n == 0 || n > len(rest) {
				break
			}
			if s, ok := readSEI(rest[:n]); ok {
				return s, true
			}
			rest = rest[n:]
		}
	}
	return Stamp{}, false
}

// LastStamp looks for the last stamp in bytes that hold whole NAL units, one behind the
// other, whatever lies between them: a part of a segment.
func LastStamp(b []byte) (Stamp, bool) {
	for {
		i := bytes.LastIndex(b, stampID[:])
		if i < 3 {
			return Stamp{}, false
		}
		// No more than one in two bytes of the payload is escaped by another.
		if s, ok := readSEI(b[i-3 : min(i+2*stampPayload, len(b))]); ok {
			return s, true
		}
		b = b[:i]
	}
}

// readSEI walks the messages of one SEI NAL unit (clause 7.3.2.3).
func readSEI(nal []byte) (Stamp, bool) {
	if len(nal) < 2 || nal[0]&0x1f != nalSEI {
		return Stamp{}, false
	}
	b := unescape(nal[1:])
	for len(b) > 2 {
		kind, rest := seiNumber(b)
		size, rest := seiNumber(rest)
		if size > len(rest) {
			break
		}
		if kind == seiUserData && size == stampPayload && bytes.HasPrefix(rest, stampID[:]) {
			return Stamp{
				Sent:  time.Unix(0, int64(binary.BigEndian.Uint64(rest[16:]))),
				Frame: binary.BigEndian.Uint32(rest[24:]),
				Layer: rest[28],
			}, true
		}
		b = rest[size:]
	}
	return Stamp{}, false
}

func seiNumber(b []byte) (n int, rest []byte) {
	for len(b) > 0 && b[0] == 0xff {
		n += 255
		b = b[1:]
	}
	if len(b) == 0 {
		return n, nil
	}
	return n + int(b[0]), b[1:]
}

// escape appends b with emulation prevention bytes (clause 7.4.1); dst must not
// end in zeros.
func escape(dst, b []byte) []byte {
	zeros := 0
	for _, c := range b {
		if zeros == 2 && c <= 3 {
			dst, zeros = append(dst, 3), 0
		}
		if dst = append(dst, c); c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return dst
}

// unescape drops emulation prevention bytes, in a copy where there are any.
func unescape(b []byte) []byte {
	if !bytes.Contains(b, []byte{0, 0, 3}) {
		return b
	}
	out, zeros := make([]byte, 0, len(b)), 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if out = append(out, c); c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}
