package sfu

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/nack"
	"github.com/sluice-live/sluice/sfu/transport"
)

const (
	// ourSSRC is the sender of our RTCP to publishers: we send no media there.
	ourSSRC = 1
	// feedbackInterval of transport-cc: libwebrtc sends it each 50–250 ms; its
	// estimate climbs faster the more often it hears.
	feedbackInterval = 50 * time.Millisecond
	// guessedRTT stands in until the first check was answered.
	guessedRTT = 60 * time.Millisecond
	// maxRTCP is the payload of one RTCP datagram: below every path's MTU.
	maxRTCP = 1200
)

// control takes one SRTCP packet of a publisher.
func (p *publisher) control(d transport.Datagram) {
	if !p.known(binary.BigEndian.Uint32(d.B[4:])) {
		return
	}
	plain, err := p.opener.DecryptRTCP(nil, d.B, nil)
	if err != nil {
		p.books.forged++
		return
	}
	p.conn.Heard(d.At, d.Aside)
	packets, err := rtcp.Unmarshal(plain)
	if err != nil {
		p.books.unreadable++
		return
	}
	for _, packet := range packets {
		if sr, ok := packet.(*rtcp.SenderReport); ok {
			p.senderReport(sr, d.At)
		}
	}
}

func (p *publisher) senderReport(sr *rtcp.SenderReport, at time.Time) {
	if sr.NTPTime == 0 { // FFmpeg's reports before its clock is known
		return
	}
	p.clock.SenderReport(sr.NTPTime, at) // one clock for all streams, those that have sent nothing yet, too
	for _, u := range p.upstreams {
		if u.ssrc != sr.SSRC || u.rtxOf != nil || !u.begun && u.codec.Kind() == media.Video {
			continue
		}
		p.books.reports++
		u.books.SenderReport(sr, u.ts.Unwrap(sr.RTPTime), at)
	}
}

// sendTransportCC reports every packet since the last report.
func (p *publisher) sendTransportCC(now time.Time) {
	p.twccDue = now.Add(feedbackInterval)
	var about uint32
	if len(p.upstreams) > 0 {
		about = p.upstreams[0].ssrc
	}
	for _, cc := range p.twcc.Build(nil, ourSSRC, about) {
		p.send(cc)
	}
}

// sendNACKs asks for what is missing (RFC 4585 section 6.2.1).
func (p *publisher) sendNACKs(now time.Time) {
	rtt := p.rtt()
	for _, u := range p.upstreams {
		if u.rtxOf != nil || u.nack.Missing() == 0 {
			continue
		}
		var room [64]uint64
		seqs := u.nack.Pending(room[:0], rtt, now)
		if len(seqs) == 0 || !p.answersNACK(u) {
			continue
		}
		p.books.nacks += uint64(len(seqs))
		p.send(&rtcp.TransportLayerNack{SenderSSRC: ourSSRC, MediaSSRC: u.ssrc, Nacks: nack.Pairs(seqs, nil)})
	}
}

func (p *publisher) answersNACK(u *upstream) bool {
	for i := range u.line.Codecs {
		if u.line.Codecs[i].Codec == u.codec {
			return u.line.Codecs[i].NACK
		}
	}
	return false
}

func (p *publisher) rtt() time.Duration {
	if rtt := p.conn.RTT(); rtt > 0 {
		return rtt
	}
	return guessedRTT
}

// keyFrame passes a wish on to the publisher, at the pace that keyframe allows.
func (p *publisher) keyFrame(a ask, now time.Time) {
	if p.sealer == nil {
		return
	}
	for _, u := range p.upstreams {
		if u.rtxOf == nil && u.track == a.track && (u.layer == a.layer || a.layer == media.AnyLayer) && u.codec.Kind() == media.Video && !p.resting(u, now) {
			if u.keys.Ask(now) {
				p.sendPLI(u)
			}
		}
	}
}

// resting tells of a layer that sends nothing because it was told so: it would
// not answer, and would be taken for deaf.
func (p *publisher) resting(u *upstream, now time.Time) bool {
	return p.demand.Comes(u.layer) && now.Sub(u.seen.lastPacket) > layerSilence
}

// refresh asks for a key frame where none came for long, so that joining stays
// fast; an encoder that does not answer is found out and told of by findings.
func (p *publisher) refresh(now time.Time) {
	for _, u := range p.upstreams {
		if u.rtxOf == nil && u.begun && u.codec.Kind() == media.Video && now.Sub(u.seen.lastPacket) < layerSilence &&
			u.sinceKey(now, now.Sub(p.books.began)) > longKeyInterval && u.keys.Ask(now) {
			p.sendPLI(u)
		}
	}
}

// sendPLI asks for a key frame by PLI, or by FIR where only that is known. A
// publisher that takes neither (FFmpeg) sends one at its own interval.
func (p *publisher) sendPLI(u *upstream) {
	switch {
	case u.pli:
		p.send(&rtcp.PictureLossIndication{SenderSSRC: ourSSRC, MediaSSRC: u.ssrc})
	case u.fir:
		u.firSeq++
		p.send(&rtcp.FullIntraRequest{SenderSSRC: ourSSRC, MediaSSRC: u.ssrc,
			FIR: []rtcp.FIREntry{{SSRC: u.ssrc, SequenceNumber: u.firSeq}}})
	default:
		return
	}
	p.books.plis++
	p.st.sfu.metrics.keyFramesAsked.Inc()
}

// sendReports sends receiver reports and, for who takes nothing better, REMB.
func (p *publisher) sendReports(now time.Time) {
	var blocks []rtcp.ReceptionReport
	var ssrcs []uint32
	remb, twcc := false, false
	loss := 0.0
	for _, u := range p.upstreams {
		if u.rtxOf != nil {
			continue
		}
		blocks = append(blocks, u.books.Reception(u.ssrc, now))
		ssrcs = append(ssrcs, u.ssrc)
		loss = max(loss, u.books.LossRatio(now))
		for i := range u.line.Codecs {
			remb = remb || u.line.Codecs[i].REMB
			twcc = twcc || u.line.Codecs[i].TransportCC
		}
	}
	if len(blocks) == 0 {
		return
	}
	packets := []rtcp.Packet{&rtcp.ReceiverReport{SSRC: ourSSRC, Reports: blocks[:min(len(blocks), 31)]}}
	p.remb.Update(loss, now)
	if remb && !(twcc && p.twccSeen) {
		packets = append(packets, p.remb.Report(ourSSRC, ssrcs))
	}
	p.send(packets...)
}

// send seals and sends one compound packet. It is the only user of the sealer.
func (p *publisher) send(packets ...rtcp.Packet) {
	raw, err := rtcp.Marshal(packets)
	if err != nil || len(raw) > maxRTCP {
		return
	}
	sealed, err := p.sealer.EncryptRTCP(p.scratch[:0], raw, nil)
	if err != nil {
		return
	}
	_ = p.conn.Send(sealed)
}
