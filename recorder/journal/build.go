package journal

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// tolerance is the jump of media time below which nothing is missing: it comes of
// rounding between timescales.
const tolerance = time.Millisecond

// cell is what the grid knows of a number: when the first rendition that has the
// segment has it.
type cell struct {
	from, to      time.Duration
	discontinuity bool
}

// build makes the presentation of what is there: numbers without a hole in each
// rendition, all up to the same number, discontinuities at the same ones.
func (c *content) build() (*media.Presentation, []Hole) {
	p := &media.Presentation{
		Stream: c.start.Stream, Incarnation: c.start.Incarnation, Version: 1, Start: c.start.Start,
		TargetDuration: c.start.TargetDuration, PartTarget: c.start.PartTarget, Ended: c.ended,
	}
	holes := slices.Clone(c.holes)
	grid := c.grid()
	last, _ := c.last()
	for _, name := range c.order {
		s := c.strands[name]
		r := s.r
		b := builder{c: c, s: s, r: &r, grid: grid}
		b.run(last)
		holes = append(holes, b.holes...)
		p.Renditions = append(p.Renditions, &r)
	}
	return p, merge(holes)
}

// last returns the highest number of any rendition.
func (c *content) last() (last uint64, ok bool) {
	for _, s := range c.strands {
		if _, n, has := s.numbers(c.dropped); has {
			last, ok = max(last, n), true
		}
	}
	return last, ok
}

// grid gathers times and discontinuities by number over all renditions.
func (c *content) grid() map[uint64]cell {
	grid := map[uint64]cell{}
	for _, name := range c.order {
		s := c.strands[name]
		for i := range s.parts {
			q := &s.parts[i]
			from, to := s.r.Time(q.Start), s.r.Time(q.Start+q.Duration)
			g, ok := grid[q.MSN]
			if !ok {
				g = cell{from: from, to: to}
			}
			g.to = max(g.to, to)
			g.discontinuity = g.discontinuity || q.Discontinuity
			grid[q.MSN] = g
		}
	}
	return grid
}

// builder makes one rendition's segments.
type builder struct {
	c     *content
	s     *strand
	r     *media.Rendition
	grid  map[uint64]cell
	end   media.Ticks // of the newest segment
	holes []Hole
}

func (b *builder) run(last uint64) {
	parts := b.s.parts
	for len(parts) > 0 && parts[0].MSN < b.c.dropped {
		parts = parts[1:]
	}
	if len(parts) == 0 {
		b.vanished()
		return
	}
	first := parts[0].MSN
	b.end = parts[0].Start
	b.front(&parts[0])
	next := first
	for len(parts) > 0 {
		n := slices.IndexFunc(parts, func(p placed) bool { return p.MSN != parts[0].MSN })
		if n < 0 {
			n = len(parts)
		}
		b.fill(next, parts[0].MSN, &parts[0])
		b.segment(parts[:n])
		next = parts[0].MSN + 1
		parts = parts[n:]
	}
	b.fill(next, last+1, nil)
	if b.s.harmed { // and the others got farther
		b.jump(b.ticks(b.grid[last].to), Damaged)
	}
	b.r.Removed = b.c.removed
	for msn, g := range b.grid {
		if g.discontinuity && msn >= b.c.dropped && msn < first {
			b.r.Removed++
		}
	}
	b.vanished()
}

// vanished lists what may be missing at the end of a recording that ended without
// coming back: what was not on disk is a part's time at most.
func (b *builder) vanished() {
	if b.c.ended && b.c.resumed {
		b.hole(b.end, b.end+b.ticks(b.c.start.PartTarget), b.c.gone)
	}
}

// front lists what fell to damage before the first part that is left: all since media
// time 0, unless times are a clock's, which began long before.
func (b *builder) front(p *placed) {
	if b.c.dropped > 0 || p.because != Damaged && p.because != Crash {
		return
	}
	from := p.Start
	for _, g := range b.grid {
		from = min(from, b.ticks(g.from))
	}
	if b.c.start.Start.Unix() != 0 {
		from = min(from, 0)
	}
	b.hole(from, p.Start, p.because)
}

// fill makes gap segments of the numbers from up to below to, before the part
// next, or at the end when there is none.
func (b *builder) fill(from, to uint64, next *placed) {
	why := DiskFailed
	switch {
	case next != nil && next.because != Unknown:
		why = next.because
	case next == nil && b.c.resumed:
		why = b.c.gone
	case next == nil && !b.c.ended:
		why = Crash // the others got farther
	}
	for msn := from; msn < to; msn++ {
		end := b.end + max((b.ticks(b.grid[msn].to)-b.end), 1)
		if next != nil {
			left := media.Ticks(to - msn)
			if _, known := b.grid[msn]; !known || left == 1 || end > next.Start {
				end = b.end + max((next.Start-b.end)/left, 0)
			}
		}
		b.add(&media.Segment{MSN: msn, Start: b.end, Duration: end - b.end, Gap: true})
		b.hole(b.end, end, why)
		b.end = end
	}
}

// segment adds the segment of these parts.
func (b *builder) segment(parts []placed) {
	s := &media.Segment{MSN: parts[0].MSN, Start: parts[0].Start, Gap: true}
	if n := len(b.r.Segments); n > 0 {
		if s.Start > b.end {
			b.jump(s.Start, parts[0].because)
		}
		if why := parts[0].because; why != Crash && why != Interrupted {
			s.Behind = len(b.r.Segments[n-1].Parts)
		}
	}
	b.end = max(b.end, s.Start)
	for i := range parts {
		p := &parts[i]
		if i > 0 && p.Start > b.end {
			b.jump(p.Start, p.because)
		}
		end := p.Start + p.Duration
		if p.lost {
			b.hole(p.Start, end, p.Why)
		} else if p.Gap {
			b.hole(p.Start, end, p.Why)
			s.Parts = append(s.Parts, media.Part{Start: p.Start, Duration: p.Duration, Gap: true})
		} else {
			b.media(s, p)
		}
		b.end = max(b.end, end)
	}
	s.Duration = b.end - s.Start
	b.add(s)
}

// media adds a part that is there.
func (b *builder) media(s *media.Segment, p *placed) {
	if s.Gap {
		s.Gap, s.Init, s.Extent = false, p.Init, p.extent
		s.Extent.Size = 0
		s.Independent = p.Independent
		if p.Independent {
			s.Lead = p.Lead
		}
	}
	s.Extent.Size += p.extent.Size
	s.Parts = append(s.Parts, media.Part{Start: p.Start, Duration: p.Duration, Independent: p.Independent, Extent: p.extent})
}

func (b *builder) add(s *media.Segment) {
	s.Discontinuity = b.grid[s.MSN].discontinuity
	if n := len(b.r.Segments); s.Gap && n > 0 {
		s.Init = b.r.Segments[n-1].Init
	}
	b.r.Segments = append(b.r.Segments, s)
}

// jump is a hole that nobody told of.
func (b *builder) jump(to media.Ticks, why Reason) {
	if b.r.Time(to-b.end) > tolerance {
		b.hole(b.end, to, why)
	}
}

func (b *builder) hole(from, to media.Ticks, why Reason) {
	if to > from {
		b.holes = append(b.holes, Hole{b.s.r.ID, from, to, why})
	}
}

// ticks turns a duration into the rendition's, rounded to the nearest.
func (b *builder) ticks(d time.Duration) media.Ticks { return ticks(d, b.s.r.Timescale) }

func ticks(d time.Duration, scale uint32) media.Ticks {
	const second = int64(time.Second)
	whole, rest := int64(d)/second, int64(d)%second
	return media.Ticks(whole*int64(scale) + (rest*int64(scale)+second/2)/second)
}

// merge sorts holes and makes one of those that touch and have one reason.
func merge(holes []Hole) []Hole {
	slices.SortStableFunc(holes, func(a, b Hole) int {
		return cmp.Or(cmp.Compare(a.Rendition, b.Rendition), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	var out []Hole
	for _, h := range holes {
		if n := len(out); n > 0 && out[n-1].Rendition == h.Rendition && out[n-1].Why == h.Why && out[n-1].To >= h.From {
			out[n-1].To = max(out[n-1].To, h.To)
			continue
		}
		out = append(out, h)
	}
	return out
}

// state says what a folder tells beyond its presentation.
func (c *content) state() *State {
	s := &State{
		Start: c.start, Ended: c.ended, Epoch: c.epoch, Dropped: c.dropped > 0,
		Renditions: map[string]Position{}, Next: c.dropped, Captions: c.said, Nameless: slices.Sorted(maps.Keys(c.orphans)),
	}
	if last, ok := c.last(); ok {
		s.Next = last + 1
	}
	for name := range maps.Keys(c.strands) {
		s.Renditions[name] = c.strands[name].position()
	}
	return s
}
