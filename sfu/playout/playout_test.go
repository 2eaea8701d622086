package playout_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/sfu/playout"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func value(t *testing.T, c *playout.Control, now time.Time) (lo, hi time.Duration, said bool) {
	t.Helper()
	b, said := c.Value(now)
	tens := func(n int) time.Duration { return time.Duration(n) * 10 * time.Millisecond }
	return tens(int(b[0])<<4 | int(b[1])>>4), tens(int(b[1]&15)<<8 | int(b[2])), said
}

func TestAViewerThatNothingWasToldIsLeftAlone(t *testing.T) {
	var c playout.Control
	c.Update(0, 20*time.Millisecond, start)
	if _, _, said := value(t, &c, start); said {
		t.Error("something was said")
	}
}

func TestCatchingUpIsShownAtOnceAndThenLeftToTheViewer(t *testing.T) {
	var c playout.Control
	c.Hurry(start)
	now := start.Add(900 * time.Millisecond)
	c.Tick(now)
	if lo, hi, said := value(t, &c, now); !said || lo != 0 || hi != 0 {
		t.Errorf("while catching up: %v %v %v", lo, hi, said)
	}
	c.CaughtUp(now)
	now = now.Add(1100 * time.Millisecond)
	c.Tick(now)
	if lo, hi, said := value(t, &c, now); !said || lo != 0 || hi != 4*time.Second {
		t.Errorf("after it: %v %v %v", lo, hi, said)
	}
	now = now.Add(2 * time.Second)
	c.Tick(now)
	if _, _, said := value(t, &c, now); said {
		t.Error("it is still said")
	}
}

// play lets a time pass, in which the shard ticks; no step is longer than what nobody sees.
func play(t testing.TB, c *playout.Control, now time.Time, d time.Duration) time.Time {
	t.Helper()
	was, at := c.Min(), now.Add(-time.Second)
	for end := now.Add(d); now.Before(end); {
		now = now.Add(100 * time.Millisecond)
		c.Tick(now)
		if d := (c.Min() - was).Abs(); d > 20*time.Millisecond || d > 0 && now.Sub(at) < 200*time.Millisecond {
			t.Fatalf("a step of %v, %v after the one before", d, now.Sub(at))
		}
		if c.Min() != was {
			was, at = c.Min(), now
		}
	}
	return now
}

func TestLossOnALongWayHoldsFramesUntilTheirRepair(t *testing.T) {
	var c playout.Control
	c.Update(0.02, 200*time.Millisecond, start)
	now := play(t, &c, start, 2500*time.Millisecond)
	if lo, hi, said := value(t, &c, now); !said || lo != 240*time.Millisecond || hi != 4*time.Second {
		t.Errorf("%v %v %v", lo, hi, said)
	}
	now = play(t, &c, now, 10*time.Second)
	c.Update(0, 200*time.Millisecond, now)
	if c.Min() != 240*time.Millisecond {
		t.Errorf("a good moment took the delay away: %v", c.Min())
	}
	now = now.Add(21 * time.Second)
	c.Update(0, 200*time.Millisecond, now)
	play(t, &c, now, 3*time.Second)
	if c.Min() != 0 {
		t.Errorf("a good while did not: %v", c.Min())
	}
}

func TestTheDelayIsBoundedAndTurnsSeldom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c playout.Control
		now, last, turns := start, time.Duration(0), 0
		up := true
		for range 120 {
			rtt := 100*time.Millisecond + time.Duration(rapid.IntRange(0, 30).Draw(t, "rtt"))*time.Millisecond
			c.Update(rapid.SampledFrom([]float64{0, 0, 0.001, 0.01, 0.02, 0.05}).Draw(t, "loss"), rtt, now)
			now = now.Add(time.Second)
			for range 5 {
				now = now.Add(200 * time.Millisecond)
				c.Tick(now)
			}
			if d := c.Min() - last; d != 0 && d > 0 != up {
				up = !up
				turns++
			}
			last = c.Min()
			if c.Min() < 0 || c.Min() > 800*time.Millisecond {
				t.Fatalf("%v", c.Min())
			}
		}
		if turns > 20 { // ten spells of patience at the most, of 22 s as reports come, each with a fall and a rise
			t.Fatalf("it turned %d times in four minutes", turns)
		}
	})
}

// One report that came late says nothing of the link.
func TestASingleLateReportDoesNotHoldThePictureBack(t *testing.T) {
	var c playout.Control
	now := start
	for i := range 40 {
		rtt := 20 * time.Millisecond
		if i == 10 {
			rtt = 300 * time.Millisecond
		}
		now = now.Add(500 * time.Millisecond)
		c.Update(0.05, rtt, now)
		if i > 8 && c.Min() > 100*time.Millisecond {
			t.Fatalf("report %d: frames are held for %v", i, c.Min())
		}
	}
	if c.Min() < 60*time.Millisecond {
		t.Errorf("frames are held for %v only", c.Min())
	}
}
