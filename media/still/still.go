package still

import "github.com/sluice-live/sluice/media"

// Repeat returns a frame, as Frame.Data, that shows the picture of last again, any
// number of times; last is no repeat. False: there is none for this codec or this
// picture. H265 has none: its skipped blocks need an arithmetic coder, and its order
// counts leave no room.
func Repeat(f *media.Format, last []byte) ([]byte, bool) {
	if f == nil || len(last) == 0 {
		return nil, false
	}
	switch f.Codec {
	case media.VP9:
		return vp9(last)
	case media.AV1:
		return av1(f, last)
	case media.H264:
		return h264(f, last)
	}
	return nil, false
}

// reader reads bits from the highest down; beyond the end it gives 0 and remembers.
type reader struct {
	data  []byte
	at    int // bits
	short bool
}

func (r *reader) bits(n int) (v uint32) {
	for range n {
		v <<= 1
		if r.at >= 8*len(r.data) {
			r.short = true
			continue
		}
		v |= uint32(r.data[r.at/8]>>(7-r.at%8)) & 1
		r.at++
	}
	return v
}

func (r *reader) flag() bool { return r.bits(1) == 1 }

// ue reads an unsigned Exp-Golomb number (H.264 section 9.1).
func (r *reader) ue() uint32 {
	zeros := 0
	for !r.flag() {
		if zeros++; r.short || zeros > 31 {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}

// writer appends bits.
type writer struct {
	data []byte
	free int // bits in the last byte
}

func (w *writer) bits(v uint32, n int) {
	for n--; n >= 0; n-- {
		if w.free == 0 {
			w.data, w.free = append(w.data, 0), 8
		}
		w.free--
		w.data[len(w.data)-1] |= byte(v>>n&1) << w.free
	}
}

func (w *writer) ue(v uint32) {
	n := 0
	for (v+1)>>n > 1 {
		n++
	}
	w.bits(0, n)
	w.bits(v+1, n+1)
}
