package view

import (
	"encoding/binary"
	"time"
)

// RTCP packet types (RFC 3550 section 12.1, RFC 4585 section 6.1).
const (
	typeSR     = 200
	typeRR     = 201
	typeRTPFB  = 205
	typePSFB   = 206
	formatNACK = 1
	formatPLI  = 1
)

func appendHead(dst []byte, count, kind uint8, words int) []byte {
	return append(dst, 0x80|count, kind, byte(words>>8), byte(words))
}

// appendPLI asks for a key frame (RFC 4585 section 6.3.1).
func appendPLI(dst []byte, sender, media uint32) []byte {
	dst = appendHead(dst, formatPLI, typePSFB, 2)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, sender), media)
}

// appendNACK asks for packets again (RFC 4585 section 6.2.1); missing is in order.
func appendNACK(dst []byte, sender, media uint32, missing []uint16) []byte {
	begin := len(dst)
	dst = appendHead(dst, formatNACK, typeRTPFB, 0)
	dst = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, sender), media)
	for i := 0; i < len(missing); {
		first, mask := missing[i], uint16(0)
		for i++; i < len(missing) && missing[i]-first <= 16; i++ {
			mask |= 1 << (missing[i] - first - 1)
		}
		dst = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(dst, first), mask)
	}
	binary.BigEndian.PutUint16(dst[begin+2:], uint16((len(dst)-begin)/4-1))
	return dst
}

// block is one reception report (RFC 3550 section 6.4.1).
type block struct {
	ssrc, highest, lost uint32
	heard               heard
}

func appendBlock(dst []byte, b block, now Instant) []byte {
	dst = binary.BigEndian.AppendUint32(dst, b.ssrc)
	dst = binary.BigEndian.AppendUint32(dst, min(b.lost, 1<<23-1))
	dst = binary.BigEndian.AppendUint32(dst, b.highest)
	dst = binary.BigEndian.AppendUint32(dst, 0) // jitter: nobody decides by it
	delay := uint32(0)
	if b.heard.at != 0 {
		delay = uint32(now.Sub(b.heard.at) * 65536 / time.Second)
	}
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, b.heard.middle), delay)
}

// senderReports calls f for each sender report of a plain compound packet with
// its SSRC and the middle of its NTP time.
func senderReports(b []byte, f func(ssrc, middle uint32)) {
	for len(b) >= 4 {
		n := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return
		}
		if b[1] == typeSR && n >= 28 {
			f(binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[10:]))
		}
		b = b[n:]
	}
}
