package history

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config bounds a Ring.
type Config struct {
	// MinAge is what is kept for retransmission, wherever the last key frame is.
	MinAge time.Duration
	// MaxAge bounds how far back the last key frame is kept.
	MaxAge time.Duration
	// MaxBytes bounds the sum of the payloads. It wins over MinAge.
	MaxBytes int
	// Slots bounds the span of sequence numbers, holes included; rounded up to a
	// power of two. The table grows to it only when needed.
	Slots int
}

// DefaultConfig reaches back to the last key frame, at least 1 s (a resend is
// useless later) and at most 8 s or 16 MB, which is 6.7 s at the 20 Mbit/s that
// a publisher may send. 16384 slots are 16 MB in packets of 1 KB.
func DefaultConfig() Config {
	return Config{MinAge: time.Second, MaxAge: 8 * time.Second, MaxBytes: 16 << 20, Slots: 1 << 14}
}

// minSlots is the table's first size: 5 s of audio at 20 ms, 1 s of a small
// video layer, in 4 KB.
const minSlots = 256

// Ring holds the latest packets by sequence number.
//
// A reader finds a packet in the slot of its number and then compares the
// number in the packet itself, which is immutable: whatever the writer does to
// the slot meanwhile, no other packet can be taken for it.
type Ring struct {
	cfg   Config
	table atomic.Pointer[table]
	// What readers may ask for; written by the writer only. 0 means none.
	key, newest, oldest atomic.Uint64
	count, bytes        atomic.Int64

	// The writer's own. Start is the arrival of the first packet, clock the latest
	// arrival since, both as the packets tell. All below floor has been dropped.
	start time.Time
	clock time.Duration
	floor uint64
}

// table is one size of the ring. A reader may hold an old one for a moment; it
// shows the packets as of the growth.
type table struct {
	slots []atomic.Pointer[media.Packet]
	// born is when each packet, or one behind it, arrived: a repaired packet
	// counts as old as its neighbour, so ages rise from the newest to the oldest.
	// Only the writer touches it.
	born []time.Duration
	mask uint64
}

func newTable(size int) *table {
	return &table{slots: make([]atomic.Pointer[media.Packet], size), born: make([]time.Duration, size), mask: uint64(size - 1)}
}

// New makes an empty ring.
func New(cfg Config) *Ring {
	cfg.Slots = 1 << bits.Len(uint(max(cfg.Slots, 2)-1))
	r := &Ring{cfg: cfg}
	r.table.Store(newTable(min(minSlots, cfg.Slots)))
	return r
}

// Put takes a packet into its place: the newest, or late into a hole, and then
// drops from the old end what is over the limits. A duplicate and a packet that
// is too old change nothing. A jump wider than Config.Slots empties the ring.
//
// hot: once per received packet; allocates only when the table grows.
func (r *Ring) Put(p *media.Packet) {
	t := r.room(p)
	if t == nil {
		return
	}
	t.born[p.Seq&t.mask] = r.age(t, p)
	// The packet is in its slot before anything points readers to it.
	t.slots[p.Seq&t.mask].Store(p)
	first := r.count.Add(1) == 1
	r.bytes.Add(int64(len(p.Payload)))
	if first || p.Seq > r.newest.Load() {
		r.newest.Store(p.Seq)
	}
	if first || p.Seq < r.oldest.Load() {
		r.oldest.Store(p.Seq)
	}
	if p.Key && p.Seq > r.key.Load() {
		r.key.Store(p.Seq)
	}
	r.trim(t)
}

// room makes a slot free for p; nil if it has no place.
func (r *Ring) room(p *media.Packet) *table {
	oldest, newest, size := r.oldest.Load(), r.newest.Load(), uint64(r.cfg.Slots)
	switch {
	case r.count.Load() == 0:
		return r.table.Load()
	case p.Seq > newest && p.Seq-oldest >= size:
		r.drop(p.Seq - size + 1)
		if r.count.Load() == 0 {
			return r.table.Load()
		}
		return r.grow(r.oldest.Load(), p.Seq)
	case p.Seq > newest:
		return r.grow(oldest, p.Seq)
	case p.Seq < r.floor || newest-p.Seq >= size || r.Get(p.Seq) != nil:
		return nil
	}
	return r.grow(min(oldest, p.Seq), newest)
}

// age moves the clock on and returns when p counts as born.
func (r *Ring) age(t *table, p *media.Packet) time.Duration {
	if r.start.IsZero() {
		r.start = p.Arrival
	}
	r.clock = max(r.clock, p.Arrival.Sub(r.start))
	if r.count.Load() == 0 || p.Seq > r.newest.Load() {
		return r.clock
	}
	next := max(p.Seq+1, r.oldest.Load())
	for t.slots[next&t.mask].Load() == nil {
		next++ // ends at the newest, which exists
	}
	return min(r.clock, t.born[next&t.mask])
}

// grow returns a table in which all numbers from first to last have a slot.
func (r *Ring) grow(first, last uint64) *table {
	old := r.table.Load()
	size := len(old.slots)
	for uint64(size) <= last-first {
		size *= 2
	}
	if size == len(old.slots) {
		return old
	}
	t := newTable(size)
	for i := range old.slots {
		if p := old.slots[i].Load(); p != nil {
			t.slots[p.Seq&t.mask].Store(p)
			t.born[p.Seq&t.mask] = old.born[i]
		}
	}
	r.table.Store(t)
	return t
}

// trim drops packets from the old end until all limits hold.
func (r *Ring) trim(t *table) {
	for r.count.Load() > 1 {
		oldest := r.oldest.Load()
		age := r.clock - t.born[oldest&t.mask]
		key := r.key.Load()
		wanted := age <= r.cfg.MinAge || key != 0 && oldest >= key
		if wanted && age <= r.cfg.MaxAge && r.bytes.Load() <= int64(r.cfg.MaxBytes) {
			return
		}
		r.drop(oldest + 1)
	}
}

// drop forgets every packet below seq; the oldest left is then the next that
// exists.
func (r *Ring) drop(seq uint64) {
	t := r.table.Load()
	oldest, newest := r.oldest.Load(), r.newest.Load()
	r.floor = seq
	for ; oldest <= newest; oldest++ {
		slot := &t.slots[oldest&t.mask]
		p := slot.Load()
		if p == nil {
			continue
		}
		if oldest >= seq {
			break
		}
		slot.Store(nil)
		r.count.Add(-1)
		r.bytes.Add(-int64(len(p.Payload)))
		if oldest == r.key.Load() {
			r.key.Store(0)
		}
	}
	r.oldest.Store(oldest)
}

// Get returns the packet with exactly this number, or nil.
//
// hot: once per resent packet and viewer, from any goroutine.
func (r *Ring) Get(seq uint64) *media.Packet {
	t := r.table.Load()
	if p := t.slots[seq&t.mask].Load(); p != nil && p.Seq == seq {
		return p
	}
	return nil
}

// LastKey returns the number of the newest packet that a decoder may start at,
// as long as the ring has it.
func (r *Ring) LastKey() (seq uint64, ok bool) {
	seq = r.key.Load()
	return seq, seq != 0
}

// Newest returns the highest number that was put, 0 before the first. Between
// the two ends there may be holes.
func (r *Ring) Newest() uint64 { return r.newest.Load() }

// Oldest returns the lowest number in the ring, 0 before the first.
func (r *Ring) Oldest() uint64 { return r.oldest.Load() }

// Len returns how many packets the ring holds.
func (r *Ring) Len() int { return int(r.count.Load()) }

// Bytes returns the sum of their payloads.
func (r *Ring) Bytes() int { return int(r.bytes.Load()) }
