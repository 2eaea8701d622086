package view

import "encoding/binary"

// header is what a light viewer reads of an RTP packet's clear part.
type header struct {
	pt      uint8
	marker  bool
	padding bool
	seq     uint16
	ts      uint32
	ssrc    uint32
	size    int    // where the payload begins
	wide    uint16 // transport-wide sequence number
	hasWide bool
	capture []byte // abs-capture-time, nil where there is none
}

// ids are the extensions that a viewer looks for; 0 is not negotiated.
type ids struct{ wide, capture uint8 }

// Forms of header extensions (RFC 8285 sections 4.2 and 4.3).
const (
	oneByte     = 0xbede
	twoBytes    = 0x1000
	extReserved = 15 // of the one-byte form: stop here
)

// parse reads a header (RFC 3550 section 5.1). It returns false where the
// packet is cut short.
//
// hot: once per packet.
func (h *header) parse(b []byte, want ids) bool {
	if len(b) < 12 || b[0]>>6 != 2 {
		return false
	}
	h.marker, h.pt, h.padding = b[1]&0x80 != 0, b[1]&0x7f, b[0]&0x20 != 0
	h.seq, h.ts, h.ssrc = binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	h.size, h.hasWide, h.capture = 12+4*int(b[0]&0x0f), false, nil
	if b[0]&0x10 == 0 {
		return h.size <= len(b)
	}
	if h.size+4 > len(b) {
		return false
	}
	profile := binary.BigEndian.Uint16(b[h.size:])
	end := h.size + 4 + 4*int(binary.BigEndian.Uint16(b[h.size+2:]))
	if end > len(b) {
		return false
	}
	h.extensions(b[h.size+4:end], profile, want)
	h.size = end
	return true
}

func (h *header) extensions(b []byte, profile uint16, want ids) {
	for len(b) > 0 {
		if b[0] == 0 { // padding
			b = b[1:]
			continue
		}
		var id uint8
		var n int
		switch {
		case profile == oneByte:
			id, n, b = b[0]>>4, int(b[0]&0x0f)+1, b[1:]
			if id == extReserved {
				return
			}
		case profile&0xfff0 == twoBytes && len(b) > 1:
			id, n, b = b[0], int(b[1]), b[2:]
		default:
			return
		}
		if n > len(b) {
			return
		}
		switch {
		case id == want.wide && n == 2:
			h.wide, h.hasWide = binary.BigEndian.Uint16(b), true
		case id == want.capture:
			h.capture = b[:n]
		}
		b = b[n:]
	}
}
