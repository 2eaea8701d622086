package codec

// bitReader reads an RBSP: bits from the highest down, without the
// emulation prevention bytes (H.264 section 7.4.1.1, H.265 section 7.4.2.1).
type bitReader struct {
	data  []byte
	at    int   // the byte being read
	left  uint8 // bits left in it
	zeros uint8 // zero bytes right before at
	short bool  // more was read than there is
}

func newBitReader(data []byte) bitReader { return bitReader{data: data, left: 8} }

// bit returns the next bit, 0 beyond the end.
func (r *bitReader) bit() uint32 {
	if r.left == 0 {
		r.advance()
	}
	if r.at >= len(r.data) {
		r.short = true
		return 0
	}
	r.left--
	return uint32(r.data[r.at]>>r.left) & 1
}

// advance goes to the next byte, over an emulation prevention byte.
func (r *bitReader) advance() {
	if r.data[r.at] == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
	r.at++
	r.left = 8
	if r.zeros >= 2 && r.at < len(r.data) && r.data[r.at] == 3 {
		r.at++
		r.zeros = 0
	}
}

// ue reads an unsigned Exp-Golomb number (H.264 section 9.1).
func (r *bitReader) ue() uint32 {
	zeros := 0
	for r.bit() == 0 {
		zeros++
		if r.short || zeros > 31 {
			r.short = true
			return 0
		}
	}
	v := uint32(1)
	for range zeros {
		v = v<<1 | r.bit()
	}
	return v - 1
}
