package recorder

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
)

func TestUsualRatesAreDeclared(t *testing.T) {
	for _, c := range []struct{ was, measured, seconds, want float64 }{
		{0, 29.97, 20, 30}, {0, 30.9, 2, 30}, {0, 27, 20, 30}, {0, 25, 20, 25}, {0, 24, 20, 24}, {0, 23.976, 20, 24}, {0, 59.94, 20, 60}, {0, 50, 20, 50},
		{0, 14.9, 20, 15}, {0, 10, 20, 10}, {0, 1, 20, 1}, {0, 5.1, 20, 5}, {0, 240, 20, 233},
		{30, 7, 20, 30}, {30, 60, 20, 60}, {60, 30, 20, 60},
		{0, 32, 0.5, 0}, {30, 45, 0.5, 30}, // half a second may say anything
	} {
		if got := declaredRate(c.was, c.measured, time.Duration(c.seconds*float64(time.Second))); got != c.want {
			t.Errorf("%v measured over %v s, %v declared: %v, want %v", c.measured, c.seconds, c.was, got, c.want)
		}
	}
}

func TestDeclaredBitratesMoveSeldom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	peak, mean := media.Bitrate(2_700_000), media.Bitrate(0)
	moves := 0
	for range 10_000 {
		measured := media.Bitrate(2_000_000 + rnd.IntN(2_000_000))
		old := [2]media.Bitrate{peak, mean}
		peak, mean = declaredPeak(peak, measured, 20_000_000), declaredMean(mean, 2_500_000+measured/50)
		if old != [2]media.Bitrate{peak, mean} {
			moves++
		}
		if peak < measured || mean < measured/2 {
			t.Fatalf("declared %d and %d of %d", peak, mean, measured)
		}
	}
	if moves > 3 {
		t.Errorf("they moved %d times", moves)
	}
	if got := declaredPeak(2_000_000, 90_000_000, 20_000_000); got != 20_000_000 {
		t.Errorf("above what is allowed: %d", got)
	}
}
