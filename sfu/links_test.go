package sfu

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
)

// The rows of the loss matrix in virtual time, several runs each.

const seeds = 6

// each plays a profile with several seeds; look is called after it.
func each(t *testing.T, profile string, look func(t *testing.T, s *scene, p testnet.Profile)) {
	t.Helper()
	p := testnet.Named(t, profile)
	for seed := range uint64(seeds) {
		s := newScene(t, p, seed+1)
		s.run(p.For)
		if seed == 0 {
			s.trace()
		}
		t.Logf("seed %d: %s", seed+1, s.summary(0, p.For))
		look(t, s, p)
	}
}

// frozen asserts a share of time in gaps, and the longest one.
func (s *scene) frozen(t *testing.T, from, to time.Duration, most float64, longest time.Duration) {
	t.Helper()
	if sum, worst := s.screen.freeze(from, to); sum.Seconds() > most*(to-from).Seconds() || worst > longest {
		t.Errorf("frozen for %v between %v and %v, the longest time %v: %v", sum, from, to, worst, s.screen.gaps(from, to))
	}
}

// quiet asserts a share of sound that was not there.
func (s *scene) quiet(t *testing.T, from, to time.Duration, most float64) {
	t.Helper()
	if share := s.screen.concealed(from, to); share > most {
		t.Errorf("%.2f %% of sound were not there", 100*share)
	}
}

// A viewer on 300 kbit/s has its small picture and sound from the beginning.
func TestAThinLinkPlaysTheSmallestLayerFromTheStart(t *testing.T) {
	each(t, "thin300k", func(t *testing.T, s *scene, p testnet.Profile) {
		s.frozen(t, 0, p.For, 0.03, 400*ms)
		s.quiet(t, time.Second, p.For, 0.005)
		if q := s.queue(0.95); q > 120*ms {
			t.Errorf("the queue's p95 is %v", q)
		}
	})
}

// On 150 kbit/s sound and the smallest picture do not fit: sound plays, with a
// still picture now and then.
func TestSoundPlaysOnALinkTooThinForThePicture(t *testing.T) {
	each(t, "thin150k", func(t *testing.T, s *scene, p testnet.Profile) {
		s.quiet(t, time.Second, p.For, 0.003)
		if n := s.screen.heights(time.Second, p.For)[0]; n < 10 {
			t.Errorf("%d pictures", n)
		}
		if rate := kilobits(s.offered, time.Second, p.For); rate > 130 {
			t.Errorf("%d kbit/s were offered", rate)
		}
		if why := *s.v.stats.why.Load(); !strings.HasSuffix(why, ", too thin for the picture") {
			t.Errorf("the viewer is told %q", why)
		}
	})
}

// A good link is found out in half a second, without a stop.
func TestAGoodLinkHasTheBestPictureSoon(t *testing.T) {
	each(t, "clean", func(t *testing.T, s *scene, p testnet.Profile) {
		s.frozen(t, 0, p.For, 0.01, 250*ms)
		if top := s.screen.first(0, func(layer int) bool { return layer == 2 }); top < 0 || top > 1100*ms {
			t.Errorf("the best picture came after %v", top)
		}
	})
}

// tops asserts the share of pictures that are of the best layer.
func (s *scene) tops(t *testing.T, from, to time.Duration, least float64) {
	t.Helper()
	n := s.screen.heights(from, to)
	if share := float64(n[2]) / float64(max(1, n[0]+n[1]+n[2])); share < least {
		t.Errorf("%.0f %% of the pictures are the best ones: %v", 100*share, n)
	}
}

// A delay that wanders is no queue: nothing freezes, and the picture stays good.
func TestAWanderingDelayIsNotALinkTooThin(t *testing.T) {
	for _, profile := range []string{"jitter30", "jitter100"} {
		each(t, profile, func(t *testing.T, s *scene, p testnet.Profile) {
			s.frozen(t, 0, p.For, 0.01, 300*ms)
			s.quiet(t, 0, p.For, 0)
			s.tops(t, 2*time.Second, p.For, 0.7)
		})
	}
}

// 5 % of loss and a delay that wanders by 60 ms: repaired, and the best picture.
func TestLossAndJitterAreRepaired(t *testing.T) {
	each(t, "loss5jitter30", func(t *testing.T, s *scene, p testnet.Profile) {
		s.frozen(t, 0, p.For, 0.02, 400*ms)
		s.frozen(t, 3*time.Second, p.For, 0.01, 300*ms)
		s.quiet(t, 0, p.For, 0.01)
		s.tops(t, 2*time.Second, p.For, 0.7)
	})
}

// A link that falls shows the smaller layer before anybody minds, and the best one again when it is back.
func TestALinkThatFallsAndComesBack(t *testing.T) {
	for profile, top := range map[string]int{"drop4m": 2, "drop2m": 1} {
		each(t, profile, func(t *testing.T, s *scene, p testnet.Profile) {
			const falls, rises = 12 * time.Second, 24 * time.Second
			s.frozen(t, falls-time.Second, rises, 0.5/13, 500*ms)
			s.frozen(t, rises, p.For, 0.01, 300*ms)
			if lower := s.screen.first(falls+200*ms, func(layer int) bool { return layer == 0 }); lower < 0 || lower > 1300*ms {
				t.Errorf("a smaller picture came %v after the fall", lower+200*ms)
			}
			if back := s.screen.first(rises, func(layer int) bool { return layer == top }); back < 0 || back > 10*time.Second {
				t.Errorf("%s: the larger picture was back after %v", profile, back)
			}
			if rate := kilobits(s.offered, falls+2*time.Second, rises); rate > 500 {
				t.Errorf("%d kbit/s were offered", rate)
			}
		})
	}
}

// A dead link of three seconds shows its picture again half a second after.
func TestAnOutageIsOverHalfASecondAfter(t *testing.T) {
	each(t, "outage3", func(t *testing.T, s *scene, p testnet.Profile) {
		if back := s.screen.first(15*time.Second, func(layer int) bool { return layer == 2 }); back < 0 || back > 300*ms {
			t.Errorf("the picture was back after %v", back)
		}
		s.frozen(t, 15300*ms, p.For, 0, 0)
		s.quiet(t, 15100*ms, p.For, 0)
	})
}

// A viewer that comes to another address keeps its picture, and its layer as far as the new way carries it.
func TestAnotherAddressBeginsAnotherEstimate(t *testing.T) {
	for rate, layer := range map[media.Bitrate]int{0: 2, 1_500_000: 1} {
		p := testnet.Named(t, "clean")
		p.Down = testnet.Course{{}, {At: 10 * time.Second, Path: testnet.Path{Rate: rate, Delay: 30 * ms}}}
		s := newScene(t, p, 1)
		s.run(10 * time.Second)
		if s.v.rtt == 0 {
			s.v.rtt = ms
		}
		s.v.move(s.now)
		if state := s.v.link.estimator.State(); state.Measured || s.v.rtt != 0 || s.v.tracks[media.VideoTrack].selector.Target() != 2 {
			t.Errorf("just after it: %+v", state)
		}
		s.run(10 * time.Second)
		t.Logf("%d: %s", rate, s.summary(9*time.Second, 20*time.Second))
		s.frozen(t, 9*time.Second, 20*time.Second, 0.07, 600*ms)
		if rate == 0 {
			s.frozen(t, 9*time.Second, 20*time.Second, 0, 0)
		}
		if got := s.screen.heights(15*time.Second, 20*time.Second); got[layer] < 145 {
			t.Errorf("%d bit/s: pictures per layer %v", rate, got)
		}
	}
}

// Random loss and bursts: a repair that is lost is repaired again.
func TestRepairsThatAreLostAreRepaired(t *testing.T) {
	for profile, most := range map[string]float64{"loss1": 0.01, "loss5": 0.02} {
		each(t, profile, func(t *testing.T, s *scene, p testnet.Profile) {
			s.frozen(t, 0, p.For, most, 300*ms)
			s.quiet(t, 0, p.For, 0.01)
			s.tops(t, 2*time.Second, p.For, 0.9)
		})
	}
}
