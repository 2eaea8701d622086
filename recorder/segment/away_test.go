package segment_test

import (
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

// One who stays away is gone: from then on there are gaps in the pictures, and none in the
// sound. All of it is listed, from the last picture on.
func TestC15_APublisherWhoStaysAwayLeavesAGapInThePictures(t *testing.T) {
	s := newStage(t, config())
	s.brief = true
	v, a := s.video(33333*time.Microsecond, 40*ms), s.sound()
	leaves(11*time.Second, 40*time.Second, v, a)
	s.play(39*time.Second, v, a)
	s.end()
	begin := time.Duration(0)
	for _, g := range v.segs {
		for _, p := range g.parts {
			if p.Gap && begin == 0 {
				begin = v.time(p.Start)
			}
		}
	}
	if begin < 20*time.Second || begin > 22*time.Second || a.gaps() != 0 {
		t.Errorf("gaps begin at %v, %d in the sound", begin, a.gaps())
	}
	for _, c := range []*source{v, a} {
		if len(c.holes) != 1 {
			t.Fatalf("rendition %d: %d holes", c.index, len(c.holes))
		}
		h := c.holes[0]
		from, to := c.time(h.Start), c.time(h.Start+h.Duration)
		if want := map[bool]time.Duration{false: begin, true: c.time(c.track.next)}[c.audio]; h.Why != segment.PublisherGone || (from-11*time.Second).Abs() > 100*ms || (to-want).Abs() > 100*ms {
			t.Errorf("rendition %d: a hole from %v to %v, %s", c.index, from, to, h.Why)
		}
	}
}
