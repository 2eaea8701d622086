package sfu

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe"
	"github.com/sluice-live/sluice/media/pace"
	"github.com/sluice-live/sluice/sfu/compound"
	"github.com/sluice-live/sluice/sfu/report"
	"github.com/sluice-live/sluice/sfu/transport"
)

// rtcpQuota bounds what a viewer's RTCP may cost: 40 packets in a house tick
// are 400 a second; a browser under heavy loss sends 50.
type rtcpQuota struct {
	left    int // packets
	numbers int // sequence numbers in NACKs
	told    int // packets that arrival reports told of
	senders [maxSenders]uint32
}

const (
	quotaPerTick = 40
	// numbersPerTick are more than a second of HD in each tenth of one.
	numbersPerTick = 500
	// toldPerTick are all packets of six seconds at 50 Mbit/s. A report of 40 bytes may
	// tell of 65,535, and a datagram hold 30 such: the shard would do nothing else.
	toldPerTick = 1 << 15
	// maxSenders bounds the SSRCs under which a viewer may speak: the SRTP context
	// keeps a state for each, for ever.
	maxSenders = 8
)

func (q *rtcpQuota) refill() { q.left, q.numbers, q.told = quotaPerTick, numbersPerTick, 0 }

// tells reports whether a viewer may tell of so many more packets now.
func (q *rtcpQuota) tells(n uint16) bool {
	q.told += int(n)
	return q.told <= toldPerTick
}

// speaks reports whether a viewer may use this SSRC.
func (q *rtcpQuota) speaks(ssrc uint32) bool {
	for i, known := range q.senders {
		if known == ssrc || known == 0 {
			q.senders[i] = ssrc
			return true
		}
	}
	return false
}

func (q *rtcpQuota) take() bool {
	q.left--
	return q.left >= 0
}

// control takes one SRTCP packet of this viewer; SRTP is none of a viewer's business.
func (v *viewer) control(d transport.Datagram) {
	b := d.B
	if !v.joined || v.opener == nil || len(b) < 8 || b[1] < 192 || b[1] > 223 || !v.quota.take() ||
		!v.quota.speaks(binary.BigEndian.Uint32(b[4:])) {
		return
	}
	plain, err := v.opener.OpenControl(v.shard.plain[:0], b)
	if err != nil {
		return
	}
	v.shard.plain = plain
	v.conn.Heard(d.At, d.Aside)
	v.obey(plain, d.At)
}

// obey does what one authentic compound packet asks for, up to what cannot be read.
//
// hot: ten times a second and viewer
func (v *viewer) obey(plain []byte, at time.Time) {
	for len(plain) > 0 {
		p, rest, err := compound.Next(plain)
		if err != nil {
			return
		}
		plain = rest
		switch p.Kind {
		case compound.Reception:
			v.reception(&p, at)
		case compound.Extended:
			v.referenced(&p, at)
		case compound.Arrivals:
			if a, err := bwe.ReadArrivals(p.B); err == nil && v.quota.tells(a.Count) {
				v.arrived(a, at)
			}
		case compound.NACK:
			v.resend(&p, at)
		case compound.PictureLoss:
			v.pictureLost(p.Media(), at)
		case compound.FullIntra:
			for i := range p.Len() {
				v.pictureLost(p.Entry(i), at)
			}
		case compound.Other:
		}
	}
}

// reference is a viewer's clock as its last extended report told it.
type reference struct {
	ssrc, middle uint32
	at           time.Time
}

// referenced takes a viewer's reference time; the next sender report answers
// it, so that the viewer knows its round-trip time too (RFC 3611 sections 4.4
// and 4.5).
func (v *viewer) referenced(x *compound.Packet, at time.Time) {
	if ntp, ok := x.Reference(); ok {
		v.reference = reference{x.Sender(), uint32(ntp >> 16), at}
	}
}

// answerReference returns what answers the viewer's reference time, or nil.
func (v *viewer) answerReference(ssrc uint32, now time.Time) rtcp.Packet {
	r := v.reference
	if r.at.IsZero() {
		return nil
	}
	v.reference = reference{}
	delay := uint32(now.Sub(r.at).Seconds() * 65536)
	return &rtcp.ExtendedReport{SenderSSRC: ssrc, Reports: []rtcp.ReportBlock{&rtcp.DLRRReportBlock{
		Reports: []rtcp.DLRRReport{{SSRC: r.ssrc, LastRR: r.middle, DLRR: delay}}}}}
}

func (v *viewer) bySSRC(ssrc uint32) *downTrack {
	for _, t := range v.tracks {
		if t != nil && t.ssrc == ssrc {
			return t
		}
	}
	return nil
}

func (v *viewer) reception(p *compound.Packet, at time.Time) {
	worst := uint8(0)
	defer func() {
		if v.link != nil && p.Len() > 0 {
			v.link.estimator.Report(float64(worst)/256, v.rtt, at)
		}
	}()
	for i := range p.Len() {
		r := p.Block(i)
		t := v.bySSRC(r.SSRC)
		if t == nil {
			continue
		}
		worst = max(worst, r.FractionLost)
		if rtt, ok := report.RTT(r, at); ok {
			v.rtt = rtt
			v.stats.rtt.Store(int64(rtt))
		}
		if t.kind == media.Audio && t.line.RED != 0 {
			t.repair.told(float64(r.FractionLost)/256, at)
		}
		// What a queue of the link loses and delays, a smaller layer mends.
		if t.kind == media.Video && !v.limitedNow(at) {
			t.playout.Update(float64(r.FractionLost)/256, max(v.rtt, v.conn.RTT()), at)
		}
		if t.kind == media.Video || v.tracks[media.VideoTrack] == nil {
			v.stats.lossPPM.Store(int64(r.FractionLost) * 1_000_000 / 256)
			rate := int64(t.clockRate())
			v.stats.jitter.Store(int64(r.Jitter) * int64(time.Second) / rate)
		}
	}
}

// pictureLost asks upstream for a key frame of the layer in use.
func (v *viewer) pictureLost(ssrc uint32, at time.Time) {
	t := v.bySSRC(ssrc)
	if t == nil || t.kind != media.Video || v.src == nil || t.replaying || at.Sub(t.asked) < 300*time.Millisecond {
		return
	}
	t.asked = at
	l := t.selector.Current()
	if l == media.AnyLayer {
		l = t.selector.Target()
	}
	v.src.ask(t.id, l)
}

// resend answers a NACK from the ring: over RTX (RFC 4588), or, where the viewer
// has none, by the very same bytes, as a number is sealed only once otherwise.
func (v *viewer) resend(p *compound.Packet, at time.Time) {
	t := v.bySSRC(p.Media())
	if t == nil || v.src == nil || t.pt == 0 || !v.mayResend(t) {
		return
	}
	for i := range p.Len() {
		pair := p.Pair(i)
		pair.Range(func(seq uint16) bool {
			if v.quota.numbers--; v.quota.numbers >= 0 {
				v.resendOne(t, seq, at)
			}
			return v.quota.numbers > 0
		})
	}
}

// mayResend reports whether a resend would be an RTX packet or the very same
// bytes: RED and transport-wide numbers differ from send to send.
func (v *viewer) mayResend(t *downTrack) bool {
	return t.rtx != 0 || t.line.RED == 0 && t.ext.TransportCC == 0
}

func (v *viewer) resendOne(t *downTrack, seq uint16, at time.Time) {
	ref, ok := t.munger.Lookup(seq)
	if !ok || ref.Epoch != v.src.epoch || (t.rtx == 0 || t.kind == media.Audio) && ref.Out.Index < t.turned {
		return
	}
	ring := v.src.ring(t.id, ref.Layer)
	if ring == nil {
		return
	}
	p := ring.Get(ref.Seq)
	if p == nil || len(p.Payload) == 0 || p.Codec != t.codec {
		return
	}
	if t.kind == media.Video && (ref.Layer != t.selector.Current() || t.down && ref.Layer != t.selector.Target()) { // the decoder is past it, or will be
		return
	}
	size := len(p.Payload) + overhead
	begged := false
	if v.link != nil && v.link.pacer.Spare(at) < size {
		// Beyond the estimate, not now: no try is spent. A little is always given, as
		// a start without repair would not show a picture at all.
		if v.link.mercy < size {
			return
		}
		begged = true
	}
	// The viewer's clock for asking again runs by its own, shorter or longer, measure.
	if !t.answerer.Allow(seq, size, v.rtt*3/4, at) {
		return
	}
	o := v.outgoing(t, p)
	o.out, o.resend = ref.Out, true
	if begged {
		v.link.mercy -= size
		v.link.pacer.Push(size, pace.Control, at)
		v.emit(&o, at)
		return
	}
	if v.link == nil {
		v.emit(&o, at)
		return
	}
	kind := pace.Resend
	if t.kind == media.Audio {
		kind = pace.Audio
	}
	switch v.link.pacer.Push(size, kind, at) {
	case pace.Now:
		v.emit(&o, at)
	case pace.Wait:
		v.hold(o)
	case pace.Refuse: // it may be asked for again
	}
}
