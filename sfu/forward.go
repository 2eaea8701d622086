package sfu

import (
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/pace"
	"github.com/sluice-live/sluice/sfu/layer"
)

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
		t := v.trackOf(p)
		if t == nil {
			continue
		}
		if p.Codec != t.codec && !v.recode(t, p) {
			continue
		}
		switch {
		case t.kind == media.Audio && len(p.Payload) == 0:
			v.skip(t, p, now)
		case t.kind == media.Audio:
			v.write(t, p, !t.flowing, now)
		case t.withheld && len(p.Payload) > 0:
			// The link does not carry moving pictures: sound comes first.
			if t.stills {
				v.still(t, p, now)
			}
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
	v.tell()
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

// write sends one packet, when the pacer says so.
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
		v.send(&o, now)
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
func (v *viewer) send(o *outgoing, now time.Time) {
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
	v.closeUp(&o, now)
}

// closeUp closes a place: where the viewer sees a hole already, by padding.
//
// hot:
func (v *viewer) closeUp(o *outgoing, now time.Time) {
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

// emit builds and seals one packet; it leaves at the end of the shard's turn.
//
// hot:
func (v *viewer) emit(o *outgoing, now time.Time) {
	t, p := o.t, o.p
	header, payload := v.build(o, now)
	if header == nil {
		v.stats.dropped.Add(1)
		return
	}
	v.out.Packet(header, payload)
	size := len(header) + len(payload)
	if v.link != nil && v.link.probe.left > 0 { // media is part of a probe that runs
		if v.link.probe.left -= size + wire; v.link.probe.left <= 0 {
			v.shard.pacing--
		}
		v.link.probe.owed -= float64(size + wire)
	}
	if v.firstSent.IsZero() {
		v.firstSent = now
	}
	if v.link != nil && t.ext.TransportCC != 0 {
		v.link.estimator.Sent(v.link.seq-1, size+wire, now, false)
	}
	if o.resend {
		v.stats.resent.Add(1)
		return
	}
	if o.out.Padding {
		return
	}
	if v.link != nil {
		v.link.mercy = min(maxMercy, v.link.mercy+(size+wire)/mercyShare)
	}
	t.sent(p, o.out, now)
	t.answerer.Sent(size, now)
	v.counts.packets++
	v.counts.bytes += uint64(size)
	if p.FrameEnd && t.kind == media.Video && !p.Capture.IsZero() {
		v.counts.latency = int64(now.Sub(p.Capture))
	}
}
