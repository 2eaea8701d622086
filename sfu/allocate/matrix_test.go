package allocate_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe/link"
	"github.com/sluice-live/sluice/sfu/allocate"
)

// falls is a link that is thin for twelve seconds from a time on.
func falls(high, low media.Bitrate, at time.Duration) []link.Step {
	p := func(r media.Bitrate) link.Path { return link.Path{Rate: r, Delay: 20 * ms} }
	return []link.Step{{Path: p(high)}, {At: at, Path: p(low)}, {At: at + 12*time.Second, Path: p(high)}}
}

// sorted are the three layers from small to large; single is the largest alone.
func sorted() []allocate.Option { o := three(); return []allocate.Option{o[1], o[2], o[0]} }
func single() []allocate.Option { return three()[:1] }

// until plays in steps of 10 ms until something holds, and returns how long it took; −1: not within the limit.
func (h *house) until(limit time.Duration, holds func() bool) time.Duration {
	for from := h.now; h.now.Sub(from) < limit; {
		if holds() {
			return h.now.Sub(from)
		}
		h.run(10 * ms)
	}
	return -1
}

// bitrate is what was offered between two seconds.
func (h *house) bitrate(from, to int) (sum int) {
	for _, b := range h.offered[from:to] {
		sum += b * 8
	}
	return sum / (to - from)
}

// 4 → 0.5 → 4 Mbit/s, at any place of the key frame interval: a lower layer within 1.5 s, little freeze, the top within 10 s.
func TestLayersFollowTheLink(t *testing.T) {
	var worst, total time.Duration
	for i := range 8 {
		at := 12*time.Second + time.Duration(i)*250*ms
		h := newHouse(sorted(), uint64(i+1), falls(4_000_000, 500_000, at)...)
		h.run(at)
		if h.current != 2 {
			t.Fatalf("layer %d on a good link", h.current)
		}
		lower := h.until(3*time.Second, func() bool { return h.current == 0 })
		h.run(at + 12*time.Second - h.now.Sub(start))
		back := h.until(12*time.Second, func() bool { return h.current == 2 })
		h.run(time.Second)
		freeze, longest := h.freeze(at-time.Second, at+12*time.Second)
		worst, total = max(worst, longest), total+freeze
		if lower < 0 || lower > time.Second || back < 0 || back > 8*time.Second || longest > 800*ms {
			t.Errorf("fall at %v: lower after %v, back after %v, frozen %v, longest %v", at, lower, back, freeze, longest)
		}
		if b := h.bitrate(int(at/time.Second)+2, int(at/time.Second)+12); b > 500_000 {
			t.Errorf("fall at %v: %d bit/s offered to the thin link", at, b)
		}
		if lost := float64(h.soundSent-h.sound) / float64(h.soundSent); lost > 0.01 {
			t.Errorf("fall at %v: %.1f %% of sound lost", at, 100*lost)
		}
		t.Logf("fall at %v: lower after %v, back after %v, frozen %v, longest %v", at, lower, back, freeze, longest)
	}
	if total/8 > 600*ms {
		t.Errorf("frozen %v on average, %v at worst", total/8, worst)
	}
}

// The same with one layer that does not fit: no storm, sound goes on, and the picture is back with the link.
func TestOneLayerThatDoesNotFit(t *testing.T) {
	for i := range 8 {
		at := 12*time.Second + time.Duration(i)*250*ms
		h := newHouse(single(), uint64(i+1), falls(4_000_000, 500_000, at)...)
		h.run(at + 2*time.Second)
		heard, sent := h.sound, h.soundSent
		h.run(10 * time.Second)
		for s := int(at/time.Second) + 3; s < int(at/time.Second)+12; s++ {
			if b := h.offered[s] * 8; b > 750_000 {
				t.Errorf("fall at %v: %d bit/s offered in second %d", at, b, s)
			}
		}
		if h.soundSent-sent-(h.sound-heard) > 2 || h.late > h.soundSent/50 {
			t.Errorf("fall at %v: of %d packets of sound %d came", at, h.soundSent-sent, h.sound-heard)
		}
		shown := len(h.screen.shown)
		if back := h.until(4*time.Second, func() bool { return len(h.screen.shown) > shown+1 }); back < 0 || back > 2*time.Second {
			t.Errorf("fall at %v: picture back after %v", at, back)
		} else {
			t.Logf("fall at %v: picture back after %v", at, back)
		}
	}
}

// Three seconds without a link: the picture is back within half a second, and it is the one from before.
func TestPictureIsBackAfterAnOutage(t *testing.T) {
	p := link.Path{Rate: 4_000_000, Delay: 20 * ms}
	dead := p
	dead.Down = true
	h := newHouse(sorted(), 1, link.Step{Path: p}, link.Step{At: 12 * time.Second, Path: dead}, link.Step{At: 15 * time.Second, Path: p})
	h.run(14900 * ms)
	if h.target != -1 {
		t.Error("video is sent into a dead link")
	}
	h.run(100 * ms)
	shown := len(h.screen.shown)
	back := h.until(4*time.Second, func() bool { return len(h.screen.shown) > shown })
	if back < 0 || back > 500*ms || h.current != 2 {
		t.Errorf("back after %v with layer %d", back, h.current)
	}
}

// A viewer on a good link has the best picture at once: a probe that media fills by itself counts.
func TestTheBestPictureComesAtOnce(t *testing.T) {
	for _, c := range []struct {
		path link.Path
		most time.Duration
	}{{link.Path{Delay: 20 * ms}, 500 * ms}, {link.Path{Delay: 20 * ms, Rate: 4_000_000}, 500 * ms}, {link.Path{Delay: 100 * ms, Loss: 0.02}, time.Second}} {
		h := newHouse(sorted(), 1, link.Always(c.path))
		if took := h.until(10*time.Second, func() bool { return h.current == 2 }); took < 0 || took > c.most {
			t.Errorf("%+v: top layer after %v", c.path, took)
		}
	}
}

// On a steady link the best layer that fits is shown and stays; noise of the path changes nothing.
func TestBestLayerThatFits(t *testing.T) {
	for _, c := range []struct {
		name  string
		path  link.Path
		layer int
		share float64 // of the time
	}{
		{"clean", link.Path{Delay: 20 * ms}, 2, 0.99},
		{"3.2M", link.Path{Delay: 20 * ms, Rate: 3_200_000}, 2, 0.95},
		{"2M", link.Path{Delay: 20 * ms, Rate: 2_000_000}, 1, 0.95},
		{"1M", link.Path{Delay: 20 * ms, Rate: 1_000_000}, 1, 0.9},
		{"500k", link.Path{Delay: 20 * ms, Rate: 500_000}, 0, 0.99},
		{"300k", link.Path{Delay: 20 * ms, Rate: 300_000}, 0, 0.95},
		{"150k", link.Path{Delay: 20 * ms, Rate: 150_000}, -1, 0.95},
		{"loss 5 jitter 30", link.Path{Delay: 20 * ms, Loss: 0.05, Jitter: 30 * ms}, 2, 0.85},
		{"rtt 200 loss 2", link.Path{Delay: 100 * ms, Loss: 0.02}, 2, 0.98},
		{"burst 5", link.Path{Delay: 20 * ms, Burst: 0.05}, 2, 0.95},
	} {
		t.Run(c.name, func(t *testing.T) {
			held, all, switches := 0, 0, 0
			for seed := range uint64(4) {
				h := newHouse(sorted(), seed+1, link.Always(c.path))
				h.run(10 * time.Second)
				before, was := h.seconds[c.layer+1], h.switches
				h.run(30 * time.Second)
				held, all, switches = held+h.seconds[c.layer+1]-before, all+30_000, switches+h.switches-was
				if seed == 0 {
					h.summary(t, c.name)
				}
			}
			if share := float64(held) / float64(all); share < c.share || switches > 8 {
				t.Errorf("layer %d for %.1f %% of the time, %d switches in 2 min", c.layer, 100*share, switches)
			}
		})
	}
}

// Who asks for everything again, at line rate, gets no more than a share (trap 15).
func TestNackingEverythingAmplifiesNothing(t *testing.T) {
	h := newHouse(sorted(), 1, link.Always(link.Path{Delay: 20 * ms, Rate: 4_000_000}))
	for range 200 {
		h.run(50 * ms)
		all := make([]uint16, 0, 512)
		for i := range uint16(512) {
			all = append(all, h.seq-i)
		}
		h.reports = append([]report{{at: h.now, nack: all}}, h.reports...)
	}
	resent, sent := 0, 0
	for i := range h.resent {
		resent, sent = resent+h.resent[i], sent+h.offered[i]
	}
	if share := float64(resent) / float64(sent); share > 0.2 || resent == 0 {
		t.Errorf("%.0f %% was resent", 100*share)
	}
}
