package report_test

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/report"
)

func TestClockKnowsNothingBeforeTheFirstReport(t *testing.T) {
	var c report.Clock
	c.SenderReport(0, start) // RFC 3550: no clock available
	if at, ok := c.Node(report.NTP(start)); ok {
		t.Errorf("it says %v", at)
	}
}

// The least delay wins: after a bad start the mapping comes down to it, and no faster than 5 ms per second.
func TestClockSettlesAtTheLeastDelay(t *testing.T) {
	var c report.Clock
	off := -7 * time.Hour // the publisher lives in another time
	node := func(at time.Duration) time.Duration {
		got, _ := c.Node(report.NTP(start.Add(off + at)))
		return got.Sub(start.Add(at))
	}
	for i := range 60 {
		delay := 20 * time.Millisecond
		if i == 0 {
			delay = 120 * time.Millisecond
		} else if i%3 == 0 {
			delay = 300 * time.Millisecond
		}
		at := time.Duration(i) * time.Second
		c.SenderReport(report.NTP(start.Add(off+at)), start.Add(at+delay))
		if i == 10 {
			if d := node(at); d < 70*time.Millisecond || d > 80*time.Millisecond {
				t.Errorf("after 10 s the mapping is %v late, it should have moved by about 45 ms", d)
			}
		}
	}
	if d := node(time.Minute); (d - 20*time.Millisecond).Abs() > time.Microsecond {
		t.Errorf("after a minute the mapping is %v late, the least delay is 20 ms", d)
	}
}

// Whatever delays the network has and however the publisher's crystal drifts, the mapping never moves by more than 5 ms
// per second, neither between two frames nor when a report comes.
func TestClockSlewsAndNeverSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c report.Clock
		far := start.Add(time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "offset")))
		drift := rapid.Int64Range(-300, 300).Draw(t, "ppm")
		node := start
		lateness := func() time.Duration {
			at, ok := c.Node(report.NTP(far))
			if !ok {
				t.Fatal("the clock is not known")
			}
			return at.Sub(far)
		}
		c.SenderReport(report.NTP(far), node)
		last := lateness()
		for range rapid.IntRange(1, 100).Draw(t, "reports") {
			gap := time.Duration(rapid.IntRange(1, 12000).Draw(t, "gap")) * time.Millisecond
			node = node.Add(gap)
			far = far.Add(gap + gap*time.Duration(drift)/1e6)
			held := lateness()
			if d := (held - last).Abs(); d > gap*6/1000+time.Microsecond {
				t.Fatalf("between reports the mapping moved %v in %v", d, gap)
			}
			delay := time.Duration(rapid.IntRange(0, 4000).Draw(t, "delay")) * time.Millisecond
			c.SenderReport(report.NTP(far), node.Add(delay))
			last = lateness()
			if d := (last - held).Abs(); d > time.Microsecond {
				t.Fatalf("a report moved the mapping by %v at once", d)
			}
		}
	})
}

// A publisher's crystal that is slow makes every packet seem later: the least lateness must be of the last minute, not
// of all times.
func TestClockFollowsASlowCrystal(t *testing.T) {
	var c report.Clock
	for i := range 1200 {
		at := time.Duration(i) * time.Second
		far := start.Add(at - at/10000)
		c.SenderReport(report.NTP(far), start.Add(at))
		if got, _ := c.Node(report.NTP(far)); got.Sub(start.Add(at)).Abs() > 7*time.Millisecond {
			t.Fatalf("after %v the mapping is %v off", at, got.Sub(start.Add(at)))
		}
	}
}

func TestClockJumpOfMoreThanTenSecondsIsTakenWhenSeenTwice(t *testing.T) {
	var c report.Clock
	sr := func(at, jump time.Duration) time.Duration {
		ntp := report.NTP(start.Add(at + jump))
		c.SenderReport(ntp, start.Add(at))
		got, _ := c.Node(ntp)
		return got.Sub(start.Add(at))
	}
	sr(0, 0)
	if d := sr(time.Second, time.Hour); d != time.Hour {
		t.Errorf("one report alone moved the clock: %v", d)
	}
	if d := sr(2*time.Second, time.Hour); d != 0 {
		t.Errorf("after the second report the clock is %v off", d)
	}
	if d := sr(3*time.Second, time.Hour); d != 0 {
		t.Errorf("and then %v", d)
	}
}

// A publisher whose clock was set an hour anew had its frames an hour off until it had reported twice, and one wrong
// report alone had them until the next.
func TestCaptureGoesOnWhenThePublishersClockJumps(t *testing.T) {
	const delay = 40 * time.Millisecond
	for name, jump := range map[string]struct{ by, until time.Duration }{
		"forward": {time.Hour, time.Hour}, "back": {-time.Hour, time.Hour}, "one wrong report": {time.Hour, 20 * time.Second},
	} {
		far := func(at time.Duration) time.Duration {
			if at < 20*time.Second || at > jump.until {
				return 0
			}
			return jump.by
		}
		for _, videoEvery := range []int{1, 5, 11} { // seconds; sound reports each five
			var c report.Clock
			audio, video := report.NewSource(48000), report.NewSource(90000)
			sr := func(s *report.Source, rate int64, at time.Duration) {
				ts, ntp := media.Ticks(1<<32+int64(at)*rate/int64(time.Second)), report.NTP(start.Add(at+far(at)))
				c.SenderReport(ntp, start.Add(at+delay))
				s.SenderReport(&rtcp.SenderReport{NTPTime: ntp, RTPTime: uint32(ts)}, ts, start.Add(at+delay))
			}
			for i := range 60 * 50 {
				at := time.Duration(i) * 20 * time.Millisecond
				a, v := media.Ticks(1<<32+i*960), media.Ticks(1<<32+i*1800)
				audio.Packet(uint64(70000+i), a, start.Add(at+delay), 100)
				video.Packet(uint64(70000+i), v, start.Add(at+delay), 100)
				if i%250 == 0 {
					sr(audio, 48000, at)
				}
				if i%(50*videoEvery) == 0 {
					sr(video, 90000, at)
				}
				for which, s := range map[string]*report.Source{"sound": audio, "pictures": video} {
					ts := map[string]media.Ticks{"sound": a, "pictures": v}[which]
					if got, known := s.Capture(ts, &c); !known || (got.Sub(start)-at-delay).Abs() > time.Millisecond {
						t.Fatalf("%s, pictures report each %d s: after %v %s are %v off", name, videoEvery, at, which, got.Sub(start)-at-delay)
					}
				}
			}
		}
	}
}

// For audio and video that the publisher maps by its reports, the node keeps that mapping within 1 ms, wherever their
// RTP clocks stand, whatever the delays.
func TestAudioAndVideoKeepThePublishersMapping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c report.Clock
		audio, video := report.NewSource(48000), report.NewSource(90000)
		baseA := media.Ticks(rapid.Int64Range(1<<32, 1<<34).Draw(t, "audio"))
		baseV := media.Ticks(rapid.Int64Range(1<<32, 1<<34).Draw(t, "video"))
		far := start.Add(time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "offset")))
		sr := func(s *report.Source, base media.Ticks, rate int64, at, delay time.Duration) {
			ts := base + media.Ticks(int64(at)*rate/int64(time.Second))
			ntp := report.NTP(far.Add(at))
			c.SenderReport(ntp, start.Add(at+delay))
			s.SenderReport(&rtcp.SenderReport{NTPTime: ntp, RTPTime: uint32(ts)}, ts, start.Add(at+delay))
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "reports") {
			at := time.Duration(i) * time.Second
			sr(audio, baseA, 48000, at, time.Duration(rapid.IntRange(0, 900).Draw(t, "delayA"))*time.Millisecond)
			sr(video, baseV, 90000, at+300*time.Millisecond, time.Duration(rapid.IntRange(0, 900).Draw(t, "delayV"))*time.Millisecond)
			frame := at + time.Duration(rapid.IntRange(0, 1000).Draw(t, "frame"))*time.Millisecond
			skew := time.Duration(rapid.IntRange(-150, 150).Draw(t, "skew")) * time.Millisecond
			a, okA := audio.Capture(baseA+media.Ticks(int64(frame)*48000/int64(time.Second)), &c)
			v, okV := video.Capture(baseV+media.Ticks(int64(frame+skew)*90000/int64(time.Second)), &c)
			if off := (v.Sub(a) - skew).Abs(); !okA || !okV || off > time.Millisecond {
				t.Fatalf("audio and video are %v off one another", off)
			}
		}
	})
}

func TestCaptureByArrivalsUntilTheFirstReport(t *testing.T) {
	s := report.NewSource(90000)
	var c report.Clock
	if _, ok := s.Capture(5, &c); ok {
		t.Error("nothing can be known before the first packet")
	}
	s.Packet(70000, 1<<32, start, 1000)
	s.Packet(70001, 1<<32+90000, start.Add(time.Second+200*time.Millisecond), 1000) // stuck in a queue
	if at, ok := s.Capture(1<<32+45000, nil); !ok || !at.Equal(start.Add(500*time.Millisecond)) || s.HasReport() {
		t.Errorf("%v %v", at, ok)
	}
	sr := &rtcp.SenderReport{NTPTime: report.NTP(start.Add(-time.Hour))}
	s.SenderReport(sr, 1<<32+180000, start.Add(2*time.Second))
	if at, _ := s.Capture(1<<32, &c); !at.Equal(start) {
		t.Errorf("without a clock the arrivals still count, got %v", at)
	}
	c.SenderReport(sr.NTPTime, start.Add(2*time.Second+30*time.Millisecond))
	if at, ok := s.Capture(1<<32+180000, &c); !ok || !at.Equal(start.Add(2*time.Second+30*time.Millisecond)) {
		t.Errorf("%v %v", at, ok)
	}
}

// Many days of 90 kHz ticks must not overflow on their way to nanoseconds.
func TestCaptureAfterManyDays(t *testing.T) {
	s := report.NewSource(90000)
	s.Packet(70000, 1<<32, start, 1)
	days := 400 * 24 * time.Hour
	at, ok := s.Capture(1<<32+media.Ticks(days/time.Second)*90000, nil)
	if !ok || !at.Equal(start.Add(days)) {
		t.Errorf("%v %v", at, ok)
	}
}

// The report of a stream says nothing about its time after the stream's clock was set anew.
func TestClockRestartForgetsTheReport(t *testing.T) {
	s := report.NewSource(90000)
	var c report.Clock
	s.Packet(70000, 1<<32, start, 1)
	sr := &rtcp.SenderReport{NTPTime: report.NTP(start)}
	c.SenderReport(sr.NTPTime, start)
	s.SenderReport(sr, 1<<32, start)
	for i := range 3 {
		at := start.Add(time.Duration(i+1) * 33 * time.Millisecond)
		s.Packet(70001+uint64(i), 9<<32+media.Ticks(i)*2970, at, 1)
	}
	if at, ok := s.Capture(9<<32+2*2970, &c); !ok || !at.Equal(start.Add(99*time.Millisecond)) {
		t.Errorf("%v %v", at, ok)
	}
}
