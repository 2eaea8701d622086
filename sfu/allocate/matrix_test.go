package allocate_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe/link"
	"github.com/sluice-live/sluice/sfu/allocate"
)

// falls is a link that is thin from 12 to 24 s.
func falls(high, low media.Bitrate) []link.Step {
	p := func(r media.Bitrate) link.Path { return link.Path{Rate: r, Delay: 20 * ms} }
	return []link.Step{{Path: p(high)}, {At: 12 * time.Second, Path: p(low)}, {At: 24 * time.Second, Path: p(high)}}
}

// sorted are the three layers from small to large; single is the largest alone.
func sorted() []allocate.Option { o := three(); return []allocate.Option{o[1], o[2], o[0]} }
func single() []allocate.Option { return three()[:1] }

func TestMatrix(t *testing.T) {
	always := func(p link.Path) []link.Step { return []link.Step{link.Always(p)} }
	for name, c := range map[string]struct {
		layers []allocate.Option
		steps  []link.Step
	}{
		"clean": {sorted(), always(link.Path{Delay: 20 * ms})}, "loss5 j30": {sorted(), always(link.Path{Delay: 20 * ms, Loss: 0.05, Jitter: 30 * ms})},
		"4-0.5-4": {sorted(), falls(4_000_000, 500_000)}, "2-0.5-2": {sorted(), falls(2_000_000, 500_000)}, "single": {single(), falls(4_000_000, 500_000)},
		"300k": {sorted(), always(link.Path{Rate: 300_000, Delay: 20 * ms})}, "150k": {sorted(), always(link.Path{Rate: 150_000, Delay: 20 * ms})},
		"rtt200 2%": {sorted(), always(link.Path{Delay: 100 * ms, Loss: 0.02})}, "single 2M": {single(), always(link.Path{Rate: 2_000_000, Delay: 20 * ms})},
		"3M": {sorted(), always(link.Path{Rate: 3_000_000, Delay: 20 * ms})},
	} {
		newHouse(c.layers, 1, c.steps...).run(38*time.Second).summary(t, name)
	}
}
