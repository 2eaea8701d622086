package descriptor

import "github.com/sluice-live/sluice/media"

// Source reads the descriptors of one received encoding. The zero value is ready.
type Source struct {
	own   Structure
	frame Frame
	known *Structure // a copy of own, never changed once made
}

// Apply reads p.Descriptor and gives p the layers and the beginning of a frame that it tells. It reports false, and
// leaves p alone, where there is nothing that can be read.
//
// hot: once per received packet; allocates for a new structure only.
func (s *Source) Apply(p *media.Packet) bool {
	if len(p.Descriptor) == 0 || s.own.Read(p.Descriptor, &s.frame) != nil {
		return false
	}
	if s.frame.HasStructure {
		s.known = nil
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
