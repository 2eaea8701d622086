// Package red wraps an Opus packet together with copies of the ones before it,
// so that a viewer that loses a packet hears it from the next (RFC 2198). It
// transcodes nothing: the copies are the payloads that passed. A kernel without
// state; safe for concurrent use.
package red

import (
	"errors"

	"github.com/sluice-live/sluice/media"
)

const (
	// maxOffset and maxSize are what a block header can say (RFC 2198 section 3):
	// 14 bits of timestamp, 341 ms at 48 kHz, and 10 bits of length.
	maxOffset = 1<<14 - 1
	maxSize   = 1<<10 - 1
	// head is the size of a block header of a copy; the last one has one byte.
	head = 4
)

// ErrMalformed says that a payload is no RED.
var ErrMalformed = errors.New("read RED: it ends too early")

// Append writes a RED payload to dst: the earlier packets, oldest first, as far
// as their age and size allow, and then p. pt is the payload type of Opus. Nil
// packets are passed over.
//
// hot:
func Append(dst []byte, pt uint8, p *media.Packet, earlier ...*media.Packet) []byte {
	for _, e := range earlier {
		if fits(p, e) {
			offset, size := uint32(p.TS-e.TS), uint32(len(e.Payload))
			word := uint32(pt|0x80)<<24 | offset<<10 | size
			dst = append(dst, byte(word>>24), byte(word>>16), byte(word>>8), byte(word))
		}
	}
	dst = append(dst, pt&0x7f)
	for _, e := range earlier {
		if fits(p, e) {
			dst = append(dst, e.Payload...)
		}
	}
	return append(dst, p.Payload...)
}

// Size returns an upper bound for what Append writes.
//
// hot:
func Size(p *media.Packet, earlier ...*media.Packet) int {
	n := 1 + len(p.Payload)
	for _, e := range earlier {
		if e != nil {
			n += head + len(e.Payload)
		}
	}
	return n
}

// hot:
func fits(p, e *media.Packet) bool {
	return e != nil && e.TS < p.TS && p.TS-e.TS <= maxOffset && len(e.Payload) > 0 && len(e.Payload) <= maxSize
}

// Block is one payload of a RED packet.
type Block struct {
	PT      uint8
	Offset  uint16 // ticks before the packet's timestamp; 0 for the primary
	Payload []byte
}

// Parse appends the blocks of a RED payload to dst, oldest first, the primary last.
func Parse(dst []Block, payload []byte) ([]Block, error) {
	first := len(dst)
	at := 0
	for {
		if at >= len(payload) {
			return dst[:first], ErrMalformed
		}
		if payload[at]&0x80 == 0 {
			dst = append(dst, Block{PT: payload[at]})
			at++
			break
		}
		if at+head > len(payload) {
			return dst[:first], ErrMalformed
		}
		word := uint32(payload[at+1])<<16 | uint32(payload[at+2])<<8 | uint32(payload[at+3])
		size := int(word & maxSize)
		if size > len(payload) {
			return dst[:first], ErrMalformed
		}
		// The block's place is known only when all headers are read: until then its length is kept.
		dst = append(dst, Block{PT: payload[at] & 0x7f, Offset: uint16(word >> 10), Payload: payload[:size]})
		at += head
	}
	for i := first; i < len(dst)-1; i++ {
		n := len(dst[i].Payload)
		if at+n > len(payload) {
			return dst[:first], ErrMalformed
		}
		dst[i].Payload = payload[at : at+n : at+n]
		at += n
	}
	dst[len(dst)-1].Payload = payload[at:]
	return dst, nil
}
