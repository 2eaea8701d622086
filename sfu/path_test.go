package sfu

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/egress"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/red"
	"github.com/sluice-live/sluice/sfu/transport"
)

// These tests hold the way of a packet through a shard, without sockets: what a
// viewer would be sent is looked at just before it is sealed.

type noClaims struct{}

func (noClaims) Claim(context.Context, media.StreamID) (media.Epoch, error) { return 1, nil }
func (noClaims) Release(media.StreamID, media.Epoch)                        {}

type tape struct {
	sent    [][]byte
	discard bool
	control []rtcp.Packet
	room    []byte
}

// sealing is an Output whose packets are sealed and then thrown away.
type sealing struct {
	*tape
	engine *egress.Engine
	dest   egress.Dest
}

func newSealing(t testing.TB, e *egress.Engine) *sealing {
	t.Helper()
	sealer, err := egress.NewGCM(make([]byte, 16), make([]byte, 12), 0)
	if err != nil {
		t.Fatal(err)
	}
	to := egress.NewAddr(netip.MustParseAddrPort("192.0.2.1:9"))
	return &sealing{tape: &tape{}, engine: e, dest: egress.Dest{Batch: nowhere{}, To: to, Sealer: sealer}}
}

func (o *sealing) Room(n int) []byte {
	o.engine.Begin(&o.dest)
	return o.engine.Room(n)
}

func (o *sealing) Packet(header, payload []byte) { _ = o.engine.Packet(header, payload) }

type nowhere struct{}

func (nowhere) Write(msgs []egress.Msg) (sent int, err error) {
	for i := range msgs {
		sent += msgs[i].Count()
	}
	return sent, nil
}

func (o *tape) Room(n int) []byte {
	if cap(o.room) < n {
		o.room = make([]byte, 0, n)
	}
	return o.room[:0]
}

func (o *tape) Packet(header, payload []byte) {
	if !o.discard {
		o.sent = append(o.sent, append(bytes.Clone(header), payload...))
	}
}

func (o *tape) Control(packets []rtcp.Packet) { o.control = append(o.control, packets...) }

type bench struct {
	st  *stream
	v   *viewer
	out *tape
	pub *publisher
	now time.Time
}

// newBench makes a stream with a publisher of Chromium's three VP8 layers (or
// one H.264 layer) and one viewer; nothing runs.
func newBench(t testing.TB, publisher string, rtx bool) *bench {
	t.Helper()
	return benchOf(t, readOffer(t, publisher), rtx)
}

func readOffer(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("negotiate/testdata/offers/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// benchOf is newBench with any publisher's offer.
func benchOf(t testing.TB, publisher []byte, rtx bool) *bench {
	t.Helper()
	s := &SFU{config: Config{Claims: noClaims{}, Policy: func(media.StreamID) media.Policy { return media.DefaultPolicy() }},
		streams: map[media.StreamID]*stream{}, sessions: map[media.SessionID]session{}, base: t.Context()}
	s.metrics = newMetrics(s, nil)
	s.shards = []*shard{newShard(s, 0)}
	st := newStream(s, "demo", media.DefaultPolicy())
	offer, err := negotiate.Publish(publisher, negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	watch, err := negotiate.Subscribe(readOffer(t, "chromium-156-whep.offer.sdp"), negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if !rtx {
		for i := range watch.Media {
			for j := range watch.Media[i].Codecs {
				watch.Media[i].Codecs[j].RTX = 0
			}
		}
	}
	b := &bench{st: st, out: &tape{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	b.pub = newPublisher(st, media.Offer{Stream: "demo"}, offer, 1)
	st.current.Store(b.pub.source)
	b.v = newViewer(st, media.Offer{Stream: "demo"}, watch)
	b.v.out, b.v.joined, b.v.conn = b.out, true, &transport.Conn{}
	if !rtx {
		b.v.link = nil
		for _, t := range b.v.tracks {
			t.ext.TransportCC = 0
		}
		b.v.tracks[media.AudioTrack].line.RED = 0
	}
	s.shards[0].groups[st] = &group{viewers: []*viewer{b.v}}
	return b
}

// feed gives the publisher one RTP packet and the burst that follows from it to the viewer.
func (b *bench) feed(p *rtp.Packet) {
	b.pub.rtp(&p.Header, p.Payload, b.now)
	b.pub.publishTracks(b.now)
	burst := b.pub.burst
	b.pub.burst = nil
	if len(burst) > 0 {
		b.v.shard.forward(delivery{b.st, b.pub.source, burst}, b.now)
	}
}

func h264(seq uint16, ts uint32, key bool) *rtp.Packet {
	payload := []byte{0x41, 0x9a, 1, 2, 3, byte(seq)}
	if key {
		payload = append([]byte{0x78, 0, 25}, spsBytes...)
		payload = append(payload, 0, 4, 0x68, 0xce, 0x3c, 0x80, 0, 3, 0x65, 0x88, byte(seq))
	}
	return &rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, PayloadType: 106, SequenceNumber: seq, Timestamp: ts, SSRC: 3378560432}, Payload: payload}
}

var spsBytes = []byte{0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80}

func (b *bench) stream(n int, gop int) {
	for i := range n {
		b.now = b.now.Add(33 * time.Millisecond)
		b.feed(h264(uint16(1000+i), uint32(90000+3000*i), i%gop == 0))
	}
}

func parse(t testing.TB, raw []byte) *rtp.Packet {
	t.Helper()
	var p rtp.Packet
	if err := p.Unmarshal(raw); err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestForwardingAllocatesNothing(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.stream(40, 30)
	b.v.out = newSealing(t, b.v.shard.engine)
	info := b.pub.at(media.VideoTrack, 0)
	seq := info.newest
	last := info.ring.Get(seq)
	var packets [2000]*media.Packet
	for i := range packets {
		p := *last
		p.Seq, p.TS, p.Key = seq+1+uint64(i), last.TS+media.Ticks(3000*(i+1)), false
		packets[i] = &p
	}
	i := 0
	before := b.v.stats.packets.Load()
	if n := testing.AllocsPerRun(1000, func() {
		b.now = b.now.Add(33 * time.Millisecond)
		b.v.shard.forward(delivery{b.st, b.pub.source, packets[i : i+1]}, b.now)
		b.v.drain(b.now)
		b.v.shard.engine.Flush()
		i++
	}); n != 0 {
		t.Errorf("%v allocations per forwarded packet", n)
	}
	if got := b.v.stats.packets.Load() - before; got != uint64(i) {
		t.Errorf("%d of %d packets were forwarded", got, i)
	}
	if got := b.v.shard.engine.Stats.Packets.Load(); got != uint64(i) {
		t.Errorf("%d of %d packets were sealed", got, i)
	}
}

func TestIngestAllocatesLittle(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.stream(40, 30)
	b.out.discard = true
	i := 40
	n := testing.AllocsPerRun(3000, func() {
		p := h264(uint16(1000+i), uint32(90000+3000*i), false)
		b.pub.rtp(&p.Header, p.Payload, b.now)
		b.pub.burst = b.pub.burst[:0]
		i++
	})
	if n > 3.5 { // the test's own packet is two, the packet arena a thirty-second of one
		t.Errorf("%v allocations per received packet", n)
	}
}

// Trap 37: ids of header extensions are the viewer's, never the publisher's.
func TestTrap37_ExtensionIDsAreTheViewers(t *testing.T) {
	b := newBench(t, "chromium-156-whip-H264-x1.offer.sdp", true)
	line := b.pub.remote.Video()
	codec := line.Codecs[0]
	for i := range 5 {
		p := h264(uint16(i), uint32(i*3000), i == 0)
		p.PayloadType, p.SSRC = codec.PT, 77
		p.Extension, p.ExtensionProfile = true, 0xBEDE
		for id := range uint8(14) {
			_ = p.SetExtension(id+1, []byte{0xAA, id})
		}
		b.feed(p)
	}
	if len(b.out.sent) < 5 {
		t.Fatalf("%d packets", len(b.out.sent))
	}
	x := b.v.tracks[media.VideoTrack].ext
	known := map[uint8]bool{x.TransportCC: true, x.AbsCapture: true, x.PlayoutDelay: true, x.Orientation: true}
	for _, raw := range b.out.sent {
		p := parse(t, raw)
		for _, id := range p.GetExtensionIDs() {
			if !known[id] {
				t.Errorf("extension %d was not negotiated with the viewer", id)
			}
			if got := p.GetExtension(id); len(got) == 2 && got[0] == 0xAA {
				t.Errorf("extension %d was forwarded raw", id)
			}
		}
	}
}

// Trap 8: padding that probes bandwidth leaves no hole in what the viewer sees.
func TestTrap08_ProbePaddingLeavesNoHole(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	seq := uint16(65530)
	for i := range 60 {
		b.now = b.now.Add(33 * time.Millisecond)
		b.feed(h264(seq, uint32(3000*i), i%30 == 0))
		seq++
		if i%3 == 0 {
			pad := h264(seq, uint32(3000*i), false)
			pad.Payload = nil
			b.feed(pad)
			seq++
		}
	}
	for i := 1; i < len(b.out.sent); i++ {
		if got, want := parse(t, b.out.sent[i]).SequenceNumber, parse(t, b.out.sent[i-1]).SequenceNumber+1; got != want {
			t.Fatalf("packet %d has number %d, want %d", i, got, want)
		}
	}
	if len(b.out.sent) != 60 {
		t.Errorf("%d of 60 frames were sent", len(b.out.sent))
	}
}

// A second publisher session takes over: the viewer's numbering and time go on.
func TestANewEpochGoesOnForTheViewer(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.stream(50, 30)
	before := parse(t, b.out.sent[len(b.out.sent)-1])
	b.pub = newPublisher(b.st, media.Offer{Stream: "demo"}, b.pub.remote, 2)
	b.st.current.Store(b.pub.source)
	b.now = b.now.Add(2 * time.Second)
	b.stream(10, 30)
	after := parse(t, b.out.sent[50])
	if after.Payload[0] != 0x78 {
		t.Error("the new epoch does not begin with a key frame")
	}
	if d := after.SequenceNumber - before.SequenceNumber; d == 0 || d > 2 {
		t.Errorf("the sequence number jumped by %d", d)
	}
	if d := after.Timestamp - before.Timestamp; d < 90000 || d > 4*90000 {
		t.Errorf("the timestamp moved by %d ticks in 2 s", d)
	}
	if after.SSRC != before.SSRC {
		t.Error("the SSRC changed")
	}
}

// Whatever comes, a number is sealed once, or with the very same bytes.
func TestNoIndexIsSealedTwiceWithDifferentBytes(t *testing.T) {
	for _, rtx := range []bool{true, false} {
		rapid.Check(t, func(rt *rapid.T) {
			b := newBench(t, "ffmpeg-9.0.2.offer.sdp", rtx)
			seq, ts, epoch := uint16(rapid.IntRange(65000, 65535).Draw(rt, "seq")), uint32(1<<32-20000), media.Epoch(1)
			for range rapid.IntRange(10, 150).Draw(rt, "steps") {
				b.now = b.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(rt, "ms")) * time.Millisecond)
				switch rapid.IntRange(0, 9).Draw(rt, "what") {
				case 0: // lost
					seq, ts = seq+1, ts+3000
				case 1: // late or duplicate
					b.feed(h264(seq-uint16(rapid.IntRange(1, 9).Draw(rt, "back")), ts-3000, false))
				case 2: // the viewer asks again
					b.nack(rt)
				case 3: // the publisher starts anew
					if rapid.IntRange(0, 5).Draw(rt, "restart") == 0 {
						epoch++
						b.pub = newPublisher(b.st, media.Offer{Stream: "demo"}, b.pub.remote, epoch)
						b.st.current.Store(b.pub.source)
					}
				default:
					seq, ts = seq+1, ts+3000
					b.feed(h264(seq, ts, rapid.IntRange(0, 9).Draw(rt, "key") == 0))
				}
				b.v.house(b.now)
			}
			once(rt, b.out.sent)
		})
	}
}

func (b *bench) nack(rt *rapid.T) {
	if len(b.out.sent) == 0 {
		return
	}
	raw := b.out.sent[rapid.IntRange(max(0, len(b.out.sent)-40), len(b.out.sent)-1).Draw(rt, "nack")]
	t := b.v.tracks[media.VideoTrack]
	b.v.hears(b.now, &rtcp.TransportLayerNack{MediaSSRC: t.ssrc, Nacks: []rtcp.NackPair{{
		PacketID: binary.BigEndian.Uint16(raw[2:]), LostPackets: rtcp.PacketBitmap(rapid.Uint16().Draw(rt, "bits"))}}})
}

// once fails if two packets of one SSRC and index differ. The index is told as SRTP tells it (RFC 3711 section 3.3.1).
func once(rt *rapid.T, sent [][]byte) {
	type index struct {
		ssrc uint32
		at   int64
	}
	seen := map[index][]byte{}
	highest := map[uint32]int64{}
	for _, raw := range sent {
		ssrc, seq := binary.BigEndian.Uint32(raw[8:]), int64(binary.BigEndian.Uint16(raw[2:]))
		at := seq
		if h, ok := highest[ssrc]; ok {
			at = h + int64(int16(uint16(seq)-uint16(h)))
		}
		highest[ssrc] = max(at, highest[ssrc])
		k := index{ssrc, at}
		if before, ok := seen[k]; ok && !bytes.Equal(before, raw) {
			rt.Fatalf("index %d of SSRC %d was sealed with different bytes:\n% x\n% x", at, ssrc, before, raw)
		}
		seen[k] = raw
	}
}

func FuzzIngest(f *testing.F) {
	raw, _ := h264(1, 2, true).Marshal()
	f.Add(raw)
	raw, _ = redundant(63, 5, 2).Marshal()
	f.Add(raw)
	f.Add([]byte{0x90, 0xe0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, 2, 0x10, 0xff, 0x22, 1, 2, 3, 0, 0, 0x7c, 0x85})
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := newBench(t, "chromium-156-whip-VP8-x3.offer.sdp", true)
		var p rtp.Packet
		if p.Unmarshal(raw) != nil {
			return
		}
		for i := range 3 {
			p.SequenceNumber += uint16(i)
			b.feed(&p)
		}
		if len(b.pub.upstreams) > maxUpstreams {
			t.Fatal("too many upstreams")
		}
	})
}

// BenchmarkForward is the way of one packet of 1,100 bytes to one of 100 viewers,
// seal included, up to the system call.
func BenchmarkForward(b *testing.B) { benchForward(b, 100, 8) }

// BenchmarkForwardCold is the same where the viewers' state does not stay in the
// processor's caches from one burst to the next, as on a node that serves.
func BenchmarkForwardCold(b *testing.B) { benchForward(b, 2000, 3) }

func benchForward(b *testing.B, viewers, packets int) {
	bench := newBench(b, "ffmpeg-9.0.2.offer.sdp", true)
	bench.stream(40, 30)
	engine := bench.v.shard.engine
	bench.v.out = newSealing(b, engine)
	g := bench.v.shard.groups[bench.st]
	for range viewers - 1 {
		v := newViewer(bench.st, media.Offer{Stream: "demo"}, bench.v.remote)
		v.out, v.joined, v.link = newSealing(b, engine), true, nil
		g.viewers = append(g.viewers, v)
	}
	u := bench.pub.at(media.VideoTrack, 0)
	last := u.ring.Get(u.newest)
	key := *last
	key.Key, key.Seq, key.TS, key.Payload = true, key.Seq+1, key.TS+3000, make([]byte, 1100)
	bench.v.shard.forward(delivery{bench.st, bench.pub.source, []*media.Packet{&key}}, bench.now)
	bench.v.link = nil // the bench of pacing is in media/pace
	bench.now = bench.now.Add(10 * time.Second)
	bench.v.shard.each(func(v *viewer) { v.replay(bench.now) })
	before := bench.v.stats.packets.Load()
	burst := make([]*media.Packet, packets)
	slab := make([]media.Packet, packets)
	b.ReportAllocs()
	b.ResetTimer()
	seq, ts := key.Seq, key.TS
	for b.Loop() {
		ts += 3000
		bench.now = bench.now.Add(33 * time.Millisecond)
		for i := range burst {
			seq++
			slab[i] = key
			slab[i].Seq, slab[i].TS, slab[i].Key, slab[i].FrameStart, slab[i].FrameEnd = seq, ts, false, i == 0, i == packets-1
			burst[i] = &slab[i]
		}
		bench.v.shard.forward(delivery{bench.st, bench.pub.source, burst}, bench.now)
		engine.Flush()
	}
	if got := bench.v.stats.packets.Load() - before; got != uint64(b.N*packets) {
		b.Fatalf("%d packets were forwarded of %d", got, b.N*packets)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(viewers*packets), "ns/packet/viewer")
}

func TestAViewerWithoutTheCodecIsToldAndClosed(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	line := b.v.remote.Video()
	kept := line.Codecs[:0]
	for _, c := range line.Codecs {
		if c.Codec != media.H264 {
			kept = append(kept, c)
		}
	}
	line.Codecs = kept
	b.stream(5, 30)
	if len(b.out.sent) != 0 {
		t.Error("something was sent in a codec that the viewer did not offer")
	}
	if view := b.v.view(); view.Active {
		t.Errorf("%+v", view)
	}
	if !b.v.stats.noCodec.Load() || b.v.lackedAt.IsZero() {
		t.Error("the lack was not noted")
	}
	if err := b.st.decodable(b.v.remote); !errors.Is(err, media.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

func TestAPictureLargerThanThePolicyIsTold(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.stream(5, 30)
	if h := b.pub.height(); h != 720 {
		t.Errorf("height %d", h)
	}
}

func opus(seq uint16, pt uint8) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{Version: 2, Marker: seq == 0, PayloadType: pt, SequenceNumber: seq, Timestamp: uint32(seq) * 960, SSRC: 9},
		Payload: []byte{0xfc, byte(seq), 1, 2, 3}}
}

// A viewer that loses sound gets each packet again with the next ones, as long as it needs them.
func TestLostSoundTravelsAgainWithTheNext(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	a := b.v.tracks[media.AudioTrack]
	say := func(from, to uint16) {
		for seq := from; seq < to; seq++ {
			b.now = b.now.Add(20 * time.Millisecond)
			b.feed(opus(seq, 111))
		}
	}
	report := func(lost uint8) {
		b.v.hears(b.now, &rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: a.ssrc, FractionLost: lost}}})
	}
	say(0, 5)
	report(30) // 12 %
	say(5, 10)
	last := parse(t, b.out.sent[len(b.out.sent)-1])
	if last.PayloadType != a.line.RED {
		t.Fatalf("payload type %d, want RED's %d", last.PayloadType, a.line.RED)
	}
	blocks, err := red.Parse(nil, last.Payload)
	if err != nil || len(blocks) != 3 {
		t.Fatalf("%d blocks, %v", len(blocks), err)
	}
	for i, want := range []byte{7, 8, 9} {
		if blocks[i].Payload[1] != want || blocks[i].PT != 111 || int(blocks[i].Offset) != (2-i)*960 {
			t.Errorf("block %d: %+v", i, blocks[i])
		}
	}
	if first := parse(t, b.out.sent[0]); first.PayloadType != 111 {
		t.Errorf("without loss the payload type was %d", first.PayloadType)
	}
	b.now = b.now.Add(repairTime + time.Second)
	report(0)
	say(10, 12)
	if p := parse(t, b.out.sent[len(b.out.sent)-1]); p.PayloadType != 111 {
		t.Errorf("after the loss the payload type is still %d", p.PayloadType)
	}
}
