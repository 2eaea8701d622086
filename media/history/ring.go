package history

import (
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config bounds a Ring.
type Config struct {
	// MinAge is what is kept for retransmission whatever key frames do.
	MinAge time.Duration
	// MaxAge bounds how far the last key frame may lie back.
	MaxAge time.Duration
	// MaxBytes bounds the sum of the payloads.
	MaxBytes int
	// Slots bounds the span of sequence numbers; a power of two.
	Slots int
}

// DefaultConfig keeps at least 1 s, at most 8 s or 16 MB.
func DefaultConfig() Config {
	return Config{MinAge: time.Second, MaxAge: 8 * time.Second, MaxBytes: 16 << 20, Slots: 1 << 14}
}

// Ring holds the latest packets by sequence number.
type Ring struct {
	cfg    Config
	slots  []atomic.Pointer[media.Packet]
	key    atomic.Uint64
	newest atomic.Uint64
	oldest atomic.Uint64
	count  atomic.Int64
	bytes  atomic.Int64
}

// New makes an empty ring.
func New(cfg Config) *Ring {
	return &Ring{cfg: cfg, slots: make([]atomic.Pointer[media.Packet], cfg.Slots)}
}

// Put takes a packet.
func (r *Ring) Put(p *media.Packet) {
	slot := &r.slots[p.Seq%uint64(len(r.slots))]
	if old := slot.Swap(p); old != nil {
		r.count.Add(-1)
		r.bytes.Add(-int64(len(old.Payload)))
	}
	r.count.Add(1)
	r.bytes.Add(int64(len(p.Payload)))
	r.newest.Store(max(r.newest.Load(), p.Seq))
	if r.oldest.Load() == 0 {
		r.oldest.Store(p.Seq)
	}
	if p.Key {
		r.key.Store(max(r.key.Load(), p.Seq))
	}
}

// Get returns the packet with exactly this number, or nil.
func (r *Ring) Get(seq uint64) *media.Packet {
	if p := r.slots[seq%uint64(len(r.slots))].Load(); p != nil && p.Seq == seq {
		return p
	}
	return nil
}

// LastKey returns the newest packet that a decoder may start at.
func (r *Ring) LastKey() (seq uint64, ok bool) {
	seq = r.key.Load()
	return seq, seq != 0
}

// Newest returns the highest number in the ring, 0 when it is empty.
func (r *Ring) Newest() uint64 { return r.newest.Load() }

// Oldest returns the lowest number in the ring, 0 when it is empty.
func (r *Ring) Oldest() uint64 { return r.oldest.Load() }

// Len returns the number of packets in the ring.
func (r *Ring) Len() int { return int(r.count.Load()) }

// Bytes returns the sum of the payloads in the ring.
func (r *Ring) Bytes() int { return int(r.bytes.Load()) }
