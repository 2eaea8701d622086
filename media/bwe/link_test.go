package bwe_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe"
	"github.com/sluice-live/sluice/media/bwe/link"
)

// Who sends all that may be sent gets 85–100 % of any link within ten seconds, with less than 100 ms of queue for 95 %
// of the time.
func TestGreedySenderFillsTheLink(t *testing.T) {
	for _, capacity := range []media.Bitrate{150_000, 300_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 10_000_000} {
		for _, delay := range []time.Duration{5 * ms, 50 * ms, 100 * ms} {
			t.Run(fmt.Sprintf("%dk/%v", capacity/1000, delay), func(t *testing.T) {
				s := newSim(1, link.Always(link.Path{Rate: capacity, Delay: delay}))
				s.run(40*time.Second, sender{greedy: true, wanted: 20_000_000})
				s.trace(t, time.Second)
				part := s.part(10*time.Second, 40*time.Second)
				if use := rate(part) / float64(capacity); use < 0.85 {
					t.Errorf("%.0f %% of the link are used", 100*use)
				}
				if q := queueAt(part, 0.95); q > 100*ms {
					t.Errorf("queue p95 is %v", q)
				}
				use := rate(s.part(9*time.Second, 11*time.Second)) / float64(capacity)
				t.Logf("use %.0f %%, of second 10 %.0f %%, queue p50 %v p95 %v", 100*rate(part)/float64(capacity), 100*use, queueAt(part, 0.5), queueAt(part, 0.95))
			})
		}
	}
}

// ladder is a viewer of three layers, without patience.
func ladder(_ time.Duration, s bwe.State) media.Bitrate {
	for _, r := range []media.Bitrate{2_500_000, 700_000, 150_000} {
		if float64(s.Estimate) > 1.1*float64(r)+80_000 && !s.Stalled {
			return r
		}
	}
	return 0
}

// A link that falls to an eighth is believed within 300 ms (a report and a moment), and found again within six seconds.
func TestLinkFallsAndRises(t *testing.T) {
	for _, c := range []struct{ high, low media.Bitrate }{{4_000_000, 500_000}, {2_000_000, 500_000}, {4_000_000, 2_000_000}, {4_000_000, 300_000}} {
		t.Run(fmt.Sprintf("%d-%d", c.high/1000, c.low/1000), func(t *testing.T) {
			high, low := link.Path{Rate: c.high, Delay: 20 * ms}, link.Path{Rate: c.low, Delay: 20 * ms}
			s := newSim(1, link.Step{Path: high}, link.Step{At: 12 * time.Second, Path: low}, link.Step{At: 24 * time.Second, Path: high})
			s.run(38*time.Second, sender{video: ladder, wanted: 3_000_000})
			s.trace(t, 500*ms)
			fallen := s.since(12*time.Second, 0, c.low*105/100)
			if fallen < 0 || fallen > 300*ms {
				t.Errorf("the fall was noticed after %v", fallen)
			}
			if o := offered(s.part(14*time.Second, 24*time.Second)); o > 1.1*float64(c.low) {
				t.Errorf("%.0f bit/s were offered to the thin link", o)
			}
			if q := queueAt(s.part(14*time.Second, 24*time.Second), 0.95); q > 100*ms {
				t.Errorf("queue p95 on the thin link is %v", q)
			}
			back := s.since(24*time.Second, min(2_900_000, c.high*85/100), 1<<40)
			if back < 0 || back > 6*time.Second {
				t.Errorf("the rise was noticed after %v", back)
			}
			t.Logf("fall after %v, rise after %v", fallen, back)
		})
	}
}

// A stream far below the link does not lower its estimate, and a probe finds what a higher layer would need.
func TestApplicationLimitedSenderKeepsItsEstimate(t *testing.T) {
	s := newSim(1, link.Always(link.Path{Rate: 100_000_000, Delay: 20 * ms}))
	s.run(60*time.Second, sender{video: constant(2_500_000), wanted: 3_000_000})
	s.trace(t, 5*time.Second)
	if low := lowest(s.part(5*time.Second, time.Minute)); low < 3_000_000 {
		t.Errorf("the estimate fell to %d", low)
	}
	if share := float64(s.padded) / float64(s.bytes); share > 0.01 {
		t.Errorf("%.1f %% is padding", 100*share)
	}
	s = newSim(1, link.Always(link.Path{Rate: 4_000_000, Delay: 20 * ms}))
	s.run(10*time.Second, sender{video: constant(150_000), wanted: 3_000_000})
	if found := s.since(0, 3_000_000, 1<<40); found < 0 || found > 2*time.Second {
		t.Errorf("a higher layer was found to fit after %v", found)
	}
}

// Loss and jitter that nobody causes do not lower the estimate below the stream.
func TestRandomLossAndJitterDoNotRuin(t *testing.T) {
	for name, p := range map[string]link.Path{
		"loss 1": {Loss: 0.01, Delay: 20 * ms}, "loss 5": {Loss: 0.05, Delay: 20 * ms}, "loss 10": {Loss: 0.1, Delay: 20 * ms},
		"burst 5": {Burst: 0.05, Delay: 20 * ms}, "jitter 30": {Jitter: 30 * ms, Delay: 20 * ms},
		"jitter 100": {Jitter: 100 * ms, Delay: 20 * ms}, "jitter 30 loss 5": {Jitter: 30 * ms, Loss: 0.05, Delay: 20 * ms}, "rtt 200 loss 2": {Delay: 100 * ms, Loss: 0.02},
		"jitter 30 on 4M":  {Jitter: 30 * ms, Delay: 20 * ms, Rate: 4_000_000},
		"key frames on 3M": {Delay: 20 * ms, Rate: 3_200_000},
	} {
		t.Run(name, func(t *testing.T) {
			bad := 0
			for seed := range uint64(3) {
				s := newSim(seed+1, link.Always(p))
				s.run(60*time.Second, sender{video: constant(2_500_000), wanted: 3_000_000})
				if seed == 0 {
					s.trace(t, time.Second)
				}
				low, n := lowest(s.part(10*time.Second, time.Minute)), 0
				for _, x := range s.part(10*time.Second, time.Minute) {
					if x.state.Estimate < 2_600_000 {
						n++
					}
				}
				bad += n
				t.Logf("seed %d: lowest %d, below the stream %.1f %% of the time", seed, low, float64(n)/500)
			}
			most := 0.02
			if p.Jitter > 50*ms { // the widest rises look like a link that fell
				most = 0.05
			}
			if share := float64(bad) / 150_000; share > most {
				t.Errorf("below the stream %.1f %% of the time", 100*share)
			}
		})
	}
}

// An outage is no congestion: what was known before holds at once after it.
func TestOutageIsForgiven(t *testing.T) {
	p := link.Path{Rate: 4_000_000, Delay: 20 * ms}
	dead := p
	dead.Down = true
	s := newSim(1, link.Step{Path: p}, link.Step{At: 12 * time.Second, Path: dead}, link.Step{At: 15 * time.Second, Path: p})
	s.run(25*time.Second, sender{video: ladder, wanted: 3_000_000})
	s.trace(t, 250*ms)
	if x := s.samples[13500]; !x.state.Stalled || x.state.Target > 100_000 {
		t.Errorf("in the outage: %+v", x.state)
	}
	back := time.Duration(-1)
	for _, x := range s.samples[15000:] {
		if !x.state.Stalled && x.state.Target > 2_600_000 {
			back = x.at - 15*time.Second
			break
		}
	}
	if back < 0 || back > 300*ms {
		t.Errorf("back after %v", back)
	}
	if low := lowest(s.part(15500*ms, 25*time.Second)); low < 2_600_000 {
		t.Errorf("the estimate fell to %d after the outage", low)
	}
}
