package sfu

import (
	"errors"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
)

// Bugs that were mended, each named by what went wrong.

func TestAnOlderEpochDoesNotComeBackAfterANewer(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	newer := newPublisher(b.st, media.Offer{Stream: "demo"}, b.pub.remote, 6)
	older := newPublisher(b.st, media.Offer{Stream: "demo"}, b.pub.remote, 5)
	if err := b.st.takeover(newer); err != nil {
		t.Fatal(err)
	}
	b.st.abandoned(newer, media.ErrHangup)
	if err := b.st.takeover(older); !errors.Is(err, media.ErrTakenOver) {
		t.Errorf("viewers would stay black: %v", err)
	}
}

func TestAPublisherThatHasNotBegunKeepsItsStream(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.st.policy.Second = media.TakenReject
	first := newPublisher(b.st, media.Offer{Stream: "demo", At: time.Now()}, b.pub.remote, 2)
	if err := b.st.reserve(first); err != nil {
		t.Fatal(err)
	}
	second := newPublisher(b.st, media.Offer{Stream: "demo", At: time.Now()}, b.pub.remote, 3)
	if err := b.st.reserve(second); !errors.Is(err, media.ErrStreamTaken) {
		t.Errorf("while the first connects: %v", err)
	}
	if err := b.st.takeover(first); err != nil {
		t.Fatal(err)
	}
	if err := b.st.reserve(second); !errors.Is(err, media.ErrStreamTaken) {
		t.Errorf("before its first media: %v", err)
	}
	if err := b.st.takeover(second); !errors.Is(err, media.ErrStreamTaken) {
		t.Errorf("at the end of the handshake: %v", err)
	}
}

// What RTX repaired was lost on the way all the same: people and REMB must hear of it.
func TestLossIsToldBeforeItsRepair(t *testing.T) {
	b := newBench(t, "chromium-156-whip-H264-x1.offer.sdp", true)
	c := b.pub.remote.Video().Codecs[0]
	for i := range 1000 {
		b.now = b.now.Add(5 * time.Millisecond)
		p := h264(uint16(i), uint32(i*450), i%200 == 0)
		p.PayloadType, p.SSRC = c.PT, 77
		if i > 5 && i%10 == 7 { // lost, and repaired three packets later
			continue
		}
		b.pub.rtp(&p.Header, p.Payload, b.now)
		if i > 5 && i%10 == 0 {
			lost := h264(uint16(i-3), uint32((i-3)*450), false)
			h := rtp.Header{Version: 2, PayloadType: c.RTX, SSRC: 78, SequenceNumber: uint16(i / 10), Timestamp: lost.Timestamp, Marker: true}
			b.pub.rtp(&h, append([]byte{byte((i - 3) >> 8), byte(i - 3)}, lost.Payload...), b.now)
		}
	}
	if loss := b.pub.at(media.VideoTrack, 0).books.LossRatio(b.now); loss < 0.08 || loss > 0.12 {
		t.Errorf("10 %% were lost, told are %.1f %%", loss*100)
	}
}

// Without RTX only the track with the most repairs was counted, and with RTX copies were, too.
func TestRepairsOfAllTracksAreCounted(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	audio := func(seq uint16) {
		h := rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: seq, Timestamp: uint32(seq) * 960, SSRC: 3378560431}
		b.pub.rtp(&h, []byte{0x78, 1, 2}, b.now)
	}
	video := func(seq uint16) {
		p := h264(seq, uint32(seq)*3000, seq == 1000)
		b.pub.rtp(&p.Header, p.Payload, b.now)
	}
	for i := range uint16(30) {
		b.now = b.now.Add(20 * time.Millisecond)
		if i != 5 && i != 9 && i != 12 {
			video(1000 + i)
		}
		if i != 7 {
			audio(i)
		}
	}
	for _, u := range b.pub.upstreams {
		u.nack.Pending(nil, 30*time.Millisecond, b.now)
	}
	b.now = b.now.Add(40 * time.Millisecond)
	for range 2 { // a copy repairs nothing
		video(1005)
		video(1012)
		audio(7)
	}
	for _, u := range b.pub.upstreams {
		u.nack.Pending(nil, 30*time.Millisecond, b.now.Add(time.Minute))
	}
	for track, want := range map[media.TrackID][2]uint64{media.VideoTrack: {1, 2}, media.AudioTrack: {0, 1}} {
		if lost, repaired := b.pub.repairs(track); lost != want[0] || repaired != want[1] {
			t.Errorf("track %v: %d lost, %d repaired, want %v", track, lost, repaired, want)
		}
	}
}

// payloadTypes returns one of H.264 and one of VP8 that a publisher may use.
func payloadTypes(b *bench) (h264pt, vp8pt uint8) {
	for i := range b.pub.remote.Video().Codecs {
		switch c := &b.pub.remote.Video().Codecs[i]; c.Codec {
		case media.H264:
			if h264pt == 0 {
				h264pt = c.PT
			}
		case media.VP8:
			vp8pt = c.PT
		}
	}
	return h264pt, vp8pt
}

var vp8Key = []byte{0x10, 0x00, 0, 0, 0x9d, 1, 0x2a, 0, 1, 0, 1, 0}

// Trap 4: the publisher turns to a codec that the viewer does not know, and back.
func TestTrap04_ACodecAwayAndBackGoesOn(t *testing.T) {
	b := newBench(t, "chromium-156-whip-default.offer.sdp", true)
	b.v.link = nil
	one, other := payloadTypes(b)
	line := b.v.tracks[media.VideoTrack].line
	for i := range line.Codecs {
		if line.Codecs[i].Codec == media.VP8 {
			line.Codecs[i].Codec = media.H265
		}
	}
	seq := uint16(0)
	send := func(pt uint8, key bool) {
		b.now = b.now.Add(33 * time.Millisecond)
		p := h264(seq, uint32(seq)*3000, key)
		p.PayloadType, p.SSRC = pt, 77
		if pt == other {
			p.Payload = vp8Key
		}
		seq++
		b.feed(p)
	}
	for i := range 5 {
		send(one, i == 0)
	}
	for range 5 {
		send(other, true)
	}
	if !b.v.stats.noCodec.Load() || len(b.out.sent) != 5 {
		t.Fatalf("%d packets, lacking a codec: %v", len(b.out.sent), b.v.stats.noCodec.Load())
	}
	for i := range 5 {
		send(one, i == 0)
	}
	if b.v.stats.noCodec.Load() || len(b.out.sent) != 10 {
		t.Fatalf("after coming back: %d packets, lacking a codec: %v", len(b.out.sent), b.v.stats.noCodec.Load())
	}
	for _, raw := range b.out.sent {
		if p := parse(t, raw); p.PayloadType == 0 {
			t.Fatal("a packet has payload type 0")
		}
	}
}

// A resend that waited while the publisher turned to a codec without RTX went out under its old number.
func TestAQueuedResendKeepsItsPayloadType(t *testing.T) {
	b := newBench(t, "chromium-156-whip-default.offer.sdp", true)
	line := b.v.tracks[media.VideoTrack].line
	for i := range line.Codecs {
		if line.Codecs[i].Codec == media.VP8 {
			line.Codecs[i].RTX = 0
		}
	}
	one, other := payloadTypes(b)
	for i := range 10 {
		b.now = b.now.Add(33 * time.Millisecond)
		p := h264(uint16(i), uint32(i)*3000, i == 0)
		p.PayloadType, p.SSRC = one, 77
		b.feed(p)
	}
	track := b.v.tracks[media.VideoTrack]
	last := parse(t, b.out.sent[len(b.out.sent)-1])
	n := len(b.out.sent)
	p := b.v.src.ring(track.id, 0).Get(b.v.src.ring(track.id, 0).Newest())
	ref, _ := track.munger.Lookup(last.SequenceNumber)
	b.v.link.pacer.Push(20000, 0, b.now)
	b.v.hold(outgoing{t: track, p: p, out: ref.Out, pt: track.pt, rtx: track.rtx, resend: true})
	turn := h264(10, 30000, true)
	turn.PayloadType, turn.SSRC, turn.Payload = other, 77, vp8Key
	b.feed(turn)
	b.now = b.now.Add(100 * time.Millisecond)
	b.v.hurry(b.now)
	for _, raw := range b.out.sent[n:] {
		if q := parse(t, raw); q.SSRC == track.ssrc && q.SequenceNumber == last.SequenceNumber {
			t.Fatalf("number %d was sealed again: % x", q.SequenceNumber, raw)
		}
	}
}

func TestWhatIsRepairedDuringAFastStartIsSent(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.v.link = nil
	var late *rtp.Packet
	for i := range 60 {
		b.now = b.now.Add(33 * time.Millisecond)
		p := h264(uint16(1000+i), uint32(90000+3000*i), i == 0)
		if i == 40 {
			late = p
			continue
		}
		b.pub.rtp(&p.Header, p.Payload, b.now)
	}
	b.pub.burst = nil
	b.pub.publishTracks(b.now)
	b.v.adopt(b.pub.source, b.now)
	b.v.replay(b.now)
	for k := range 400 {
		b.now = b.now.Add(5 * time.Millisecond)
		if k == 110 { // behind the cursor, before the edge
			if !b.v.tracks[media.VideoTrack].replaying {
				t.Fatal("the fast start is over already")
			}
			b.feed(late)
		}
		b.v.replay(b.now)
	}
	if len(b.out.sent) != 60 {
		t.Errorf("%d of 60 packets were sent", len(b.out.sent))
	}
}

func TestAJoinerStartsAtAParameterSetThatCameLate(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.v.link = nil
	packet := func(seq uint16, payload []byte, marker bool) {
		b.now = b.now.Add(time.Millisecond)
		h := rtp.Header{Version: 2, Marker: marker, PayloadType: 106, SequenceNumber: seq, Timestamp: 90000, SSRC: 3378560432}
		b.pub.rtp(&h, payload, b.now)
	}
	packet(11, []byte{0x68, 0xce, 0x3c, 0x80}, false)
	packet(12, []byte{0x65, 0x88, 1}, true)
	packet(10, spsBytes, false)
	b.pub.publishTracks(b.now)
	b.pub.burst = nil
	b.v.adopt(b.pub.source, b.now)
	b.v.replay(b.now)
	if len(b.out.sent) != 3 || parse(t, b.out.sent[0]).Payload[0]&31 != 7 {
		t.Errorf("%d packets were sent, the first is no parameter set", len(b.out.sent))
	}
}

// hd makes one frame of a stream of about 2.4 Mbit/s (size 10,000 bytes a frame).
func (b *bench) hd(i int, seq *uint16, size int) {
	for left := size; left > 0; left -= 1000 {
		p := h264(*seq, uint32(90000+3000*i), i%60 == 0 && left == size)
		p.Marker = left <= 1000
		if p.Payload[0] != 0x78 {
			p.Payload = append(p.Payload, make([]byte, 980)...)
		}
		*seq++
		b.pub.rtp(&p.Header, p.Payload, b.now)
	}
	if i%30 == 0 {
		for _, u := range b.pub.upstreams {
			u.look(false, b.now)
		}
		b.pub.publishTracks(b.now)
	}
}

// A viewer that joins an HD stream keeps its picture, although nothing is known of its link yet.
func TestAJoinSurvivesTheFirstGuess(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	seq := uint16(0)
	for i := range 100 {
		b.hd(i, &seq, 10000)
		b.now = b.now.Add(33 * time.Millisecond)
	}
	b.pub.burst = nil
	b.v.adopt(b.pub.source, b.now)
	b.v.replay(b.now)
	for k := range 40 {
		b.now = b.now.Add(5 * time.Millisecond)
		b.v.hurry(b.now)
		if k%20 == 0 {
			b.v.house(b.now)
		}
	}
	if len(b.out.sent) < 150 { // 18 frames in 200 ms at three times the speed
		t.Errorf("only %d packets were sent", len(b.out.sent))
	}
	if track := b.v.tracks[media.VideoTrack]; track.withheld || b.v.stats.dropped.Load() != 0 {
		t.Errorf("withheld %v, dropped %d", track.withheld, b.v.stats.dropped.Load())
	}
}

// A client that negotiates arrival reports and sends none gets its stream all the same.
func TestAViewerThatReportsNothingIsServed(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	seq := uint16(0)
	for i := range 300 {
		b.hd(i, &seq, 10000)
		burst := b.pub.burst
		b.pub.burst = nil
		b.v.shard.forward(delivery{b.st, b.pub.source, burst}, b.now)
		for range 6 {
			b.now = b.now.Add(5555 * time.Microsecond)
			b.v.hurry(b.now)
		}
		if i%3 == 0 {
			b.v.house(b.now)
		}
	}
	if n := len(b.out.sent); n < int(seq)*95/100 {
		t.Errorf("%d of %d packets were sent", n, seq)
	}
	if b.v.shard.pacing != 0 || b.v.shard.replaying != 0 {
		t.Errorf("the shard is kept awake: %d, %d", b.v.shard.pacing, b.v.shard.replaying)
	}
}

// A burst that a full shard missed is taken from the ring.
func TestAMissedBurstIsFilledIn(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.v.link = nil
	b.stream(40, 100)
	for i := 40; i < 43; i++ {
		b.now = b.now.Add(33 * time.Millisecond)
		p := h264(uint16(1000+i), uint32(90000+3000*i), false)
		b.pub.rtp(&p.Header, p.Payload, b.now)
	}
	b.pub.burst = nil
	b.st.missed[0].Store(true)
	for i := 43; i < 53; i++ {
		b.now = b.now.Add(33 * time.Millisecond)
		b.feed(h264(uint16(1000+i), uint32(90000+3000*i), false))
		b.v.replay(b.now)
	}
	if len(b.out.sent) != 53 {
		t.Fatalf("%d of 53 packets were sent", len(b.out.sent))
	}
	for i := 1; i < 53; i++ {
		if parse(t, b.out.sent[i]).SequenceNumber != parse(t, b.out.sent[i-1]).SequenceNumber+1 {
			t.Fatalf("a hole before packet %d", i)
		}
	}
}

// A NACK for everything costs a bounded number of look-ups.
func TestANACKFloodIsBounded(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.stream(100, 30)
	b.v.house(b.now)
	m := &rtcp.TransportLayerNack{MediaSSRC: b.v.tracks[media.VideoTrack].ssrc}
	for i := range 250 {
		m.Nacks = append(m.Nacks, rtcp.NackPair{PacketID: uint16(i * 17), LostPackets: 0xffff})
	}
	for range 40 {
		b.v.hears(b.now, m)
	}
	if b.v.quota.numbers > 0 {
		t.Errorf("%d numbers are left of the quota", b.v.quota.numbers)
	}
	before := b.v.stats.resent.Load()
	b.v.hears(b.now, m)
	if b.v.stats.resent.Load() != before {
		t.Error("resends went on beyond the quota")
	}
}

// On a link thinner than its key frames a viewer never saw a picture: each was cut off when it had waited too long.
func TestAKeyFrameIsSentWhole(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.stream(3, 30)
	b.v.link.pacer.SetRate(300_000, true, b.now)
	ts, seq := uint32(99_000), uint16(1003)
	before := len(b.out.sent)
	for i := range 60 { // 60 KB
		p := h264(seq, ts, i == 0)
		p.Marker = i == 59
		if i > 0 {
			p.Payload = append([]byte{0x65, 0x88, byte(i)}, make([]byte, 1000)...)
		}
		seq++
		b.feed(p)
	}
	for range 2000 {
		b.now = b.now.Add(5 * time.Millisecond)
		b.v.drain(b.now)
	}
	got := 0
	for _, raw := range b.out.sent[before:] {
		if p := parse(t, raw); p.SSRC == b.v.tracks[media.VideoTrack].ssrc {
			got++
		}
	}
	if got != 60 {
		t.Errorf("%d of 60 packets of the key frame were sent, %d dropped, %d wait (%v)", got, b.v.stats.dropped.Load(), b.v.link.video.len(), b.v.link.pacer.Waiting())
	}
}

// Browsers fill bandwidth probes with resends of old packets. They counted as
// pictures, 250 a second of a layer with 15, and as the key frame that was asked for.
func TestWhatCameBeforeCountsOnce(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.stream(45, 30)
	u := b.pub.at(media.VideoTrack, 0)
	u.look(false, b.now)
	u.keys.Ask(b.now)
	sent := len(b.out.sent)
	for i := range 30 {
		b.now = b.now.Add(33 * time.Millisecond)
		b.feed(h264(uint16(1045+i), uint32(90000+3000*(45+i)), false))
		for range 10 {
			b.feed(h264(1000, 90000, true))
			b.feed(h264(uint16(1000+i), uint32(90000+3000*i), false))
		}
	}
	u.look(false, b.now)
	if u.seen.fps < 29 || u.seen.fps > 32 {
		t.Errorf("%.0f frames a second", u.seen.fps)
	}
	if u.keys.Next().IsZero() {
		t.Error("an old key frame passes for the one that was asked for")
	}
	if got := len(b.out.sent) - sent; got != 30 {
		t.Errorf("%d packets went to the viewer", got)
	}
}
