package conform

import "fmt"

// dependencies follows dependency descriptors (AV1 RTP specification, appendix A), read into a string of bits and taken
// from there step by step as the specification's tables have it.
type dependencies struct {
	structure *structure
	sent      map[int64]bool
	begun     bool
	newest    int64
	active    uint64
}

type structure struct {
	first     int
	targets   int
	chains    int
	spatial   []int
	temporal  []int
	dtis      [][]int
	fdiffs    [][]int
	protects  []int
	chainDiff [][]int
}

// told is one descriptor.
type told struct {
	start, end           bool
	number               uint16
	structure            *structure
	active               int64 // -1: not told
	spatial              int
	dtis, fdiffs, chains []int
}

func (d *dependencies) judge(c *Checker, p *picture) {
	spatial := -1
	for i := range p.packets {
		r := &p.packets[i]
		if len(r.Descriptor) == 0 {
			continue
		}
		t, err := d.read(r.Descriptor)
		if err != nil {
			if !c.damaged {
				c.fault(r, "its dependency descriptor % x: %v", r.Descriptor, err)
			}
			continue
		}
		if d.sent == nil {
			d.sent = map[int64]bool{}
		}
		n := int64(t.number)
		if d.begun {
			n = d.newest + int64(int16(t.number-uint16(d.newest)))
		}
		if !t.start {
			if n != d.newest && !c.damaged {
				c.fault(r, "it says frame %d inside frame %d", n, d.newest)
			}
			continue
		}
		if d.begun && n <= d.newest && !c.damaged {
			c.fault(r, "frame number %d after %d", n, d.newest)
		}
		if t.spatial < spatial {
			c.fault(r, "spatial layer %d after %d", t.spatial, spatial)
		}
		spatial = t.spatial
		d.frame(c, p, r, t, n)
	}
}

// frame judges one frame by its references, and by the chains of the targets that are said to be sent.
func (d *dependencies) frame(c *Checker, p *picture, r *received, t *told, n int64) {
	if t.structure != nil {
		d.active = 1<<t.structure.targets - 1
	}
	if t.active >= 0 {
		d.active = uint64(t.active)
	}
	d.begun, d.newest = true, max(n, d.newest)
	d.sent[n] = true
	if c.damaged {
		return
	}
	for _, by := range t.fdiffs {
		if !d.sent[n-int64(by)] {
			c.fault(r, "frame number %d needs %d, which is not there", n, n-int64(by))
		}
	}
	if !c.Holes && !d.wanted(t) {
		c.fault(r, "frame number %d belongs to none of the targets that are said to be sent, %b", n, d.active)
	}
	for target := range d.structure.targets {
		if d.active&(1<<target) == 0 || d.structure.chains == 0 || c.Holes { // the set may have come with another packet
			continue
		}
		if by := t.chains[d.structure.protects[target]]; by != 0 && !d.sent[n-int64(by)] {
			c.fault(r, "target %d is said to be sent, and %d of its chain is not there", target, n-int64(by))
		}
	}
}

// wanted reports whether the frame belongs to a target that is said to be sent.
func (d *dependencies) wanted(t *told) bool {
	for target, indication := range t.dtis {
		if indication != 0 && d.active&(1<<target) != 0 {
			return true
		}
	}
	return false
}

// bitstring takes numbers off the front of a descriptor.
type bitstring struct {
	bits []byte // one each
	err  error
}

func newBits(b []byte) *bitstring {
	s := &bitstring{}
	for _, v := range b {
		for i := 7; i >= 0; i-- {
			s.bits = append(s.bits, v>>i&1)
		}
	}
	return s
}

func (s *bitstring) take(n int) (v int) {
	if n > len(s.bits) {
		s.err = fmt.Errorf("ends too early")
		s.bits = nil
		return 0
	}
	for _, b := range s.bits[:n] {
		v = v*2 + int(b)
	}
	s.bits = s.bits[n:]
	return v
}

// nonSymmetric is ns(n) of the AV1 specification, section 4.10.7.
func (s *bitstring) nonSymmetric(n int) int {
	w := 0
	for x := n; x != 0; x >>= 1 {
		w++
	}
	m := 1<<w - n
	v := s.take(w - 1)
	if v < m {
		return v
	}
	return v*2 - m + s.take(1)
}

func (s *bitstring) list(n, width int) (l []int) {
	for range n {
		l = append(l, s.take(width))
	}
	return l
}

// read reads one descriptor; a structure that comes with it holds from here on.
func (d *dependencies) read(raw []byte) (*told, error) {
	s := newBits(raw)
	t := &told{start: s.take(1) == 1, end: s.take(1) == 1, active: -1}
	template := s.take(6)
	t.number = uint16(s.take(16))
	flags := make([]int, 5)
	if len(raw) > 3 {
		flags = s.list(5, 1)
	}
	if flags[0] == 1 {
		st, err := readStructure(s)
		if err != nil {
			return nil, err
		}
		t.structure, d.structure = st, st
	}
	st := d.structure
	if st == nil {
		return nil, fmt.Errorf("no structure has come")
	}
	if flags[1] == 1 {
		t.active = int64(s.take(st.targets))
	}
	i := (template + 64 - st.first) % 64
	if i >= len(st.spatial) {
		return nil, fmt.Errorf("template %d is not in the structure", template)
	}
	t.spatial, t.dtis, t.fdiffs, t.chains = st.spatial[i], st.dtis[i], st.fdiffs[i], nil
	if st.chains > 0 {
		t.chains = st.chainDiff[i]
	}
	if flags[2] == 1 {
		t.dtis = s.list(st.targets, 2)
	}
	if flags[3] == 1 {
		t.fdiffs = nil
		for size := s.take(2); size != 0; size = s.take(2) {
			t.fdiffs = append(t.fdiffs, s.take(4*size)+1)
		}
	}
	if flags[4] == 1 {
		t.chains = s.list(st.chains, 8)
	}
	return t, s.err
}

func readStructure(s *bitstring) (*structure, error) {
	st := &structure{first: s.take(6), targets: s.take(5) + 1}
	spatial, temporal := 0, 0
	for next := 0; next != 3; {
		st.spatial, st.temporal = append(st.spatial, spatial), append(st.temporal, temporal)
		switch next = s.take(2); next {
		case 1:
			temporal++
		case 2:
			spatial, temporal = spatial+1, 0
		}
		if s.err != nil || len(st.spatial) > 64 {
			return nil, fmt.Errorf("templates do not end")
		}
	}
	for range st.spatial {
		st.dtis = append(st.dtis, s.list(st.targets, 2))
	}
	for range st.spatial {
		var refs []int
		for s.take(1) == 1 {
			refs = append(refs, s.take(4)+1)
		}
		st.fdiffs = append(st.fdiffs, refs)
	}
	if st.chains = s.nonSymmetric(st.targets + 1); st.chains > 0 {
		for range st.targets {
			st.protects = append(st.protects, s.nonSymmetric(st.chains))
		}
		for range st.spatial {
			st.chainDiff = append(st.chainDiff, s.list(st.chains, 4))
		}
	}
	if s.take(1) == 1 {
		s.list(2*(spatial+1), 16)
	}
	return st, s.err
}
