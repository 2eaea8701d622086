package media

// PartName returns what part i of a segment is called in URIs. A part is hinted, and
// asked for, before anybody knows whether it is one more of a segment or the first of
// the next: that one keeps the name that was hinted. Not so in what is shared: another
// recorder may have lost a part, and one name would be two things.
func (p *Presentation) PartName(s *Segment, i int) (msn uint64, part int) {
	if i == 0 && s.Behind > 0 && !p.Shared() {
		return s.MSN - 1, s.Behind
	}
	return s.MSN, i
}

// NextPart returns the name of the part of a rendition that will be published next.
func (p *Presentation) NextPart(r *Rendition) (msn uint64, part int) {
	n := len(r.Segments)
	switch {
	case r.Open != nil:
		return p.PartName(r.Open, len(r.Open.Parts))
	case n > 0 && !p.Shared() && len(r.Segments[n-1].Parts) > 0:
		return r.Segments[n-1].MSN, len(r.Segments[n-1].Parts)
	}
	return r.Next()
}

// Part returns the part of that name, nil when it is not there.
func (p *Presentation) Part(r *Rendition, msn uint64, part int) *Part {
	s, i := r.segment(msn), part
	if next := r.segment(msn + 1); next != nil && part > 0 && next.Behind == part && !p.Shared() {
		s, i = next, 0
	}
	if s == nil || i >= len(s.Parts) {
		return nil
	}
	if m, n := p.PartName(s, i); m != msn || n != part {
		return nil // it has another name
	}
	return &s.Parts[i]
}

// segment returns the finished or open one of a number, or nil.
func (r *Rendition) segment(msn uint64) *Segment {
	if r.Open != nil && r.Open.MSN == msn {
		return r.Open
	}
	if len(r.Segments) == 0 || msn < r.Segments[0].MSN || msn-r.Segments[0].MSN >= uint64(len(r.Segments)) {
		return nil
	}
	return r.Segments[msn-r.Segments[0].MSN]
}
