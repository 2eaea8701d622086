package view

import (
	"time"

	"github.com/pion/rtcp"
)

// tick does for one viewer what is due at now.
func (s *Swarm) tick(v *Viewer, now Instant) {
	if now >= v.nextCheck {
		if b, err := v.checker.Request(); err == nil {
			s.send(v, b)
		}
		every := checkEvery
		if v.answers > 0 {
			every = consentEvery
		}
		v.nextCheck = now + Instant(every)
	}
	if v.keys == nil {
		return
	}
	s.holes(v, now)
	if v.joined == 0 && v.video.Packets > 0 && now >= v.nextPLI {
		s.pli(v, now)
	}
	if now >= v.nextReport {
		v.nextReport = now + Instant(reportEvery)
		s.report(v, now)
	}
}

// holes asks for what is missing and gives up what is too old.
func (s *Swarm) holes(v *Viewer, now Instant) {
	var lost bool
	if s.frames, lost = v.video.Expire(now, s.frames[:0]); lost {
		for _, f := range s.frames {
			s.frame(v, f)
		}
		s.pli(v, now) // a decoder shows garbage from here on
	}
	s.frames, _ = v.audio.Expire(now, s.frames[:0])
	s.wanted = v.video.Missing(now, nackWait, nackGap, s.wanted[:0])
	if len(s.wanted) > 0 {
		v.counts.nacks += uint64(len(s.wanted))
		s.write(v, &rtcp.TransportLayerNack{SenderSSRC: v.ssrc, MediaSSRC: v.videoSSRC, Nacks: rtcp.NackPairsFromSequenceNumbers(s.wanted)})
	}
}

func (s *Swarm) pli(v *Viewer, now Instant) {
	if now < v.nextPLI {
		return
	}
	v.nextPLI = now + Instant(pliEvery)
	v.counts.plis++
	s.write(v, &rtcp.PictureLossIndication{SenderSSRC: v.ssrc, MediaSSRC: v.videoSSRC})
}

func (s *Swarm) report(v *Viewer, now Instant) {
	r := &rtcp.ReceiverReport{SSRC: v.ssrc}
	for i, t := range []*Track{v.video, v.audio} {
		if t.Packets == 0 {
			continue
		}
		ssrc := v.videoSSRC
		if i == 1 {
			ssrc = v.audioSSRC
		}
		b := rtcp.ReceptionReport{SSRC: ssrc, LastSequenceNumber: t.Highest(), TotalLost: uint32(min(t.Lost, 1<<23-1))}
		if h := v.reports[i]; h.at != 0 {
			b.LastSenderReport = h.middle
			b.Delay = uint32(now.Sub(h.at) * 65536 / time.Second)
		}
		r.Reports = append(r.Reports, b)
	}
	if len(r.Reports) > 0 {
		s.write(v, r)
	}
}

func (s *Swarm) write(v *Viewer, p rtcp.Packet) {
	plain, err := p.Marshal()
	if err != nil {
		return
	}
	if out, err := v.keys.Out.EncryptRTCP(nil, plain, nil); err == nil {
		s.send(v, out)
	}
}

func (s *Swarm) send(v *Viewer, b []byte) { _ = s.poller.send(v.fd, b) } // lost like any datagram
