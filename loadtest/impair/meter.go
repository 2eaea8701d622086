package impair

import (
	"slices"
	"time"
)

// Slot is the width of a meter's slots: fine enough to see a storm begin.
const Slot = 100 * time.Millisecond

// maxSlots is an hour of slots; what comes later counts in the totals only.
const maxSlots = int(time.Hour / Slot)

// Count is what a direction did in a stretch of time, in IP packets.
type Count struct {
	Packets   uint64        `json:"packets"` // offered
	Bytes     uint64        `json:"bytes"`
	Passed    uint64        `json:"passed"`
	Delivered uint64        `json:"delivered_bytes"` // counted when they come out, not when they came in
	Lost      uint64        `json:"lost"`
	Overflow  uint64        `json:"overflow"`
	Cut       uint64        `json:"cut"`
	TooLong   uint64        `json:"too_long"`
	Queued    time.Duration `json:"queued_ns"` // the longest wait before a thin path
}

func (c *Count) add(o Count) {
	c.Packets += o.Packets
	c.Bytes += o.Bytes
	c.Passed += o.Passed
	c.Delivered += o.Delivered
	c.Lost += o.Lost
	c.Overflow += o.Overflow
	c.Cut += o.Cut
	c.TooLong += o.TooLong
	c.Queued = max(c.Queued, o.Queued)
}

// Dropped is how many packets did not pass.
func (c *Count) Dropped() uint64 { return c.Lost + c.Overflow + c.Cut + c.TooLong }

// Meter counts what a link does, in all and over time. The zero value is ready.
// Not safe for concurrent use.
type Meter struct {
	start time.Time
	total Count
	slots []Count
}

// Begin forgets everything and counts from start.
func (m *Meter) Begin(start time.Time) { *m = Meter{start: start, slots: m.slots[:0]} }

// Take counts one packet of a link.
func (m *Meter) Take(size int, f Fate, now time.Time) {
	c := Count{Packets: 1, Bytes: uint64(size), Queued: f.Queued}
	switch f.Cause {
	case Passed:
		c.Passed = 1
	case Lost:
		c.Lost = 1
	case Overflow:
		c.Overflow = 1
	case Cut:
		c.Cut = 1
	case TooLong:
		c.TooLong = 1
	}
	m.count(c, now)
	if f.Cause != Passed {
		return
	}
	m.count(Count{Delivered: uint64(size)}, f.At)
	if !f.Again.IsZero() {
		m.count(Count{Delivered: uint64(size)}, f.Again)
	}
}

func (m *Meter) count(c Count, at time.Time) {
	m.total.add(c)
	if m.start.IsZero() {
		m.start = at
	}
	i := int(at.Sub(m.start) / Slot)
	if i < 0 || i >= maxSlots {
		return
	}
	for len(m.slots) <= i {
		m.slots = append(m.slots, Count{})
	}
	m.slots[i].add(c)
}

// Total is everything so far.
func (m *Meter) Total() Count { return m.total }

// Slots are the counts since the start, Slot by Slot.
func (m *Meter) Slots() []Count { return slices.Clone(m.slots) }

// Sum adds the slots of a stretch up.
func Sum(slots []Count, from, to time.Duration) Count {
	var c Count
	for i := int(from / Slot); i < int(to/Slot) && i < len(slots); i++ {
		c.add(slots[i])
	}
	return c
}
