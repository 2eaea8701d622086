package sfu

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/history"
	"github.com/sluice-live/sluice/media/nack"
	"github.com/sluice-live/sluice/sfu/layer"
	"github.com/sluice-live/sluice/sfu/munge"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/playout"
	"github.com/sluice-live/sluice/sfu/red"
	"github.com/sluice-live/sluice/sfu/report"
)

const (
	// replaySpeed is how much faster than real time a joining viewer is served.
	replaySpeed = 3
	// oldKey is how old a key frame may be before a viewer that starts from it asks
	// for a new one: more than the 2 s between key frames that encoders are told.
	oldKey = 2200 * time.Millisecond
	// videoPlaces and audioPlaces are how many sent packets a viewer may still ask
	// for at first: 0.5 s of 2.5 Mbit/s, 1.3 s of Opus at 20 ms; mostPlaces are what
	// fast video gets: 0.6 s of 18 Mbit/s.
	videoPlaces, audioPlaces, mostPlaces = 128, 64, 1024
	// mostRepeats is how many packets can be resent to a viewer without RTX.
	mostRepeats = 256
	// reportInterval is the time between sender reports (RFC 3550 section 6.2 with
	// the reduced minimum that browsers use for video).
	reportInterval = time.Second
)

// downTrack is one track of one viewer. It belongs to the viewer's shard.
type downTrack struct {
	id       media.TrackID // of the source: see tune
	kind     media.Kind
	line     *negotiate.Media
	ext      negotiate.Extensions
	wide     bool // two-byte header extensions
	ssrc     uint32
	rtxSSRC  uint32
	rtxSeq   uint16
	turned   uint64 // first output index that may have this payload type, and be of this audio track
	pt, rtx  uint8  // of the codec that flows; 0: the viewer cannot have it
	codec    media.Codec
	refused  media.Codec
	munger   munge.Munger
	selector *layer.Selector // of video only
	answerer nack.Answerer
	books    report.Sender

	repair     repair
	keyTS      media.Ticks   // of the key frame that was sent last
	down       bool          // the last choice was a smaller layer
	chosen     media.Bitrate // of it
	withheld   bool          // the link carries no moving picture now
	stills     bool          // but key frames, now and then
	stillTS    media.Ticks   // of the last one
	stillAt    time.Time
	flowing    bool
	known      *[]media.TrackInfo
	asked      time.Time
	nextReport time.Time
	lastSeq    uint64 // of the newest packet, as the source numbers it
	lastLayer  media.Layer
	lastTS     uint32    // of the newest frame, as the viewer sees it
	lastAt     time.Time // when it was captured

	replaying bool
	replayOf  media.Layer
	cursor    uint64
	startTS   media.Ticks
	startAt   time.Time
	leapt     bool // the cursor was moved to a newer key frame
	playout   playout.Control
}

func newDownTrack(id media.TrackID, m *negotiate.Media) *downTrack {
	t := &downTrack{id: id, kind: m.Kind, line: m, ext: m.Ext, ssrc: random32()&^6 | 2*uint32(id), rtxSSRC: random32()&^6 | 4 | 2*uint32(id), rtxSeq: uint16(random32()),
		answerer: *nack.NewAnswerer(answering())}
	// Two bits tell a viewer's four SSRCs apart: equal ones would use a nonce twice.
	for _, id := range []uint8{t.ext.TransportCC, t.ext.AbsCapture, t.ext.PlayoutDelay, t.ext.Orientation, t.ext.AudioLevel, t.ext.Descriptor} {
		t.wide = t.wide || id > 14
	}
	rate, places, most := media.VP8.ClockRate(), videoPlaces, mostPlaces
	if m.Kind == media.Audio {
		rate, places, most = media.Opus.ClockRate(), audioPlaces, audioPlaces
	} else {
		t.selector = layer.New()
	}
	// A first number in the lower half of its range keeps the first wrap away from
	// the first packets (RFC 3711 section 3.3.1 advises so).
	t.munger = *munge.New(munge.Config{ClockRate: rate, FirstSeq: uint16(random32()) & 0x7fff, FirstTS: random32(), History: places, Most: most})
	return t
}

// answering is how NACKs are answered. A viewer asks again a round trip after it
// asked, Chromium each 20 ms at the soonest and ten times at the most: a packet of
// which three repairs are lost, one of ten thousand at 5 % of loss, is asked for
// further, as what follows it waits for the next key frame otherwise.
func answering() nack.AnswererConfig {
	c := nack.DefaultAnswererConfig()
	c.MaxResends, c.MinGap = 6, 10*time.Millisecond
	return c
}

// adopt forgets what belonged to the source before.
func (t *downTrack) adopt() {
	t.repair.earlier = [maxCopies]*media.Packet{} // numbers of another source mean other times
	t.keyTS, t.stillTS = -1, -1
	t.flowing, t.refused, t.codec, t.pt, t.known = false, 0, 0, 0, nil
	if t.selector != nil {
		t.selector.Reset()
	}
}

// turn takes the payload type of the source's codec; false when the viewer has none.
func (t *downTrack) turn(info *media.TrackInfo) bool {
	c := t.line.Match(info.Codec, info.Params)
	if c == nil {
		t.pt = 0
		return false
	}
	if t.pt != c.PT {
		t.turned = t.next()
	}
	t.codec, t.pt, t.rtx = info.Codec, c.PT, c.RTX
	return true
}

// build writes one packet's header, and its payload where it is not the one that
// all viewers share; nil without room.
//
// hot:
func (v *viewer) build(o *outgoing, now time.Time) (header, payload []byte) {
	t, p := o.t, o.p
	if o.out.Padding {
		return v.buildFiller(o, now)
	}
	size := len(p.Payload)
	if t.repair.copies > 0 {
		size = red.Size(p, t.repair.earlier[:]...)
	}
	b := v.out.Room(maxHeader + 2 + size)
	if b == nil {
		return nil, nil
	}
	b = v.writeHeader(b, o, now)
	n := len(b)
	switch {
	case o.resend && o.rtx != 0:
		b = appendPayload(t.wrap(b, o.rtx, o.out.Seq), p, o.out)
	case !o.resend && t.repair.copies > 0:
		b[1] = b[1]&0x80 | t.line.RED
		b = red.Append(b, o.pt, p, t.repair.earlier[:]...)
	case o.out.Patch || o.out.PatchVP9:
		b = appendPayload(b, p, o.out)
	default:
		return b, p.Payload
	}
	return b[:n], b[n:]
}

// buildFiller writes a packet of nothing but padding (RFC 3550 section 5.1).
func (v *viewer) buildFiller(o *outgoing, now time.Time) (header, payload []byte) {
	b := v.out.Room(maxHeader + 2 + filler)
	if b == nil {
		return nil, nil
	}
	b = v.writeHeader(b, o, now)
	b[0] |= 0x20
	n := len(b)
	if o.resend && o.rtx != 0 {
		b = o.t.wrap(b, o.rtx, o.out.Seq)
	}
	b = append(b, filler)
	return b[:n], b[n:]
}

// wrap makes the header of a resend that of an RTX packet, with the original
// number before the payload (RFC 4588 section 4).
//
// hot:
func (t *downTrack) wrap(b []byte, rtx uint8, seq uint16) []byte {
	t.rtxSeq++
	b[1] = b[1]&0x80 | rtx
	binary.BigEndian.PutUint16(b[2:], t.rtxSeq)
	binary.BigEndian.PutUint32(b[8:], t.rtxSSRC)
	return append(b, byte(seq>>8), byte(seq))
}

// appendPayload copies the payload, with the viewer's numbers where VP8 and VP9
// have some.
//
// hot:
func appendPayload(b []byte, p *media.Packet, out munge.Out) []byte {
	at := len(b)
	b = append(b, p.Payload...)
	out.Payload(b[at:])
	return b
}

// filler is the payload of a packet that only fills a hole: one byte of padding.
const filler = 1

// sent notes a packet for reports.
//
// hot:
func (t *downTrack) sent(p *media.Packet, out munge.Out, now time.Time) {
	t.books.Packet(out.TS, len(p.Payload), now)
	if p.Seq > t.lastSeq || p.Layer != t.lastLayer {
		t.lastSeq, t.lastLayer = p.Seq, p.Layer
	}
	t.repair.sent(p)
	if p.FrameStart {
		t.lastTS, t.lastAt = out.TS, startOf(p)
	}
}

// report sends a sender report and the name that ties audio to video.
func (v *viewer) report(t *downTrack, now time.Time) {
	if t.lastAt.IsZero() {
		return
	}
	t.nextReport = now.Add(reportInterval)
	// The report says what media time it is now, not when the last frame was
	// captured: its NTP time is also what round trips are told from.
	ts := report.Extrapolate(t.lastTS, t.lastAt, now, t.clockRate())
	sr := t.books.Report(t.ssrc, ts, now)
	packets := []rtcp.Packet{&sr, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: t.ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: v.cname}}}}}}
	if answer := v.answerReference(t.ssrc, now); answer != nil {
		packets = append(packets, answer)
	}
	v.out.Control(packets)
}

// startReplay begins at the last key frame of the wanted layer, if the ring has one.
func (v *viewer) startReplay(t *downTrack, now time.Time) {
	l := t.selector.Target()
	ring := v.src.ring(t.id, l)
	if ring == nil {
		return
	}
	first := keyStart(ring)
	if first == nil {
		return
	}
	t.replaying, t.replayOf, t.cursor, t.startTS, t.startAt, t.leapt = true, l, first.Seq, first.TS, now, false
	if now.Sub(first.Arrival) > oldKey { // a fresh one is sooner at the live edge, if the publisher gives it
		v.src.ask(t.id, l)
	}
	t.playout.Hurry(now)
	v.shard.replaying++
	v.shard.hasten(v)
}

// keyStart returns the first packet of the newest key frame at which a decoder
// may start: a parameter set that came late stands before the slice that was
// marked first.
func keyStart(ring *history.Ring) *media.Packet {
	seq, ok := ring.LastKey()
	if !ok {
		return nil
	}
	first := ring.Get(seq)
	if first == nil {
		return nil
	}
	for at := seq - 1; ; at-- {
		p := ring.Get(at)
		if p == nil || p.TS != first.TS {
			return first
		}
		if p.Key {
			first = p
		}
	}
}

// replay sends what is due of a fast start: the key frame at once, the rest at
// replaySpeed, until the ring's edge is reached.
func (v *viewer) replay(now time.Time) {
	t := v.tracks[media.VideoTrack]
	if t == nil || !t.replaying {
		return
	}
	ring := v.src.ring(t.id, t.replayOf)
	speed := float64(replaySpeed)
	if v.link != nil && len(v.videos[0].Options) > 1 && v.unproven(now) {
		speed = 0.5 // a thin link's queue holds little besides the key frame
	}
	due := t.startTS + media.Ticks(now.Sub(t.startAt).Seconds()*speed*float64(t.codec.ClockRate()))
	if key, ok := ring.LastKey(); ok && key > t.cursor {
		if p := keyStart(ring); p != nil && p.Seq > t.cursor && p.TS > t.startTS {
			t.cursor, t.startTS, t.startAt, t.leapt = p.Seq, p.TS, now, true
			due = p.TS
		}
	}
	for ; t.cursor <= ring.Newest(); t.cursor++ {
		p := ring.Get(t.cursor)
		if p == nil {
			continue
		}
		if p.TS > due && p.TS != t.startTS {
			return
		}
		if len(p.Payload) == 0 {
			v.skip(t, p, now)
			continue
		}
		if p.Codec != t.codec && !v.recode(t, p) {
			continue
		}
		v.decide(t, p, t.leapt, now)
		t.leapt = false
	}
	t.playout.CaughtUp(now)
	v.stopReplay()
}

func (v *viewer) stopReplay() {
	if t := v.tracks[media.VideoTrack]; t != nil && t.replaying {
		t.replaying = false
		v.shard.replaying--
	}
}

func (t *downTrack) clockRate() uint32 {
	if t.kind == media.Audio {
		return media.Opus.ClockRate()
	}
	return media.VP8.ClockRate()
}

// fillIn gets from the ring what this viewer's shard missed when it lagged.
func (v *viewer) fillIn(now time.Time) {
	t := v.tracks[media.VideoTrack]
	if v.src == nil || t == nil || t.replaying || !t.flowing || t.selector.Current() != t.lastLayer {
		return
	}
	ring := v.src.ring(t.id, t.lastLayer)
	if ring == nil {
		return
	}
	first := t.lastSeq + 1
	if ring.Oldest() > first { // it is gone: on from the next key frame
		t.selector.Resync()
		return
	}
	for ; first <= ring.Newest(); first++ {
		if p := ring.Get(first); p != nil {
			t.replaying, t.replayOf, t.cursor, t.startTS, t.startAt, t.leapt = true, t.lastLayer, first, p.TS, now, false
			v.shard.replaying++
			v.shard.hasten(v)
			return
		}
	}
}
