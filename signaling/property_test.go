package signaling_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

// wave is some requests and the pause after them.
type wave struct {
	requests int
	pause    time.Duration
}

// An address is never served more than its burst and its rate allow, and never
// less.
func TestLimitHoldsOverAnyPattern(t *testing.T) {
	waves := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) wave {
		return wave{rapid.IntRange(0, 5).Draw(t, "requests"), time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond}
	}), 1, 20)
	rapid.Check(t, func(rt *rapid.T) {
		drawn, wrong := waves.Draw(rt, "waves"), ""
		synctest.Test(t, func(t *testing.T) { wrong = limitOver(newDoor(t, limits(small)), drawn) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// limitOver holds the door (1/s, burst 3) against a bucket of its own.
func limitOver(d *door, waves []wave) (wrong string) {
	tokens := 3.0
	for _, w := range waves {
		for range w.requests {
			served := d.do("GET", "/whip/x", "").StatusCode != 429
			if close := tokens > 0.99 && tokens < 1.01; served != (tokens >= 1) && !close {
				return fmt.Sprintf("served %v with %.2f tokens", served, tokens)
			}
			if served {
				tokens--
			}
		}
		time.Sleep(w.pause)
		tokens = min(3, tokens+w.pause.Seconds())
	}
	return ""
}

// Whatever the publisher does and however often the page comes back, an event
// stream begins with active, and the same is never told twice in a row.
func TestEventsStayInOrder(t *testing.T) {
	steps := rapid.SliceOfN(rapid.SampledFrom([]string{"come", "go", "read"}), 1, 12)
	rapid.Check(t, func(rt *rapid.T) {
		drawn, wrong := steps.Draw(rt, "steps"), ""
		synctest.Test(t, func(t *testing.T) {
			wrong = orderOver(newDoor(t, limits(func(l *signaling.Limits) { l.Requests = 0 })), drawn)
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

func orderOver(d *door, steps []string) (wrong string) {
	at, _, id := d.open(`["active","inactive"]`)
	r, first, last := d.read(at), true, ""
	for _, step := range steps {
		if step == "read" {
			r, last = d.read(at), ""
		} else {
			d.change(id, func(v *media.SessionView) { v.Active = step == "come" })
		}
		time.Sleep(1100 * time.Millisecond)
		for _, e := range r.events() {
			name, _, _ := strings.Cut(e, " ")
			if first && name != "active" || name == last {
				return fmt.Sprintf("%q after %q, first %v", name, last, first)
			}
			first, last = false, name
		}
	}
	d.server.Ended(id, media.ErrHangup)
	return ""
}
