package segment_test

import (
	"math/rand/v2"
	"testing"
	"time"
)

// throttled is an encoder behind one who passes wishes on at least half a second apart, and
// two in two seconds: those of viewers as well as ours.
func throttled(s *stage, begin time.Duration, shake *rand.Rand) *source {
	const answers = 70 * ms
	v := s.video(time.Second/30, 20*ms)
	v.next = begin
	var viewers []time.Duration
	for range shake.IntN(3) {
		viewers = append(viewers, begin+time.Duration(shake.IntN(3000))*ms)
	}
	var passed []time.Duration // wishes
	wanted, heeded, due := false, 0, time.Duration(0)
	v.dress = func(f *shot) {
		f.key = v.n == 1
		for ; heeded < len(v.asked) && v.asked[heeded] <= f.at; heeded++ {
			wanted = true
		}
		for i, at := range viewers {
			if at > 0 && at <= f.at {
				wanted, viewers[i] = true, 0
			}
		}
		n := len(passed)
		held := n > 0 && f.at-passed[n-1] < 500*ms || n > 1 && f.at-passed[n-2] < 2*time.Second
		if wanted && due == 0 && !held {
			passed, wanted, due = append(passed, f.at), false, f.at+answers
		}
		if due > 0 && f.at >= due {
			f.key, due = true, 0
		}
		f.delay = 20 * ms
		if f.key {
			f.delay = 60 * ms
		}
	}
	return v
}

// A key frame that came late because its wish was held back was taken for a slow encoder:
// the next was asked for so early that it ended nothing, and the one that was needed was
// held back again. One layer's segments ended up to a second behind the others' for good.
func TestAWishThatIsHeldBackDoesNotPartTheLayersForGood(t *testing.T) {
	for seed := range uint64(16) {
		shake := rand.New(rand.NewPCG(seed, 9))
		s := sliverStage(t, 500*ms, false)
		late := time.Duration(shake.IntN(2500)) * ms
		h, l := throttled(s, late, shake), throttled(s, 0, shake)
		s.play(20*time.Second, l, h, s.sound())
		s.end()
		seen := 0
		for _, a := range h.segs {
			for _, b := range l.segs {
				if a.msn != b.msn || a.msn < 6 {
					continue
				}
				if seen++; (a.start - b.start).Abs() > 300*ms {
					t.Errorf("seed %d: segment %d begins at %v and at %v", seed, a.msn, a.start, b.start)
				}
			}
		}
		if seen < 3 {
			t.Errorf("seed %d: %d segments", seed, seen)
		}
	}
}
