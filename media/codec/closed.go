package codec

import (
	"encoding/binary"

	"github.com/sluice-live/sluice/media"
)

const (
	h264SEI       = 6
	h265PrefixSEI = 39
	// userDataT35 is the payload type of user_data_registered_itu_t_t35 (H.264 section
	// D.1.6, H.265 section D.2.6).
	userDataT35 = 4
	// maxSEI bounds what is read of one NAL unit, in bytes; 31 triples of captions, the
	// most that a picture has, are about 100.
	maxSEI = 1 << 12
)

// ClosedCaptions returns the captions that begin in a frame, as media.Frame has it. Who
// shows them waits for such a beginning, and it comes with each text anew.
//
// hot: for each picture; what is before the first slice is looked at, and no more.
func ClosedCaptions(codec media.Codec, frame []byte) (found media.Closed) {
	if codec != media.H264 && codec != media.H265 {
		return 0
	}
	for len(frame) >= 5 {
		size := binary.BigEndian.Uint32(frame)
		if size == 0 || uint64(size) > uint64(len(frame)-4) {
			break
		}
		unit := frame[4 : 4+size]
		frame = frame[4+size:]
		kind := unit[0] & 0x1f
		head, sei, slice := 1, kind == h264SEI, kind >= 1 && kind <= 5
		if codec == media.H265 {
			kind = unit[0] >> 1 & 0x3f
			head, sei, slice = 2, kind == h265PrefixSEI, kind < 32
		}
		switch {
		case slice:
			return found
		case sei && len(unit) > head:
			found |= readSEI(unit[head:min(len(unit), maxSEI)])
		}
	}
	return found
}

// rawBytes reads a NAL unit without its emulation prevention (H.264 section 7.4.1).
type rawBytes struct {
	b     []byte
	zeros int
	short bool
}

func (r *rawBytes) next() byte {
	if len(r.b) > 0 && r.zeros >= 2 && r.b[0] == 3 {
		r.b, r.zeros = r.b[1:], 0
	}
	if len(r.b) == 0 {
		r.short = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	if c == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
	return c
}

// number reads a payload's type or size: as many times 255 as there are bytes of ones.
func (r *rawBytes) number() (n int) {
	for {
		c := r.next()
		n += int(c)
		if c != 0xff || r.short {
			return n
		}
	}
}

// readSEI reads the messages of a unit.
func readSEI(unit []byte) (found media.Closed) {
	r := rawBytes{b: unit}
	for len(r.b) > 2 { // rbsp_trailing_bits are one byte
		kind, size := r.number(), r.number()
		if r.short {
			return found
		}
		read := 0
		if kind == userDataT35 {
			var some media.Closed
			some, read = r.captions(size)
			found |= some
		}
		for ; read < size && !r.short; read++ {
			r.next()
		}
	}
	return found
}

// ga94 is how caption data of ATSC begins: country and provider, ATSC's user identifier
// and its type (ATSC A/53 Part 4 section 6.2.3).
const ga94 = "\xb5\x00\x31GA94\x03"

// captions reads cc_data (ANSI/CTA-708-E section 4.3) and how many bytes it read.
func (r *rawBytes) captions(size int) (found media.Closed, read int) {
	if size < len(ga94)+2 {
		return 0, 0
	}
	for read < len(ga94) {
		c := r.next()
		read++
		if c != ga94[read-1] {
			return 0, read
		}
	}
	flags := r.next()
	r.next() // em_data
	read += 2
	if flags&0x40 == 0 { // process_cc_data_flag
		return 0, read
	}
	for n := int(flags & 0x1f); n > 0 && read+3 <= size && !r.short; n-- {
		kind, a, b := r.next(), r.next(), r.next()
		read += 3
		if kind&4 == 0 || r.short { // cc_valid
			continue
		}
		found |= begins(kind&3, a, b)
	}
	return found, read
}

// begins returns what a pair of bytes begins.
func begins(kind, a, b byte) media.Closed {
	switch kind {
	case 3: // a packet of CEA-708 with its first service block (section 6.2)
		if b&0x1f == 0 {
			return 0 // nothing is in it
		}
		return media.Service(int(b >> 5))
	case 2:
		return 0
	}
	// Without parity: the modes of captions, which begin each text (ANSI/CTA-608-E
	// table 52). Of field 2 (kind 1) they may have 0x15 in place of 0x14.
	a, b = a&0x7f, b&0x7f
	if a&^0x09 != 0x14 {
		return 0
	}
	switch b {
	case 0x20, 0x25, 0x26, 0x27, 0x29: // resume loading, roll up 2 to 4, resume direct
		return media.Channel(1 + int(kind)*2 + int(a>>3&1))
	}
	return 0
}
