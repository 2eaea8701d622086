package sfu_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu"
)

// Trap 1: the encoder is killed and comes back at once under the same name. The
// viewer's session and its stream of packets go on.
func TestTrap01_APublisherComesBack(t *testing.T) {
	s := start(t, nil)
	first := publish(t, s, "demo", "pub1")
	stop := first.play(100)
	v := watch(t, s, "demo", "view")
	last := v.next(t)
	stop() // killed: no DELETE, no DTLS close
	second := publish(t, s, "demo", "pub2")
	defer second.play(100)()
	testnet.Eventually(t, "one publisher is left", func() bool {
		st, err := s.Stream("demo")
		return err == nil && st.Epoch == 2
	})
	testnet.Eventually(t, "the old session has ended", func() bool {
		_, _, err := s.View("pub1")
		return errors.Is(err, media.ErrNoSession)
	})
	seen := false
	for range 300 {
		p := v.next(t)
		if d := p.SequenceNumber - last.SequenceNumber; d == 0 || d > 2 {
			t.Fatalf("the sequence number went from %d to %d", last.SequenceNumber, p.SequenceNumber)
		}
		if int32(p.Timestamp-last.Timestamp) < 0 {
			t.Fatalf("time ran back from %d to %d", last.Timestamp, p.Timestamp)
		}
		seen = seen || p.Payload[0] == sps[0]
		last = p
	}
	if !seen {
		t.Error("the new publisher's key frame did not come")
	}
}

// Trap 3: who watches before anyone publishes gets the picture when it comes.
func TestTrap03_AViewerMayComeFirst(t *testing.T) {
	s := start(t, nil)
	v := watch(t, s, "demo", "view")
	view, changed, err := s.View("view")
	if err != nil || view.Active || view.Reason == "" {
		t.Fatalf("%+v %v", view, err)
	}
	e := publish(t, s, "demo", "pub")
	defer e.play(30)()
	if p := v.next(t); p.Payload[0] != sps[0] {
		t.Error("it does not begin with a key frame")
	}
	select {
	case <-changed:
	case <-time.After(patience):
		t.Error("nobody told the viewer that the stream is live")
	}
	testnet.Eventually(t, "the view says active", func() bool { view, _, _ := s.View("view"); return view.Active })
}

func TestAViewerIsRefusedWhereThePolicySaysSo(t *testing.T) {
	s := start(t, func(c *sfu.Config) {
		c.Policy = func(media.StreamID) media.Policy {
			p := media.DefaultPolicy()
			p.Absent = media.AbsentRefuse
			return p
		}
	})
	_, err := s.Subscribe(t.Context(), media.Offer{Stream: "demo", Session: "v", SDP: []byte("v=0\r\n")})
	if !errors.Is(err, media.ErrNotLive) {
		t.Errorf("got %v", err)
	}
}

// Trap 12: however often viewers ask, the publisher is asked at most once a second, or so.
func TestTrap12_APLIFloodReachesThePublisherOnceASecond(t *testing.T) {
	s := start(t, nil)
	e := publish(t, s, "demo", "pub")
	defer e.play(30)()
	v := watch(t, s, "demo", "view")
	v.next(t)
	testnet.Eventually(t, "the track is known", func() bool { return v.ssrc.Load() != 0 })
	began := time.Now()
	flood := time.NewTicker(time.Millisecond)
	defer flood.Stop()
	for range 2500 {
		<-flood.C
		_ = v.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: v.ssrc.Load()}})
	}
	seconds := time.Since(began).Seconds()
	if n := e.plis.Load(); n < 1 || float64(n) > seconds+2 {
		t.Errorf("%d requests in %.1f s", n, seconds)
	}
}

// Trap 14: the encoder ignores requests for key frames (OBS). Joining does not need one.
func TestTrap14_JoiningNeedsNoKeyFrameRequest(t *testing.T) {
	s := start(t, nil)
	asked := int64(1)
	// When the machine has stood still the last key frame is old, and then one is asked for.
	for try := 0; try < 5 && asked > 0; try++ {
		name := fmt.Sprint("demo", try)
		e := publish(t, s, media.StreamID(name), name+"pub")
		stop := e.play(100) // so that none is old by itself
		testnet.Eventually(t, "some frames came", func() bool { st, _ := s.Stream(media.StreamID(name)); return st.Live })
		for i := range 5 {
			v := watch(t, s, media.StreamID(name), fmt.Sprint(name, "view", i))
			if p := v.next(t); p.Payload[0] != sps[0] {
				t.Fatalf("viewer %d does not begin with a key frame", i)
			}
		}
		asked = e.plis.Load()
		stop()
	}
	if asked != 0 {
		t.Errorf("the publisher was asked %d times", asked)
	}
}

// Two publishers may use the same SSRC: each transport has its own.
func TestEqualSSRCsOfTwoPublishersDoNotMix(t *testing.T) {
	s := start(t, nil)
	a, b := publish(t, s, "a", "pa"), publish(t, s, "b", "pb")
	va, vb := watch(t, s, "a", "va"), watch(t, s, "b", "vb")
	send := func(e *encoder, mark byte) {
		e.seq++
		e.ts += 3000
		for _, payload := range [][]byte{sps, {0x65, 0x88, mark}} {
			e.seq++
			_ = e.video.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 102, SequenceNumber: e.seq, Timestamp: e.ts, Marker: payload[0] == 0x65}, Payload: payload})
		}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				send(a, 'a')
				send(b, 'b')
			}
		}
	}()
	defer func() { close(done); <-ended }()
	for v, mark := range map[*screen]byte{va: 'a', vb: 'b'} {
		for range 50 {
			if p := v.next(t); p.Payload[0] == 0x65 && p.Payload[2] != mark {
				t.Fatalf("a packet of the other stream came: %c", p.Payload[2])
			}
		}
	}
}

func TestASecondPublisherIsRejectedWhereThePolicySaysSo(t *testing.T) {
	s := start(t, func(c *sfu.Config) {
		c.Policy = func(media.StreamID) media.Policy {
			p := media.DefaultPolicy()
			p.Second = media.TakenReject
			return p
		}
	})
	e := publish(t, s, "demo", "pub")
	defer e.play(30)()
	testnet.Eventually(t, "the stream is live", func() bool { st, _ := s.Stream("demo"); return st.Live })
	pc, err := api(t).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	_, _ = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	offer, _ := pc.CreateOffer(nil)
	if _, err := s.Publish(t.Context(), media.Offer{Stream: "demo", Session: "x", SDP: []byte(offer.SDP)}); !errors.Is(err, media.ErrStreamTaken) {
		t.Errorf("got %v", err)
	}
}

func TestMediaGoesOnThroughAnICERestart(t *testing.T) {
	s := start(t, nil)
	e := publish(t, s, "demo", "pub")
	defer e.play(30)()
	v := watch(t, s, "demo", "view")
	last := v.next(t)
	restart(t, s, v)
	began := time.Now()
	for time.Since(began) < 3*time.Second {
		p := v.next(t)
		goesOn(t, last, p)
		last = p
	}
}

// goesOn holds the number of a packet against the time since the one before: what is missing
// between them the client itself threw away, before it had matched the path again. A frame is
// one packet, each sixtieth is three.
func goesOn(t *testing.T, last, p *rtp.Packet) {
	t.Helper()
	frames := (p.Timestamp - last.Timestamp) / 3000
	if d := uint32(p.SequenceNumber - last.SequenceNumber); d == 0 || d > frames+2*(frames/60+2) {
		t.Fatalf("the sequence number went from %d to %d in %d frames", last.SequenceNumber, p.SequenceNumber, frames)
	}
}

// restart takes a viewer through an ICE restart; it gathers anew, and so has another address, too.
func restart(t *testing.T, s *sfu.SFU, v *screen) {
	t.Helper()
	from := port(t, v.pc)
	renew(t, s, v)
	if at := port(t, v.pc); at == from {
		t.Errorf("the client is still at port %s", at)
	}
}

// renew takes a viewer through an ICE restart.
func renew(t *testing.T, s *sfu.SFU, v *screen) {
	t.Helper()
	offer, err := v.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	if err != nil {
		t.Fatal(err)
	}
	old := v.pc.RemoteDescription().SDP
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	answer, err := s.Restart(t.Context(), "view", media.Fragment{Ufrag: line(offer.SDP, "a=ice-ufrag:"), Pwd: line(offer.SDP, "a=ice-pwd:"),
		Arrived: localhost, Remote: localhost})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Candidates) != 1 || answer.Ufrag == line(old, "a=ice-ufrag:") {
		t.Errorf("%+v", answer)
	}
	fresh := strings.NewReplacer(line(old, "a=ice-ufrag:"), answer.Ufrag, line(old, "a=ice-pwd:"), answer.Pwd).Replace(old)
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: fresh}); err != nil {
		t.Fatal(err)
	}
}

// port returns that of a client's first candidate (RFC 8839 section 5.1).
func port(t *testing.T, pc *webrtc.PeerConnection) string {
	t.Helper()
	fields := strings.Fields(line(pc.LocalDescription().SDP, "a=candidate:"))
	if len(fields) < 6 {
		t.Fatal("the client has no candidate")
	}
	return fields[5]
}

func line(sdp, key string) string {
	_, rest, _ := strings.Cut(sdp, key)
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

func TestHangupEndsASessionOnce(t *testing.T) {
	s := start(t, nil)
	v := watch(t, s, "demo", "view")
	if err := s.Hangup(t.Context(), "view", media.ErrKicked); err != nil {
		t.Fatal(err)
	}
	if err := s.Hangup(t.Context(), "view", nil); !errors.Is(err, media.ErrNoSession) {
		t.Errorf("the second time: %v", err)
	}
	if err := s.Trickle(t.Context(), "view", media.Fragment{}); !errors.Is(err, media.ErrNoSession) {
		t.Errorf("trickle after the end: %v", err)
	}
	_ = v
}

// Trap 31: sessions that come and go leave nothing behind.
func TestTrap31_ChurnLeavesNoGoroutines(t *testing.T) {
	s := start(t, nil)
	e := publish(t, s, "demo", "pub")
	defer e.play(30)()
	churn := func(n int) {
		for range n {
			v := watch(t, s, "demo", "churn")
			v.next(t)
			_ = s.Hangup(t.Context(), "churn", nil)
			_ = v.pc.Close()
		}
	}
	churn(3)
	settle := func() int {
		n := 0
		testnet.Eventually(t, "the goroutines settle", func() bool {
			before := n
			n = runtime.NumGoroutine()
			return n == before
		})
		return n
	}
	before := settle()
	churn(20)
	testnet.Eventually(t, "all goroutines ended", func() bool { return runtime.NumGoroutine() <= before })
	st, _ := s.Stream("demo")
	if st.Viewers != 0 {
		t.Errorf("%d viewers are left", st.Viewers)
	}
}

// A client that speaks TCP only gets its media there (ICE-TCP).
func TestICEOverTCP(t *testing.T) {
	s := start(t, nil)
	e := publish(t, s, "demo", "pub")
	defer e.play(30)()
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
	se.SetICETimeouts(5*time.Second, 10*time.Second, time.Second)
	var me webrtc.MediaEngine
	_ = me.RegisterDefaultCodecs()
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(&me)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	got := make(chan *rtp.Packet, 1000)
	pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := tr.ReadRTP()
			if err != nil {
				return
			}
			select {
			case got <- p:
			default:
			}
		}
	})
	_, _ = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	exchange(t, pc, withContext(s.Subscribe), media.Offer{Stream: "demo", Session: "tcp"})
	v := &screen{pc: pc, packets: got}
	if p := v.next(t); p.Payload[0] != sps[0] {
		t.Error("it does not begin with a key frame")
	}
	st, _ := s.Stream("demo")
	if len(st.Sessions) != 1 || st.Sessions[0].Transport != "tcp" {
		t.Errorf("%+v", st.Sessions)
	}
}
