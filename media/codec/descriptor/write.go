package descriptor

import "encoding/binary"

// Append writes a descriptor: f as it stands in s, and s itself where f.HasStructure says so. What f does not have of
// its own it has by its template.
func (s *Structure) Append(dst []byte, f *Frame) []byte {
	w := writer{b: dst}
	w.flag(f.Start)
	w.flag(f.End)
	w.f(6, uint32(f.Template))
	w.f(16, uint32(f.Number))
	if !f.HasStructure && !f.HasActive && !f.OwnIndications && !f.OwnDiffs && !f.OwnChains {
		return w.b
	}
	w.flag(f.HasStructure)
	w.flag(f.HasActive)
	w.flag(f.OwnIndications)
	w.flag(f.OwnDiffs)
	w.flag(f.OwnChains)
	if f.HasStructure {
		s.write(&w)
	}
	if f.HasActive {
		w.f(int(s.Targets), f.Active)
	}
	if f.OwnIndications {
		s.writeIndications(&w, f.Indications)
	}
	if f.OwnDiffs {
		for _, by := range f.Diffs.All() {
			size := nibbles(by - 1)
			w.f(2, uint32(size))
			w.f(4*size, uint32(by-1))
		}
		w.f(2, 0)
	}
	if f.OwnChains {
		for _, by := range f.Chains[:s.Chains] {
			w.f(8, uint32(by))
		}
	}
	return w.b
}

// nibbles returns how many groups of four bits a reference takes, from 1 to 3.
func nibbles(v uint16) int {
	switch {
	case v < 1<<4:
		return 1
	case v < 1<<8:
		return 2
	}
	return 3
}

func (s *Structure) writeIndications(w *writer, i Indications) {
	for t := range int(s.Targets) {
		w.f(2, uint32(i.Of(t)))
	}
}

func (s *Structure) write(w *writer) {
	w.f(6, uint32(s.First))
	w.f(5, uint32(s.Targets-1))
	templates := s.Templates[:s.Count]
	for i := range templates {
		w.f(2, s.next(i))
	}
	for i := range templates {
		s.writeIndications(w, templates[i].Indications)
	}
	for i := range templates {
		for _, by := range templates[i].Diffs.All() {
			w.flag(true)
			w.f(4, uint32(by-1))
		}
		w.flag(false)
	}
	s.writeChains(w)
	w.flag(s.HasSizes)
	if s.HasSizes {
		for _, size := range s.Sizes[:s.Spatials()] {
			w.f(16, uint32(size.Width-1))
			w.f(16, uint32(size.Height-1))
		}
	}
}

// next returns next_layer_idc: how the template after i differs from it.
func (s *Structure) next(i int) uint32 {
	if i == int(s.Count)-1 {
		return 3
	}
	switch a, b := &s.Templates[i], &s.Templates[i+1]; {
	case a.Spatial != b.Spatial:
		return 2
	case a.Temporal != b.Temporal:
		return 1
	}
	return 0
}

func (s *Structure) writeChains(w *writer) {
	w.ns(uint32(s.Targets)+1, uint32(s.Chains))
	if s.Chains == 0 {
		return
	}
	for _, c := range s.Protects[:s.Targets] {
		w.ns(uint32(s.Chains), uint32(c))
	}
	for i := range s.Templates[:s.Count] {
		for _, by := range s.Templates[i].Chains[:s.Chains] {
			w.f(4, uint32(by))
		}
	}
}

// Rewrite appends raw to dst as one viewer gets it: numbered number and, if targets is not 0, with active as the decode
// targets that are sent, less those that raw itself takes away. Targets is the number of decode targets of raw's
// structure. A descriptor that cannot be read is only numbered. The result depends on the arguments alone, so that a
// packet that is sent again is the same.
//
// hot: once per packet and viewer; no allocation if dst has room for len(raw)+5.
func Rewrite(dst, raw []byte, number uint16, active uint32, targets uint8) []byte {
	at := len(dst)
	if len(raw) < mandatory || targets == 0 || targets > MaxTargets {
		dst = append(dst, raw...)
	} else {
		dst = splice(dst, raw, active, int(targets))
	}
	if len(raw) >= mandatory {
		binary.BigEndian.PutUint16(dst[at+1:], number)
	}
	return dst
}

// splice copies raw with other active decode targets; they stand behind the structure and before all that is the
// frame's own.
func splice(dst, raw []byte, active uint32, targets int) []byte {
	w := writer{b: dst}
	r := reader{b: raw}
	r.copy(&w, 8*mandatory)
	if len(raw) == mandatory {
		w.f(5, 0b01000)
		w.f(targets, active)
		return w.b
	}
	structure, present := r.flag(), r.flag()
	w.flag(structure)
	w.flag(true)
	r.copy(&w, 3)
	if structure {
		var s Structure
		ahead := r
		if s.read(&ahead) != nil || int(s.Targets) != targets {
			return append(dst, raw...)
		}
		r.copy(&w, ahead.at-r.at)
	}
	if present {
		active &= r.f(targets)
	}
	w.f(targets, active)
	if r.short {
		return append(dst, raw...)
	}
	r.copy(&w, len(raw)*8-r.at)
	return w.b
}

// copy copies n bits.
func (r *reader) copy(w *writer, n int) {
	for ; n > 8; n -= 8 {
		w.f(8, r.f(8))
	}
	w.f(n, r.f(n))
}

// Attach appends raw to dst with structure s before the frame's own fields, for a decoder that starts here and has not
// been told; raw must be readable with s. Where raw brings a structure itself it is copied.
func Attach(dst, raw []byte, s *Structure) []byte {
	copied := *s
	var f Frame
	if HasStructure(raw) || copied.Read(raw, &f) != nil {
		return append(dst, raw...)
	}
	f.HasStructure = true
	return copied.Append(dst, &f)
}
