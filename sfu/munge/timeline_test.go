package munge_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/munge"
)

func forward(from, to uint32) time.Duration {
	return time.Duration(int64(int32(to-from)) * int64(time.Second) / 90000)
}

// Time goes up from frame to frame, and a switch is at most 75 ms off wall time, unless it would run back otherwise.
func TestTimeNeverRunsBackNorJumps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := munge.New(munge.Config{FirstTS: rapid.Uint32().Draw(t, "firstTS")})
		var last munge.Out
		var lastArrival time.Time
		now := start
		for i := range rapid.IntRange(2, 40).Draw(t, "sources") {
			s := source{
				epoch: media.Epoch(i / 4), layer: media.Layer(i % 4), seq: 1 << 16, at: now, perFrame: 2,
				ts:      media.Ticks(rapid.Int64Range(1<<32, 1<<34).Draw(t, "ts")),
				capture: rapid.Bool().Draw(t, "capture"),
				delay:   time.Duration(rapid.IntRange(0, 300).Draw(t, "delay")) * time.Millisecond,
			}
			for j := range rapid.IntRange(1, 20).Draw(t, "frames") {
				for _, p := range s.frame() {
					o, _ := m.Next(p, j == 0 && p.FrameStart, p.Arrival)
					wall := p.Arrival.Sub(lastArrival)
					step := forward(last.TS, o.TS)
					fresh := p.FrameStart && (i > 0 || j > 0)
					if fresh && step <= 0 {
						t.Fatalf("source %d frame %d: time went by %v", i, j, step)
					}
					if fresh && j == 0 && (step-wall).Abs() > 75*time.Millisecond+12*time.Microsecond && (wall > -75*time.Millisecond || step > 12*time.Microsecond) {
						t.Fatalf("source %d: viewer's time stepped %v, wall time %v", i, step, wall)
					}
					if p.FrameStart {
						last, lastArrival = o, p.Arrival
					}
				}
			}
			now = now.Add(time.Duration(s.n/2)*33*time.Millisecond + time.Duration(rapid.IntRange(-50, 5000).Draw(t, "pause"))*time.Millisecond)
		}
	})
}

func TestSwitchFollowsCaptureTime(t *testing.T) {
	m := munge.New(munge.Config{})
	a := source{seq: 70000, ts: 1 << 32, at: start, capture: true, delay: 10 * time.Millisecond}
	b := source{layer: 1, seq: 90000, ts: 7 << 32, at: start.Add(33 * time.Millisecond), capture: true, delay: 40 * time.Millisecond}
	x := sendAll(t, m, a.frame(), true)
	y := sendAll(t, m, b.frame(), true)
	if step := forward(x[0].TS, y[0].TS); step != 33*time.Millisecond {
		t.Errorf("frames captured 33 ms apart are %v apart", step)
	}
}

// Layers whose key frames are captured at the same instant follow one another in the least step; the lead that this
// gives is paid back, so that a thousand switches do not add up.
func TestManySwitchesDoNotDrift(t *testing.T) {
	m := munge.New(munge.Config{FirstTS: 1000})
	var o munge.Out
	var at time.Time
	for i := range 1000 {
		at = start.Add(time.Duration(i/3) * 33 * time.Millisecond)
		s := source{layer: media.Layer(i % 3), seq: 70000, ts: media.Ticks(i+1) << 32, at: at, capture: true, delay: time.Duration(i%3) * 5 * time.Millisecond}
		o = sendAll(t, m, s.frame(), true)[0]
	}
	if off := forward(1000, o.TS) - at.Sub(start); off.Abs() > time.Millisecond {
		t.Errorf("the viewer's time is off by %v after 1000 switches", off)
	}
}

func TestPublisherGoneForSecondsKeepsWallTime(t *testing.T) {
	for _, capture := range []bool{true, false} {
		m := munge.New(munge.Config{})
		a := source{seq: 70000, ts: 1 << 32, at: start, capture: capture}
		x := sendAll(t, m, a.frame(), true)
		b := source{epoch: 1, seq: 66000, ts: 9 << 32, at: start.Add(12 * time.Second), capture: capture}
		y := sendAll(t, m, b.frame(), true)
		if step := forward(x[0].TS, y[0].TS); step != 12*time.Second {
			t.Errorf("capture known %v: viewer's time went %v in 12 s", capture, step)
		}
	}
}

// A fast start sends seconds of old packets at one instant; their spacing is the publisher's, also over a switch that
// lies in the past.
func TestFastStartKeepsTheOriginalSpacing(t *testing.T) {
	for _, capture := range []bool{true, false} {
		m := munge.New(munge.Config{})
		now := start.Add(10 * time.Second)
		a := source{seq: 70000, ts: 1 << 32, at: start, capture: capture, perFrame: 1}
		b := source{layer: 1, seq: 90000, ts: 7 << 32, at: start.Add(60 * 33 * time.Millisecond), capture: capture, perFrame: 1}
		first, _ := m.Next(a.next(), true, now)
		for i := 1; i < 120; i++ {
			src := &a
			if i >= 60 {
				src = &b
			}
			o, ok := m.Next(src.next(), i == 60, now)
			if want := time.Duration(i) * 33 * time.Millisecond; !ok || forward(first.TS, o.TS) != want {
				t.Fatalf("frame %d is at %v, want %v", i, forward(first.TS, o.TS), want)
			}
		}
	}
}

// A viewer that was too slow goes on at a later key frame of the same layer: its time is still the publisher's.
func TestSkippingAheadInOneLayerKeepsItsClock(t *testing.T) {
	m := munge.New(munge.Config{})
	s := source{seq: 70000, ts: 1 << 32, at: start}
	a := s.frame()
	x := sendAll(t, m, a[:2], true)
	s.n = 90 * 3
	s.delay = 200 * time.Millisecond // stuck in the network, which is no reason to change the publisher's time
	b := s.frame()
	y := sendAll(t, m, b, true)
	if y[0].TS-x[0].TS != uint32(b[0].TS-a[0].TS) || y[0].Seq != x[1].Seq+2 {
		t.Errorf("from %+v to %+v", x[1], y[0])
	}
	if _, ok := m.Next(a[2], false, start); ok {
		t.Error("a packet from before the skip was sent")
	}
}

// Some publishers restart their RTP clock without a new session (an SSRC change, a camera that comes back).
func TestClockRestartInsideASourceIsJoined(t *testing.T) {
	m := munge.New(munge.Config{})
	s := source{seq: 70000, ts: 8 << 32, at: start}
	x := sendAll(t, m, s.frame(), true)
	late := s.frame()
	s.ts = 5 << 32
	y := sendAll(t, m, s.frame(), false)
	if step := forward(x[0].TS, y[0].TS); step != 66*time.Millisecond {
		t.Errorf("time went %v over the restart, want 66 ms", step)
	}
	if _, ok := m.Next(late[0], false, start); ok {
		t.Error("a packet from before the restart has no time any more, and was sent")
	}
}

// What a switch of layers took away is not asked back from the next publisher.
func TestANewEpochOwesNothing(t *testing.T) {
	m := munge.New(munge.Config{})
	a := source{seq: 70000, ts: 1 << 32, at: start.Add(50 * time.Millisecond), capture: true}
	sendAll(t, m, a.frame(), true)
	b := source{layer: 1, seq: 70000, ts: 1 << 32, at: start, capture: true}
	x := sendAll(t, m, b.frame(), true)
	c := source{epoch: 1, seq: 70000, ts: 1 << 32, at: start.Add(12 * time.Second), capture: true}
	if y := sendAll(t, m, c.frame(), true); forward(x[0].TS, y[0].TS) != 12*time.Second {
		t.Errorf("time went %v in 12 s", forward(x[0].TS, y[0].TS))
	}
}

// A step of half the timestamp space would look like a step back.
func TestPublisherGoneForADayStillGoesForward(t *testing.T) {
	m := munge.New(munge.Config{})
	a := source{seq: 70000, ts: 1 << 32, at: start}
	x := sendAll(t, m, a.frame(), true)
	b := source{epoch: 1, seq: 70000, ts: 1 << 32, at: start.Add(8 * time.Hour)}
	if y := sendAll(t, m, b.frame(), true); forward(x[0].TS, y[0].TS) != 6*time.Hour {
		t.Errorf("time went %v", forward(x[0].TS, y[0].TS))
	}
}
