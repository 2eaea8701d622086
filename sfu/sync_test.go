package sfu

import (
	"bytes"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/report"
)

// studio is a publisher whose clocks the test knows: what was captured when.
type studio struct {
	*bench
	t        *testing.T
	offset   time.Duration // of the publisher's clock against the node's
	travel   time.Duration // from capture to arrival
	video    uint16
	audio    uint16
	base     time.Time            // RTP time 0 of both tracks
	captured map[uint32]time.Time // by RTP time as the viewer sees it, video
	spoken   map[uint32]time.Time // the same for sound
	muted    bool
	silent   bool // no sender reports
	seen     int
}

func newStudio(t *testing.T) *studio {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.v.link = nil // what is sent leaves at once
	return &studio{bench: b, t: t, offset: 37 * time.Second, travel: 30 * time.Millisecond, base: b.now,
		captured: map[uint32]time.Time{}, spoken: map[uint32]time.Time{}}
}

func (s *studio) rtp(at time.Time, rate int64) uint32 {
	return uint32(int64(at.Sub(s.base)) * rate / int64(time.Second))
}

// second lets one second pass: 25 frames, 50 packets of sound, sender reports at its beginning.
func (s *studio) second() {
	start := s.now
	for i := range 50 {
		at := start.Add(time.Duration(i) * 20 * time.Millisecond)
		s.now = at.Add(s.travel)
		if i == 0 && !s.silent {
			s.report(3378560432, s.rtp(at, 90000), at)
			s.report(9, s.rtp(at, 48000), at)
		}
		if i%2 == 0 {
			s.video++
			p := h264(s.video, s.rtp(at, 90000), i == 0)
			s.feed(p)
			s.note(s.captured, at, s.v.tracks[media.VideoTrack].ssrc)
		}
		if !s.muted {
			s.audio++
			s.feed(&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: s.audio, Timestamp: s.rtp(at, 48000), SSRC: 9}, Payload: []byte{0xfc, 1, 2}})
			s.note(s.spoken, at, s.v.tracks[media.AudioTrack].ssrc)
		}
		s.v.house(s.now)
	}
	s.now = start.Add(time.Second)
}

func (s *studio) report(ssrc, ts uint32, at time.Time) {
	s.pub.senderReport(&rtcp.SenderReport{SSRC: ssrc, NTPTime: report.NTP(at.Add(s.offset)), RTPTime: ts}, s.now)
}

func (s *studio) note(where map[uint32]time.Time, at time.Time, ssrc uint32) {
	for ; s.seen < len(s.out.sent); s.seen++ {
		if p := parse(s.t, s.out.sent[s.seen]); p.SSRC == ssrc {
			where[p.Timestamp] = at
		}
	}
}

// skew returns by how much sound and picture are apart as the viewer's player
// would put them together: by the newest sender report of each.
func (s *studio) skew() time.Duration {
	s.t.Helper()
	place := func(ssrc uint32, known map[uint32]time.Time, rate int64) time.Duration {
		var last *rtcp.SenderReport
		for _, p := range s.out.control {
			if sr, ok := p.(*rtcp.SenderReport); ok && sr.SSRC == ssrc {
				last = sr
			}
		}
		if last == nil {
			s.t.Fatal("no sender report was sent")
		}
		// The newest frame, in the report's time, against when it was captured.
		var ts uint32
		var at time.Time
		for k, v := range known {
			if v.After(at) {
				ts, at = k, v
			}
		}
		shown := report.FromNTP(last.NTPTime).Add(time.Duration(int32(ts-last.RTPTime)) * time.Second / time.Duration(rate))
		return shown.Sub(at)
	}
	return place(s.v.tracks[media.AudioTrack].ssrc, s.spoken, 48000) - place(s.v.tracks[media.VideoTrack].ssrc, s.captured, 90000)
}

// Trap 24: sound and picture stay together through all that may happen to a stream.
func TestTrap24_SoundAndPictureStayTogether(t *testing.T) {
	within := func(s *studio, what string) {
		t.Helper()
		if d := s.skew(); d.Abs() >= 20*time.Millisecond {
			t.Errorf("%s: sound is %v off", what, d)
		}
	}
	s := newStudio(t)
	for range 5 {
		s.second()
	}
	within(s, "at first")
	s.muted = true
	for range 4 {
		s.second()
	}
	s.muted = false
	for range 3 {
		s.second()
	}
	within(s, "after a mute of 4 s")
	s.silent = true
	for range 20 {
		s.second()
	}
	within(s, "after 20 s without sender reports")
	s.silent = false
	s.offset += 2 * time.Second // the publisher's clock is set
	for range 5 {
		s.second()
	}
	within(s, "after a clock step")
	s.pub = newPublisher(s.st, media.Offer{Stream: "demo"}, s.pub.remote, 2)
	s.st.current.Store(s.pub.source)
	s.now = s.now.Add(3 * time.Second)
	s.base = s.now.Add(-time.Hour) // an encoder that was started anew
	for range 5 {
		s.second()
	}
	within(s, "after the publisher came back")
}

// Trap 18: what one viewer's numbering does to a packet, another does not see.
func TestTrap18_NoViewerSeesAnothersNumbers(t *testing.T) {
	b := newBench(t, "chromium-156-whip-VP8-x3.offer.sdp", true)
	b.v.link = nil
	g := b.v.shard.groups[b.st]
	tapes := []*tape{b.out}
	for range 3 {
		v := newViewer(b.st, media.Offer{Stream: "demo"}, b.v.remote)
		out := &tape{}
		v.out, v.joined, v.link = out, true, nil
		g.viewers, tapes = append(g.viewers, v), append(tapes, out)
	}
	line := b.pub.remote.Video()
	var sent [][]byte
	for i := range 40 {
		b.now = b.now.Add(33 * time.Millisecond)
		payload := []byte{0x90, 0xe0, 0x80, byte(i), byte(i), 0x20, 0x10, 2, 0, 0x9d, 0x01, 0x2a, 64, 1, 180, 0, byte(i)}
		if i > 0 {
			payload[7] = 3 // no key frame
		}
		p := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, PayloadType: line.Codecs[0].PT, SequenceNumber: uint16(i), Timestamp: uint32(i) * 3000, SSRC: 5}, Payload: payload}
		if err := p.SetExtension(line.Ext.RID, []byte(line.RIDs[0])); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, bytes.Clone(payload))
		b.feed(p)
		if !bytes.Equal(payload, sent[i]) {
			t.Fatalf("packet %d was written to", i)
		}
	}
	for v, out := range tapes {
		if len(out.sent) != 40 {
			t.Fatalf("viewer %d got %d packets", v, len(out.sent))
		}
		for i, raw := range out.sent {
			if got := parse(t, raw).Payload; !bytes.Equal(got[7:], sent[i][7:]) {
				t.Fatalf("viewer %d, packet %d: % x, want % x", v, i, got, sent[i])
			}
		}
	}
}

// Trap 32: the pauses of discontinuous sound are no stall.
func TestTrap32_PausesInSpeechAreNoStall(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	for i := range 20 { // a comfort packet each 400 ms, as Opus sends them
		b.now = b.now.Add(400 * time.Millisecond)
		b.feed(&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: uint16(i), Timestamp: uint32(i) * 19200, SSRC: 9}, Payload: []byte{0xf8}})
		if l := b.pub.at(media.AudioTrack, 0).layerInfo(b.now.Add(399 * time.Millisecond)); !l.Active {
			t.Fatal("sound counts as gone between two packets")
		}
	}
	if len(b.out.sent) != 20 {
		t.Errorf("%d of 20 packets were sent", len(b.out.sent))
	}
	for _, f := range b.pub.findings(b.now, 0) {
		if f.Code == "silent" {
			t.Errorf("%+v", f)
		}
	}
}
