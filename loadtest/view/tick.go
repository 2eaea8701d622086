package view

import (
	"encoding/binary"
	"time"
)

// One tick serves all viewers: each has its turn once in a round, and those
// that miss packets or have no key frame yet at every tick.
const tickEvery = 10 * time.Millisecond

// ticks does what is due at now.
func (s *Swarm) ticks(now Instant) {
	s.turn = (s.turn + 1) % s.round
	for i := s.turn; i < len(s.list); i += s.round {
		s.tick(s.list[i], now)
	}
	kept := s.busy[:0]
	for _, v := range s.busy {
		if v.fd >= 0 && s.at(v.fd) == v {
			s.hurry(v, now)
			if v.joined == 0 || v.video.Holes() > 0 || v.audio.Holes() > 0 {
				kept = append(kept, v)
				continue
			}
		}
		v.isBusy = false
	}
	s.busy = kept
	if s.turn == 0 {
		s.fan.settle(now, len(s.list))
	}
}

// watch looks at a viewer at every tick from now on.
func (s *Swarm) watch(v *Viewer) {
	if !v.isBusy {
		v.isBusy = true
		s.busy = append(s.busy, v)
	}
}

// hurry does what cannot wait for the viewer's turn: the first checks, holes,
// the wish for a key frame.
func (s *Swarm) hurry(v *Viewer, now Instant) {
	if v.answers == 0 {
		s.check(v, now)
	}
	if v.keys == nil || v.stalled {
		return
	}
	s.holes(v, now)
	if v.joined == 0 && v.video.Packets > 0 && now >= v.nextPLI {
		s.pli(v, now)
	}
}

// tick is a viewer's turn: consent, feedback, reports.
//
// hot: ten times a second and viewer.
func (s *Swarm) tick(v *Viewer, now Instant) {
	s.check(v, now)
	if v.keys == nil || v.stalled {
		return
	}
	s.rtcpOut = s.rtcpOut[:0]
	if now >= v.nextReport {
		v.nextReport = now + Instant(reportEvery)
		s.report(v, now)
	}
	out, told := v.wide.Append(s.rtcpOut, v.ssrc, v.videoSSRC)
	s.rtcpOut = out
	if told {
		v.counts.feedbacks++
	}
	s.flush(v)
}

func (s *Swarm) check(v *Viewer, now Instant) {
	if now < v.nextCheck {
		return
	}
	every := consentEvery
	if v.answers == 0 {
		every = checkEvery
	}
	v.nextCheck = now + Instant(every)
	if b, err := v.checker.Request(); err == nil {
		s.send(v, b)
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
		s.rtcpOut = appendNACK(s.rtcpOut[:0], v.ssrc, v.videoSSRC, s.wanted)
		s.flush(v)
	}
}

func (s *Swarm) pli(v *Viewer, now Instant) {
	if now < v.nextPLI {
		return
	}
	v.nextPLI = now + Instant(pliEvery)
	v.counts.plis++
	s.rtcpOut = appendPLI(s.rtcpOut[:0], v.ssrc, v.videoSSRC)
	s.flush(v)
}

// report appends a receiver report (RFC 3550 section 6.4.2).
func (s *Swarm) report(v *Viewer, now Instant) {
	begin := len(s.rtcpOut)
	s.rtcpOut = binary.BigEndian.AppendUint32(appendHead(s.rtcpOut, 0, typeRR, 0), v.ssrc)
	n := uint8(0)
	for i, t := range [...]*Track{v.video, v.audio} {
		if t.Packets == 0 {
			continue
		}
		ssrc := v.videoSSRC
		if i == 1 {
			ssrc = v.audioSSRC
		}
		s.rtcpOut = appendBlock(s.rtcpOut, block{ssrc: ssrc, highest: t.Highest(), lost: uint32(t.Lost), heard: v.reports[i]}, now)
		n++
	}
	if n == 0 {
		s.rtcpOut = s.rtcpOut[:begin]
		return
	}
	s.rtcpOut[begin] |= n
	binary.BigEndian.PutUint16(s.rtcpOut[begin+2:], uint16((len(s.rtcpOut)-begin)/4-1))
}

// flush seals and sends what was appended.
func (s *Swarm) flush(v *Viewer) {
	if len(s.rtcpOut) == 0 {
		return
	}
	if out, err := v.keys.Out.EncryptRTCP(s.sealed[:0], s.rtcpOut, &s.rtcpHeader); err == nil {
		s.send(v, out)
	}
	s.rtcpOut = s.rtcpOut[:0]
}

func (s *Swarm) send(v *Viewer, b []byte) { _ = s.poller.send(v.fd, b) } // lost like any datagram
