package impair

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Path is how one direction behaves for a while. The zero value is a perfect one.
type Path struct {
	Delay time.Duration // one way
	// Jitter is the mean of what is added to Delay: it wanders between 0 and
	// twice as much, and keeps the order.
	Jitter    time.Duration
	Loss      float64 // share of packets that are lost one by one
	Burst     Burst   // besides Loss
	Reorder   Reorder
	Duplicate float64 // share of packets that come twice; both take their time on a thin link
	// Rate is what the path carries, headers included; 0 means any.
	Rate media.Bitrate
	// Queue holds that many bytes before a thin path; what comes on top is lost
	// (drop-tail). 0 means QueueTime of the rate.
	Queue int
	MTU   int  // longer packets are lost; 0 means any length goes
	Down  bool // nothing passes
}

// QueueTime is the queue of a path that names none: what a home router holds,
// and what the peers were measured with.
const QueueTime = 300 * time.Millisecond

// Burst is loss in bursts by the model of Gilbert and Elliott: a good state
// without loss and a bad one.
type Burst struct {
	Loss   float64 // share of all packets that are lost
	Length float64 // packets that the bad state lasts, on average
	// Bad is the share that is lost in the bad state; 0 means all.
	Bad float64
}

// Reorder holds a share of packets back, so that later ones pass them.
type Reorder struct {
	Share float64
	By    time.Duration
}

// Change is a path that begins at a time.
type Change struct {
	At   time.Duration // since the start
	Path Path
}

// Course is one direction over time: the first change begins at 0, and the last
// one stays. Nil is a perfect path.
type Course []Change

// Always is a course that never changes.
func Always(p Path) Course { return Course{{Path: p}} }

// At returns the path at a time since the start.
func (c Course) At(d time.Duration) Path {
	for i := len(c) - 1; i >= 0; i-- {
		if c[i].At <= d {
			return c[i].Path
		}
	}
	return Path{}
}

// Profile is both directions, as seen from the client.
type Profile struct {
	Name  string
	About string        // in a few words
	Down  Course        // from the server to the client
	Up    Course        // from the client to the server
	For   time.Duration // how long a run takes that sees all of it
}

// limit is how many bytes the queue holds.
func (p *Path) limit() int {
	if p.Queue > 0 || p.Rate <= 0 {
		return p.Queue
	}
	return int(int64(p.Rate) * int64(QueueTime/time.Millisecond) / 8000)
}

// Validate says what cannot be.
func (p *Path) Validate() error {
	shares := []struct {
		name string
		v    float64
	}{{"loss", p.Loss}, {"loss in bursts", p.Burst.Loss}, {"loss in the bad state", p.Burst.Bad}, {"reorder", p.Reorder.Share}, {"duplicate", p.Duplicate}}
	for _, s := range shares {
		if !(s.v >= 0 && s.v <= 1) { // NaN is neither
			return fmt.Errorf("check the path: a %s of %v is not in 0–1", s.name, s.v)
		}
	}
	switch {
	case p.Delay < 0 || p.Jitter < 0 || p.Reorder.By < 0:
		return errors.New("check the path: a delay is negative")
	case p.Delay > maxDelay || p.Jitter > maxDelay || p.Reorder.By > maxDelay:
		return fmt.Errorf("check the path: a delay is longer than %v", maxDelay)
	case p.Rate < 0 || p.Rate > maxRate || p.Queue < 0 || p.MTU < 0:
		return errors.New("check the path: rate, queue or MTU is out of bounds")
	case p.Rate > 0 && p.Rate < minRate:
		return fmt.Errorf("check the path: a rate under %d bit/s is an outage", minRate)
	case p.Burst.Loss > 0 && !(p.Burst.Length >= 1):
		return errors.New("check the path: a burst is shorter than one packet")
	case p.Burst.Loss > 0 && p.Burst.share() >= 1:
		return errors.New("check the path: bursts lose more than their bad state does")
	}
	return nil
}

// Bounds that keep sums of times and sizes far from overflow.
const (
	maxDelay               = time.Hour
	maxRate  media.Bitrate = 1e12
	minRate  media.Bitrate = 100
)

// Validate says what cannot be.
func (c Course) Validate() error {
	for i := range c {
		if err := c[i].Path.Validate(); err != nil {
			return fmt.Errorf("%w (from %v on)", err, c[i].At)
		}
	}
	if len(c) > 0 && c[0].At != 0 {
		return errors.New("check the course: it does not begin at 0")
	}
	if !slices.IsSortedFunc(c, func(a, b Change) int { return int(a.At - b.At) }) {
		return errors.New("check the course: its changes are not in order")
	}
	return nil
}

// share of packets that meet the bad state.
func (b *Burst) share() float64 { return b.Loss / b.bad() }

func (b *Burst) bad() float64 {
	if b.Bad == 0 {
		return 1
	}
	return b.Bad
}
