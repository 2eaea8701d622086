package relay

import (
	"sync"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
)

// headers are what IPv4 and UDP add to a datagram: rates are meant with them.
const headers = 28

// direction is one way of a session: a link, what it did, and the wheel that
// its packets wait on.
type direction struct {
	wheel *Wheel

	mu    sync.Mutex // guards what follows
	link  *impair.Link
	meter impair.Meter
}

func newDirection(w *Wheel, c impair.Course, seed uint64, now time.Time) *direction {
	d := &direction{wheel: w, link: impair.New(c, seed, now)}
	d.meter.Begin(now)
	return d
}

// take decides about a datagram and lets it go to out in its time. It keeps b.
func (d *direction) take(b []byte, now time.Time, out Outlet) {
	d.mu.Lock()
	defer d.mu.Unlock() // with the wheel under it: packets of one time keep their order
	f := d.link.Offer(len(b)+headers, now)
	if f.Cause == impair.Passed && !d.wheel.At(f.At, b, out) {
		f = impair.Fate{Cause: impair.Overflow}
	}
	if !f.Again.IsZero() && !d.wheel.At(f.Again, b, out) {
		f.Again = time.Time{}
	}
	d.meter.Take(len(b)+headers, f, now)
}

// begin starts the course and the counting anew.
func (d *direction) begin(c impair.Course, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link.Begin(c, now)
	d.meter.Begin(now)
}

// Traffic is what one direction of a session did, in IP packets.
type Traffic struct {
	Total impair.Count   `json:"total"`
	Slots []impair.Count `json:"-"` // since the course began
}

func (d *direction) traffic() Traffic {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Traffic{Total: d.meter.Total(), Slots: d.meter.Slots()}
}
