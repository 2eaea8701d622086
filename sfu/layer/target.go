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
	s.rewant()
}

// rewant sets the caps inside the current encoding by the choice and by what the link allows.
func (s *Selector) rewant() {
	s.spatial.want = lowest(s.choice.Spatial, s.choice.MaxSpatial)
	s.temporal.want = lowest(s.choice.Temporal, s.choice.MaxTemporal)
	current, limit := s.rank(s.current), s.rank(s.bound.layer)
	switch {
	case current < 0 || limit < 0 || current == limit:
		s.spatial.want = min(s.spatial.want, s.bound.spatial)
		s.temporal.want = min(s.temporal.want, s.bound.temporal)
	case current > limit: // being left: as little as can be
		s.temporal.want = 0
	}
}

// rank returns the place of a layer among those that are known, from the smallest; -1 if it is not.
func (s *Selector) rank(l media.Layer) int {
	for i := range s.n {
		if s.infos[i].ID == l {
			return i
		}
	}
	return -1
}

// limit returns the rank of the highest layer that the choice and the link allow.
func (s *Selector) limit() int {
	if r := s.rank(s.bound.layer); r >= 0 {
		return min(r, s.chosen())
	}
	return s.chosen()
}

// chosen returns the rank of the highest layer that the choice allows.
func (s *Selector) chosen() int {
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
