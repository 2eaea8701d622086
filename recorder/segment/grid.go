package segment

import "time"

// bound is where a segment begins in all renditions, in media time. Hard tells that
// there is a discontinuity.
type bound struct {
	at   time.Duration
	hard bool
	course
}

// grid is the list of boundaries. The renditions' segments of one number begin
// there, or as near as their frames allow.
//
// A free grid learns them one after the other, as key frames propose them. A locked
// one knows them all: segment n begins n steps after media time 0, unless a
// discontinuity began it earlier.
type grid struct {
	begun  bool
	first  uint64 // number of bounds[0]
	bounds []bound

	step  time.Duration // of a locked grid; 0 is free
	top   uint64        // of a locked grid: the last segment that is begun
	moved map[uint64]bound
}

// begin starts the list at from, with segment first; before a resumed one stands a
// discontinuity.
func (g *grid) begin(first uint64, from time.Duration, resumed bool) {
	g.begun = true
	switch {
	case g.step == 0:
		g.first, g.bounds = first, []bound{{at: from, hard: resumed}}
	case resumed:
		g.top, g.moved = first, map[uint64]bound{first: {at: from, hard: true}}
	default:
		g.top, g.moved = uint64(from/g.step), map[uint64]bound{}
	}
}

// newest returns the number of the last segment whose beginning is decided; of a
// locked grid, that is begun.
func (g *grid) newest() uint64 {
	if g.step > 0 {
		return g.top
	}
	return g.first + uint64(len(g.bounds)) - 1
}

// entered notes that a rendition has begun a segment.
func (g *grid) entered(msn uint64) { g.top = max(g.top, msn) }

// at returns where a segment begins.
func (g *grid) at(msn uint64) bound {
	if g.step == 0 {
		return g.bounds[msn-g.first]
	}
	if b, ok := g.moved[msn]; ok {
		return b
	}
	return bound{at: time.Duration(msn) * g.step}
}

// next returns where the segment after msn begins, if that is decided.
func (g *grid) next(msn uint64) (bound, bool) {
	if g.step == 0 && msn >= g.newest() {
		return bound{}, false
	}
	return g.at(msn + 1), true
}

// propose decides where the next segment begins: never before the last one.
func (g *grid) propose(at time.Duration, hard bool) {
	at = max(at, g.at(g.newest()).at+time.Millisecond)
	if g.step > 0 {
		g.moved[g.top+1] = bound{at: at, hard: hard}
		return
	}
	g.bounds = append(g.bounds, bound{at: at, hard: hard})
}

// steer sets the course of the newest segment of a free grid.
func (g *grid) steer(k course) { g.bounds[len(g.bounds)-1].course = k }

// harden puts a discontinuity before a segment.
func (g *grid) harden(msn uint64) {
	if g.step > 0 {
		g.moved[msn] = bound{at: g.at(msn).at, hard: true}
		return
	}
	g.bounds[msn-g.first].hard = true
}

// latest returns the number of the last segment that begins at or before at.
func (g *grid) latest(at time.Duration) uint64 {
	if g.step > 0 {
		msn := uint64(max(at, 0) / g.step)
		for b, ok := g.moved[msn+1]; ok && b.at <= at; b, ok = g.moved[msn+1] {
			msn++
		}
		return msn
	}
	for i := len(g.bounds) - 1; i > 0; i-- {
		if g.bounds[i].at <= at {
			return g.first + uint64(i)
		}
	}
	return g.first
}

// forget drops boundaries before msn, which nobody needs any more.
func (g *grid) forget(msn uint64) {
	for n := range g.moved { // a discontinuity or two
		if n < msn {
			delete(g.moved, n)
		}
	}
	if g.step > 0 {
		return
	}
	if n := int(msn - g.first); n > 16 { // rarely, so that the list is seldom moved
		g.bounds = append(g.bounds[:0], g.bounds[n:]...)
		g.first = msn
	}
}
