package layer

import "github.com/sluice-live/sluice/media"

// nearly is the share of what a layer needs at which a link counts as about to carry it. Estimates climb from there to
// the whole within the allocator's patience of 2 s, which a publisher needs to start the layer.
const nearly = 0.8

// Demand returns the layers that this viewer has use for: what it gets and waits for; the best that choice and link
// allow, or while that one neither flows nor is about to, what may stand in for it; and the next one above, where room,
// what the link carries besides sound, is nearly enough. 0 stands for a room that is not known.
func (s *Selector) Demand(room media.Bitrate) media.LayerSet {
	wants := media.LayerSet(0).With(s.current).With(s.target)
	if s.n == 0 {
		return wants
	}
	top := s.limit()
	for i := top; i >= 0; i-- {
		wants = wants.With(s.infos[i].ID)
		if s.infos[i].Active || s.infos[i].Paused {
			break
		}
	}
	if next := top + 1; next <= s.chosen() && float64(room) >= nearly*float64(s.infos[next].Mean) {
		wants = wants.With(s.infos[next].ID)
	}
	return wants
}
