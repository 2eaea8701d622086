package sfu

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/srtp/v3"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/pace"
	"github.com/sluice-live/sluice/sfu/allocate"
	"github.com/sluice-live/sluice/sfu/icelite"
	"github.com/sluice-live/sluice/sfu/layer"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/transport"
)

// lackTime is how long a viewer without a fitting codec is kept: for its event
// stream to tell why, and for a publisher that changes its mind.
const lackTime = 3 * time.Second

// viewer is one WHEP session. Its fields below the line belong to its shard.
type viewer struct {
	st      *stream
	offer   media.Offer
	remote  *negotiate.Remote
	conn    *transport.Conn
	log     context.Context // carries the trace id from POST to close
	shard   *shard
	cname   string
	since   time.Time
	once    sync.Once
	gone    atomic.Bool
	arrival arrival
	stats   viewerStats
	choice  atomic.Pointer[media.LayerChoice]

	// ───
	joined bool
	src    *source
	out    Output
	opener *srtp.Context
	tracks [media.MaxTracks]*downTrack
	quota  rtcpQuota
	// lackedAt is since when the viewer cannot decode what is published.
	lackedAt time.Time

	firstSent time.Time // of the first packet to this viewer
	link      *link     // nil: the viewer reports no arrivals
	allocator *allocate.Allocator
	input     allocate.Input
	videos    [1]allocate.Video
	reason    allocate.Code
	told      media.Bitrate
	reference reference
	rtt       time.Duration
}

// viewerStats are read by the API while the shard writes them.
type viewerStats struct {
	packets, bytes, resent, dropped atomic.Uint64
	lossPPM, jitter, rtt, latency   atomic.Int64 // parts per million; nanoseconds
	current                         atomic.Int64 // layer + 1; 0 is none
	estimate                        atomic.Int64 // bits per second; 0 is unknown
	why                             atomic.Pointer[string]
	noCodec                         atomic.Bool
	started                         atomic.Bool // the first media packet was sent
}

func newViewer(st *stream, o media.Offer, r *negotiate.Remote) *viewer {
	v := &viewer{st: st, offer: o, remote: r, shard: st.sfu.quietest(), since: time.Now(), log: context.Background()}
	automatic := media.AutomaticChoice()
	v.choice.Store(&automatic)
	v.shard.viewers.Add(1)
	if a := r.Audio(); a != nil {
		v.tracks[media.AudioTrack] = newDownTrack(media.AudioTrack, a)
	}
	if m := r.Video(); m != nil {
		v.tracks[media.VideoTrack] = newDownTrack(media.VideoTrack, m)
	}
	for _, t := range v.tracks {
		if t != nil && t.ext.TransportCC != 0 && v.link == nil {
			v.link = newLink()
			v.allocator = allocate.New(allocate.DefaultConfig())
			v.videos[0].Key = 1
			v.input.Videos = v.videos[:]
		}
	}
	return v
}

func (v *viewer) params() transport.Params {
	return transport.Params{
		Receive: func(b []byte, at time.Time) {
			select {
			case v.shard.rtcp <- control{v, b, at}:
			default:
			}
		},
		Ready: func(k transport.Keys) {
			v.arrival.end()
			v.st.sfu.log.InfoContext(v.log, "viewer connected", "stream", v.st.id, "session", short(v.offer.Session),
				"subject", v.offer.Subject, "after", time.Since(v.offer.At).Round(time.Millisecond), "transport", v.conn.Network())
			v.shard.order(order{kind: orderJoin, viewer: v, keys: k})
		},
		Closed: v.finish,
	}
}

func (v *viewer) close(why error) { v.conn.Close(why) }

// finish runs once, from the transport's Closed.
func (v *viewer) finish(why error) {
	v.once.Do(func() {
		v.gone.Store(true)
		v.arrival.end()
		v.shard.order(order{kind: orderLeave, viewer: v})
		v.st.unwatch(v)
		v.st.sfu.ended("viewer", v.offer.Session, why)
		v.st.changed.notify()
	})
}

func (v *viewer) restart(c icelite.Credentials) error { return v.conn.Restart(c) }
func (v *viewer) transport() *transport.Conn          { return v.conn }
func (v *viewer) belongs() *stream                    { return v.st }

// establish takes the keys.
func (v *viewer) establish(k transport.Keys) error {
	var err error
	if v.opener, err = k.Inbound(); err != nil {
		return err
	}
	v.out, err = newDirect(v.conn, k)
	return err
}

// begin starts media from what the ring has.
func (v *viewer) begin(now time.Time) {
	v.st.dirty.Store(true)
	if src := v.st.current.Load(); src != nil {
		v.adopt(src, now)
		v.replay(now)
	}
}

// adopt turns to a source: a new epoch, or the first one.
func (v *viewer) adopt(src *source, now time.Time) {
	v.src = src
	v.stopReplay()
	v.clear()
	noCodec := false
	for _, t := range v.tracks {
		if t == nil {
			continue
		}
		t.adopt()
		info := src.info(t.id)
		if info == nil {
			continue
		}
		noCodec = !t.turn(info) || noCodec
		if t.kind == media.Video && t.pt != 0 {
			t.selector.Layers(info.Layers)
			t.selector.Choose(*v.choice.Load())
			v.startReplay(t, now)
		}
	}
	v.lack(noCodec, now)
}

// lack notes whether a track flows in a codec that this viewer did not offer.
func (v *viewer) lack(lacks bool, now time.Time) {
	if v.stats.noCodec.Swap(lacks) != lacks {
		v.lackedAt = now
		v.st.changed.notify()
	}
}

// forward sends what this viewer gets of a burst.
//
// hot:
func (v *viewer) forward(src *source, burst []*media.Packet, now time.Time) {
	if v.src != src {
		if src != v.st.current.Load() { // late bursts of a publisher that was taken over
			return
		}
		v.adopt(src, now)
		v.replay(now)
	}
	for _, p := range burst {
		t := v.tracks[p.Track]
		if t == nil {
			continue
		}
		if p.Codec != t.codec && !v.recode(t, p) {
			continue
		}
		switch {
		case t.kind == media.Audio:
			v.write(t, p, !t.flowing, now)
		case t.withheld && len(p.Payload) > 0:
			// The link does not carry a picture: sound comes first.
		case t.replaying:
			// The ring serves this track until it has caught up, but for what was
			// repaired behind its back.
			if p.Layer == t.replayOf && p.Seq < t.cursor && len(p.Payload) > 0 {
				v.decide(t, p, false, now)
			}
		case len(p.Payload) == 0:
			if p.Layer == t.selector.Current() {
				v.skip(t, p, now)
			}
		default:
			v.decide(t, p, false, now)
		}
	}
	v.shard.arena.flush(v.out)
}

// decide sends one packet of a video track, or closes its place in the numbering.
// leapt: it follows another packet than the last one of its layer.
//
// hot:
func (v *viewer) decide(t *downTrack, p *media.Packet, leapt bool, now time.Time) {
	switch t.selector.Decide(p) {
	case layer.Forward:
		v.write(t, p, leapt, now)
	case layer.Switch:
		v.write(t, p, true, now)
		if t.replaying { // the cursor comes by
			return
		}
		// What overtook its key packet was dropped: the ring has it.
		ring := v.src.ring(t.id, p.Layer)
		for seq := p.Seq + 1; seq <= ring.Newest() && seq < p.Seq+maxOvertaking; seq++ {
			if late := ring.Get(seq); late != nil && len(late.Payload) > 0 {
				v.decide(t, late, false, now) // no deeper: this layer is the current one now
			}
		}
	case layer.Drop:
		if p.Layer == t.selector.Current() {
			v.skip(t, p, now)
		}
	}
}

// maxOvertaking bounds the packets that may have overtaken a key packet: two
// round trips of an HD stream.
const maxOvertaking = 256

// recode turns to another codec of the running source (trap 4).
func (v *viewer) recode(t *downTrack, p *media.Packet) bool {
	if t.refused == p.Codec {
		return false
	}
	info := media.TrackInfo{Codec: p.Codec}
	if known := v.src.info(t.id); known != nil && known.Codec == p.Codec {
		info = *known
	}
	v.clear()
	if !t.turn(&info) {
		t.refused, t.codec = p.Codec, 0
		v.lack(true, p.Arrival)
		return false
	}
	t.refused = 0
	v.lack(false, p.Arrival)
	if t.kind == media.Video {
		t.selector.Reset()
	}
	return true
}

// write builds one packet in the shard's arena.
//
// hot:
func (v *viewer) write(t *downTrack, p *media.Packet, switched bool, now time.Time) {
	if len(p.Payload) == 0 {
		return
	}
	o := v.outgoing(t, p)
	o.switched = switched
	switch v.admit(t, p, now) {
	case pace.Now:
		v.send(o, now)
	case pace.Wait:
		v.hold(o)
	case pace.Refuse:
		v.refused(t)
	}
}

// send numbers a packet and emits it. Numbers are given when packets leave: what
// is dropped while it waits leaves no hole.
//
// hot:
func (v *viewer) send(o outgoing, now time.Time) {
	if o.t.kind == media.Video {
		o.t.munger.Top(o.top)
		o.t.munger.Targets(o.active, o.targets)
	}
	var ok bool
	if o.out, ok = o.t.munger.Next(o.p, o.switched, now); !ok {
		return
	}
	if o.switched {
		v.switched(o.t, o.p, now)
	}
	v.emit(o, now)
}

// skip closes a packet's place in the numbering, behind what waits.
//
// hot:
func (v *viewer) skip(t *downTrack, p *media.Packet, now time.Time) {
	o := v.outgoing(t, p)
	if v.link != nil && v.link.video.len() > 0 && t.kind == media.Video {
		o.skipped = true
		v.hold(o)
		return
	}
	v.closeUp(o, now)
}

// closeUp closes a place: where the viewer sees a hole already, by padding.
//
// hot:
func (v *viewer) closeUp(o outgoing, now time.Time) {
	o.t.munger.Top(o.top)
	o.t.munger.Targets(o.active, o.targets)
	if out, ok := o.t.munger.Fill(o.p); ok {
		o.out = out
		v.emit(o, now)
		return
	}
	o.t.munger.Drop(o.p)
}

// outgoing is a packet with what the selector says of it now.
//
// hot:
func (v *viewer) outgoing(t *downTrack, p *media.Packet) outgoing {
	o := outgoing{t: t, p: p, pt: t.pt, rtx: t.rtx}
	if t.kind == media.Video {
		o.top = t.selector.Spatial()
		o.active, o.targets = t.selector.Targets()
	}
	return o
}

// emit builds one packet in the shard's arena; it leaves with the next flush.
//
// hot:
func (v *viewer) emit(o outgoing, now time.Time) {
	t, p := o.t, o.p
	b := v.build(o, now)
	if b == nil {
		v.shard.arena.flush(v.out)
		if b = v.build(o, now); b == nil {
			v.stats.dropped.Add(1)
			return
		}
	}
	v.shard.arena.keep(b)
	if v.link != nil && v.link.probe.left > 0 { // media is part of a probe that runs
		if v.link.probe.left -= len(b) + wire; v.link.probe.left <= 0 {
			v.shard.pacing--
		}
		v.link.probe.owed -= float64(len(b) + wire)
	}
	if v.firstSent.IsZero() {
		v.firstSent = now
	}
	if v.link != nil && t.ext.TransportCC != 0 {
		v.link.estimator.Sent(v.link.seq-1, len(b)+wire, now, false)
	}
	if o.resend {
		v.stats.resent.Add(1)
		return
	}
	if o.out.Padding {
		return
	}
	if v.link != nil {
		v.link.mercy = min(maxMercy, v.link.mercy+(len(b)+wire)/mercyShare)
	}
	t.sent(p, o.out, now)
	t.answerer.Sent(len(b), now)
	v.stats.packets.Add(1)
	v.stats.bytes.Add(uint64(len(b)))
	if p.FrameEnd && t.kind == media.Video && !p.Capture.IsZero() {
		v.stats.latency.Store(int64(now.Sub(p.Capture)))
	}
}

func (v *viewer) switched(t *downTrack, p *media.Packet, now time.Time) {
	t.flowing = true
	t.nextReport = now // tell the new mapping at once
	if !v.stats.started.Swap(true) {
		v.st.sfu.metrics.firstMedia.Observe(now.Sub(v.offer.At).Seconds())
	}
	if t.kind == media.Video && v.stats.current.Swap(int64(p.Layer)+1) != int64(p.Layer)+1 {
		v.st.changed.notify()
	}
}

// house does what is due: reports, wishes for key frames, news of layers.
func (v *viewer) house(now time.Time) {
	if v.src == nil {
		return
	}
	v.quota.refill()
	if v.stats.noCodec.Load() && now.Sub(v.lackedAt) > lackTime {
		v.st.sfu.running.Go(func() { v.close(media.ErrNoCodec) }) // not from here: closing orders a leave; ends at once
		v.lackedAt = now.Add(time.Hour)
		return
	}
	for _, t := range v.tracks {
		if t == nil || t.pt == 0 {
			continue
		}
		if t.kind == media.Video {
			if infos := v.src.tracks.Load(); infos != t.known {
				t.known = infos
				if info := v.src.info(t.id); info != nil {
					t.selector.Layers(info.Layers)
				}
			}
			t.playout.Tick(now)
			v.adapt(now)
			v.wish(t, now)
		}
		if t.flowing && !now.Before(t.nextReport) {
			v.report(t, now)
		}
	}
}

// wish asks for the key frame that a track waits for, again each half second:
// the publisher's requester decides what is really sent.
func (v *viewer) wish(t *downTrack, now time.Time) {
	if t.replaying {
		return
	}
	l, key := t.selector.Wants()
	if key && now.Sub(t.asked) >= 500*time.Millisecond {
		t.asked = now
		v.src.ask(t.id, l)
	}
}

// choose takes the viewer's wish for layers.
func (v *viewer) choose(c media.LayerChoice) error {
	if m := v.named(c.MID); m == nil || m.Kind != media.Video || m.Rejected {
		return fmt.Errorf("%w: m-line %q carries no video", media.ErrBadChoice, c.MID)
	}
	if src := v.st.current.Load(); c.RID != "" && src != nil {
		info := src.info(media.VideoTrack)
		if info == nil || !slices.ContainsFunc(info.Layers, func(l media.LayerInfo) bool { return l.RID == c.RID }) {
			return fmt.Errorf("%w: no layer is named %q", media.ErrBadChoice, c.RID)
		}
	}
	v.choice.Store(&c)
	v.shard.order(order{kind: orderChoose, viewer: v, choice: c})
	v.st.changed.notify()
	return nil
}

// named returns the m-line of a choice: by its number, as the extension's draft
// has it, by its mid, or, where the choice names none, the video one.
func (v *viewer) named(mid string) *negotiate.Media {
	if mid == "" {
		return v.remote.Video()
	}
	if i, err := strconv.Atoi(mid); err == nil && i >= 0 && i < len(v.remote.Media) {
		return &v.remote.Media[i]
	}
	return v.remote.ByMID(mid)
}

func (v *viewer) applyChoice(c media.LayerChoice, now time.Time) {
	if t := v.tracks[media.VideoTrack]; t != nil {
		t.selector.Choose(c)
		t.asked = time.Time{}
		if v.src != nil {
			v.wish(t, now)
		}
	}
}
