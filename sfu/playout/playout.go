// Package playout decides how long a viewer shall hold frames before it shows
// them: not at all while it catches up, as long as a retransmission takes where
// packets are lost, and as the viewer itself thinks best otherwise. The word for
// the viewer is the playout-delay header extension. A Control belongs to the
// shard that owns its viewer; it is not safe for concurrent use.
package playout

import (
	"slices"
	"time"
)

const (
	// tellTime is how long a new value is written on each frame, so that it
	// arrives whatever is lost.
	tellTime = time.Second
	// rush is how long after catching up frames are still shown at once.
	rush = time.Second
	// noticeable is the share of lost packets from which holding frames pays: less
	// is one short freeze in minutes.
	noticeable = 0.005
	// patience is how long links must have been good before the delay falls: a
	// lossy link has good minutes.
	patience = 20 * time.Second
	// step is the least change that is worth it.
	step = 40 * time.Millisecond
	// slide in each slidePause is how the delay changes: a tenth slower or faster, which
	// nobody sees. A jump would freeze the picture for as long, and Chromium moves
	// the sound after it by 80 ms in a second at most.
	slide, slidePause = 20 * time.Millisecond, 200 * time.Millisecond
	// most is the longest delay that still is a conversation.
	most = 800 * time.Millisecond
	// slack covers the time to notice a gap, ask, and decode.
	slack = 40 * time.Millisecond
	// recent is how many reports the round-trip time is taken from.
	recent = 5
	// open is the maximum that leaves the viewer free: more than any jitter buffer wants.
	open = 4 * time.Second
)

// Control is the playout delay of one viewer's picture. The zero value is ready.
type Control struct {
	min, max time.Duration
	aim      time.Duration // where min moves to
	moved    time.Time
	telling  time.Time // until when the value is written
	told     bool
	hurry    bool
	caughtUp time.Time
	worst    time.Duration // the longest minimum asked for since good
	good     time.Time     // since when less is enough
	rtts     [recent]time.Duration
	heard    int // of rtts, for ever
}

// Hurry says that old frames follow, to be shown at once.
func (c *Control) Hurry(now time.Time) {
	c.hurry, c.aim = true, 0
	c.set(0, 0, now)
}

// CaughtUp says that the frames are live again.
func (c *Control) CaughtUp(now time.Time) { c.caughtUp = now }

// Update takes what the viewer reports: the share of packets lost in the last
// interval (0 to 1), and the round-trip time.
func (c *Control) Update(loss float64, rtt time.Duration, now time.Time) {
	rtt = c.usual(rtt)
	wanted := time.Duration(0)
	if loss >= noticeable {
		// One retransmission arrives a round trip after the gap was seen; a second
		// one, for what is lost twice, another.
		wanted = rtt
		if loss >= 0.03 {
			wanted = 2 * rtt
		}
		wanted = min(most, wanted+slack)
	}
	switch {
	case wanted >= c.worst:
		c.worst, c.good = wanted, now
	case now.Sub(c.good) > patience:
		c.worst, c.good = wanted, now
	}
	c.Tick(now)
}

// usual returns the second largest of the last round-trip times: one that waited behind a
// key frame would hold the picture back, and away from its sound, for long.
func (c *Control) usual(rtt time.Duration) time.Duration {
	c.rtts[c.heard%recent] = rtt
	c.heard++
	n := min(c.heard, recent)
	sorted := c.rtts
	slices.Sort(sorted[:n])
	return sorted[(n-1)*3/4]
}

// Tick makes what is due true: it ends the hurry, and follows the reports.
func (c *Control) Tick(now time.Time) {
	if c.hurry {
		if c.caughtUp.IsZero() || now.Sub(c.caughtUp) < rush {
			c.telling = now.Add(tellTime)
			return
		}
		c.hurry, c.caughtUp = false, time.Time{}
		c.set(0, open, now)
		return
	}
	if (c.worst - c.aim).Abs() >= step {
		c.aim = c.worst
	}
	if c.min != c.aim && now.Sub(c.moved) >= slidePause {
		c.moved = now
		c.set(c.min+min(max(c.aim-c.min, -slide), slide), open, now)
	}
}

func (c *Control) set(lo, hi time.Duration, now time.Time) {
	c.min, c.max, c.told = lo, hi, true
	c.telling = now.Add(tellTime)
}

// Min returns the delay in force.
func (c *Control) Min() time.Duration { return c.min }

// Value returns what the next frame says: minimum and maximum in units of 10 ms,
// 12 bits each; false if it need not say anything.
//
// hot:
func (c *Control) Value(now time.Time) ([3]byte, bool) {
	if !c.told || now.After(c.telling) {
		return [3]byte{}, false
	}
	lo, hi := uint32(c.min/(10*time.Millisecond)), uint32(c.max/(10*time.Millisecond))
	return [3]byte{byte(lo >> 4), byte(lo<<4) | byte(hi>>8), byte(hi)}, true
}
