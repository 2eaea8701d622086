package layer

import "github.com/sluice-live/sluice/media"

// retarget picks the wanted layer among the active ones, and those that may stand in for it. Without any active one,
// the target stays: nothing better is known.
func (s *Selector) retarget() {
	top := s.limit()
	s.below, s.silent = 0, s.n > 0
	best := -1
	for i := range s.n {
		l := &s.infos[i]
		if !l.Active {
			continue
		}
		s.silent = s.silent && l.ID != s.current
		if i <= top || best < 0 { // if all that flows is above the limit, the lowest of it
			best = i
			s.below |= 1 << l.ID
		}
	}
	if best >= 0 {
		s.target = s.infos[best].ID
	}
}

// limit returns the rank of the highest layer that the choice allows.
func (s *Selector) limit() int {
	if s.choice.RID != "" {
		for i := range s.n {
			if s.infos[i].RID == s.choice.RID {
				return i
			}
		}
	}
	for i := s.n - 1; i > 0; i-- {
		if s.fits(&s.infos[i]) {
			return i
		}
	}
	return 0
}

// fits reports whether a layer's picture is within the chosen size. A size that is not known yet does not fit one
// that was asked for.
func (s *Selector) fits(l *media.LayerInfo) bool {
	w, h := s.choice.MaxWidth, s.choice.MaxHeight
	if w <= 0 && h <= 0 {
		return true
	}
	return l.Width > 0 && (w <= 0 || l.Width <= w) && (h <= 0 || l.Height <= h)
}
