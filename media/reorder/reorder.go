package reorder

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// maxMax bounds Config.Max: a second of 200 Mbit/s in packets of 1,200 bytes is a
// third of it.
const maxMax = 1 << 16

// Config bounds a Buffer.
type Config struct {
	// Budget is how long a missing packet is waited for, from when a later one came:
	// the time that a retransmission may take.
	Budget time.Duration
	// Max is how many places in the numbering are held at most, rounded up to a power
	// of two.
	Max int
}

// DefaultConfig is for recording: several round trips of retransmission, and the
// packets of 250 ms at 80 Mbit/s.
func DefaultConfig() Config { return Config{Budget: 250 * time.Millisecond, Max: 2048} }

// Buffer orders the packets of one epoch, track and layer.
type Buffer struct {
	budget time.Duration
	places []place // the number modulo their count, for the numbers in [next, end)
	next   uint64  // the number that leaves next
	end    uint64  // one above the highest number that came
	lost   int     // given up since the last packet that left
	begun  bool
}

// place is one number of the window: a packet, or since when it is missing.
type place struct {
	packet *media.Packet
	since  time.Time
}

// New returns an empty buffer; zeros in the config are the defaults.
func New(c Config) *Buffer {
	if c.Budget <= 0 {
		c.Budget = DefaultConfig().Budget
	}
	if c.Max <= 0 {
		c.Max = DefaultConfig().Max
	}
	n := 1
	for n < min(c.Max, maxMax) {
		n <<= 1
	}
	return &Buffer{budget: c.Budget, places: make([]place, n)}
}

// Push takes a packet in any order. Packets without payload hold their place and
// are not returned; what comes twice, or after it was given up, is dropped.
//
// A number that lies further ahead than the window gives up what is missing before
// it, and what waits behind that hole: the caller pops until there is nothing more
// before it pushes again, so only packets behind a hole are concerned.
//
// hot: once per packet.
func (b *Buffer) Push(p *media.Packet, now time.Time) {
	switch {
	case !b.begun:
		b.begun, b.next, b.end = true, p.Seq, p.Seq
	case p.Seq < b.next:
		return
	}
	if size := uint64(len(b.places)); p.Seq-b.next >= size {
		b.drop(p.Seq - size + 1)
	}
	for ; b.end <= p.Seq; b.end++ {
		*b.at(b.end) = place{since: now}
	}
	if at := b.at(p.Seq); at.packet == nil {
		at.packet = p
	}
}

// drop gives up all numbers below to.
func (b *Buffer) drop(to uint64) {
	for b.next < min(to, b.end) {
		b.skip()
	}
	if to > b.next { // numbers that never were in the window: a restart of the sender
		b.lost += int(min(to-b.next, maxMax))
		b.next, b.end = to, to
	}
}

// skip gives the first number up. Padding is no loss.
func (b *Buffer) skip() {
	at := b.at(b.next)
	if at.packet == nil || len(at.packet.Payload) > 0 {
		b.lost++
	}
	*at = place{}
	b.next++
}

// Pop returns the next packet in order, as long as ok. Lost tells how many numbers
// before it were given up.
//
// hot: once or twice per packet.
func (b *Buffer) Pop(now time.Time) (p *media.Packet, lost int, ok bool) {
	for b.next < b.end {
		at := b.at(b.next)
		switch {
		case at.packet == nil && now.Sub(at.since) < b.budget:
			return nil, 0, false
		case at.packet == nil || len(at.packet.Payload) == 0:
			b.skip()
			continue
		}
		p, lost = at.packet, b.lost
		*at = place{}
		b.next++
		b.lost = 0
		return p, lost, true
	}
	return nil, 0, false
}

// Next returns when Pop gives up what is missing now; zero when nothing is waited
// for. It is asked after Pop had nothing more.
func (b *Buffer) Next() time.Time {
	if b.next == b.end {
		return time.Time{}
	}
	at := b.at(b.next)
	if at.packet != nil {
		return time.Time{}
	}
	return at.since.Add(b.budget)
}

func (b *Buffer) at(seq uint64) *place { return &b.places[seq&uint64(len(b.places)-1)] }
