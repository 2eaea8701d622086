package report

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// step is the grain of a window: a quarter second keeps the last second's bitrate fresh.
	step     = 250 * time.Millisecond
	perWhole = 40 // steps in the 10 s of the loss ratio
	steps    = 48 // a few more than are read
)

// window counts what came in the last 10 s.
type window struct {
	counts [steps]struct{ expected, received, bytes uint32 }
	turn   int64 // number of the newest step
	begun  bool
}

func (w *window) add(at time.Time, expected uint64, size int) {
	w.advance(at)
	c := &w.counts[w.turn%steps]
	c.expected += uint32(expected)
	c.received++
	c.bytes += uint32(size)
}

// advance empties the steps between the newest and at; an older at counts as the newest.
func (w *window) advance(at time.Time) {
	now := at.UnixNano() / int64(step)
	if !w.begun {
		w.begun, w.turn = true, now
		return
	}
	if now-w.turn > steps {
		w.turn = now - steps
	}
	for w.turn < now {
		w.turn++
		w.counts[w.turn%steps] = struct{ expected, received, bytes uint32 }{}
	}
}

func (w *window) loss(now time.Time) float64 {
	if !w.begun {
		return 0
	}
	w.advance(now)
	var expected, received uint64
	for i := range int64(perWhole) {
		c := &w.counts[(w.turn-i)%steps]
		expected += uint64(c.expected)
		received += uint64(c.received)
	}
	if expected == 0 || received >= expected {
		return 0
	}
	return float64(expected-received) / float64(expected)
}

// bitrate reads the four newest whole steps.
func (w *window) bitrate(now time.Time) media.Bitrate {
	if !w.begun {
		return 0
	}
	w.advance(now)
	var bytes int64
	for i := int64(1); i <= int64(time.Second/step); i++ {
		bytes += int64(w.counts[(w.turn-i)%steps].bytes)
	}
	return media.Bitrate(bytes * 8)
}
