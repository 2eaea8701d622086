package turn

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The first bytes of what comes over TCP and TLS (RFC 8656 section 12.5).
const (
	stunHeader    = 20
	channelHeader = 4
	magicCookie   = 0x2112A442 // RFC 8489 section 5
)

var errFrame = errors.New("read TURN over TCP: neither STUN nor channel data, or too large")

// readFrame reads one message, of at most longestFrame bytes, into b, which has
// room for it. pion would take lengths up to 64 KB, and adds them in 16 bits.
func readFrame(r *bufio.Reader, b []byte) (int, error) {
	head, err := r.Peek(channelHeader)
	if err != nil {
		return 0, err
	}
	size := int(binary.BigEndian.Uint16(head[2:4]))
	switch head[0] >> 6 {
	case 0:
		if head, err = r.Peek(stunHeader); err != nil {
			return 0, err
		}
		if size%4 != 0 || binary.BigEndian.Uint32(head[4:8]) != magicCookie {
			return 0, errFrame
		}
		size += stunHeader
	case 1:
		if head[0] > 0x4f { // channels are 0x4000 to 0x4FFF (RFC 8656 section 12)
			return 0, errFrame
		}
		size = channelHeader + (size+3)&^3 // padded over TCP and TLS
	default:
		return 0, errFrame
	}
	if size > longestFrame || size > len(b) {
		return 0, errFrame
	}
	if _, err := io.ReadFull(r, b[:size]); err != nil {
		return 0, fmt.Errorf("read TURN over TCP: %w", err)
	}
	return size, nil
}
