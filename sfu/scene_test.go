package sfu

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
)

// A scene is one publisher of three layers and one viewer behind a bad link, in
// virtual time: all that a shard does is done by its own code, only the wire and
// the browser are models. Each run with one seed is the same.

const ms = time.Millisecond

// sizes are the layers of the loss matrix, smallest first.
var sizes = []struct {
	rid           string
	width, height uint16
	rate          int
}{{"q", 320, 180, 150_000}, {"h", 640, 360, 700_000}, {"f", 1280, 720, 2_500_000}}

const (
	fps = 30
	// keyShare is how much larger a key frame is than another.
	keyShare = 6
	gop      = 2 * fps
	// soundBytes are 64 kbit/s in packets of 20 ms.
	soundBytes = 160
	// vp8Head is where a packet's own story begins: behind what VP8 parsers read.
	vp8Head = 12
	// wireExtra is what a packet has on the wire besides: IPv4, UDP, SRTP's tag.
	wireExtra = 44
)

type wireData struct {
	at    time.Time
	b     []byte
	reply []rtcp.Packet
}

type scene struct {
	*bench
	t        testing.TB
	start    time.Time
	down, up *testnet.Link
	wire     []wireData // to the viewer, by arrival
	replies  []wireData // to us
	screen   *screen
	joinAt   time.Duration
	joined   bool

	frames   [3]int
	inGOP    [3]int
	seqs     [4]uint16
	pliAt    [3]time.Time
	pliSeen  [3]int
	offered  []int // bytes per 100 ms of time since joining
	passed   []int
	queues   []time.Duration
	estimate []media.Bitrate // each 100 ms
	why      []string
}

// newScene begins with a publisher that has run for three seconds when the
// viewer joins, and with it the link's course.
func newScene(t testing.TB, p testnet.Profile, seed uint64) *scene {
	b := newBench(t, "chromium-156-whip-VP8-x3.offer.sdp", true)
	s := &scene{bench: b, t: t, start: b.now, joinAt: 3*time.Second + time.Duration(seed%8)*250*ms}
	b.st.sfu.shards[0].groups = map[*stream]*group{}
	b.v.out = s
	join := s.start.Add(s.joinAt)
	s.down, s.up = testnet.NewLink(p.Down, seed, join), testnet.NewLink(p.Up, seed+100, join)
	s.screen = newScreen(s.v, join)
	s.run(s.joinAt)
	b.v.shard.groups[b.st] = &group{viewers: []*viewer{b.v}}
	s.joined = true
	s.mark()
	b.v.begin(s.now)
	return s
}

// since is the time since the viewer joined.
func (s *scene) since() time.Duration { return s.now.Sub(s.start) - s.joinAt }

// run plays for a time, a millisecond at a step.
func (s *scene) run(d time.Duration) *scene {
	for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(ms) {
		at := s.now.Sub(s.start)
		s.publish(at)
		if !s.joined {
			continue
		}
		if since := s.since(); since > 0 && since%houseTick == 0 {
			s.mark()
			s.v.house(s.now)
		}
		if at%replayTick == 0 && s.v.shard.replaying+s.v.shard.pacing > 0 {
			s.v.shard.hurry(s.now)
		}
		s.deliver()
	}
	return s
}

// mark begins the counters of the next 100 ms.
func (s *scene) mark() {
	state := s.v.link.estimator.State()
	s.offered, s.passed = append(s.offered, 0), append(s.passed, 0)
	s.estimate, s.why = append(s.estimate, state.Estimate), append(s.why, state.Why.String())
}

// deliver is what arrives in this millisecond, at both ends.
func (s *scene) deliver() {
	for len(s.wire) > 0 && !s.wire[0].at.After(s.now) {
		w := s.wire[0]
		s.wire = s.wire[1:]
		if w.b == nil {
			s.screen.control(w.reply, s.now)
			continue
		}
		s.passed[len(s.passed)-1] += len(w.b) + wireExtra
		s.screen.receive(w.b, s.now)
	}
	for _, packet := range s.screen.speak(s.now) {
		if f := s.up.Offer(100, s.now); f.Cause == 0 {
			s.replies = insert(s.replies, wireData{at: f.At, reply: []rtcp.Packet{packet}})
		}
	}
	for len(s.replies) > 0 && !s.replies[0].at.After(s.now) {
		packet := s.replies[0].reply[0]
		s.replies = s.replies[1:]
		s.v.hears(s.now, packet)
	}
}

func insert(q []wireData, w wireData) []wireData {
	i := len(q)
	for i > 0 && q[i-1].at.After(w.at) {
		i--
	}
	return slices.Insert(q, i, w)
}

// Room implements Output.
func (s *scene) Room(n int) []byte { return make([]byte, 0, n) }

// Packet implements Output: the way to the viewer.
func (s *scene) Packet(header, payload []byte) {
	b := slices.Concat(header, payload)
	s.offered[len(s.offered)-1] += len(b) + wireExtra
	f := s.down.Offer(len(b)+wireExtra, s.now)
	if f.Cause != 0 {
		return
	}
	s.queues = append(s.queues, f.Queued)
	s.wire = insert(s.wire, wireData{at: f.At, b: b})
	if !f.Again.IsZero() {
		s.wire = insert(s.wire, wireData{at: f.Again, b: slices.Clone(b)})
	}
}

// Control implements Output.
func (s *scene) Control(packets []rtcp.Packet) {
	if f := s.down.Offer(120, s.now); f.Cause == 0 {
		s.wire = insert(s.wire, wireData{at: f.At, reply: slices.Clone(packets)})
	}
}

// publish is the publisher: sound each 20 ms, a frame of each layer each 33⅓ ms,
// key frames each two seconds and 40 ms after they were asked for.
func (s *scene) publish(at time.Duration) {
	if at%time.Second == 0 {
		s.pub.publishTracks(s.now)
		for _, u := range s.pub.upstreams {
			u.look(false, s.now)
		}
	}
	if at%(20*ms) == 0 {
		s.seqs[3]++
		payload := make([]byte, soundBytes)
		payload[0] = 0x78
		binary.BigEndian.PutUint32(payload[1:], uint32(at/(20*ms)))
		s.feed(&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: s.seqs[3], Timestamp: uint32(at / ms * 48), SSRC: 2578786600}, Payload: payload})
	}
	s.requests()
	if n := int(at/ms) * 3; n%100 < 3 {
		for l := range sizes {
			s.frame(l, at)
		}
	}
}

// requests are the viewers' wishes for key frames, at the pace of the requester.
func (s *scene) requests() {
	for len(s.pub.source.asks) > 0 {
		a := <-s.pub.source.asks
		for _, u := range s.pub.upstreams {
			if u.track == a.track && (u.layer == a.layer || a.layer == media.AnyLayer) && u.codec.Kind() == media.Video && u.keys.Ask(s.now) {
				s.pli(u)
			}
		}
	}
	for _, u := range s.pub.upstreams {
		if next := u.keys.Next(); !next.IsZero() && !s.now.Before(next) {
			if send, _ := u.keys.Wake(s.now); send {
				s.pli(u)
			}
		}
	}
}

func (s *scene) pli(u *upstream) {
	s.pliSeen[u.layer]++
	s.pliAt[u.layer] = s.now.Add(40 * ms)
}

// frame feeds one frame of a layer as one burst.
func (s *scene) frame(l int, at time.Duration) {
	key := s.inGOP[l]%gop == 0
	if !s.pliAt[l].IsZero() && !s.now.Before(s.pliAt[l]) {
		key, s.inGOP[l], s.pliAt[l] = true, 0, time.Time{}
	}
	s.inGOP[l]++
	s.frames[l]++
	size := sizes[l].rate / 8 / fps * gop / (gop + keyShare - 1)
	if key {
		size *= keyShare
	}
	n := (size + 1149) / 1150
	for i := range n {
		payload := make([]byte, max(40, size/n))
		if i == 0 {
			copy(payload, []byte{0x10, 1, 0, 0})
			if key {
				copy(payload, []byte{0x10, 0, 0, 0, 0x9d, 1, 0x2a})
				binary.LittleEndian.PutUint16(payload[7:], sizes[l].width)
				binary.LittleEndian.PutUint16(payload[9:], sizes[l].height)
			}
		}
		writePiece(payload, piece{frame: s.frames[l], index: i, of: n, layer: l, key: key})
		s.seqs[l]++
		p := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: i == n-1, PayloadType: 96, SequenceNumber: s.seqs[l], Timestamp: uint32(at / ms * 90), SSRC: uint32(5000 + l)}, Payload: payload}
		if err := p.SetExtension(10, []byte(sizes[l].rid)); err != nil {
			s.t.Fatal(err)
		}
		s.pub.rtp(&p.Header, p.Payload, s.now)
	}
	if s.pub.renewed {
		s.pub.renewed = false
		s.pub.publishTracks(s.now)
	}
	burst := s.pub.burst
	s.pub.burst = nil
	s.v.shard.forward(delivery{s.st, s.pub.source, burst}, s.now)
}

// kilobits is the rate of a stretch of counters.
func kilobits(counts []int, from, to time.Duration) int {
	sum := 0
	for _, n := range counts[from/(100*ms) : min(int(to/(100*ms)), len(counts))] {
		sum += n
	}
	return int(float64(sum) * 8 / 1000 / (to - from).Seconds())
}

// queue is how long packets waited before the link: a share of them less than that.
func (s *scene) queue(share float64) time.Duration {
	q := slices.Clone(s.queues)
	slices.Sort(q)
	return q[int(share*float64(len(q)-1))]
}

// trace prints a run, for whoever works on it: go test -v.
func (s *scene) trace() {
	if !testing.Verbose() {
		return
	}
	for i := 0; i+5 <= len(s.offered); i += 5 {
		from := time.Duration(i) * 100 * ms
		freeze, longest := s.screen.freeze(from, from+500*ms)
		s.t.Logf("%5.1fs est %5d %-8s offered %5d passed %5d heights %v freeze %4d/%4d ms", from.Seconds(), s.estimate[i]/1000, s.why[i],
			kilobits(s.offered, from, from+500*ms), kilobits(s.passed, from, from+500*ms), s.screen.heights(from, from+500*ms), freeze/ms, longest/ms)
	}
}

// summary says what the viewer saw, in a line.
func (s *scene) summary(from, to time.Duration) string {
	freeze, longest := s.screen.freeze(from, to)
	return fmt.Sprintf("freeze %.1f %% longest %d ms, heights %v, sound concealed %.2f %%, queue p95 %v, offered %d passed %d kbit/s, plis %v, gaps %v",
		100*freeze.Seconds()/(to-from).Seconds(), longest/ms, s.screen.heights(from, to), 100*s.screen.concealed(from, to), s.queue(0.95).Round(ms),
		kilobits(s.offered, from, to), kilobits(s.passed, from, to), s.pliSeen, s.screen.gaps(from, to))
}
