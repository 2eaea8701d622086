package sfu

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// maxCopies is how many earlier packets travel along at the most: two bridge a
	// burst of 40 ms.
	maxCopies = 2
	// lossOne and lossTwo are the shares of lost sound from which one or two copies
	// are sent. Opus conceals less than that well by itself.
	lossOne, lossTwo = 0.01, 0.08
	// repairTime is how long copies go on after the last report of loss: they cost
	// a few dozen kbit/s, a gap in speech costs a word.
	repairTime = 30 * time.Second
)

// repair decides how much redundancy a viewer's sound gets (RFC 2198). It
// belongs to the viewer's shard.
type repair struct {
	copies  int
	until   time.Time
	earlier [maxCopies]*media.Packet // oldest first; nil beyond copies
}

// told takes the share of packets that the viewer's last report says were lost.
// Copies repair what the report still counts, so they stay for a while.
func (r *repair) told(loss float64, now time.Time) {
	wanted := 0
	switch {
	case loss >= lossTwo:
		wanted = 2
	case loss >= lossOne:
		wanted = 1
	}
	if wanted > 0 {
		r.until = now.Add(repairTime)
		r.copies = max(r.copies, wanted)
	}
	if now.After(r.until) {
		r.copies = 0
		r.earlier = [maxCopies]*media.Packet{}
	}
}

// rest stops the copies until the next report of loss.
func (r *repair) rest() {
	r.copies, r.until = 0, time.Time{}
	r.earlier = [maxCopies]*media.Packet{}
}

// sent notes a packet that may travel again with the next ones.
//
// hot:
func (r *repair) sent(p *media.Packet) {
	if r.copies == 0 {
		return
	}
	r.earlier[0] = nil
	if r.copies == maxCopies {
		r.earlier[0] = r.earlier[1]
	}
	r.earlier[1] = p
}
