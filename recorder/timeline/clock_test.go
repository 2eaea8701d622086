package timeline_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/timeline"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	rate = 90000
	ms   = time.Millisecond
)

// sender is a camera whose crystal is ppm fast, and a network behind it.
type sender struct {
	first media.Ticks
	ppm   float64
	known time.Duration // from when on captured times are known; negative is never
	off   time.Duration // what is wrong with them
}

// stamp is the frame that was captured at, and came delay later.
func (s sender) stamp(at, delay time.Duration) timeline.Stamp {
	own := at.Seconds() * (1 + s.ppm/1e6)
	out := timeline.Stamp{TS: s.first + media.Ticks(own*rate+.5), Arrival: start.Add(at + delay)}
	if s.known >= 0 && at >= s.known {
		out.Capture = start.Add(at + s.off)
	}
	return out
}

// guess is the same with what the node makes of arrivals while nothing is told.
func (s sender) guess(at, delay time.Duration) timeline.Stamp {
	out := s.stamp(at, delay)
	if out.Capture.IsZero() {
		out.Capture, out.Guessed = out.Arrival, true
	}
	return out
}

func seconds(t media.Ticks) time.Duration { return time.Duration(t) * time.Second / rate }

// An hour, a poor crystal, a jittery network, timestamps that began anywhere: media
// time is the captured time.
func TestC1_MediaTimeFollowsTheCapturedTimeAgainstTheSendersCrystal(t *testing.T) {
	for _, ppm := range []float64{-300, 0, 300} {
		s := sender{first: 1<<32 - 1000, ppm: ppm}
		c := timeline.New(rate, start)
		for i := range 3600 * 30 {
			at := time.Duration(i) * time.Second / 30
			got, stepped := c.At(s.stamp(at, 40*ms+time.Duration(i*7919%50)*ms))
			if d := seconds(got) - at; stepped || d.Abs() > ms {
				t.Fatalf("%v ppm: the frame of %v has media time %v, stepped %v", ppm, at, seconds(got), stepped)
			}
		}
	}
}

// Without captured times the least late arrivals are followed, drift and all.
func TestArrivalsAreFollowedWhileNothingBetterIsKnown(t *testing.T) {
	s := sender{first: 77, ppm: 200, known: -1}
	c := timeline.New(rate, start)
	for i := range 600 * 30 {
		at := time.Duration(i) * time.Second / 30
		delay := 30*ms + time.Duration(i*7919%100)*ms
		if i == 0 {
			delay = 30 * ms
		}
		got, stepped := c.At(s.stamp(at, delay))
		if d := seconds(got) - at - 30*ms; stepped || d.Abs() > 8*ms {
			t.Fatalf("the frame of %v is %v from the least delay, stepped %v", at, d, stepped)
		}
	}
}

func TestC1_UntilTheCapturedTimeIsKnownArrivalsCountThenTheClockSlews(t *testing.T) {
	s := sender{first: 1 << 20, known: 3 * time.Second}
	c := timeline.New(rate, start)
	var before, after media.Ticks
	for i := range 60 * 30 {
		at := time.Duration(i) * time.Second / 30
		got, stepped := c.At(s.stamp(at, 100*ms))
		if stepped {
			t.Fatalf("stepped at %v", at)
		}
		switch {
		case at < 3*time.Second:
			if (seconds(got) - at - 100*ms).Abs() > ms {
				t.Fatalf("before: %v has media time %v", at, seconds(got))
			}
		case before != 0 && i > 90 && (got-before < 2984 || got-before > 3016): // 3000 ± 0.5 % and rounding
			t.Fatalf("at %v media time went on by %d ticks", at, got-before)
		}
		before, after = got, got
	}
	if last := time.Duration(60*30-1) * time.Second / 30; (seconds(after) - last).Abs() > ms {
		t.Fatalf("after a minute media time is %v, captured at %v", seconds(after), last)
	}
}

func TestTheFrameThatWasHeldUpDoesNotDecideWhereItBegins(t *testing.T) {
	s := sender{known: -1}
	c := timeline.New(rate, start)
	c.Prime(s.stamp(0, 300*ms)) // a key frame
	c.Prime(s.stamp(33*ms, 20*ms))
	if got, _ := c.At(s.stamp(0, 300*ms)); seconds(got) > 21*ms {
		t.Fatalf("it begins %v late", seconds(got))
	}
	s.known = 0
	c = timeline.New(rate, start)
	c.Prime(sender{known: -1}.stamp(0, 300*ms))
	c.Prime(s.stamp(33*ms, 20*ms))
	if got, _ := c.At(s.stamp(66*ms, 20*ms)); seconds(got) != 66*ms {
		t.Fatalf("a captured time was known, and it begins at %v", seconds(got))
	}
}

// The layers and the sound of one publisher, of whom each tells at another time when it
// captures: those that told before anything was laid are where they were captured from
// the first frame on, and what was guessed of their first frames moves them no more. The
// others follow without a jump, and all are in step as soon as their delay is slewed.
func TestLayersThatTellAtDifferentTimesAreInStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const gathered = 30 // a second
		ppm := rapid.Float64Range(-200, 200).Draw(t, "ppm")
		for n := range rapid.IntRange(2, 4).Draw(t, "encodings") {
			known := time.Duration(rapid.IntRange(0, 3000).Draw(t, "known")) * ms
			delay := time.Duration(rapid.IntRange(0, 200).Draw(t, "delay")) * ms
			jitter := rapid.IntRange(1, 60).Draw(t, "jitter")
			s := sender{first: media.Ticks(1 << (18 + n)), ppm: ppm, known: known}
			frame := func(i int) (timeline.Stamp, time.Duration) {
				at := time.Duration(i) * time.Second / 30
				return s.guess(at, delay+time.Duration(i*7919%jitter)*ms), at
			}
			c := timeline.New(rate, start)
			told := false
			for i := range gathered {
				in, _ := frame(i)
				c.Prime(in)
				told = told || in.Told()
			}
			for i := range 90 * 30 {
				in, at := frame(i)
				got, stepped := c.At(in)
				off := (seconds(got) - at).Abs()
				if stepped || off > delay+60*ms || (told || at > known+60*time.Second) && off > ms {
					t.Fatalf("told after %v: the frame of %v is off by %v, stepped %v", known, at, off, stepped)
				}
			}
		}
	})
}

// What an encoding guesses after it was told (its SSRC is another) does not move it.
func TestWhatIsGuessedAfterItWasToldMovesNothing(t *testing.T) {
	s := sender{}
	c := timeline.New(rate, start)
	for i := range 300 {
		at := time.Duration(i) * 33 * ms
		in := s.stamp(at, 90*ms)
		if i >= 100 {
			in.Capture, in.Guessed = in.Arrival, true
		}
		if got, stepped := c.At(in); stepped || (seconds(got)-at).Abs() > ms {
			t.Fatalf("the frame of %v is at %v, stepped %v", at, seconds(got), stepped)
		}
	}
}

func TestC1_AnOutlierIsRefusedAndOneThatStaysIsAStep(t *testing.T) {
	s := sender{}
	c := timeline.New(rate, start)
	frame := func(i int, off time.Duration) (media.Ticks, bool) {
		s.off = off
		return c.At(s.stamp(time.Duration(i)*100*ms, 20*ms))
	}
	for i := range 100 {
		off := time.Duration(0)
		if i%10 == 5 {
			off = -900 * ms
		}
		if got, stepped := frame(i, off); stepped || seconds(got) != time.Duration(i)*100*ms {
			t.Fatalf("frame %d: %v, stepped %v", i, seconds(got), stepped)
		}
	}
	steps := 0
	for i := 100; i < 200; i++ {
		got, stepped := frame(i, -900*ms)
		if stepped {
			steps++
			if want := time.Duration(i)*100*ms - 900*ms; seconds(got) != want {
				t.Fatalf("it stepped to %v, want %v", seconds(got), want)
			}
			if i < 125 {
				t.Fatalf("frame %d was believed already", i)
			}
		}
	}
	if steps != 1 {
		t.Fatalf("%d steps, want one", steps)
	}
}

// mediamtx #4711: a timestamp that jumped by 149 hours became a duration.
func TestC4_ATimestampThatJumpsIsAStepAtTheTimeOfItsArrival(t *testing.T) {
	for _, jump := range []time.Duration{149 * time.Hour, time.Second, -11 * time.Second, -149 * time.Hour} {
		s := sender{known: -1, first: 1 << 40}
		c := timeline.New(rate, start)
		for i := range 300 {
			at := time.Duration(i) * 33 * ms
			in := s.stamp(at, 20*ms)
			if i >= 150 {
				in.TS += media.Ticks(jump.Seconds() * rate)
			}
			got, stepped := c.At(in)
			if stepped != (i == 150) {
				t.Fatalf("jump by %v: frame %d stepped %v", jump, i, stepped)
			}
			if d := seconds(got) - at - 20*ms; d.Abs() > ms {
				t.Fatalf("jump by %v: frame %d is off by %v", jump, i, d)
			}
		}
	}
}

func TestACapturedTimeThatCannotBeIsNone(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		s := sender{off: off}
		c := timeline.New(rate, start)
		for i := range 300 {
			at := time.Duration(i) * 33 * ms
			got, stepped := c.At(s.stamp(at, 20*ms))
			if d := seconds(got) - at - 20*ms; stepped || d.Abs() > ms {
				t.Fatalf("off by %v: frame %d at %v, stepped %v", off, i, seconds(got), stepped)
			}
		}
	}
}

// Sound and picture of one camera keep together whatever their delays are.
func TestC1_SoundAndPictureAreAligned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ppm := rapid.Float64Range(-200, 200).Draw(t, "ppm")
		known := time.Duration(rapid.IntRange(0, 5000).Draw(t, "known")) * ms
		video, audio := sender{1 << 33, ppm, known, 0}, sender{1 << 18, ppm, known, 0}
		v, a := timeline.New(rate, start), timeline.New(rate, start)
		slow := time.Duration(rapid.IntRange(0, 150).Draw(t, "slow")) * ms
		jitter := rapid.IntRange(1, 60).Draw(t, "jitter")
		for i := range 60 * 30 {
			at := time.Duration(i) * time.Second / 30
			noise := time.Duration(i*7919%jitter) * ms
			p, s1 := v.At(video.stamp(at, 20*ms+slow+noise))
			s, s2 := a.At(audio.stamp(at, 20*ms+noise))
			d := (seconds(p) - seconds(s)).Abs()
			if s1 || s2 || at > known+50*time.Second && d > ms || d > 250*ms {
				t.Fatalf("at %v they are %v apart", at, d)
			}
		}
	})
}

// Whatever comes: unless a step is told, media time goes on as the sender's does,
// within half a per cent.
func TestMediaTimeOnlyJumpsWhenItSaysSo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := timeline.New(rate, start)
		ts := media.Ticks(rapid.Int64Range(1<<16, 1<<50).Draw(t, "first"))
		arrival := start
		before, lastTS := media.Ticks(0), media.Ticks(0)
		for i := range rapid.IntRange(2, 200).Draw(t, "frames") {
			ts += media.Ticks(rapid.OneOf(rapid.Int64Range(1, 9000), rapid.Int64Range(-1<<34, 1<<34)).Draw(t, "ticks"))
			arrival = arrival.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "gap")))
			s := timeline.Stamp{TS: ts, Arrival: arrival}
			if rapid.Bool().Draw(t, "captured") {
				s.Capture = arrival.Add(-time.Duration(rapid.Int64Range(-int64(time.Minute), int64(time.Minute)).Draw(t, "age")))
				s.Guessed = rapid.Bool().Draw(t, "guessed")
			}
			got, stepped := c.At(s)
			if i > 0 && !stepped {
				gone, own := float64(got-before), float64(ts-lastTS)
				if slack := 0.005*max(own, -own) + 1.01; gone-own > slack || own-gone > slack {
					t.Fatalf("the sender went on by %v ticks, media time by %v", own, gone)
				}
			}
			if late := arrival.Sub(start.Add(seconds(got))); late < -501*ms || late > 10*time.Second+501*ms {
				t.Fatalf("media time is %v behind the arrival", late)
			}
			before, lastTS = got, ts
		}
	})
}

func TestAtDoesNotAllocate(t *testing.T) {
	s := sender{ppm: 100}
	c := timeline.New(rate, start)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		c.At(s.stamp(time.Duration(i)*33*ms, 20*ms))
		i++
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
