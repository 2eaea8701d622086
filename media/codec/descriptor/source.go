package descriptor

import "github.com/sluice-live/sluice/media"

// Source reads the descriptors of one received encoding. The zero value is ready.
type Source struct {
	own   Structure
	frame Frame
	known *Structure // a copy of own, never changed once made
}

// maxAttached bounds a descriptor that is given a structure: what a header extension holds (RFC 8285 section 4.3), less
// what Rewrite adds.
const maxAttached = 255 - 5

// Apply reads p.Descriptor and gives p the layers and the beginning of a frame that it tells. A key frame that came
// without the structure is given it, so that decoders may start there. It reports false, and leaves p alone, where there
// is nothing that can be read.
//
// hot: once per received packet; allocates for a new structure, and for a key frame without one, only.
func (s *Source) Apply(p *media.Packet) bool {
	if len(p.Descriptor) == 0 || s.own.Read(p.Descriptor, &s.frame) != nil {
		return false
	}
	if s.frame.HasStructure {
		s.known = nil
	} else if p.Key && s.frame.Start && s.frame.Key() {
		if b := Attach(nil, p.Descriptor, &s.own); len(b) <= maxAttached {
			p.Descriptor = b
		}
	}
	p.Spatial, p.Temporal, p.FrameStart = s.frame.Spatial, s.frame.Temporal, s.frame.Start
	return true
}

// Structure returns what holds now, for those who join later; nil while nothing is known. It is never changed.
func (s *Source) Structure() *Structure {
	if !s.own.Known() {
		return nil
	}
	if s.known == nil {
		c := s.own
		s.known = &c
	}
	return s.known
}
