package source

import (
	"bytes"
	"encoding/hex"
)

// NAL unit types of H.264 (table 7-1) that matter here.
const (
	nalSlice = 1
	nalIDR   = 5
	nalSEI   = 6
	nalSPS   = 7
	nalPPS   = 8
	nalAUD   = 9
)

// Split cuts an Annex B stream with access unit delimiters into frames, and
// tells each one's place on the screen from the slice types.
func Split(b []byte) []Frame {
	var frames []Frame
	for _, nal := range nals(b) {
		switch nal[0] & 0x1f {
		case nalAUD:
			frames = append(frames, Frame{})
			continue
		case nalSEI:
			continue // x264's banner; we write our own
		}
		if len(frames) == 0 {
			frames = append(frames, Frame{})
		}
		f := &frames[len(frames)-1]
		f.NALs = append(f.NALs, nal)
		f.Key = f.Key || nal[0]&0x1f == nalIDR
	}
	order(frames)
	return frames
}

// nals returns the NAL units between start codes, empty ones left out.
func nals(b []byte) [][]byte {
	var out [][]byte
	mark := []byte{0, 0, 1}
	for i := bytes.Index(b, mark); i >= 0; {
		b = b[i+3:]
		i = bytes.Index(b, mark)
		end := i
		if i < 0 {
			end = len(b)
		}
		if nal := bytes.TrimRight(b[:end], "\x00"); len(nal) > 0 {
			out = append(out, nal)
		}
	}
	return out
}

// order gives each frame its display index: B-frames come out before the
// reference frame that they follow in the stream (no pyramid).
func order(frames []Frame) {
	for i := 0; i < len(frames); {
		n := 1
		for i+n < len(frames) && isB(frames[i+n]) {
			frames[i+n].Display = i + n - 1
			n++
		}
		frames[i].Display = i + n - 1
		i += n
	}
}

func isB(f Frame) bool {
	for _, nal := range f.NALs {
		if nal[0]&0x1f == nalSlice {
			r := bits{b: nal[1:]}
			r.ue() // first_mb_in_slice
			t := r.ue()
			return t == 1 || t == 6 // table 7-6
		}
	}
	return false
}

// bits reads Exp-Golomb codes (clause 9.1). The few bits that are read lie
// before any emulation prevention byte can.
type bits struct {
	b []byte
	i int
}

func (r *bits) bit() int {
	if r.i >= 8*len(r.b) {
		return 1 // ends any code
	}
	v := int(r.b[r.i/8]>>(7-r.i%8)) & 1
	r.i++
	return v
}

func (r *bits) ue() int {
	zeros := 0
	for r.bit() == 0 {
		if zeros++; zeros > 31 {
			return 0
		}
	}
	v := 1
	for range zeros {
		v = v<<1 | r.bit()
	}
	return v - 1
}

// profile returns the three bytes after the SPS's NAL header in hex.
func profile(f Frame) string {
	for _, nal := range f.NALs {
		if nal[0]&0x1f == nalSPS && len(nal) >= 4 {
			return hex.EncodeToString(nal[1:4])
		}
	}
	return ""
}
