package segment_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/segment"
)

// source is a publisher's encoder: it sends frames at its rate, and a key frame rtt
// after it was asked for one, or each gop.
type source struct {
	*track
	every   time.Duration // between frames
	jitter  time.Duration // of capture
	delay   time.Duration // of a frame; key frames take five times as long
	rtt     time.Duration
	gop     time.Duration // 0: only when asked
	deaf    bool
	quiet   func(at time.Duration) bool // no frames then
	dress   func(f *shot)
	next    time.Duration
	n       int
	heeded  int
	lastKey time.Duration
	begun   bool
}

func (s *stage) video(every, delay time.Duration) *source {
	return &source{track: s.add(media.VideoRendition), every: every, delay: delay, rtt: 60 * ms}
}

func (s *stage) sound() *source {
	return &source{track: s.add(media.AudioRendition), every: 20 * ms, delay: 30 * ms}
}

// frame makes the source's next frame.
func (c *source) frame() (shot, bool) {
	at := c.next
	c.next += c.every
	c.n++
	if c.quiet != nil && c.quiet(at) {
		return shot{}, false
	}
	f := shot{at: at, delay: c.delay}
	if c.jitter > 0 {
		f.at += time.Duration(c.n*7919%int(2*c.jitter/ms+1))*ms - c.jitter
	}
	if !c.audio {
		asked := c.heeded < len(c.asked) && !c.deaf && at >= c.asked[c.heeded]+c.rtt/2
		if !c.begun || asked || c.gop > 0 && at >= c.lastKey+c.gop {
			f.key, f.delay, c.lastKey, c.begun = true, 5*c.delay, at, true
			c.heeded = len(c.asked)
		}
	}
	if c.dress != nil {
		c.dress(&f)
	}
	return f, true
}

// play runs the sources up to a media time.
func (s *stage) play(until time.Duration, sources ...*source) {
	type due struct {
		c *source
		f shot
	}
	var flying []due
	for now := s.now.Sub(s.cfg.Start); now < until; now += ms {
		for _, c := range sources {
			for c.next <= now {
				f, ok := c.frame()
				if !ok {
					continue
				}
				came := f.at + f.delay
				for _, d := range flying { // in order on one transport
					if d.c == c {
						came = max(came, d.f.at+d.f.delay)
					}
				}
				f.delay = came - f.at
				flying = append(flying, due{c, f})
			}
		}
		s.wait(s.cfg.Start.Add(now))
		rest := flying[:0]
		for _, d := range flying {
			if d.f.at+d.f.delay <= now {
				s.push(d.c.track, d.f)
			} else {
				rest = append(rest, d)
			}
		}
		flying = rest
	}
}

// prompt checks R4: parts come within a part's time of one another, and some slack.
func (s *stage) prompt(slack time.Duration) {
	s.t.Helper()
	for _, r := range s.tracks {
		for i := 1; i < len(r.readied); i++ {
			if d := r.readied[i].Sub(r.readied[i-1]); d > s.cfg.Limit+slack {
				s.t.Fatalf("rendition %d: a part at %v came %v after the one before", r.index, r.readied[i].Sub(s.cfg.Start), d)
			}
		}
	}
}

func (r *track) gaps() (n int) {
	for _, g := range r.segs {
		for _, p := range g.parts {
			if p.Gap {
				n++
			}
		}
	}
	return n
}

func (s *stage) regular(from int) {
	s.t.Helper()
	for _, r := range s.tracks {
		for _, g := range r.segs[from : len(r.segs)-1] {
			if (g.dur-s.cfg.Nominal).Abs() > 150*ms || !g.independent || g.hard || g.gap {
				s.t.Fatalf("rendition %d: segment %d lasts %v, independent %v, hard %v, gap %v", r.index, g.msn, g.dur, g.independent, g.hard, g.gap)
			}
		}
	}
}

func TestSoundAndPictureAreCutOnOneGridWithKeyFramesAskedAheadOfIt(t *testing.T) {
	s := newStage(t, config())
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	s.play(60*time.Second, v, a)
	s.end()
	s.agree(30 * ms)
	s.regular(2)
	s.prompt(150 * ms)
	if v.gaps()+a.gaps() != 0 || v.late != 0 || len(v.segs) < 30 {
		t.Fatalf("%d and %d gaps, %d segments", v.gaps(), a.gaps(), len(v.segs))
	}
	if v.keyWants > len(v.segs)+2 {
		t.Fatalf("%d key frames were asked for, in %d segments", v.keyWants, len(v.segs))
	}
	if v.waited > 4 || a.waited > 4 { // in the first segments
		t.Fatalf("%d and %d parts waited for the frame behind them", v.waited, a.waited)
	}
	if v.samples < 1795 || a.samples < 2995 {
		t.Fatalf("%d pictures, %d frames of sound", v.samples, a.samples)
	}
}

// However long the way is and however cameras jitter: the last part of a segment is
// shown with its last picture, and does not wait for the key frame behind it.
func TestPartsAreShownAtOnceFromTheFirstSegmentOn(t *testing.T) {
	total, waited := 0, 0
	for _, every := range []time.Duration{16667 * time.Microsecond, 33333 * time.Microsecond, 40 * ms} {
		for _, rtt := range []time.Duration{10 * ms, 40 * ms, 60 * ms, 120 * ms, 200 * ms, 300 * ms} {
			s := newStage(t, config())
			v, a := s.video(every, 20*ms), s.sound()
			v.rtt, v.jitter = rtt, 2*ms
			s.play(12*time.Second, v, a)
			total += len(v.readied) + len(a.readied)
			waited += v.waited + a.waited
			if v.waited > 3 || a.waited > 3 { // until it is known how long key frames take
				t.Errorf("a picture each %v, answers after %v: %d and %d parts of sound waited", every, rtt, v.waited, a.waited)
			}
		}
	}
	if waited*40 > total {
		t.Errorf("%d of %d parts waited", waited, total)
	}
}

func TestC8_LayersWhoseKeyFramesDifferShareNumbersAndBoundaries(t *testing.T) {
	s := newStage(t, config())
	h, m, l := s.video(33333*time.Microsecond, 60*ms), s.video(33333*time.Microsecond, 30*ms), s.video(66667*time.Microsecond, 15*ms)
	m.rtt, l.rtt, l.next = 200*ms, 100*ms, 11*ms
	a := s.sound()
	s.play(60*time.Second, h, m, l, a)
	s.end()
	s.agree(120 * ms)
	s.regular(5)
	if n := h.gaps() + m.gaps() + l.gaps() + a.gaps(); n > 3 { // the first comes a little earlier, and the last
		t.Fatalf("%d gaps: %d %d %d %d, waited %d %d %d %d", n, h.gaps(), m.gaps(), l.gaps(), a.gaps(), h.waited, m.waited, l.waited, a.waited)
	}
}

func TestC5_PartsAreLongEnoughAtEveryFrameRateThatFits(t *testing.T) {
	for _, c := range []struct {
		part time.Duration
		fps  []float64
	}{
		{334 * ms, []float64{20, 24, 25, 29.97, 30, 50, 59.94, 60}},
		{500 * ms, []float64{13.4, 15, 20, 23.976, 24, 25, 29.97, 30, 50, 60, 120}},
		{time.Second, []float64{6.7, 10, 12, 15, 24, 30, 60}},
	} {
		for _, fps := range c.fps {
			for _, jitter := range []time.Duration{0, 2 * ms} {
				cfg := config()
				cfg.Part, cfg.Limit = c.part, c.part*11/10
				s := newStage(t, cfg)
				v := s.video(time.Duration(float64(time.Second)/fps), 20*ms)
				v.jitter = jitter
				s.play(20*time.Second, v)
				s.end()
				s.prompt(150 * ms)
				if v.gaps() != 0 {
					t.Fatalf("%v fps in parts of %v: %d gaps", fps, c.part, v.gaps())
				}
				for _, g := range v.segs {
					at := g.parts[0].Start
					for _, p := range g.parts {
						for _, f := range p.Samples {
							at += f.Duration
						}
					}
					if at != g.ticks {
						t.Fatalf("%v fps: media time and samples differ", fps)
					}
				}
			}
		}
	}
}

// slides makes a source's pictures VP9's.
func slides(v *source) {
	v.formats[0] = &media.Format{Codec: media.VP9, Width: 1280, Height: 720, Depth: 8}
	v.dress = func(f *shot) {
		f.background = []byte{0x86, 0x00, 0x40} // a picture that goes into the first slot
		if f.key {
			f.background = []byte{0x82, 0x49, 0x83}
		}
	}
}

// A packet of the last picture before a long silence is lost: the one before it
// stands, and that is told.
func TestC11_ALostPictureOfAStillScreenIsAHoleInWhichTheOneBeforeStands(t *testing.T) {
	s := newStage(t, config())
	s.brief = true
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	slides(v)
	v.quiet = func(at time.Duration) bool { return at > 10*time.Second && at < 20*time.Second }
	s.play(11*time.Second, v, a)
	s.c.Lost(v.index, s.now)
	s.take()
	s.play(30*time.Second, v, a)
	s.end()
	if v.gaps() != 0 || len(v.holes) != 1 {
		t.Fatalf("%d gaps, %d holes", v.gaps(), len(v.holes))
	}
	h := v.holes[0]
	if from, d := v.time(h.Start), v.time(h.Duration); h.Why != segment.NoKeyFrame || from < 10*time.Second || from > 11*time.Second || (from+d-20*time.Second).Abs() > 100*ms {
		t.Fatalf("a hole from %v for %v, why %q", from, d, h.Why)
	}
}

// A screen share that stands still: VP9 shows a reference again. Sound goes on.
func TestC6_AScreenWithoutFramesPlaysOnFromEverySegment(t *testing.T) {
	s := newStage(t, config())
	s.brief = true
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	slides(v)
	v.quiet = func(at time.Duration) bool { // a picture a second, then none
		return at > 10*time.Second && at < 40*time.Second && at%time.Second > 40*ms || at > 25*time.Second && at < 40*time.Second
	}
	s.play(60*time.Second, v, a)
	s.end()
	s.prompt(600 * ms)
	if a.gaps()+v.gaps() != 0 || len(a.holes)+len(v.holes) != 0 {
		t.Fatalf("sound has %d gaps, the picture %d", a.gaps(), v.gaps())
	}
	repeats := 0
	for _, g := range v.segs {
		if g.hard || !g.independent {
			t.Fatalf("segment %d: discontinuity %v, independent %v", g.msn, g.hard, g.independent)
		}
		for _, p := range g.parts {
			for _, f := range p.Samples {
				if len(f.Data) == 1 {
					repeats++
				}
			}
		}
	}
	if repeats < 35 || repeats > 60 { // 15 s with one between pictures, 15 s of three in four parts
		t.Fatalf("%d repeats", repeats)
	}
}

// Where nothing shows a picture again, there are gaps on the clock.
func TestC6_AScreenWithoutRepeatsHasGapsOnTheClockAndHoldsNoSound(t *testing.T) {
	s := newStage(t, config())
	s.brief = true
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	v.quiet = func(at time.Duration) bool { return at > 11*time.Second && at < 41*time.Second }
	s.play(60*time.Second, v, a)
	s.end()
	s.agree(600 * ms)
	s.prompt(600 * ms)
	if a.gaps() != 0 || len(a.holes) != 0 {
		t.Fatalf("sound has %d gaps", a.gaps())
	}
	if n := v.gaps(); n < 40 || n > 48 { // each segment begins with what leads to the picture
		t.Fatalf("%d gaps of half a second, in 30 s", n)
	}
	for _, g := range v.segs {
		if g.hard || !g.independent {
			t.Fatalf("segment %d: discontinuity %v, independent %v", g.msn, g.hard, g.independent)
		}
	}
}

func TestC14_SoundAloneMakesPartsAndSegments(t *testing.T) {
	s := newStage(t, config())
	a := s.sound()
	s.play(20*time.Second, a)
	s.end()
	s.regular(0)
	s.prompt(50 * ms)
	if len(a.segs) != 10 || a.gaps() != 0 {
		t.Fatalf("%d segments, %d gaps", len(a.segs), a.gaps())
	}
}

func TestC14_PicturesAloneAreCut(t *testing.T) {
	s := newStage(t, config())
	v := s.video(40*ms, 30*ms)
	s.play(20*time.Second, v)
	s.end()
	s.regular(2)
	s.prompt(150 * ms)
}

func TestC14_ATrackThatComesLateBeginsWithAGap(t *testing.T) {
	s := newStage(t, config())
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	a.quiet = func(at time.Duration) bool { return at < 7*time.Second }
	s.play(20*time.Second, v, a)
	s.end()
	s.agree(30 * ms)
	if len(a.segs) == 0 || a.segs[0].msn < 2 || !a.segs[0].parts[0].Gap || a.gaps() > 4 {
		t.Fatalf("sound begins in segment %d with %d gaps", a.segs[0].msn, a.gaps())
	}
}

// The clocks of tracks agree to a fraction of a picture only.
func TestAFirstPictureThatLiesATraceBehindTheSoundMakesNoGap(t *testing.T) {
	for behind, gap := range map[time.Duration]bool{700 * time.Microsecond: false, 7 * ms: false, 30 * ms: true} {
		s := newStage(t, config())
		v, a := s.video(40*ms, 30*ms), s.sound()
		v.next = behind
		s.play(10*time.Second, v, a)
		s.end()
		s.agree(30 * ms)
		first := v.segs[0].parts[0]
		if first.Gap != gap || !gap && (first.Start != 0 || !first.Independent) || v.gaps() > 1 {
			t.Errorf("%v behind: the first part begins at %d, gap %v, independent %v; %d gaps", behind, first.Start, first.Gap, first.Independent, v.gaps())
		}
	}
}

func TestC8_ALayerThatPausesHasGapsAndComesBack(t *testing.T) {
	s := newStage(t, config())
	h, l, a := s.video(33333*time.Microsecond, 40*ms), s.video(33333*time.Microsecond, 20*ms), s.sound()
	h.quiet = func(at time.Duration) bool { return at > 10*time.Second && at < 30*time.Second }
	h.dress = func(f *shot) { // it comes back with a key frame
		if f.at >= 30*time.Second && !h.deaf {
			f.key, h.deaf = true, true
		}
	}
	s.play(34*time.Second, h, l, a)
	h.deaf = false
	s.play(50*time.Second, h, l, a)
	s.end()
	s.agree(1100 * ms)
	if l.gaps() != 0 || a.gaps() != 0 || h.gaps() < 35 || h.gaps() > 50 {
		t.Fatalf("gaps: %d, %d in the other layer, %d in sound", h.gaps(), l.gaps(), a.gaps())
	}
}

func TestC7_AnEncoderThatNeverObeysIsCutAtTheTargetDurationAndToldOnce(t *testing.T) {
	s := newStage(t, config())
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	v.deaf, v.gop = true, 10*time.Second
	s.play(60*time.Second, v, a)
	s.end()
	s.agree(60 * ms)
	s.prompt(200 * ms)
	if v.gaps() != 0 || a.gaps() != 0 || v.late != 1 {
		t.Fatalf("%d gaps, told %d times", v.gaps(), v.late)
	}
	long := 0
	for _, g := range v.segs {
		if !g.independent {
			long++
		}
	}
	if long == 0 || long > 10 {
		t.Fatalf("%d segments without a key frame", long)
	}
}

// An encoder that is deaf, but sends a key frame each 2 s.
func TestC7_AnEncodersOwnBeatIsFollowed(t *testing.T) {
	s := newStage(t, config())
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	v.gop, v.deaf = 2*time.Second, true
	s.play(60*time.Second, v, a)
	s.end()
	s.regular(1)     // it may pass one by while it learns
	s.agree(40 * ms) // sound ends two of its frames early rather than with a part of them alone
}

func TestC15_APublisherWhoComesBackLeavesAGapAndOneDiscontinuityInAll(t *testing.T) {
	s := newStage(t, config())
	h, l, a := s.video(33333*time.Microsecond, 40*ms), s.video(33333*time.Microsecond, 20*ms), s.sound()
	away := func(at time.Duration) bool { return at > 11*time.Second && at < 23*time.Second }
	for _, c := range []*source{h, l, a} {
		first := true
		c.quiet = away
		c.dress = func(f *shot) {
			if f.at >= 23*time.Second {
				f.epoch = 1
				f.key = f.key || first
				first = false
			}
		}
	}
	s.play(40*time.Second, h, l, a)
	s.end()
	s.agree(300 * ms)
	s.prompt(s.cfg.Part + 250*ms) // nothing flows: a stall of a part's time is waited for
	for _, c := range []*source{h, l, a} {
		hard, gone := 0, false
		for _, g := range c.segs {
			if g.hard {
				hard++
				if !c.audio && !g.independent {
					t.Fatalf("rendition %d: segment %d begins anew without a key frame", c.index, g.msn)
				}
			}
			for _, p := range g.parts {
				gone = gone || p.Why == segment.PublisherGone
			}
		}
		for _, h := range c.holes {
			gone = gone || h.Why == segment.PublisherGone
		}
		if hard != 1 || !gone {
			t.Fatalf("rendition %d has %d discontinuities, gap told %v, %d gaps", c.index, hard, gone, c.gaps())
		}
	}
}

func TestC9_AResolutionThatChangesInAllLayersIsOneDiscontinuity(t *testing.T) {
	s := newStage(t, config())
	h, l, a := s.video(33333*time.Microsecond, 40*ms), s.video(33333*time.Microsecond, 20*ms), s.sound()
	for _, c := range []*source{h, l} {
		first := true
		c.dress = func(f *shot) {
			if f.at >= 13*time.Second {
				f.format = 1
				f.key = f.key || first
				first = false
			}
		}
	}
	s.play(30*time.Second, h, l, a)
	s.end()
	s.agree(100 * ms)
	for _, c := range []*source{h, l, a} {
		hard := 0
		for _, g := range c.segs {
			if g.hard {
				hard++
				if d := g.start - 13*time.Second; d.Abs() > 50*ms {
					t.Fatalf("rendition %d: the discontinuity is at %v", c.index, g.start)
				}
			}
		}
		if hard != 1 || c.gaps() != 0 {
			t.Fatalf("rendition %d has %d discontinuities, %d gaps", c.index, hard, c.gaps())
		}
	}
}

func TestC12_HolesOfDTXAreSilence(t *testing.T) {
	s := newStage(t, config())
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	a.quiet = func(at time.Duration) bool { return at > 5*time.Second && at%(400*ms) >= 20*ms }
	s.play(30*time.Second, v, a)
	s.end()
	s.agree(250 * ms) // nothing tells sound that a segment ends before its next frame comes
	s.prompt(600 * ms)
	if a.gaps() > 1 || len(a.holes) != 0 || a.samples < 1480 { // at its end there is no silence
		t.Fatalf("%d gaps, %d holes told, %d frames", a.gaps(), len(a.holes), a.samples)
	}
}

func TestC11_LossIsToldAndSilenceStandsInForSound(t *testing.T) {
	s := newStage(t, config())
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	hole := func(at time.Duration) bool { return at > 5*time.Second && at < 5300*ms }
	v.quiet, a.quiet = hole, hole
	va, aa := true, true
	v.dress = func(f *shot) {
		if f.at >= 5300*ms && va {
			f.key, f.lost, va = true, true, false
		}
	}
	a.dress = func(f *shot) {
		if f.at >= 5300*ms && aa {
			f.lost, aa = true, false
		}
	}
	s.play(20*time.Second, v, a)
	s.end()
	s.agree(60 * ms)
	if len(v.holes) != 1 || len(a.holes) != 1 || a.gaps() != 0 {
		t.Fatalf("%d and %d holes were told, %d gaps", len(v.holes), len(a.holes), a.gaps())
	}
	for _, e := range []segment.Event{v.holes[0], a.holes[0]} {
		d := s.tracks[e.Rendition].time(e.Duration)
		if d < 200*ms || d > 320*ms || e.Why != segment.Loss {
			t.Fatalf("a hole of %v, why %q", d, e.Why)
		}
	}
}

// The whole network stands still for a second: what comes late is kept.
func TestFramesThatAStallHeldUpAreKept(t *testing.T) {
	s := newStage(t, config())
	s.brief = true
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	stall := func(f *shot) {
		if f.at > 5*time.Second && f.at < 5600*ms {
			f.delay = 5650*ms - f.at
		}
	}
	v.dress, a.dress = stall, stall
	s.play(20*time.Second, v, a)
	s.end()
	s.agree(200 * ms)
	if v.gaps() != 0 || a.gaps() != 0 || v.samples < 595 || a.samples < 990 {
		t.Fatalf("%d and %d gaps, %d pictures, %d frames of sound", v.gaps(), a.gaps(), v.samples, a.samples)
	}
}

func TestAnEncoderThatReordersKeepsItsPresentationTimes(t *testing.T) {
	s := newStage(t, config())
	v := s.video(40*ms, 30*ms)
	order := []time.Duration{0, 80 * ms, -40 * ms, -40 * ms}
	v.dress = func(f *shot) {
		if !f.key {
			f.offset = order[v.n%4]
		}
	}
	s.play(20*time.Second, v)
	s.end()
	n := 0
	for _, g := range v.segs {
		for _, p := range g.parts {
			for _, f := range p.Samples {
				if f.Offset != 0 {
					n++
				}
			}
		}
	}
	if n < 300 {
		t.Fatalf("%d pictures have a presentation time of their own", n)
	}
}

func TestAnHourOfDriftingSoundStaysWithinAFrame(t *testing.T) {
	s := newStage(t, config())
	a := s.sound()
	a.every = 20*ms + 4*time.Microsecond // 200 ppm slow: media time says so, the frames are as long as ever
	for a.next < time.Hour {
		f, _ := a.frame()
		s.wait(s.cfg.Start.Add(f.at + f.delay))
		s.push(a.track, f)
	}
	s.end()
	if d := a.time(a.track.next) - time.Hour; d.Abs() > 60*ms {
		t.Fatalf("after an hour sound is %v off", d)
	}
	if a.gaps() != 0 {
		t.Fatalf("%d gaps", a.gaps())
	}
}
