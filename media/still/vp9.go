package still

import "math/bits"

// vp9 shows the reference again into which the picture went
// (show_existing_frame, VP9 bitstream specification section 6.2).
func vp9(last []byte) ([]byte, bool) {
	last, ok := shown(last)
	if !ok {
		return nil, false
	}
	r := reader{data: last}
	marker := r.bits(2)
	profile := r.bits(1) | r.bits(1)<<1
	if marker != 2 || profile > 2 { // profile 3 has a bit more; nobody sends it
		return nil, false
	}
	slot := uint32(0)
	if r.flag() {
		slot = r.bits(3)
	} else {
		inter, show, resilient := r.flag(), r.flag(), r.flag()
		if !show {
			return nil, false
		}
		if inter { // a key frame goes into all
			if !resilient {
				r.bits(2) // reset_frame_context; intra_only is not sent where show_frame is set
			}
			refresh := r.bits(8)
			if refresh == 0 {
				return nil, false
			}
			slot = uint32(bits.TrailingZeros32(refresh))
		}
	}
	if r.short {
		return nil, false
	}
	return []byte{0x88 | byte(profile&1)<<5 | byte(profile>>1)<<4 | byte(slot)}, true
}

// shown returns the last frame of a superframe (annex B), which is the one that is
// shown.
func shown(b []byte) ([]byte, bool) {
	marker := b[len(b)-1]
	if marker&0xe0 != 0xc0 {
		return b, true
	}
	frames, size := int(marker&7)+1, int(marker>>3&3)+1
	index := 2 + frames*size
	if len(b) < index || b[len(b)-index] != marker {
		return b, true
	}
	at := 0
	for i := range frames {
		length := 0
		for k := range size {
			length |= int(b[len(b)-index+1+i*size+k]) << (8 * k)
		}
		if length == 0 || at+length > len(b)-index {
			return nil, false
		}
		if i == frames-1 {
			return b[at : at+length], true
		}
		at += length
	}
	return nil, false
}
