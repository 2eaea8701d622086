package sfu

import (
	"errors"
	"time"

	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
	"github.com/sluice-live/sluice/media/codec/descriptor"
	"github.com/sluice-live/sluice/media/history"
	"github.com/sluice-live/sluice/media/nack"
	"github.com/sluice-live/sluice/media/unwrap"
	"github.com/sluice-live/sluice/sfu/keyframe"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/report"
)

var (
	errShort   = errors.New("read RTP: it ends too early")
	errPadding = errors.New("read RTP: its padding is longer than it")
)

// upstream is one received SSRC: a layer of a track, or its retransmissions.
type upstream struct {
	ssrc  uint32
	rtxOf *upstream // set: this SSRC carries retransmissions (RFC 4588)
	line  *negotiate.Media
	track media.TrackID
	layer media.Layer
	ring  *history.Ring

	codec  media.Codec
	pli    bool // how key frames may be asked for
	fir    bool
	firSeq uint8

	seq    unwrap.Seq
	base   uint64 // added to seq, so that a new SSRC of a layer goes on above the old one
	ts     unwrap.TS
	books  *report.Source
	nack   *nack.Generator
	keys   *keyframe.Requester
	newest uint64
	mended uint64 // packets that a copy in a later one replaced

	frameTS media.Ticks // newest frame
	keyTS   media.Ticks // newest frame in which a start was seen
	keySeq  uint64      // the earliest packet of it that is one
	begun   bool
	deps    descriptor.Source // reads dependency descriptors (AV1, VP9)
	anchor  anchor
	seen    seen
}

// anchor is a capture time that the publisher wrote itself (abs-capture-time), in its own
// clock: the first ones come before any sender report tells what that is here.
type anchor struct {
	ts media.Ticks
	at time.Time
}

// seen is what the last packets told about the picture, for people.
type seen struct {
	width, height int
	profile       string
	bFrames       bool
	bytes, frames int // since the last look
	lastPacket    time.Time
	lastKey       time.Time
	keyInterval   time.Duration
	bitrate, mean media.Bitrate
	temporal      [3]int     // bytes of temporal layers 0, 1 and above, since the last look
	shares        [2]float64 // smoothed
	fps           float64
	lookedAt      time.Time
}

func newUpstream(ssrc uint32, line *negotiate.Media, c *negotiate.Codec, track media.TrackID, layer media.Layer) *upstream {
	return &upstream{ssrc: ssrc, line: line, track: track, layer: layer,
		codec: c.Codec, pli: c.PLI, fir: c.FIR,
		books: report.NewSource(c.Codec.ClockRate()), nack: nack.New(nack.DefaultConfig()), keys: keyframe.New(keyframe.DefaultConfig())}
}

// read makes the immutable packet of one RTP packet; nil for padding and junk.
//
// hot:
func (u *upstream) read(p *publisher, h *rtp.Header, payload []byte, repaired bool, at time.Time) *media.Packet {
	seq, jumped := u.seq.Unwrap(h.SequenceNumber)
	seq += u.base
	ts := u.ts.Unwrap(h.Timestamp)
	if jumped {
		p.books.jumps++
	}
	if !repaired { // reports tell what the way lost, not what was mended
		u.books.Packet(seq, ts, at, len(payload))
	}
	if u.ring.Get(seq) != nil {
		// Browsers fill bandwidth probes with resends of what arrived long ago: hundreds
		// a second, which count neither as pictures nor as the key frame that was asked for.
		return nil
	}
	if len(payload) == 0 { // padding of a bandwidth probe: counted, not forwarded
		u.came(seq, false, repaired, at)
		u.skip(p, seq, ts, at)
		return nil
	}
	info, err := codec.Parse(u.codec, payload, h.Marker)
	if err != nil {
		p.books.unreadable++
		u.came(seq, false, repaired, at)
		u.skip(p, seq, ts, at) // nobody can use it: viewers see no hole
		return nil
	}
	out := p.arena.take()
	*out = media.Packet{Epoch: p.epoch, Track: u.track, Layer: u.layer, Codec: u.codec, Seq: seq, TS: ts, Arrival: at,
		Marker: h.Marker, FrameEnd: info.Ends, Spatial: info.Spatial, Temporal: info.Temporal, SwitchUp: info.SwitchUp, Payload: payload}
	u.frame(out, info)
	p.extensions(u, out, h)
	u.deps.Apply(out)
	out.Capture, out.Guessed = u.capture(p, ts)
	u.came(seq, out.Key && u.codec.Kind() == media.Video, repaired, at) // every audio packet is a key: none gives up another
	if info.Width > 0 && info.Width != u.seen.width {
		p.renewed = true
	}
	u.ring.Put(out)
	u.newest = max(u.newest, seq)
	if u.ring.Get(seq) != out { // too old: it had its time
		return nil
	}
	u.note(p, out, info)
	return out
}

// came tells the generator of NACKs what arrived; what came by RTX was sent again
// for sure.
//
// hot:
func (u *upstream) came(seq uint64, key, repaired bool, at time.Time) {
	if repaired {
		u.nack.Resent(seq, key, at)
	} else {
		u.nack.Receive(seq, key, at)
	}
}

// skip keeps a place in the numbering for a packet without payload, so that
// viewers' numbering can close it (trap 8: probes break numbering).
func (u *upstream) skip(p *publisher, seq uint64, ts media.Ticks, at time.Time) {
	out := p.arena.take()
	*out = media.Packet{Epoch: p.epoch, Track: u.track, Layer: u.layer, Codec: u.codec, Seq: seq, TS: ts, Arrival: at}
	u.ring.Put(out)
	if u.ring.Get(seq) != out {
		return
	}
	p.burst = append(p.burst, out)
}

// frame finds the borders of frames and where decoders may start.
func (u *upstream) frame(out *media.Packet, info codec.Info) {
	switch {
	case u.codec.Kind() == media.Audio:
		out.FrameStart, out.FrameEnd, out.Key = true, true, true
		return
	case !u.begun || out.TS > u.frameTS:
		out.FrameStart = true
		u.begun, u.frameTS = true, out.TS
	case out.TS == u.frameTS:
		out.FrameStart = info.Begins && info.Spatial > 0 // of a further spatial layer
	default: // late: the packet before it tells
		before := u.ring.Get(out.Seq - 1)
		out.FrameStart = info.Begins || before != nil && before.Marker
	}
	if info.Start && (u.keyTS != out.TS || out.Seq < u.keySeq) { // a late parameter set comes before the slice
		out.Key = true
		u.keyTS, u.keySeq = out.TS, out.Seq
	}
}

// maxAnchor is how old what the publisher wrote may be, and how far from what its reports tell.
const maxAnchor = 10 * time.Second

// capture returns when the frame was captured, in the node's clock: as the
// publisher wrote it lately, else as its sender reports map it. Until it tells, that is
// guessed from arrivals.
func (u *upstream) capture(p *publisher, ts media.Ticks) (at time.Time, guessed bool) {
	at, counts := u.books.Capture(ts, &p.clock)
	if a := u.anchor; !a.at.IsZero() {
		delta := time.Duration(ts-a.ts) * time.Second / time.Duration(u.codec.ClockRate())
		if delta.Abs() < maxAnchor {
			wrote, known := p.clock.Node(report.NTP(a.at.Add(delta)))
			if known && (!counts || wrote.Sub(at).Abs() < maxAnchor) { // else its clock was set anew, and the node does not follow it yet
				return wrote, false
			}
		}
	}
	return at, !u.books.HasReport()
}

// note keeps what people want to know.
func (u *upstream) note(p *publisher, out *media.Packet, info codec.Info) {
	s := &u.seen
	s.bytes += len(out.Payload)
	s.temporal[min(out.Temporal, 2)] += len(out.Payload)
	if out.FrameStart {
		s.frames++
	}
	if !s.lastPacket.IsZero() && out.Arrival.Sub(s.lastPacket) > layerSilence { // viewers are told at once that it is back
		p.renewed = true
		u.keys.Returned()
	}
	s.lastPacket = out.Arrival
	if out.Key && u.codec.Kind() == media.Video {
		if !s.lastKey.IsZero() {
			s.keyInterval = out.Arrival.Sub(s.lastKey)
		}
		s.lastKey = out.Arrival
		u.keys.Arrived(out.Arrival)
	}
	if info.Width > 0 {
		s.width, s.height = info.Width, info.Height
	}
	if info.Profile != "" {
		s.profile = info.Profile
	}
	s.bFrames = s.bFrames || info.BFrame
}

// look turns the counts since the last look into rates. Of a layer that was told
// to rest and does, what it needed before is kept, for who may want it back.
func (u *upstream) look(rests bool, now time.Time) {
	s := &u.seen
	if elapsed := now.Sub(s.lookedAt).Seconds(); !s.lookedAt.IsZero() && elapsed > 0.2 {
		s.bitrate = media.Bitrate(float64(s.bytes*8) / elapsed)
		s.fps = float64(s.frames) / elapsed
		if !rests || now.Sub(s.lastPacket) < restGap {
			s.average(elapsed)
		}
	}
	s.temporal = [3]int{}
	s.bytes, s.frames, s.lookedAt = 0, 0, now
}

// average smooths the rates over about three seconds: key frames make those of
// single seconds swing by a fifth.
func (s *seen) average(elapsed float64) {
	weight := min(1, elapsed/3)
	if s.mean == 0 {
		weight = 1
	}
	s.mean += media.Bitrate(float64(s.bitrate-s.mean) * weight)
	if s.bytes == 0 {
		return
	}
	up := 0
	for i := range s.shares {
		up += s.temporal[i]
		s.shares[i] += (float64(up)/float64(s.bytes) - s.shares[i]) * weight
	}
}

func (u *upstream) layerInfo(now time.Time) media.LayerInfo {
	rid := ""
	if int(u.layer) < len(u.line.RIDs) {
		rid = u.line.RIDs[u.layer]
	}
	return media.LayerInfo{ID: u.layer, RID: rid, Width: u.seen.width, Height: u.seen.height, Bitrate: u.seen.bitrate,
		Mean: u.seen.mean, Temporal: u.seen.shares, FPS: u.seen.fps, Active: now.Sub(u.seen.lastPacket) < layerSilence}
}

// layerSilence is how long a layer may be silent and still counts as flowing:
// longer than a frame of a 2 fps screen share.
const layerSilence = time.Second

// restGap is longer than between two frames of a layer that goes on, down to
// 4 frames a second.
const restGap = 250 * time.Millisecond
