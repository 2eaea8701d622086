package bwe

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// ErrBadReport means that an arrival report is cut off, or contradicts itself.
var ErrBadReport = errors.New("read an arrival report: it is shorter than it says")

// Arrivals is one arrival report as it came: it points into the packet, which must
// not change before Feedback has returned.
type Arrivals struct {
	Base      uint16 // the first packet's number
	Count     uint16 // packets that are told of
	Reference uint32 // 24 bits, in units of 64 ms
	Number    uint8  // of the report

	chunks, deltas []byte
}

// Symbols of a packet's status; anything else is a packet that did not come.
const (
	smallDelta = 1 // one byte, in quarters of a millisecond
	largeDelta = 2 // two bytes, signed
	quarter    = 250
)

// reportHeader is what stands before the chunks: the header, two SSRCs, and the
// fields of Arrivals.
const reportHeader = 20

// ReadArrivals reads a whole RTCP packet of transport-wide feedback
// (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1), without a copy.
//
// hot: once per report and viewer.
func ReadArrivals(packet []byte) (Arrivals, error) {
	if len(packet) < reportHeader {
		return Arrivals{}, ErrBadReport
	}
	a := Arrivals{Base: binary.BigEndian.Uint16(packet[12:]), Count: binary.BigEndian.Uint16(packet[14:]),
		Reference: binary.BigEndian.Uint32(packet[16:]) >> 8, Number: packet[19]}
	rest, size, left := packet[reportHeader:], 0, int(a.Count)
	for at := 0; left > 0; at += 2 {
		if at+2 > len(rest) {
			return Arrivals{}, ErrBadReport
		}
		n, more := chunk(binary.BigEndian.Uint16(rest[at:])).deltas(left)
		left -= n
		size += more
		a.chunks = rest[:at+2]
	}
	if a.deltas = rest[len(a.chunks):]; len(a.deltas) < size {
		return Arrivals{}, ErrBadReport
	}
	return a, nil
}

// chunk tells of up to 8,191 packets of one kind, of 14, or of 7 in more detail.
type chunk uint16

func (c chunk) run() bool  { return c>>15 == 0 }
func (c chunk) wide() bool { return c>>14&1 != 0 } // two bits for each

// covers is how many of the packets left the chunk tells of.
func (c chunk) covers(left int) int {
	switch {
	case c.run():
		return min(left, int(c&0x1fff))
	case c.wide():
		return min(left, 7)
	}
	return min(left, 14)
}

// symbol is that of the i-th packet.
func (c chunk) symbol(i int) uint16 {
	switch {
	case c.run():
		return uint16(c >> 13 & 3)
	case c.wide():
		return uint16(c >> (12 - 2*i) & 3)
	}
	return uint16(c >> (13 - i) & 1)
}

// deltas returns how many of the packets left the chunk tells of, and how many
// bytes their deltas take.
func (c chunk) deltas(left int) (n, size int) {
	n = c.covers(left)
	switch {
	case c.run():
		if s := c.symbol(0); s == smallDelta || s == largeDelta {
			size = n * int(s)
		}
	case c.wide():
		for i := range n {
			if s := c.symbol(i); s == smallDelta || s == largeDelta {
				size += int(s)
			}
		}
	default:
		size = bits.OnesCount16(uint16(c) << 2 >> (16 - n))
	}
	return n, size
}
