package reorder

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

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
// packets of 250 ms at 60 Mbit/s.
func DefaultConfig() Config { return Config{Budget: 250 * time.Millisecond, Max: 2048} }

// Buffer orders the packets of one epoch, track and layer.
type Buffer struct{ config Config }

// New returns an empty buffer; zeros in the config are the defaults.
func New(c Config) *Buffer { return &Buffer{config: c} }

// Push takes a packet in any order. Packets without payload hold their place and
// are not returned; what comes twice, or after it was given up, is dropped.
func (b *Buffer) Push(p *media.Packet, now time.Time) {}

// Pop returns the next packet in order, as long as ok. Lost tells how many numbers
// before it were given up.
func (b *Buffer) Pop(now time.Time) (p *media.Packet, lost int, ok bool) { return nil, 0, false }

// Next returns when Pop gives up what is missing now; zero when nothing is waited for.
func (b *Buffer) Next() time.Time { return time.Time{} }
