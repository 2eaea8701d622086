// Package munge rewrites the numbering of one viewer's track, so that the viewer sees one unbroken RTP stream
// whatever layers, epochs and codecs follow one another.
//
// It promises that an output index is never given to two different packets, that a late packet finds the place left
// for it, and that time never runs back. A Munger belongs to the shard that owns its viewer, and to nobody else at
// the same time.
package munge

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config sets up one Munger.
type Config struct {
	// ClockRate of the track in Hz; 90000 if zero.
	ClockRate uint32
	// History is how many packets Lookup remembers and how far late packets may lag: 512 if zero, rounded up to a
	// power of two, at most 32768 (half the sequence number space; more could not be told apart). 12 bytes each, and 8 where packets have numbers inside.
	History int
	// Most, if larger than History, is what the memory may grow to: it doubles when it holds less than 600 ms of what
	// is sent, so that a small layer costs little and a large one can still be repaired.
	Most int
	// FirstSeq is the first output sequence number, random per viewer (RFC 3550 section 5.1). Choose it below
	// 1<<15: a receiver that loses the first packets can otherwise guess a wrong rollover counter (RFC 3711 section 3.3.1).
	FirstSeq uint16
	// FirstTS is the first output timestamp, random per viewer.
	FirstTS uint32
}

// Out is the numbering of one packet as the viewer sees it.
type Out struct {
	Seq    uint16
	Index  uint64 // Seq extended to 48 bits, as SRTP counts: rollovers<<16 | Seq
	TS     uint32
	Marker bool
	// Padding says that the packet goes out without payload, with padding instead (Fill).
	Padding bool

	// Patch says that the VP8 payload descriptor takes the three values below (codec.VP8.Patch); PatchVP9 that the VP9
	// one takes the first two (codec.VP9.Patch). Payload does either.
	Patch     bool
	PatchVP9  bool
	PictureID uint16
	TL0       uint8
	KeyIdx    uint8

	// Described says that the packet's dependency descriptor takes this frame number and, if Targets is not 0, these
	// active decode targets: Descriptor does it. Else the packet goes out without one: its source began without a
	// structure, so that the viewer could not read it.
	Described bool
	Frame     uint16
	Active    uint32
	Targets   uint8
}

// Ref says where a sent packet came from and how it was written, so that it can be written again byte for byte.
type Ref struct {
	Epoch media.Epoch
	Layer media.Layer
	Seq   uint64
	Out   Out
}

// Munger rewrites one viewer's track. It is not safe for concurrent use.
type Munger struct {
	places places
	time   timeline
	vp8    vp8
	vp9    vp9
	frames counter // of dependency descriptors

	begun bool
	epoch media.Epoch
	layer media.Layer
	track media.TrackID
	top   top
	sets  set // decode targets that are forwarded
	told  telling
	sent  uint64 // output index of the newest sent packet
	whole bool   // it ended its frame
}

// New returns a Munger that gives its first packet FirstSeq and FirstTS.
func New(cfg Config) *Munger {
	if cfg.ClockRate == 0 {
		cfg.ClockRate = 90000
	}
	return &Munger{
		places: newPlaces(cfg.History, cfg.Most, cfg.FirstSeq),
		time:   newTimeline(cfg.ClockRate, cfg.FirstTS),
		top:    top{now: allSpatial, next: allSpatial},
	}
}

// Next gives p its output numbering. Switched says that p is the first packet of a new source: another layer, track or
// epoch, or the same layer further on after a pause. False means that p must not be sent: it is a duplicate, it is
// late and its place is not known, it belongs to a former source, or it carries nothing but padding.
//
// Numbers go on by one from source to source; if the last frame before the switch was cut off, one number is left out,
// which tells the decoder so. Time goes on by capture time, see timeline. Now counts only for packets without Arrival.
//
// hot: once per packet and viewer.
func (m *Munger) Next(p *media.Packet, switched bool, now time.Time) (Out, bool) {
	if len(p.Payload) == 0 {
		m.Drop(p)
		return Out{}, false
	}
	at := p.Arrival
	if at.IsZero() {
		at = now
	}
	if switched || !m.begun {
		m.enter(p, at)
	} else if !m.current(p) {
		return Out{}, false
	}
	d, numbered := m.vp8.read(p)
	if numbered && m.vp8.gone(d) {
		if m.places.ahead(p.Seq) {
			m.Drop(p)
		}
		return Out{}, false
	}
	inOrder := m.places.ahead(p.Seq)
	index, ok := m.places.claim(p.Seq)
	if !ok {
		return Out{}, false
	}
	m.places.fit(now)
	marker := m.ends(p, inOrder)
	m.places.at(index).set(m.stamp(p, at, inOrder), p.Layer, marker)
	if index >= m.sent {
		m.sent = index
		m.whole = marker || p.FrameEnd || p.Codec.Kind() == media.Audio
	}
	if numbered {
		m.vp8.write(d, m.places.within(index))
	}
	m.vp9.write(p, &m.places, index)
	m.describe(p, index, inOrder)
	return m.places.out(index), true
}

// Drop says that p of the current source is not forwarded; the numbering closes the gap. Packets of other sources
// are ignored. A late p keeps the place that was left for it, for good: see Left.
func (m *Munger) Drop(p *media.Packet) {
	if !m.begun || !m.current(p) {
		return
	}
	if !m.places.drop(p.Seq) {
		return
	}
	m.top.turn(p.TS)
	if d, numbered := m.vp8.read(p); numbered {
		m.vp8.drop(d)
	}
}

// Left reports whether a place was left for p when it was late. The viewer then sees a hole that only p can fill, so
// it is better sent than dropped, even if its temporal layer is not wanted any more.
//
// hot: once per dropped packet and viewer.
func (m *Munger) Left(p *media.Packet) bool {
	if !m.begun || !m.current(p) || m.places.ahead(p.Seq) {
		return false
	}
	index, ok := m.places.find(p.Seq)
	return ok && m.places.at(index).state() == left
}

// Fill gives the place that was left for p, if one was, to a packet of nothing but padding: p came late and is not
// forwarded, as its frame was not, and the viewer sees a hole in the numbers that nothing else fills. Send p itself
// instead where half of a frame does not matter.
//
// hot: once per dropped packet and viewer.
func (m *Munger) Fill(p *media.Packet) (Out, bool) {
	if !m.Left(p) {
		return Out{}, false
	}
	index, _ := m.places.find(p.Seq)
	pl := m.places.at(index)
	pl.set(m.Map(p.TS), p.Layer, false)
	pl.turn(padded)
	return m.places.out(index), true
}

// Lookup returns what was sent under outSeq, for the answer to a NACK; false when nothing was, or too long ago.
//
// hot: once per NACKed packet.
func (m *Munger) Lookup(outSeq uint16) (Ref, bool) {
	index, ok := m.places.sentAs(outSeq)
	if !ok {
		return Ref{}, false
	}
	pl := m.places.at(index)
	return Ref{Epoch: m.places.epochOf(pl), Layer: pl.layer(), Seq: pl.seq(), Out: m.places.out(index)}, true
}

// Map returns the current source's media time as the viewer sees it (for sender reports); it means nothing before the
// first packet.
func (m *Munger) Map(ts media.Ticks) uint32 { return uint32(m.time.late(ts)) }

// Newest returns the output index given last in order; false before the first packet.
func (m *Munger) Newest() (index uint64, ok bool) { return m.places.next - 1, m.begun }

// stamp returns p's output timestamp.
func (m *Munger) stamp(p *media.Packet, at time.Time, inOrder bool) uint32 {
	if !inOrder {
		if m.time.late(p.TS) > m.time.last { // behind what was dropped, ahead of what was sent
			m.time.note(p, at)
		}
		return m.Map(p.TS)
	}
	ts, jumped := m.time.pass(p, at)
	if jumped {
		m.restart(p)
	}
	return uint32(ts)
}

// enter makes p's layer and epoch the current source.
func (m *Munger) enter(p *media.Packet, at time.Time) {
	same := m.begun && m.current(p)
	if m.begun && !m.whole {
		m.places.hole()
	}
	if !m.begun || p.Epoch != m.epoch {
		m.places.newEpoch(p.Epoch)
		m.time.owed = 0
	}
	m.time.enter(p, at, same)
	m.places.enter()
	m.vp8.fresh = true
	m.vp9.picture.fresh, m.vp9.tl0.fresh, m.frames.fresh = true, true, true
	m.told.on = m.told.on && same
	m.top.begin()
	m.begun, m.epoch, m.layer, m.track = true, p.Epoch, p.Layer, p.Track
}

// restart takes a jump of the source's clock for a new source under the same name: what is late from before it has no
// output time any more.
func (m *Munger) restart(p *media.Packet) {
	m.places.first = m.places.next - 1
	m.vp8.fresh = p.Key
	m.vp9.picture.fresh, m.vp9.tl0.fresh, m.frames.fresh = p.Key, p.Key, p.Key
}

func (m *Munger) current(p *media.Packet) bool {
	return p.Epoch == m.epoch && p.Layer == m.layer && p.Track == m.track
}
