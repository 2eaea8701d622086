package testnet_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"github.com/sluice-live/sluice/internal/testnet"
)

func TestAVirtualLinkTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testnet.NewNetwork(t, 1)
		a, b := n.Host("10.0.0.1"), n.Host("10.0.0.2")
		n.Impair(a, b, testnet.Always(testnet.Path{Delay: 70 * time.Millisecond}))
		from, err := a.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1000})
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		to, err := b.ListenPacket("udp4", "10.0.0.2:2000")
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		begun := time.Now()
		if _, err := from.WriteTo([]byte("hello"), to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		k, _, err := to.ReadFrom(buf)
		if err != nil || string(buf[:k]) != "hello" {
			t.Fatalf("%q, %v", buf[:k], err)
		}
		if took := time.Since(begun); took < 69*time.Millisecond || took > 71*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if c := n.Total(a, b); c.Passed != 1 || c.Bytes != 5+28 {
			t.Errorf("%+v", c)
		}
	})
}

// connection is Pion on a virtual host.
func connection(t *testing.T, h *testnet.Host) *webrtc.PeerConnection {
	t.Helper()
	s := webrtc.SettingEngine{}
	s.SetNet(h)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	return pc
}

// connect exchanges descriptions with all candidates in them.
func connect(t *testing.T, a, b *webrtc.PeerConnection) {
	t.Helper()
	describe := func(pc *webrtc.PeerConnection, make func() (webrtc.SessionDescription, error)) webrtc.SessionDescription {
		d, err := make()
		if err != nil {
			t.Fatal(err)
		}
		gathered := webrtc.GatheringCompletePromise(pc)
		if err := pc.SetLocalDescription(d); err != nil {
			t.Fatal(err)
		}
		<-gathered
		return *pc.LocalDescription()
	}
	offer := describe(a, func() (webrtc.SessionDescription, error) { return a.CreateOffer(nil) })
	if err := b.SetRemoteDescription(offer); err != nil {
		t.Fatal(err)
	}
	answer := describe(b, func() (webrtc.SessionDescription, error) { return b.CreateAnswer(nil) })
	if err := a.SetRemoteDescription(answer); err != nil {
		t.Fatal(err)
	}
}

// Twenty seconds of video over a link with 5 % loss and 40 ms of round trip:
// Pion's NACKs bring practically all of it back, in virtual time.
func TestPionRepairsLossInVirtualTime(t *testing.T) {
	begun := time.Now()
	synctest.Test(t, func(t *testing.T) {
		n := testnet.NewNetwork(t, 1)
		sender, viewer := n.Host("10.0.0.1"), n.Host("10.0.0.2")
		a, b := connection(t, sender), connection(t, viewer)
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "v", "s")
		if err != nil {
			t.Fatal(err)
		}
		rtp, err := a.AddTrack(track)
		if err != nil {
			t.Fatal(err)
		}
		var got atomic.Int64
		var readers sync.WaitGroup
		readers.Go(func() { // Pion answers NACKs as RTCP is read
			for {
				if _, _, err := rtp.ReadRTCP(); err != nil {
					return
				}
			}
		})
		b.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
			readers.Go(func() {
				for {
					if _, _, err := remote.ReadRTP(); err != nil {
						return
					}
					got.Add(1)
				}
			})
		})
		lossy := testnet.Always(testnet.Path{Loss: 0.05, Delay: 20 * time.Millisecond})
		n.Apply(viewer, sender, testnet.Profile{Down: lossy, Up: testnet.Always(testnet.Path{Delay: 20 * time.Millisecond})})
		connect(t, a, b)
		testnet.Within(t, 10*time.Second, "it connects", func() bool { return b.ConnectionState() == webrtc.PeerConnectionStateConnected })
		const frames = 600
		for range frames {
			if err := track.WriteSample(media.Sample{Data: make([]byte, 900), Duration: time.Second / 30}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second / 30)
		}
		time.Sleep(2 * time.Second)
		down := n.Total(sender, viewer)
		if down.Lost < 10 || got.Load() < frames*98/100 {
			t.Errorf("%d of %d packets came; %+v", got.Load(), frames, down)
		}
		if err := a.GracefulClose(); err != nil {
			t.Error(err)
		}
		if err := b.GracefulClose(); err != nil {
			t.Error(err)
		}
		readers.Wait()
	})
	t.Logf("22 s of media took %v", time.Since(begun).Round(time.Millisecond))
}

func TestNamesAreLent(t *testing.T) {
	if p := testnet.Named(t, "drop4m"); len(p.Down) != 3 || len(testnet.Profiles()) < 10 {
		t.Errorf("%+v", p)
	}
	r := testnet.NewRelay(t, testnet.Named(t, "clean"))
	out, s, err := r.Rewrite([]byte("a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"))
	if err != nil || len(out) == 0 || !s.Addr().IsValid() {
		t.Errorf("%s, %v", out, err)
	}
	if p := testnet.NewProxy(t, "http://127.0.0.1:1", testnet.Profile{}); p.URL() == "" {
		t.Error("a proxy without an address")
	}
}
