package journal

import (
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// brim is what may be missing of a rendition at both ends of a recording: tracks do
// not begin and end at the same moment.
const brim = 500 * time.Millisecond

// trim returns a recording that has ended without its end, where it waited in vain
// for the publisher: the segments after the last one that holds anything of any
// rendition, or should, and the holes after the last picture or sound.
func trim(p *media.Presentation, holes []Hole) (*media.Presentation, []Hole) {
	if !p.Ended {
		return p, holes
	}
	last, any := uint64(0), false
	for _, r := range p.Renditions {
		for i := len(r.Segments) - 1; i >= 0; i-- {
			if s := r.Segments[i]; !s.Gap && !stands(r, s, holes) || harmed(r, s, holes) {
				last, any = max(last, s.MSN), true
				break
			}
		}
	}
	if !any {
		return p, holes
	}
	out := *p
	out.Renditions = make([]*media.Rendition, len(p.Renditions))
	for i, r := range p.Renditions {
		c := *r
		for n := len(c.Segments); n > 0 && c.Segments[n-1].MSN > last; n-- {
			c.Segments = c.Segments[:n-1]
		}
		c.Segments = shorten(&c, holes)
		out.Renditions[i] = &c
	}
	return &out, clip(&out, holes)
}

// shorten lets a rendition's last segment end with the part that has its last picture or
// sound: what was waited for in vain is part of no playlist's length.
func shorten(r *media.Rendition, holes []Hole) []*media.Segment {
	n := len(r.Segments)
	if n == 0 || r.Segments[n-1].Gap {
		return r.Segments
	}
	s := *r.Segments[n-1]
	end := lastMedia(r, holes)
	if end <= s.Start || end >= s.Start+s.Duration {
		return r.Segments
	}
	for n := len(s.Parts); n > 0 && s.Parts[n-1].Start >= end; n-- {
		s.Extent.Size -= s.Parts[n-1].Extent.Size // of silence, none of a gap
		s.Parts = s.Parts[:n-1]
	}
	if n := len(s.Parts); n > 0 {
		end = s.Parts[n-1].Start + s.Parts[n-1].Duration
	}
	s.Duration = end - s.Start
	return append(slices.Clone(r.Segments[:n-1]), &s)
}

// vain tells that nothing came, and nothing that came was lost.
func vain(why Reason) bool { return why == NoFrames || why == PublisherGone || why == NoKeyFrame }

// stands reports whether something only stands in for what did not come in all of a
// segment, as silence does.
func stands(r *media.Rendition, s *media.Segment, holes []Hole) bool {
	return slices.ContainsFunc(holes, func(h Hole) bool {
		return h.Rendition == r.ID && vain(h.Why) && h.From <= s.Start && h.To >= s.Start+s.Duration
	})
}

// harmed reports whether something of a segment was lost.
func harmed(r *media.Rendition, s *media.Segment, holes []Hole) bool {
	for _, h := range holes {
		if h.Rendition == r.ID && !vain(h.Why) && h.From < s.Start+s.Duration && h.To > s.Start {
			return true
		}
	}
	return false
}

// clip returns the holes up to the last picture or sound, but for brims.
func clip(p *media.Presentation, holes []Hole) []Hole {
	to := time.Duration(0)
	for _, r := range p.Renditions {
		to = max(to, r.Time(lastMedia(r, holes)))
	}
	var out []Hole
	for _, h := range holes {
		r := p.Rendition(h.Rendition)
		if r == nil || len(r.Segments) == 0 {
			out = append(out, h)
			continue
		}
		from, until := r.Time(h.From), min(r.Time(h.To), to)
		begins, ends := h.From <= r.Segments[0].Start, until >= to
		if until <= from || (begins || ends) && until-from <= brim && vain(h.Why) {
			continue
		}
		if r.Time(h.To) > to {
			h.To = media.Ticks(to.Seconds() * float64(r.Timescale))
		}
		if h.To > h.From {
			out = append(out, h)
		}
	}
	return out
}

// lastMedia is where the last picture or sound of a rendition ends. Holes are sorted.
func lastMedia(r *media.Rendition, holes []Hole) media.Ticks {
	n := len(r.Segments)
	if n == 0 {
		return 0
	}
	end := r.Segments[n-1].Start + r.Segments[n-1].Duration
	for i := len(holes) - 1; i >= 0; i-- {
		if h := holes[i]; h.Rendition == r.ID && vain(h.Why) && h.From < end && h.To >= end {
			end = h.From
		}
	}
	return end
}
