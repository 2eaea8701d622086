package view

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/source"
)

// Viewer is one light WHEP session. All fields are the swarm loop's, but for
// the channels and what is set before the loop knows it.
type Viewer struct {
	resource *link.Resource
	begun    time.Time
	fd       int
	index    int  // in the swarm's list
	isBusy   bool // in its list of those that cannot wait
	remote   netip.AddrPort
	checker  *link.Checker
	pipe     *link.Pipe
	keys     *link.Keys // nil until the handshake is done
	early    [][]byte   // media that came before the keys
	earlyAt  []Instant
	ids      ids // of the extensions that were negotiated

	checked chan struct{} // closed at the first answered check
	keyed   chan struct{} // closed at the first complete key frame
	edge    chan struct{} // closed when the live edge is reached
	left    chan struct{} // closed when the socket is

	video, audio         *Track
	wide                 Wide
	overflowed           uint32 // datagrams that our own socket had no room for
	videoSSRC, audioSSRC uint32
	ssrc                 uint32 // ours, for RTCP
	reports              [2]heard

	stalled                        bool // reads and says nothing
	nextCheck, nextReport, nextPLI Instant
	answers                        int
	firstRTP, joined, atEdge       Instant
	firstIsKey                     bool
	nearEdge                       int     // frames in a row at the live edge
	edgeSince                      Instant // when the first of them came
	lastFrame                      Instant
	lastTS                         uint32
	interval                       time.Duration // between frames, by their time stamps
	counts                         counts
}

// heard is what a receiver report needs of the last sender report.
type heard struct {
	middle uint32 // of its NTP time
	at     Instant
}

// counts of one viewer since the window began.
type counts struct {
	packets, bytes, frames, keys, freezes, plis, nacks, resent, feedbacks, overflows, undecrypted uint64
}

// How a viewer behaves.
const (
	checkEvery   = 50 * time.Millisecond // until the first answer
	consentEvery = 5 * time.Second       // RFC 7675 section 5.1
	reportEvery  = time.Second
	// Chromium asks for a key frame 200 ms after the first undecodable frame.
	pliAfter = 200 * time.Millisecond
	pliEvery = time.Second
	nackWait = 10 * time.Millisecond // reordering on the way is no loss
	nackGap  = 100 * time.Millisecond
	// At the live edge means: this near to what settled viewers see, three frames long.
	edgeSlack  = 50 * time.Millisecond
	edgeFrames = 3
	earlyMost  = 512
)

func newViewer(begun time.Time, r *link.Resource, c *link.Checker) *Viewer {
	return &Viewer{
		resource: r, begun: begun, checker: c, ssrc: rand.Uint32(), interval: source.FrameInterval, fd: -1, //nolint:gosec // chance, not secrets
		checked: make(chan struct{}), keyed: make(chan struct{}), edge: make(chan struct{}), left: make(chan struct{}),
		video: NewTrack(VideoWindow), audio: NewTrack(AudioWindow),
	}
}

// Keyed is closed when the first key frame is complete.
func (v *Viewer) Keyed() <-chan struct{} { return v.keyed }

// Edge is closed when the viewer has reached the live edge.
func (v *Viewer) Edge() <-chan struct{} { return v.edge }

// Left is closed when the viewer has left.
func (v *Viewer) Left() <-chan struct{} { return v.left }

// Session is the WHEP resource.
func (v *Viewer) Session() *link.Resource { return v.resource }

// take gets one datagram of the viewer's socket.
func (s *Swarm) take(v *Viewer, b []byte, at Instant) {
	switch link.Classify(b) {
	case link.STUN:
		reply, answered := v.checker.Read(b, v.remote)
		if reply != nil {
			s.send(v, reply)
		}
		if answered {
			if v.answers++; v.answers == 1 {
				close(v.checked)
			}
		}
	case link.DTLS:
		v.pipe.Push(b)
	case link.RTP:
		if v.keys == nil {
			if len(v.early) < earlyMost {
				v.early, v.earlyAt = append(v.early, append([]byte(nil), b...)), append(v.earlyAt, at)
			}
			return
		}
		s.rtp(v, b, at)
	case link.RTCP:
		s.rtcp(v, b, at)
	}
}

// install gives a viewer its keys and plays what came before.
func (s *Swarm) install(v *Viewer, k *link.Keys) {
	v.keys = k
	for i, b := range v.early {
		s.rtp(v, b, v.earlyAt[i])
	}
	v.early, v.earlyAt = nil, nil
	s.shaking--
}

// rtp takes one packet.
//
// hot: once per packet.
func (s *Swarm) rtp(v *Viewer, b []byte, at Instant) {
	h := &s.header
	if !h.parse(b, v.ids) {
		v.counts.undecrypted++
		return
	}
	v.counts.packets++
	v.counts.bytes += uint64(len(b))
	if v.firstRTP == 0 {
		v.firstRTP = at
	}
	if h.hasWide {
		v.wide.Arrived(h.wide, at)
	}
	switch h.pt {
	case audioPT:
		v.audioSSRC = h.ssrc
		if s.c.Verify && s.open(v, b) == nil {
			return
		}
		s.frames = v.audio.Receive(Arrived{Seq: h.seq, TS: h.ts, At: at, Marker: true}, s.frames[:0])
		if v.audio.Holes() > 0 {
			s.watch(v)
		}
	case videoPT:
		v.videoSSRC = h.ssrc
		s.picture(v, b, at)
	case repairPT:
		s.repair(v, b, at)
	}
}

// open decrypts a packet into the swarm's own buffer, or counts it as
// unreadable and returns nil.
func (s *Swarm) open(v *Viewer, b []byte) []byte {
	plain, err := v.keys.In.DecryptRTP(s.plain[:0], b, &s.rtpHeader)
	if err != nil {
		v.counts.undecrypted++
		return nil
	}
	return plain
}

// picture takes a video packet. The header is clear; the payload is decrypted
// where a frame begins, for its stamp, and everywhere until the viewer joined
// or where the swarm verifies all.
func (s *Swarm) picture(v *Viewer, b []byte, at Instant) {
	h := &s.header
	a := Arrived{Seq: h.seq, TS: h.ts, Marker: h.marker, At: at}
	if h.capture != nil {
		if t, ok := source.ParseCaptureTime(h.capture); ok {
			a.Sent = InstantOf(t)
		}
	}
	begins := v.joined == 0 || v.video.Begins(a.Seq)
	if len(b) > h.size && (begins || s.c.Verify) {
		plain := s.open(v, b)
		if plain == nil {
			return
		}
		if begins {
			s.read(&a, plain[h.size:])
		}
	}
	s.arrived(v, a)
}

// repair takes an RTX packet (RFC 4588 section 4).
func (s *Swarm) repair(v *Viewer, b []byte, at Instant) {
	plain := s.open(v, b)
	if plain == nil {
		return
	}
	payload := plain[s.header.size:]
	if len(payload) < 2 || s.header.padding && len(payload) <= int(payload[len(payload)-1]) {
		return // padding only: a probe
	}
	v.counts.resent++
	a := Arrived{Seq: binary.BigEndian.Uint16(payload), TS: s.header.ts, Marker: s.header.marker, At: at}
	s.read(&a, payload[2:])
	s.arrived(v, a)
}

// read fills in what the payload tells.
func (s *Swarm) read(a *Arrived, payload []byte) {
	a.Starts = source.StartsKey(payload)
	if stamp, ok := source.FindStamp(payload); ok {
		a.Sent = InstantOf(stamp.Sent)
	}
}

func (s *Swarm) arrived(v *Viewer, a Arrived) {
	first := v.video.Packets == 0
	if first {
		v.firstIsKey = a.Starts
		v.nextPLI = a.At + Instant(pliAfter)
	}
	s.frames = v.video.Receive(a, s.frames[:0])
	for _, f := range s.frames {
		s.frame(v, f)
	}
	if v.video.Holes() > 0 {
		s.watch(v)
	}
}

// frame counts a complete frame.
func (s *Swarm) frame(v *Viewer, f Frame) {
	if v.joined == 0 {
		if !f.Key {
			return // nothing to decode it with
		}
		v.joined = f.At
		v.lastFrame, v.lastTS = f.At, f.TS
		close(v.keyed)
	}
	v.counts.frames++
	if f.Key {
		v.counts.keys++
	}
	s.pace(v, f)
	if f.Sent != 0 {
		s.late(v, f)
	}
}

// pace watches for freezes: no frame for longer than three intervals, or one
// and 150 ms, whichever is more (W3C webrtc-stats, freezeCount).
func (s *Swarm) pace(v *Viewer, f Frame) {
	gap := f.At.Sub(v.lastFrame)
	if gap > max(3*v.interval, v.interval+150*time.Millisecond) {
		v.counts.freezes++
	}
	if d := time.Duration(int32(f.TS-v.lastTS)) * time.Second / 90000; d > 0 && d < time.Second {
		v.interval += (d - v.interval) / 30
	}
	v.lastFrame, v.lastTS = f.At, f.TS
}

// late takes the latency of a frame, and whether the viewer is at the live edge.
func (s *Swarm) late(v *Viewer, f Frame) {
	d := f.At.Sub(f.Sent)
	s.latency.add(d)
	s.fan.add(f.Sent, f.At, len(s.list))
	if f.At.Sub(v.joined) > s.c.Settle {
		s.settled.add(d)
	}
	if v.atEdge != 0 {
		return
	}
	median, ok := s.settled.median()
	if !ok || d > median+edgeSlack {
		v.nearEdge = 0
		return
	}
	if v.nearEdge++; v.nearEdge == 1 {
		v.edgeSince = f.At
	}
	if v.nearEdge == edgeFrames {
		v.atEdge = v.edgeSince
		close(v.edge)
	}
}

func (s *Swarm) rtcp(v *Viewer, b []byte, at Instant) {
	if v.keys == nil {
		return
	}
	plain, err := v.keys.In.DecryptRTCP(s.plain[:0], b, &s.rtcpHeader)
	if err != nil {
		v.counts.undecrypted++
		return
	}
	senderReports(plain, func(ssrc, middle uint32) {
		i := 0
		if ssrc == v.audioSSRC {
			i = 1
		}
		v.reports[i] = heard{middle: middle, at: at}
	})
}
