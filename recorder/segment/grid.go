package segment

import "time"

// bound is where a segment begins in all renditions, in media time. Hard tells that
// there is a discontinuity.
type bound struct {
	at   time.Duration
	hard bool
}

// grid is the list of boundaries. The renditions' segments of one number begin
// there, or as near as their frames allow.
type grid struct {
	first  uint64 // number of bounds[0]
	bounds []bound
}

// newest returns the number of the last segment whose beginning is decided.
func (g *grid) newest() uint64 { return g.first + uint64(len(g.bounds)) - 1 }

// at returns where a segment begins.
func (g *grid) at(msn uint64) bound { return g.bounds[msn-g.first] }

// next returns where the segment after msn begins, if that is decided.
func (g *grid) next(msn uint64) (bound, bool) {
	if msn >= g.newest() {
		return bound{}, false
	}
	return g.at(msn + 1), true
}

// propose decides where the next segment begins: never before the last one.
func (g *grid) propose(at time.Duration, hard bool) {
	at = max(at, g.bounds[len(g.bounds)-1].at+time.Millisecond)
	g.bounds = append(g.bounds, bound{at, hard})
}

// latest returns the number of the last segment that begins at or before at.
func (g *grid) latest(at time.Duration) uint64 {
	for i := len(g.bounds) - 1; i > 0; i-- {
		if g.bounds[i].at <= at {
			return g.first + uint64(i)
		}
	}
	return g.first
}

// forget drops boundaries before msn, which nobody needs any more.
func (g *grid) forget(msn uint64) {
	if n := int(msn - g.first); n > 16 { // rarely, so that the list is seldom moved
		g.bounds = append(g.bounds[:0], g.bounds[n:]...)
		g.first = msn
	}
}
