package sfu_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu"
)

// liteClient is an ICE-lite client, which sends no checks: the other side must.
func liteClient(t testing.TB) *webrtc.PeerConnection {
	t.Helper()
	return client(t, func(se *webrtc.SettingEngine) {
		se.SetLite(true)
		se.SetIPFilter(net.IP.IsLoopback)
	})
}

// gathered offers with all candidates, as a client without trickling does.
func gathered(t testing.TB, pc *webrtc.PeerConnection) string {
	t.Helper()
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	done := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-done
	sdp := pc.LocalDescription().SDP
	if !strings.Contains(sdp, "a=ice-lite") || !strings.Contains(sdp, "a=candidate:") {
		t.Fatalf("no offer of an ICE-lite client:\n%s", sdp)
	}
	return sdp
}

func answerTo(t testing.TB, pc *webrtc.PeerConnection, a media.Answer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(a.SDP), "a=ice-lite") {
		t.Error("both sides are ICE-lite: nobody would check")
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(a.SDP)}); err != nil {
		t.Fatal(err)
	}
}

func TestAnICELiteClientPublishes(t *testing.T) {
	s := start(t, nil)
	pc := liteClient(t)
	e := &encoder{t: t, pc: pc}
	var err error
	e.video, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
		SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}, "video", "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(e.video); err != nil {
		t.Fatal(err)
	}
	a, err := s.Publish(t.Context(), media.Offer{Stream: "demo", Session: "pub", SDP: []byte(gathered(t, pc)), Remote: localhost, Arrived: localhost, At: time.Now()})
	answerTo(t, pc, a, err)
	defer e.play(100)()
	v := watch(t, s, "demo", "view") // any other client
	for range 50 {
		v.next(t)
	}
	if st, err := s.Stream("demo"); err != nil || st.Publisher == nil || st.Publisher.Transport != "udp" {
		t.Errorf("%+v %v", st, err)
	}
}

func TestAnICELiteClientWatches(t *testing.T) {
	for _, trickled := range []bool{false, true} {
		t.Run(map[bool]string{false: "candidates in the offer", true: "trickled"}[trickled], func(t *testing.T) {
			s := start(t, nil)
			e := publish(t, s, "demo", "pub")
			defer e.play(100)()
			pc := liteClient(t)
			v := &screen{pc: pc, packets: make(chan *rtp.Packet, 10000)}
			pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
				for p, _, err := tr.ReadRTP(); err == nil; p, _, err = tr.ReadRTP() {
					v.packets <- p
				}
			})
			if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
				t.Fatal(err)
			}
			sdp := gathered(t, pc)
			var named []string
			if trickled {
				var rest []string
				for l := range strings.SplitSeq(sdp, "\r\n") {
					if c, ok := strings.CutPrefix(l, "a=candidate:"); ok {
						named = append(named, c)
					} else {
						rest = append(rest, l)
					}
				}
				sdp = strings.Join(rest, "\r\n")
			}
			a, err := s.Subscribe(t.Context(), media.Offer{Stream: "demo", Session: "view", SDP: []byte(sdp), Remote: localhost, Arrived: localhost, At: time.Now()})
			answerTo(t, pc, a, err)
			if err := s.Trickle(t.Context(), "view", media.Fragment{Candidates: named, Remote: localhost}); err != nil {
				t.Error(err)
			}
			if p := v.next(t); p.Payload[0] != sps[0] {
				t.Error("it does not begin with a key frame")
			}
			for range 50 {
				v.next(t)
			}
		})
	}
}

// Who is a full agent gets our ICE-lite, unless the configuration says otherwise.
func TestTheTransportIsChosenBySession(t *testing.T) {
	for carrier, lite := range map[sfu.Carrier]bool{sfu.CarrierAuto: true, sfu.CarrierLite: true, sfu.CarrierPion: false} {
		s := start(t, func(c *sfu.Config) { c.Carrier = carrier })
		v := watch(t, s, "demo", "view")
		if got := strings.Contains(v.pc.RemoteDescription().SDP, "a=ice-lite"); got != lite {
			t.Errorf("%s: the answer says ice-lite: %v", carrier, got)
		}
	}
	s := start(t, func(c *sfu.Config) { c.Carrier = sfu.CarrierLite })
	pc := liteClient(t)
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Subscribe(t.Context(), media.Offer{Stream: "demo", Session: "v", SDP: []byte(gathered(t, pc)), Remote: localhost})
	if !errors.Is(err, media.ErrUnsupported) {
		t.Errorf("two ICE-lite agents: %v", err)
	}
	if _, err := sfu.New(sfu.Config{Claims: &claims{}, Carrier: "quic"}); err == nil {
		t.Error("a transport that there is not was taken")
	}
}

// A viewer's data channel is served by its label; others are closed, and our ICE-lite has none.
func TestAViewerOpensADataChannel(t *testing.T) {
	for _, carrier := range []sfu.Carrier{sfu.CarrierAuto, sfu.CarrierLite} {
		t.Run(string(carrier), func(t *testing.T) {
			ended := make(chan struct{}, 8)
			s := start(t, func(c *sfu.Config) {
				c.Carrier = carrier
				c.Channel = func(ctx context.Context, id media.StreamID, label string, send func([]byte) error) {
					if label != "captions" {
						return
					}
					if err := send(make([]byte, 17<<10)); err == nil {
						t.Error("a message that is too long was sent")
					}
					if err := send([]byte("for " + string(id))); err != nil {
						t.Error(err)
					}
					<-ctx.Done()
					ended <- struct{}{}
				}
			})
			e := publish(t, s, "demo", "pub")
			defer e.play(100)()
			pc, err := api(t).NewPeerConnection(webrtc.Configuration{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = pc.Close() })
			v := &screen{pc: pc, packets: make(chan *rtp.Packet, 10000)}
			pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
				for p, _, err := tr.ReadRTP(); err == nil; p, _, err = tr.ReadRTP() {
					v.packets <- p
				}
			})
			if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
				t.Fatal(err)
			}
			captions, err := pc.CreateDataChannel("captions", nil)
			if err != nil {
				t.Fatal(err)
			}
			other, err := pc.CreateDataChannel("chat", nil)
			if err != nil {
				t.Fatal(err)
			}
			said, closed := make(chan string, 8), make(chan struct{})
			captions.OnMessage(func(m webrtc.DataChannelMessage) { said <- string(m.Data) })
			other.OnClose(func() { close(closed) })
			exchange(t, pc, withContext(s.Subscribe), media.Offer{Stream: "demo", Session: "view"})
			v.next(t)
			if carrier == sfu.CarrierLite {
				if !strings.Contains(pc.RemoteDescription().SDP, "m=application 0") {
					t.Error("data channels were taken")
				}
				return
			}
			select {
			case m := <-said:
				if m != "for demo" {
					t.Errorf("got %q", m)
				}
			case <-time.After(patience):
				t.Fatal("nothing came over the channel")
			}
			select {
			case <-closed:
			case <-time.After(patience):
				t.Error("a channel that nobody serves stays open")
			}
			for range 20 {
				v.next(t) // and media goes on beside
			}
			_ = s.Hangup(t.Context(), "view", nil)
			select {
			case <-ended:
			case <-time.After(patience):
				t.Error("who serves a channel was not told that the session ended")
			}
		})
	}
}

// Who opens channel after channel, or talks without end, is heard no more.
func TestDataChannelsAreBounded(t *testing.T) {
	var served atomic.Int64
	s := start(t, func(c *sfu.Config) {
		c.Carrier = sfu.CarrierAuto
		c.Channel = func(ctx context.Context, _ media.StreamID, _ string, _ func([]byte) error) {
			served.Add(1)
			<-ctx.Done()
		}
	})
	pc, err := api(t).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{}, 100)
	var first *webrtc.DataChannel
	for i := range 8 {
		ch, err := pc.CreateDataChannel("captions", nil)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = ch
			ch.OnOpen(func() {
				for range 1000 {
					_ = ch.SendText("and another thing")
				}
			})
		}
		ch.OnClose(func() { closed <- struct{}{} })
	}
	exchange(t, pc, withContext(s.Subscribe), media.Offer{Stream: "demo", Session: "view"})
	// The one that talks is closed, and of the others all but four; the place that
	// the first leaves may go to one that came after it.
	gone := 0
	testnet.Eventually(t, "the one that talks and those beyond the fourth are closed", func() bool {
		for len(closed) > 0 {
			<-closed
			gone++
		}
		return first.ReadyState() == webrtc.DataChannelStateClosed && gone >= 4 && served.Load() >= 4
	})
	if n := served.Load(); n > 5 {
		t.Errorf("%d of 8 were served", n)
	}
	for range 40 {
		_, _ = pc.CreateDataChannel("captions", nil)
	}
	testnet.Eventually(t, "the session ended", func() bool { _, _, err := s.View("view"); return err != nil })
	if n := served.Load(); n > 32 {
		t.Errorf("%d were served", n)
	}
}
