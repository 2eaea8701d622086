package segment_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/recorder/segment"
)

// A loss is noticed some time after it: meanwhile the clock has closed a part or begun a segment, or shows the last
// picture again. The hole was told from there on, and what was lost before was in no segment and in no hole.
func TestWhatIsLostIsMissingFromTheLastPictureOnHoweverLateItIsNoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const every, until = 33333 * time.Microsecond, 10 * time.Second
		span := func(name string, least, most int) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(t, name)) * ms
		}
		begin := 5*time.Second + span("begin", 0, 2000)
		noticed := begin + span("notice", 40, 1500)
		s := newStage(t, config())
		s.brief = true
		v, a := s.video(every, 5*ms), s.sound() // a loss is not noticed before what came before it is here
		v.rtt = span("answer", 20, 300)
		if rapid.Bool().Draw(t, "repeats") {
			slides(v)
		}
		lost, key := rapid.Bool().Draw(t, "told"), time.Duration(0)
		told := lost
		var came []time.Duration
		dress := v.dress
		v.quiet = func(at time.Duration) bool { return at >= begin && at < noticed }
		v.dress = func(f *shot) {
			if dress != nil {
				dress(f)
			}
			f.key = f.key || !lost && key == 0 && f.at >= noticed // somebody else asked for it
			if told && f.at >= noticed {
				told = false
				s.c.Lost(v.index, s.now)
				s.take()
			}
			switch {
			case f.at < begin:
				came = append(came, f.at)
			case key == 0 && f.key:
				f.lost, key = true, f.at
			}
		}
		s.play(until, v, a)
		s.end()
		if key == 0 {
			t.Fatalf("no key frame came")
		}
		last := came[len(came)-1]
		for at := last + every; at < key-ms; at += every {
			if !v.missing(at) {
				t.Fatalf("what was captured at %v is in no segment and in no hole: lost from %v, noticed at %v, the key frame at %v, %d holes", at, begin, noticed, key, len(v.holes))
			}
		}
		for _, h := range v.holes {
			if from := v.time(h.Start); from < last+every-2*ms && h.Why != segment.NoFrames {
				t.Fatalf("a hole from %v: the last picture was at %v", from, last)
			}
		}
	})
}

// missing reports whether a picture of a time is known to be missing.
func (r *track) missing(at time.Duration) bool {
	const near = 2 * ms
	in := func(e segment.Event) bool {
		return at >= r.time(e.Start)-near && at <= r.time(e.Start+e.Duration)
	}
	for _, h := range r.holes {
		if in(h) {
			return true
		}
	}
	for _, g := range r.segs {
		for _, p := range g.parts {
			if p.Gap && in(p) {
				return true
			}
		}
	}
	return false
}
