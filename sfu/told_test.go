package sfu

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/report"
)

// Browsers write when they captured into their first packets, and say what their clock is
// half a second later, sound two seconds later still. Until then it was guessed from
// arrivals, and for as long again because the first was forgotten.
func TestWhatAPublisherWroteBeforeItsFirstReportIsKnownWithIt(t *testing.T) {
	offer := readOffer(t, "ffmpeg-9.0.2.offer.sdp")
	const mux = "a=rtcp-mux\r\n"
	told := bytes.ReplaceAll(offer, []byte(mux), []byte(mux+"a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time\r\n"))
	const travel, wrong = 90 * time.Millisecond, 5 * time.Hour // the publisher lives in another time
	for name, c := range map[string]struct {
		offer []byte
		sound bool // is told, too
	}{"abs-capture-time": {told, true}, "reports alone": {offer, false}} {
		b := benchOf(t, c.offer, true)
		begin := b.now
		send := func(n int) (video, audio *media.Packet) {
			at := begin.Add(time.Duration(n) * 20 * time.Millisecond)
			b.now = at.Add(travel)
			v := h264(uint16(n), uint32(n*1800), n == 0)
			a := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: uint16(n), Timestamp: uint32(n * 960), SSRC: 9}, Payload: []byte{0xfc, 1, 2}}
			for _, p := range []*rtp.Packet{v, a} {
				if n == 0 && c.sound {
					if err := p.SetExtension(5, binary.BigEndian.AppendUint64(nil, report.NTP(at.Add(wrong)))); err != nil {
						t.Fatal(err)
					}
				}
				b.pub.rtp(&p.Header, p.Payload, b.now)
			}
			for _, p := range b.pub.burst {
				if p.Track == media.VideoTrack {
					video = p
				} else {
					audio = p
				}
			}
			b.pub.burst = nil
			return video, audio
		}
		for n := range 25 {
			if v, a := send(n); !v.Guessed || !a.Guessed || v.Capture.IsZero() {
				t.Fatalf("%s: frame %d was told before any report", name, n)
			}
		}
		b.pub.senderReport(&rtcp.SenderReport{SSRC: 3378560432, NTPTime: report.NTP(begin.Add(500*time.Millisecond + wrong)), RTPTime: 25 * 1800}, begin.Add(510*time.Millisecond))
		v, a := send(26)
		want := begin.Add(520*time.Millisecond + 10*time.Millisecond) // the report took 10 ms
		if v.Guessed || v.Capture.Sub(want).Abs() > time.Millisecond {
			t.Errorf("%s: the picture was captured %v late, guessed %v", name, v.Capture.Sub(want), v.Guessed)
		}
		if a.Guessed == c.sound || c.sound && a.Capture.Sub(want).Abs() > time.Millisecond {
			t.Errorf("%s: the sound was captured %v late, guessed %v", name, a.Capture.Sub(want), a.Guessed)
		}
	}
}

// A report of a layer that has sent nothing yet tells what the publisher's clock is.
func TestTheFirstReportCountsWhoeverItIsOf(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.pub.senderReport(&rtcp.SenderReport{SSRC: 77, NTPTime: report.NTP(b.now)}, b.now)
	if _, known := b.pub.clock.Node(report.NTP(b.now)); !known {
		t.Error("the publisher's clock is not known")
	}
}

// A publisher whose clock is set anew writes and reports by the new one at once, and the
// node follows it when it has heard so twice: frames were hours off until then.
func TestCaptureTimesGoOnWhenAPublishersClockIsSetAnew(t *testing.T) {
	const mux = "a=rtcp-mux\r\n"
	offer := bytes.ReplaceAll(readOffer(t, "ffmpeg-9.0.2.offer.sdp"), []byte(mux), []byte(mux+"a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time\r\n"))
	const travel, sooner = 90 * time.Millisecond, 10 * time.Millisecond // of packets, of reports
	b := benchOf(t, offer, true)
	begin := b.now
	for n := range 300 {
		at := begin.Add(time.Duration(n) * 20 * time.Millisecond)
		clock := at.Add(5 * time.Hour)
		if n >= 150 {
			clock = at.Add(7 * time.Hour)
		}
		if n%50 == 25 {
			b.pub.senderReport(&rtcp.SenderReport{SSRC: 3378560432, NTPTime: report.NTP(clock), RTPTime: uint32(n * 1800)}, at.Add(sooner))
		}
		b.now = at.Add(travel)
		p := h264(uint16(n), uint32(n*1800), n == 0)
		if n%10 == 0 {
			if err := p.SetExtension(5, binary.BigEndian.AppendUint64(nil, report.NTP(clock))); err != nil {
				t.Fatal(err)
			}
		}
		b.pub.rtp(&p.Header, p.Payload, b.now)
		if len(b.pub.burst) != 1 {
			t.Fatalf("frame %d became %d packets", n, len(b.pub.burst))
		}
		got := b.pub.burst[0]
		b.pub.burst = nil
		if off := got.Capture.Sub(at.Add(sooner)); n > 25 && (got.Guessed || off.Abs() > time.Millisecond) {
			t.Fatalf("frame %d, by the new clock %v: captured %v late, guessed %v", n, n >= 150, off, got.Guessed)
		}
	}
}
