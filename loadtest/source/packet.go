package source

import "encoding/binary"

// Packet types of RFC 6184 section 5.2.
const (
	stapA = 24
	fuA   = 28
)

// Packetize cuts an access unit into RTP payloads of at most mtu bytes: small
// NAL units (parameter sets and our SEI) together in a STAP-A, large ones in
// FU-As. The caller sets the marker on the last.
func Packetize(units [][]byte, mtu int) [][]byte {
	var out, small [][]byte
	size := 1
	flush := func() {
		if len(small) > 0 {
			out = append(out, aggregate(small, size))
		}
		small, size = nil, 1
	}
	for _, nal := range units {
		if 1+2+len(nal) > mtu {
			flush()
			out = append(out, fragment(nal, mtu)...)
			continue
		}
		if size+2+len(nal) > mtu {
			flush()
		}
		small = append(small, nal)
		size += 2 + len(nal)
	}
	flush()
	return out
}

func aggregate(small [][]byte, size int) []byte {
	if len(small) == 1 {
		return small[0]
	}
	b := make([]byte, 1, size)
	for _, nal := range small {
		b[0] = max(b[0]&0x60, nal[0]&0x60) | stapA // the highest NRI (section 5.7.1)
		b = binary.BigEndian.AppendUint16(b, uint16(len(nal)))
		b = append(b, nal...)
	}
	return b
}

func fragment(nal []byte, mtu int) [][]byte {
	var out [][]byte
	head, kind, start := nal[0]&0xe0|fuA, nal[0]&0x1f, byte(0x80)
	for body := nal[1:]; len(body) > 0; start = 0 {
		n := min(len(body), mtu-2)
		end := byte(0)
		if n == len(body) {
			end = 0x40
		}
		out = append(out, append([]byte{head, kind | start | end}, body[:n]...))
		body = body[n:]
	}
	return out
}

// StartsKey reports whether an RTP payload begins a frame where a decoder may
// start: it holds parameter sets or the first fragment of an IDR picture.
func StartsKey(payload []byte) bool {
	if len(payload) < 2 {
		return false
	}
	switch payload[0] & 0x1f {
	case nalSPS, nalIDR:
		return true
	case stapA:
		return len(payload) > 3 && (payload[3]&0x1f == nalSPS || payload[3]&0x1f == nalIDR)
	case fuA:
		return payload[1]&0x80 != 0 && payload[1]&0x1f == nalIDR
	}
	return false
}
