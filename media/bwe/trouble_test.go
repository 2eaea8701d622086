package bwe_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe"
	"github.com/sluice-live/sluice/media/bwe/link"
)

// A queue too short to be seen still loses what is too much: the estimate comes down to what gets through.
func TestShallowQueueIsSeenByLoss(t *testing.T) {
	s := newSim(1, link.Always(link.Path{Rate: 1_500_000, Queue: 15 * ms, Delay: 20 * ms}))
	s.run(20*time.Second, sender{video: ladder, wanted: 3_000_000})
	s.trace(t, 500*ms)
	part := s.part(5*time.Second, 20*time.Second)
	over := 0
	for _, x := range part {
		if x.state.Estimate > 1_700_000 {
			over++
		}
	}
	if over > len(part)/10 {
		t.Errorf("above the link %d %% of the time", 100*over/len(part))
	}
	if r := rate(part); r < 700_000 {
		t.Errorf("only %.0f bit/s came through", r)
	}
}

// A link that loses a quarter of everything at any rate is not made better by sending less: the estimate comes back.
func TestLossOfTheLinkItselfIsBorne(t *testing.T) {
	s := newSim(3, link.Always(link.Path{Loss: 0.25, Delay: 20 * ms}))
	s.run(60*time.Second, sender{video: ladder, wanted: 3_000_000})
	s.trace(t, time.Second)
	bad := 0
	for _, x := range s.part(20*time.Second, 60*time.Second) {
		if x.state.Estimate < 2_600_000 {
			bad++
		}
	}
	if bad > 40_000/5 {
		t.Errorf("below the stream %d %% of the time", bad/400)
	}
}

// Half a second without a packet is no loss rate.
func TestShortOutageIsNoLoss(t *testing.T) {
	p := link.Path{Delay: 20 * ms}
	dead := p
	dead.Down = true
	s := newSim(1, link.Step{Path: p}, link.Step{At: 10 * time.Second, Path: dead}, link.Step{At: 10400 * ms, Path: p})
	s.run(20*time.Second, sender{video: constant(2_500_000), wanted: 3_000_000})
	s.trace(t, 100*ms)
	if low := lowest(s.part(9*time.Second, 20*time.Second)); low < 3_000_000 {
		t.Errorf("the estimate fell to %d", low)
	}
}

// A link that holds everything back for two seconds, and then delivers it, is neither slow nor long.
func TestHeldBackPacketsAreNotJudged(t *testing.T) {
	p := link.Path{Rate: 4_000_000, Delay: 20 * ms}
	held := link.Path{Rate: 100, Queue: 5 * time.Second, Delay: 20 * ms}
	s := newSim(1, link.Step{Path: p}, link.Step{At: 10 * time.Second, Path: held}, link.Step{At: 12 * time.Second, Path: p})
	s.run(20*time.Second, sender{video: ladder, wanted: 3_000_000})
	s.trace(t, 100*ms)
	if x := s.samples[11_500]; !x.state.Stalled {
		t.Errorf("while nothing comes: %+v", x.state)
	}
	if low := lowest(s.part(12*time.Second, 20*time.Second)); low < 2_600_000 {
		t.Errorf("the estimate fell to %d", low)
	}
}

// Reports that get lost are no packets that got lost.
func TestLostReportsLowerNothing(t *testing.T) {
	s := newSim(1, link.Always(link.Path{Rate: 2_000_000, Delay: 20 * ms}))
	s.up = link.New(epoch, 7, link.Always(link.Path{Delay: 20 * ms, Loss: 0.3}))
	s.run(40*time.Second, sender{greedy: true, wanted: 20_000_000})
	s.trace(t, time.Second)
	part := s.part(10*time.Second, 40*time.Second)
	if use := rate(part) / 2e6; use < 0.9 {
		t.Errorf("%.0f %% of the link are used", 100*use)
	}
	if low := lowest(part); low < 1_750_000 {
		t.Errorf("the estimate fell to %d", low)
	}
	for _, x := range part {
		if x.state.Loss > 0.1 {
			t.Fatalf("loss of %.2f at %v", x.state.Loss, x.at)
		}
	}
}

// What comes through counts even where nobody probes and the estimate was too low to grow so fast.
func TestWhatCameThroughIsBelieved(t *testing.T) {
	s := newSim(1, link.Always(link.Path{Delay: 20 * ms}))
	s.run(4*time.Second, sender{video: constant(2_400_000)})
	if x := s.samples[3999].state; x.Estimate < 1_900_000 {
		t.Errorf("%d came through, %d is believed", x.Acked, x.Estimate)
	}
}

// A route that becomes longer is not a queue for ever.
func TestLongerRouteIsBelieved(t *testing.T) {
	s := newSim(1, link.Step{Path: link.Path{Rate: 5_000_000, Delay: 10 * ms}}, link.Step{At: 10 * time.Second, Path: link.Path{Rate: 5_000_000, Delay: 90 * ms}})
	s.run(30*time.Second, sender{video: ladder, wanted: 3_000_000})
	s.trace(t, 500*ms)
	if back := s.since(11*time.Second, 2_900_000, 1<<40); back < 0 || back > 6*time.Second {
		t.Errorf("back after %v", back)
	}
	if low := lowest(s.part(18*time.Second, 30*time.Second)); low < 2_600_000 {
		t.Errorf("the estimate fell to %d long after", low)
	}
}

// On the thinnest links the lowest layer and sound, or sound alone, do not fill the queue.
func TestThinLinks(t *testing.T) {
	for _, c := range []struct {
		capacity media.Bitrate
		least    float64
	}{{300_000, 190_000}, {150_000, 50_000}} {
		s := newSim(1, link.Always(link.Path{Rate: c.capacity, Delay: 20 * ms}))
		s.run(40*time.Second, sender{video: ladder, wanted: 800_000})
		s.trace(t, time.Second)
		part := s.part(5*time.Second, 40*time.Second)
		if q := queueAt(part, 0.95); q > 100*ms {
			t.Errorf("%d: queue p95 is %v", c.capacity, q)
		}
		if r := rate(part); r < c.least {
			t.Errorf("%d: %.0f bit/s came through", c.capacity, r)
		}
		if o := offered(part); o > 1.02*float64(c.capacity) {
			t.Errorf("%d: %.0f bit/s were offered", c.capacity, o)
		}
	}
}

// reports drives an estimator that only gets receiver reports: what a second of a rate brings about on a link.
func reports(e *bwe.Estimator, now *time.Time, seconds int, rate, capacity media.Bitrate, remb bool) {
	for range seconds {
		for range 100 {
			for range max(1, int(rate)/8/100/1200) {
				e.Sent(0, 1200, *now, false)
			}
			*now = now.Add(10 * ms)
		}
		lost, rtt := 0.0, 40*ms
		if capacity > 0 && rate > capacity {
			lost, rtt = 1-float64(capacity)/float64(rate), 340*ms
		}
		if remb {
			e.REMB(min(rate*3/2, max(capacity, 1)), *now)
		}
		e.Report(lost, rtt, *now)
	}
}

// Without arrival reports the estimate grows slowly, falls at once, and random loss does not ruin it.
func TestReceiverReportsAlone(t *testing.T) {
	e, now := bwe.New(bwe.DefaultConfig()), epoch
	reports(e, &now, 30, 900_000, 0, false)
	if got := e.Target(); got < 2_500_000 {
		t.Errorf("after 30 clean seconds %d", got)
	}
	reports(e, &now, 3, 2_500_000, 1_000_000, false)
	if got := e.Target(); got > 1_100_000 {
		t.Errorf("after 3 s of too much %d", got)
	}
	if e.State().Measured || e.State().Why == bwe.Start {
		t.Errorf("%+v", e.State())
	}
	e, now = bwe.New(bwe.DefaultConfig()), epoch
	for range 60 {
		for range 90 {
			e.Sent(0, 1200, now, false)
			now = now.Add(11 * ms)
		}
		e.Report(0.08, 40*ms, now)
	}
	if got := e.Target(); got < 900_000 {
		t.Errorf("8 %% of random loss: %d", got)
	}
}

// A receiver's own estimate is a limit only where it is near what is sent.
func TestREMB(t *testing.T) {
	e, now := bwe.New(bwe.DefaultConfig()), epoch
	reports(e, &now, 3, 800_000, 600_000, true)
	if got := e.Target(); got > 650_000 {
		t.Errorf("told 600 kbit/s, target %d", got)
	}
	e, now = bwe.New(bwe.DefaultConfig()), epoch
	reports(e, &now, 30, 800_000, 100_000_000, true)
	if got := e.Target(); got < 2_000_000 {
		t.Errorf("told no limit, target %d", got)
	}
}

// Where arrivals are reported, the blunter tools decide nothing.
func TestArrivalReportsOutweighTheOthers(t *testing.T) {
	s := newSim(1, link.Always(link.Path{Delay: 20 * ms}))
	for range 100 {
		s.run(100*ms, sender{video: constant(2_500_000), wanted: 3_000_000})
		s.e.Report(0.5, time.Second, s.now)
		s.e.REMB(100_000, s.now)
	}
	if low := lowest(s.part(2*time.Second, 10*time.Second)); low < 2_600_000 || s.e.State().RTT < 200*ms {
		t.Errorf("the estimate fell to %d; %+v", low, s.e.State())
	}
}

// Silence is death only for those whose link has been heard, and only after time enough.
func TestSilence(t *testing.T) {
	e, now := bwe.New(bwe.DefaultConfig()), epoch
	for i := range 300 {
		e.Sent(uint16(i), 1200, now, false)
		now = now.Add(10 * ms)
	}
	if _, _, _ = e.Probe(now, 0); e.State().Stalled {
		t.Error("a viewer without arrival reports was taken for dead")
	}
	s := newSim(1, link.Always(link.Path{Delay: 100 * ms, Loss: 0.1}))
	s.run(60*time.Second, sender{video: constant(0), wanted: 0})
	for _, x := range s.samples {
		if x.state.Stalled {
			t.Fatalf("at %v sound with a tenth lost was taken for silence", x.at)
		}
	}
}

// A receiver whose clock is set by an hour has no queue of an hour.
func TestReceiverClockIsSet(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		e, rx, now, seq := bwe.New(bwe.DefaultConfig()), link.NewReceiver(epoch, 0), epoch, uint16(0)
		for i := range 200 {
			for range 10 {
				at := now
				if i > 100 {
					at = at.Add(step)
				}
				e.Sent(seq, 1200, now, false)
				rx.Arrive(seq, at)
				seq++
				now = now.Add(5 * ms)
			}
			for _, cc := range rx.Report() {
				e.Feedback(wire(cc), now.Add(20*ms))
			}
		}
		if x := e.State(); x.Congested || x.Estimate < 1_000_000 {
			t.Errorf("%v: %+v", step, x)
		}
	}
}

// A thinner link came with a shorter way, whose delay nobody had seen: the loss of its full queue was taken for the link's
// own, and three times the link was offered for ever.
func TestAQueueThatDropsIsNotTheLinksOwnLoss(t *testing.T) {
	s := newSim(0, link.Step{Path: link.Path{Burst: 0.05, Jitter: 10 * ms, Delay: 123 * ms}},
		link.Step{At: 4 * time.Second, Path: link.Path{Rate: 100_000, Delay: 2 * ms}})
	s.run(10*time.Second, sender{video: ladder, wanted: 3_000_000})
	s.trace(t, 100*ms)
	for at := 6 * time.Second; at < 10*time.Second; at += time.Second {
		if o := offered(s.part(at, at+time.Second)); o > 130_000 {
			t.Errorf("%v: %.0f bit/s were offered to a link of 100,000", at, o)
		}
	}
}
