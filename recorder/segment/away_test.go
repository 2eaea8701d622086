package segment_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/sluice-live/sluice/recorder/segment"
)

// leaves has sources send nothing for a while; then another publisher session goes on. Pictures
// are of a kind that can be shown again.
func leaves(from, to time.Duration, sources ...*source) {
	for _, c := range sources {
		if !c.audio {
			slides(c)
		}
		dress, first := c.dress, true
		c.quiet = func(at time.Duration) bool { return at > from && at < to }
		c.dress = func(f *shot) {
			if f.at >= to {
				f.epoch = 1
				f.key = f.key || first
				first = false
			}
			if dress != nil {
				dress(f)
			}
		}
	}
}

// A publisher who is back within seconds leaves no gap at all, for players that never get
// over one: its last picture stands, in silence. That it was away is told all the same.
func TestC15_APublisherWhoIsSoonBackLeavesNoGap(t *testing.T) {
	for _, away := range []time.Duration{2500 * ms, 5 * time.Second, 9 * time.Second} {
		s := newStage(t, config())
		s.brief = true
		h, l, a := s.video(33333*time.Microsecond, 40*ms), s.video(33333*time.Microsecond, 20*ms), s.sound()
		leaves(11*time.Second, 11*time.Second+away, h, l, a)
		s.play(30*time.Second, h, l, a)
		s.end()
		for _, c := range []*source{h, l, a} {
			hard, missing := 0, time.Duration(0)
			for _, g := range c.segs {
				if g.hard {
					hard++
				}
			}
			for _, e := range c.holes {
				if e.Why == segment.PublisherGone {
					missing += c.time(e.Duration)
				}
			}
			if c.gaps() != 0 || hard != 1 || (missing-away).Abs() > 100*ms {
				t.Errorf("away for %v, rendition %d: %d gaps, %d discontinuities, %v listed as missing", away, c.index, c.gaps(), hard, missing)
			}
		}
	}
}

// One who stays away is gone: after ten seconds there are gaps, in the pictures and in the
// sound, up to the first of the next session. All of it is listed as it happens, from
// the last picture on, for a server that is killed meanwhile.
func TestC15_APublisherWhoStaysAwayLeavesAGap(t *testing.T) {
	for _, away := range []time.Duration{10200 * ms, 10600 * ms, 12 * time.Second, 30 * time.Second} {
		s := newStage(t, config())
		s.brief = true
		h, l, a := s.video(33333*time.Microsecond, 40*ms), s.video(33333*time.Microsecond, 20*ms), s.sound()
		back := 11*time.Second + away
		leaves(11*time.Second, back, h, l, a)
		s.play(back, h, l, a)
		for _, c := range []*source{h, l, a} {
			from, to := c.absent()
			if end := s.now.Sub(s.cfg.Start); (from-11*time.Second).Abs() > 100*ms || end-to > 4*time.Second {
				t.Errorf("away for %v, rendition %d: told from %v to %v when the publisher came back", away, c.index, from, to)
			}
		}
		s.play(back+5*time.Second, h, l, a)
		s.end()
		for _, c := range []*source{h, l, a} {
			from, to := c.absent()
			if (from-11*time.Second).Abs() > 100*ms || (to-back).Abs() > 300*ms { // up to the first picture
				t.Errorf("away for %v, rendition %d: listed from %v to %v", away, c.index, from, to)
			}
			begin, end := time.Duration(0), time.Duration(0)
			for _, g := range c.segs {
				for _, p := range g.parts {
					if p.Gap && begin == 0 {
						begin = c.time(p.Start)
					}
					if p.Gap {
						end = c.time(p.Start + p.Duration)
					}
				}
			}
			switch {
			case away > 11*time.Second && ((begin-21*time.Second).Abs() > 600*ms || (end-back).Abs() > 300*ms):
				t.Errorf("away for %v, rendition %d: gaps from %v to %v", away, c.index, begin, end)
			}
		}
	}
}

// A server that was stopped for long finds all the time at once: what it makes of it is the same.
func TestC15_AServerThatStoodStillMakesTheSameOfTheTime(t *testing.T) {
	s := newStage(t, config())
	s.brief = true
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	leaves(11*time.Second, time.Hour, v, a)
	s.play(11*time.Second+100*ms, v, a)
	s.now = s.now.Add(40 * time.Second)
	s.c.Tick(s.now)
	s.take()
	for _, c := range []*source{v, a} {
		for _, g := range c.segs {
			for _, p := range g.parts {
				if at := c.time(p.Start); at > time.Second && p.Gap != (at > 21*time.Second-500*ms) && (at-21*time.Second).Abs() > 700*ms {
					t.Fatalf("rendition %d, a part at %v: a gap is %v", c.index, at, p.Gap)
				}
			}
		}
		if from, to := c.absent(); (from-11*time.Second).Abs() > 100*ms || to < 45*time.Second {
			t.Errorf("rendition %d: listed from %v to %v", c.index, from, to)
		}
	}
}

// Sound without pictures has no gap however long the publisher is away.
func TestC15_SoundAloneIsSilentAsLongAsThePublisherIsAway(t *testing.T) {
	s := newStage(t, config())
	a := s.sound()
	leaves(11*time.Second, 50*time.Second, a)
	s.play(60*time.Second, a)
	s.end()
	if from, to := a.absent(); a.gaps() != 0 || (from-11*time.Second).Abs() > 100*ms || (to-50*time.Second).Abs() > 100*ms {
		t.Errorf("%d gaps, silence listed from %v to %v", a.gaps(), from, to)
	}
}

// absent is the one stretch of which a track tells that the publisher was gone, be it by
// holes or gaps; that it is one is checked.
func (r *track) absent() (from, to time.Duration) {
	type span struct{ from, to time.Duration }
	var all []span
	for _, h := range r.holes {
		if h.Why == segment.PublisherGone {
			all = append(all, span{r.time(h.Start), r.time(h.Start + h.Duration)})
		}
	}
	parts := slices.Clone(r.open)
	for _, g := range r.segs {
		parts = append(parts, g.parts...)
	}
	for _, p := range parts {
		if p.Gap && r.time(p.Start) > time.Second {
			all = append(all, span{r.time(p.Start), r.time(p.Start + p.Duration)})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i, s := range all {
		if i == 0 {
			from, to = s.from, s.to
		}
		if s.from > to+ms {
			return -1, -1
		}
		to = max(to, s.to)
	}
	return from, to
}

// A picture that stood before the publisher left was there to be seen.
func TestC15_AStillPictureIsMissingOnlySinceThePublisherIsGone(t *testing.T) {
	for _, back := range []time.Duration{23 * time.Second, time.Hour} {
		s := newStage(t, config())
		s.brief = true
		v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
		leaves(20*time.Second, back, v, a)
		v.quiet = func(at time.Duration) bool { return at > 11*time.Second && at < back }
		s.play(30*time.Second, v, a)
		s.end()
		for _, c := range []*source{v, a} {
			if from, _ := c.absent(); (from - 20*time.Second).Abs() > 100*ms {
				t.Errorf("back at %v, rendition %d: the publisher is gone since %v", back, c.index, from)
			}
		}
	}
}
