package descriptor

import "encoding/binary"

// mandatory is the length of the fields that each descriptor has.
const mandatory = 3

// Frame is what one descriptor tells of its packet's frame.
type Frame struct {
	Start, End bool // first and last packet of the frame
	Template   uint8
	Number     uint16
	// HasStructure: a structure came with this packet.
	HasStructure bool
	// Active is the set of decode targets that are being sent from here on; HasActive tells whether it came.
	HasActive bool
	Active    uint32

	Spatial, Temporal uint8
	Indications       Indications
	Diffs             Diffs
	Chains            Chains
	// What the descriptor gives itself instead of by its template.
	OwnIndications, OwnDiffs, OwnChains bool
}

// Key reports whether the frame needs no other one.
func (f *Frame) Key() bool { return f.Diffs.N == 0 }

// Number returns the frame number of a raw descriptor; false if it is too short to have one.
func Number(raw []byte) (uint16, bool) {
	if len(raw) < mandatory {
		return 0, false
	}
	return binary.BigEndian.Uint16(raw[1:]), true
}

// HasStructure reports whether a raw descriptor brings a structure.
func HasStructure(raw []byte) bool { return len(raw) > mandatory && raw[mandatory]&0x80 != 0 }

// Read reads a raw descriptor into f. A structure that comes with it takes the place of s; if it cannot be read, s knows
// nothing any more, as what follows would be misread.
//
// hot: once per packet and viewer; no allocation.
func (s *Structure) Read(raw []byte, f *Frame) error {
	if len(raw) < mandatory {
		return ErrShort
	}
	r := reader{b: raw}
	*f = Frame{Start: r.flag(), End: r.flag(), Template: uint8(r.f(6)), Number: uint16(r.f(16))}
	if len(raw) > mandatory {
		f.HasStructure = r.flag()
		f.HasActive = r.flag()
		f.OwnIndications, f.OwnDiffs, f.OwnChains = r.flag(), r.flag(), r.flag()
	}
	if f.HasStructure {
		if err := s.read(&r); err != nil {
			*s = Structure{}
			return err
		}
	}
	if !s.Known() {
		return ErrNoStructure
	}
	if f.HasActive {
		f.Active = r.f(int(s.Targets))
	}
	if err := s.definition(&r, f); err != nil {
		if f.HasStructure {
			*s = Structure{}
		}
		return err
	}
	return nil
}

// definition reads frame_dependency_definition.
func (s *Structure) definition(r *reader, f *Frame) error {
	m, ok := s.template(f.Template)
	if !ok {
		return ErrTemplate
	}
	f.Spatial, f.Temporal = m.Spatial, m.Temporal
	f.Indications, f.Diffs, f.Chains = m.Indications, m.Diffs, m.Chains
	if f.OwnIndications {
		f.Indications = s.indications(r)
	}
	if f.OwnDiffs {
		f.Diffs = Diffs{}
		for size := r.f(2); size != 0; size = r.f(2) {
			if !f.Diffs.add(uint16(r.f(4*int(size)) + 1)) {
				return ErrBounds
			}
		}
	}
	if f.OwnChains {
		for c := range s.Chains {
			f.Chains[c] = uint8(r.f(8))
		}
	}
	if r.short {
		return ErrShort
	}
	return nil
}

func (s *Structure) indications(r *reader) (i Indications) {
	for t := range int(s.Targets) {
		i.set(t, Indication(r.f(2)))
	}
	return i
}

// read reads template_dependency_structure.
func (s *Structure) read(r *reader) error {
	*s = Structure{First: uint8(r.f(6)), Targets: uint8(r.f(5) + 1)}
	if err := s.layers(r); err != nil {
		return err
	}
	for i := range s.Templates[:s.Count] {
		s.Templates[i].Indications = s.indications(r)
	}
	for i := range s.Templates[:s.Count] {
		for r.flag() {
			if !s.Templates[i].Diffs.add(uint16(r.f(4) + 1)) {
				return ErrBounds
			}
		}
	}
	if err := s.chains(r); err != nil {
		return err
	}
	s.derive()
	if s.HasSizes = r.flag(); s.HasSizes {
		if s.Spatials() > maxSpatial {
			return ErrBounds
		}
		for i := range s.Sizes[:s.Spatials()] {
			s.Sizes[i] = Resolution{Width: int(r.f(16)) + 1, Height: int(r.f(16)) + 1}
		}
	}
	if r.short {
		return ErrShort
	}
	return nil
}

// layers reads template_layers: what each template adds to the one before it.
func (s *Structure) layers(r *reader) error {
	spatial, temporal := uint8(0), uint8(0)
	for {
		if s.Count == MaxTemplates {
			return ErrBounds
		}
		m := &s.Templates[s.Count]
		m.Spatial, m.Temporal = spatial, temporal
		s.Count++
		switch r.f(2) {
		case 1:
			temporal++
		case 2:
			temporal = 0
			spatial++
		case 3:
			return nil
		}
		if r.short {
			return ErrShort
		}
	}
}

// chains reads template_chains.
func (s *Structure) chains(r *reader) error {
	n := r.ns(uint32(s.Targets) + 1)
	if n > MaxChains || n > uint32(s.Targets) {
		return ErrBounds
	}
	s.Chains = uint8(n)
	if n == 0 {
		return nil
	}
	for t := range s.Protects[:s.Targets] {
		s.Protects[t] = uint8(r.ns(n))
	}
	for i := range s.Templates[:s.Count] {
		for c := range s.Chains {
			s.Templates[i].Chains[c] = uint8(r.f(4))
		}
	}
	return nil
}
