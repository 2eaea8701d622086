package recorder_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
)

// gauges are the values of metrics without labels.
func gauges(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		out[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return out
}

// edge is how far behind the clock the newest part of each rendition is.
func edge(p *media.Presentation) (most time.Duration) {
	for _, r := range p.Renditions {
		end := media.Ticks(0)
		for _, s := range append(r.Segments[:len(r.Segments):len(r.Segments)], r.Open) {
			if s != nil {
				for _, part := range s.Parts {
					end = max(end, part.Start+part.Duration)
				}
			}
		}
		most = max(most, time.Since(p.At(r, end)))
	}
	return most
}

// whole checks that all media of segments are kept, and returns how many are gaps.
func (s *studio) whole(p *media.Presentation) (gaps int) {
	s.t.Helper()
	for _, r := range p.Renditions {
		for _, g := range r.Segments {
			if g.Gap {
				gaps++
				continue
			}
			b, err := s.Read(context.Background(), p, r.ID, g.Extent)
			if err != nil {
				s.t.Fatalf("segment %d of %s: %v", g.MSN, r.ID, err)
			}
			kept, err := io.ReadAll(b)
			shown := []byte{}
			for _, part := range g.Parts {
				shown = append(shown, part.Data...)
			}
			if err != nil || len(kept) == 0 || g.Parts != nil && string(kept) != string(shown) {
				s.t.Fatalf("segment %d of %s has %d bytes, %d are kept (%v)", g.MSN, r.ID, len(shown), len(kept), err)
			}
		}
	}
	return gaps
}

// A write takes eight seconds: live loses half a second once, and nothing is lost.
func TestADiskThatHangsHoldsUpNobodyAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Registerer = reg })
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		shoot(20*time.Second, v, a)
		release := s.shelf.hang()
		for range 16 {
			shoot(500*ms, v, a)
			if d := edge(s.show()); d > 1800*ms { // a part, what is under way, and half a second
				t.Fatalf("the newest part ends %v ago", d)
			}
		}
		if g := gauges(t, reg); g["sluice_recorder_hanging"] != 1 || g["sluice_recorder_stalled"] != 0 {
			t.Fatalf("while the disk hangs: %v", g)
		}
		release()
		shoot(5*time.Second, v, a)
		if g := gauges(t, reg); g["sluice_recorder_hanging"] != 0 || g["sluice_recorder_unwritten_parts_total"] != 0 {
			t.Fatalf("when it answers again: %v", g)
		}
		shoot(60*time.Second, v, a) // no part of that time is in memory any more
		if n := s.whole(s.show()); n != 0 {
			t.Fatalf("%d segments are gaps", n)
		}
		s.stop()
	})
}

// It hangs for minutes: memory is bounded, and the recording goes on behind a hole.
func TestWhatWaitsForADiskIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Registerer = reg })
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		v.heavy = 20_000
		shoot(20*time.Second, v, a)
		release := s.shelf.hang()
		shoot(2*time.Minute, v, a) // 72 MB
		if d := edge(s.show()); d > 1500*ms {
			t.Fatalf("the newest part ends %v ago", d)
		}
		if g := gauges(t, reg); g["sluice_recorder_stalled"] != 1 || g["sluice_recorder_unwritten_parts_total"] == 0 {
			t.Fatalf("while the disk hangs: %v", g)
		}
		before := s.shelf.size()
		release()
		synctest.Wait()
		if n := s.shelf.size() - before; n < 15<<20 || n > 17<<20 {
			t.Errorf("%d bytes waited", n)
		}
		shoot(time.Minute, v, a)
		if g := gauges(t, reg); g["sluice_recorder_stalled"] != 0 || g["sluice_recorder_hanging"] != 0 {
			t.Fatalf("when it answers again: %v", g)
		}
		p := s.show()
		if n := s.whole(p); n == 0 || p.Renditions[0].Segments[len(p.Renditions[0].Segments)-25].Gap {
			t.Fatalf("%d segments are gaps", n)
		}
		s.stop()
	})
}

// Writes that take a fifth of the time are not waited for longer than a tenth.
func TestASlowDiskHoldsUpLiveForATenthOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		shoot(10*time.Second, v, a)
		s.shelf.slow(50 * ms) // twelve calls a second
		for range 40 {
			shoot(500*ms, v, a)
			if d := edge(s.show()); d > 1800*ms {
				t.Fatalf("the newest part ends %v ago", d)
			}
		}
		s.shelf.slow(0)
		shoot(60*time.Second, v, a)
		if n := s.whole(s.show()); n != 0 {
			t.Fatalf("%d segments are gaps", n)
		}
		s.stop()
	})
}

func TestAStreamBeginsAndEndsOnADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		release := s.shelf.hang()
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		shoot(10*time.Second, v, a)
		if d := edge(s.show()); d > 1500*ms || len(s.shelf.names) != 0 || len(s.library.heard()) != 0 {
			t.Fatalf("the newest part ends %v ago; %v began", d, s.shelf.names)
		}
		release()
		shoot(20*time.Second, v, a)
		if len(s.library.heard()) != 1 || s.whole(s.show()) != 0 {
			t.Fatalf("the catalogue heard %v", s.library.heard())
		}
		release = s.shelf.hang()
		began := time.Now()
		s.stop()
		if d := time.Since(began); d > 7*time.Second {
			t.Errorf("it ended after %v", d)
		}
		release()
		synctest.Wait()
		if len(s.shelf.ended) != 1 {
			t.Errorf("%v were ended", s.shelf.ended)
		}
	})
}

// slowlyFound is a studio that was stopped, and another whose disk does not tell of the old
// one's recording until it is released; the publisher is back.
func slowlyFound(t *testing.T) (old *media.Presentation, again *studio, release func()) {
	s := newStudio(t, nil)
	s.publish(1, "")
	shoot(10*time.Second, s.video(0, 40*ms), s.sound())
	old = s.show()
	s.stop()
	again = newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Logs = s.shelf })
	s.shelf.old = old
	release = s.shelf.hang()
	again.publish(2, "")
	return old, again, release
}

// A disk that was killed in the middle of its work takes three seconds to be read: the
// recording goes on as one.
func TestARecordingThatIsFoundSlowlyGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, again, release := slowlyFound(t)
		v, a := again.video(0, 40*ms), again.sound()
		v.epoch, a.epoch = 2, 2
		shoot(4*time.Second, v, a) // of which one is for the clocks
		release()
		shoot(6*time.Second, v, a)
		p := again.show()
		if p.Incarnation != old.Incarnation || edge(p) > 1500*ms {
			t.Fatalf("it goes on as %s, the newest part ends %v ago", p.Incarnation, edge(p))
		}
		for _, r := range p.Renditions { // what came meanwhile is there
			last := r.Segments[len(r.Segments)-1]
			if n := hards(r); n != 1 || last.Gap {
				t.Errorf("%s: %d discontinuities; the last segment is a gap: %v", r.ID, n, last.Gap)
			}
		}
		again.stop()
	})
}

// What was to be resumed is found too late: another presentation has begun, and the
// old one ends.
func TestARecordingThatIsFoundTooLateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, again, release := slowlyFound(t)
		v, a := again.video(0, 40*ms), again.sound()
		v.epoch, a.epoch = 2, 2
		shoot(10*time.Second, v, a)
		if p := again.show(); p.Incarnation == old.Incarnation || edge(p) > 1500*ms {
			t.Fatalf("it goes on as %s, the newest part ends %v ago", p.Incarnation, edge(p))
		}
		release()
		shoot(5*time.Second, v, a)
		heard := again.library.heard()
		if len(heard) != 2 || heard[0] != "ended show "+old.Incarnation && heard[1] != "ended show "+old.Incarnation {
			t.Errorf("the catalogue heard %v", heard)
		}
		again.stop()
	})
}
