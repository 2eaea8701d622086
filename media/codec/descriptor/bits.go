package descriptor

import "math/bits"

// reader reads bits from the highest down; beyond the end it gives 0 and remembers.
type reader struct {
	b     []byte
	at    int // in bits
	short bool
}

func (r *reader) f(n int) (v uint32) {
	if r.at+n > len(r.b)*8 {
		r.short = true
		r.at = len(r.b) * 8
		return 0
	}
	for range n {
		v = v<<1 | uint32(r.b[r.at>>3]>>(7-r.at&7))&1
		r.at++
	}
	return v
}

func (r *reader) flag() bool { return r.f(1) == 1 }

// ns reads a number below n in as few bits as it takes (AV1 specification section 4.10.7).
func (r *reader) ns(n uint32) uint32 {
	w := bits.Len32(n)
	m := uint32(1)<<w - n
	v := r.f(w - 1)
	if v < m {
		return v
	}
	return v<<1 - m + r.f(1)
}

// writer appends bits.
type writer struct {
	b    []byte
	free int // bits left in the last byte
}

func (w *writer) f(n int, v uint32) {
	for n--; n >= 0; n-- {
		if w.free == 0 {
			w.b = append(w.b, 0)
			w.free = 8
		}
		w.free--
		w.b[len(w.b)-1] |= byte(v>>n&1) << w.free
	}
}

func (w *writer) flag(on bool) {
	v := uint32(0)
	if on {
		v = 1
	}
	w.f(1, v)
}

func (w *writer) ns(n, v uint32) {
	l := bits.Len32(n)
	m := uint32(1)<<l - n
	if v < m {
		w.f(l-1, v)
		return
	}
	w.f(l-1, (v+m)>>1)
	w.f(1, (v+m)&1)
}
