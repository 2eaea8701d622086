package nack

import (
	"time"

	"github.com/pion/rtcp"
)

// Config tunes a Generator.
type Config struct {
	// Reorder is how many newer packets must have come before a missing one is
	// asked for, ReorderWait how long to wait for them at most.
	Reorder     int
	ReorderWait time.Duration
	MaxTries    int
	MaxAge      time.Duration
	MaxPending  int
}

// DefaultConfig suits a publisher on the Internet.
func DefaultConfig() Config {
	return Config{Reorder: 3, ReorderWait: 10 * time.Millisecond, MaxTries: 10, MaxAge: time.Second, MaxPending: 1000}
}

// Generator finds gaps in one received RTP stream.
type Generator struct{ cfg Config }

// New makes a Generator.
func New(cfg Config) *Generator { return &Generator{cfg: cfg} }

// Receive notes that a packet arrived, at first or repaired.
func (g *Generator) Receive(seq uint64, key bool, now time.Time) {}

// Pending appends the numbers to ask for now, in rising order.
func (g *Generator) Pending(dst []uint64, rtt time.Duration, now time.Time) []uint64 { return dst }

// Next returns when Pending should be called, zero when nothing is missing.
func (g *Generator) Next() time.Time { return time.Time{} }

// Lost returns how many packets were given up.
func (g *Generator) Lost() (gaveUp uint64) { return 0 }

// Missing returns how many packets are being waited for.
func (g *Generator) Missing() int { return 0 }

// Repaired returns how many packets came after they had been asked for.
func (g *Generator) Repaired() uint64 { return 0 }

// Pairs appends the numbers, in rising order, as RFC 4585 section 6.2.1 writes
// them.
func Pairs(seqs []uint64, dst []rtcp.NackPair) []rtcp.NackPair {
	for i := 0; i < len(seqs); {
		first := seqs[i]
		pair := rtcp.NackPair{PacketID: uint16(first)}
		for i++; i < len(seqs) && seqs[i]-first <= 16; i++ {
			if seqs[i] > first {
				pair.LostPackets |= 1 << (seqs[i] - first - 1)
			}
		}
		dst = append(dst, pair)
	}
	return dst
}
