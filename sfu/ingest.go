package sfu

import (
	"slices"
	"time"

	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/history"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/report"
)

// asksQueue: more wishes than tracks and layers change nothing.
const asksQueue = 64

// newSource makes the rings of every layer that the offer declared.
func newSource(e media.Epoch, r *negotiate.Remote) *source {
	src := &source{epoch: e, asks: make(chan ask, asksQueue), tally: tally{woken: make(chan struct{}, 1)}}
	for i := range r.Media {
		m := &r.Media[i]
		if m.Rejected {
			continue
		}
		for l := range max(1, min(len(m.RIDs), media.MaxLayers)) {
			src.rings[m.Track][l] = history.New(history.DefaultConfig())
		}
	}
	return src
}

// rtp takes one opened packet.
func (p *publisher) rtp(h *rtp.Header, payload []byte, at time.Time) {
	p.books.bytes += len(payload) + 12
	p.books.packets++
	p.remb.Receive(len(payload)+12, at)
	u := p.find(h)
	p.transportCC(u, h, at)
	if u == nil {
		p.books.unmatched++
		return
	}
	repaired := u.rtxOf != nil
	if repaired {
		if len(payload) <= 2 { // padding of a probe
			return
		}
		primary := u.rtxOf
		restored := *h
		restored.SequenceNumber = uint16(payload[0])<<8 | uint16(payload[1]) // OSN, RFC 4588 section 4
		h, payload, u = &restored, payload[2:], primary
	}
	if u.line.RED != 0 && h.PayloadType == u.line.RED && len(payload) > 0 {
		payload = p.unwrap(u, h, payload, at)
	}
	p.take(u, h, payload, repaired, at)
}

// take reads one packet and hands it on.
//
// hot:
func (p *publisher) take(u *upstream, h *rtp.Header, payload []byte, repaired bool, at time.Time) {
	if out := u.read(p, h, payload, repaired, at); out != nil {
		p.burst = append(p.burst, out)
	}
}

// find returns the upstream of a packet, learning new SSRCs from what the
// packet says (MID, RID, RRID) or what the offer said of its payload type and SSRC.
//
// hot: the first loop; the rest runs once per SSRC
func (p *publisher) find(h *rtp.Header) *upstream {
	for _, u := range p.upstreams {
		if u.ssrc == h.SSRC {
			if u.rtxOf == nil && !p.sameCodec(u, h.PayloadType) {
				return p.recode(u, h.PayloadType)
			}
			return u
		}
	}
	return p.learn(h)
}

// sameCodec is true for all but the first packet after a change of payload type.
// RED comes and goes around the same sound.
func (p *publisher) sameCodec(u *upstream, pt uint8) bool {
	if u.line.RED != 0 && pt == u.line.RED {
		return true
	}
	for i := range u.line.Codecs {
		if u.line.Codecs[i].PT == pt {
			return u.line.Codecs[i].Codec == u.codec
		}
	}
	return false
}

// recode follows a publisher that changes its codec on the same SSRC (trap 4).
func (p *publisher) recode(u *upstream, pt uint8) *upstream {
	at := slices.IndexFunc(u.line.Codecs, func(c negotiate.Codec) bool { return c.PT == pt })
	if at < 0 {
		return nil
	}
	c := &u.line.Codecs[at]
	u.codec, u.pli, u.fir = c.Codec, c.PLI, c.FIR
	u.seen.width, u.seen.height, u.seen.profile, u.seen.bFrames = 0, 0, "", false
	p.renewed = true
	return u
}

func (p *publisher) learn(h *rtp.Header) *upstream {
	line, c, rtx := p.remote.Find(h)
	if c == nil || len(p.upstreams) >= maxUpstreams {
		return nil
	}
	track, layer := line.Track, layerOf(line, h, rtx)
	if layer == media.AnyLayer {
		return nil // its RID has not come yet
	}
	old := p.at(track, layer)
	if rtx {
		if old == nil {
			return nil
		}
		u := &upstream{ssrc: h.SSRC, rtxOf: old, line: line}
		p.upstreams = append(p.upstreams, u)
		return u
	}
	u := newUpstream(h.SSRC, line, c, track, layer)
	u.ring = p.source.ring(track, layer)
	if u.ring == nil {
		return nil
	}
	if old != nil { // a new SSRC for a layer that we had: numbering goes on above
		u.base = (old.newest + 1<<17) &^ 0xffff
		p.drop(old)
	}
	p.upstreams = append(p.upstreams, u)
	p.renewed = true
	return u
}

// layerOf tells which simulcast encoding a packet belongs to, by its number in
// the answer (RFC 8852).
func layerOf(line *negotiate.Media, h *rtp.Header, rtx bool) media.Layer {
	if len(line.RIDs) == 0 {
		return 0
	}
	var rid []byte
	if rtx && line.Ext.RRID != 0 {
		rid = h.GetExtension(line.Ext.RRID)
	}
	if len(rid) == 0 && line.Ext.RID != 0 { // some senders copy the RID onto their resends
		rid = h.GetExtension(line.Ext.RID)
	}
	for i, name := range line.RIDs {
		if name == string(rid) {
			return media.Layer(i)
		}
	}
	return media.AnyLayer
}

func (p *publisher) at(t media.TrackID, l media.Layer) *upstream {
	for _, u := range p.upstreams {
		if u.rtxOf == nil && u.track == t && u.layer == l {
			return u
		}
	}
	return nil
}

// drop forgets an upstream and its retransmissions.
func (p *publisher) drop(old *upstream) {
	kept := p.upstreams[:0]
	for _, u := range p.upstreams {
		if u != old && u.rtxOf != old {
			kept = append(kept, u)
		}
	}
	p.upstreams = kept
}

// transportCC notes a packet for the publisher's congestion control: every
// SSRC of the transport counts, also those that are not matched yet.
func (p *publisher) transportCC(u *upstream, h *rtp.Header, at time.Time) {
	var id uint8
	if u != nil {
		id = u.line.Ext.TransportCC
	} else {
		for i := range p.remote.Media {
			if x := p.remote.Media[i].Ext.TransportCC; x != 0 {
				id = x
			}
		}
	}
	if id == 0 {
		return
	}
	b := h.GetExtension(id)
	if len(b) < 2 {
		return
	}
	p.twcc.Receive(uint16(b[0])<<8|uint16(b[1]), at)
	if !p.twccSeen {
		p.twccSeen = true
		p.twccDue = at.Add(feedbackInterval)
	}
}

// extensions reads the header extensions that are forwarded or understood.
func (p *publisher) extensions(u *upstream, out *media.Packet, h *rtp.Header) {
	if !h.Extension {
		return
	}
	x := &u.line.Ext
	if x.AbsCapture != 0 {
		if b := h.GetExtension(x.AbsCapture); len(b) >= 8 {
			if t, err := report.ParseAbsCapture(b); err == nil {
				u.anchor = anchor{out.TS, t}
			}
		}
	}
	if x.AudioLevel != 0 {
		if b := h.GetExtension(x.AudioLevel); len(b) >= 1 {
			out.AudioLevel, out.Voice, out.HasAudioLevel = b[0]&0x7f, b[0]&0x80 != 0, true
		}
	}
	if x.Orientation != 0 {
		if b := h.GetExtension(x.Orientation); len(b) >= 1 {
			out.Orientation, out.HasOrientation = b[0], true
		}
	}
	if x.Descriptor != 0 {
		out.Descriptor = h.GetExtension(x.Descriptor)
	}
}
