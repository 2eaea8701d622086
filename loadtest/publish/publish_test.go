package publish_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pion/sdp/v3"
	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/reflector"
	"github.com/sluice-live/sluice/loadtest/source"
	"github.com/sluice-live/sluice/loadtest/view"
)

func start(t *testing.T, c reflector.Config) (*reflector.Server, string) {
	t.Helper()
	server, err := reflector.New(c)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() { server.Close(); web.Close() })
	return server, web.URL
}

// Each shape in one and, where it can, three layers: it connects, a viewer sees
// its pictures, reports come, and it goes with a DELETE that is answered 200.
func TestEachShapeIsWatched(t *testing.T) {
	for _, c := range []struct {
		shape  publish.Shape
		layers int
	}{{publish.Default, 1}, {publish.Default, 3}, {publish.OBS, 1}, {publish.OBS, 3}, {publish.FFmpeg, 1}, {publish.GStreamer, 1}} {
		t.Run(string(c.shape)+"/"+string(rune('0'+c.layers)), func(t *testing.T) {
			t.Parallel()
			server, url := start(t, reflector.Config{})
			p, err := publish.Dial(t.Context(), publish.Config{URL: url + "/whip/x", Shape: c.shape, Media: source.Synthetic(c.layers, 1_000_000)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.Background())
			over := make(chan error, 1)
			go func() { over <- p.Run(ctx) }()
			f, err := view.DialFull(t.Context(), view.Config{URL: url + "/whep/x"})
			if err != nil {
				t.Fatal(err)
			}
			testnet.Eventually(t, "frames, audio and reports", func() bool {
				v, s := f.Stats(), p.Stats()
				return v.Frames >= 30 && v.Keys > 0 && v.Audio >= 30 && s.Reports > 0
			})
			// Whoever listens to key frame requests got them from the reflector.
			answers := c.shape == publish.Default || c.shape == publish.GStreamer
			if s := p.Stats(); answers && s.PLIs[c.layers-1] == 0 {
				t.Errorf("PLIs: %v", s.PLIs)
			}
			if err := f.Close(context.Background()); err != nil {
				t.Error(err)
			}
			stop()
			if err := <-over; err != nil {
				t.Error(err)
			}
			if s := p.Stats(); s.Deleted != 200 || s.Packets == 0 || s.Connected < s.Answered {
				t.Errorf("%+v", s)
			}
			if c.shape == publish.GStreamer && len(p.Stats().Trickled) != 2 {
				t.Errorf("trickled %v", p.Stats().Trickled)
			}
			testnet.Eventually(t, "no session left", func() bool { return server.Sessions() == 0 })
		})
	}
}

func TestAServerThatHangsUpIsNoticed(t *testing.T) {
	for _, shape := range []publish.Shape{publish.Default, publish.OBS} {
		t.Run(string(shape), func(t *testing.T) {
			t.Parallel()
			server, url := start(t, reflector.Config{})
			p, err := publish.Dial(t.Context(), publish.Config{URL: url + "/whip/x", Shape: shape, Media: source.Synthetic(1, 500_000)})
			if err != nil {
				t.Fatal(err)
			}
			over := make(chan error, 1)
			go func() { over <- p.Run(t.Context()) }()
			testnet.Eventually(t, "frames", func() bool { return p.Stats().Frames > 3 })
			server.KickPublisher()
			select {
			case err := <-over:
				if !errors.Is(err, publish.ErrGone) {
					t.Errorf("got %v", err)
				}
			case <-time.After(30 * time.Second):
				t.Error("it plays on")
			}
		})
	}
}

func TestLateMediaComesLate(t *testing.T) {
	t.Parallel()
	_, url := start(t, reflector.Config{})
	p, err := publish.Dial(t.Context(), publish.Config{URL: url + "/whip/x", Shape: publish.OBS, Media: source.Synthetic(1, 500_000), Late: 700 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	begun := time.Now()
	go func() { over <- p.Run(ctx) }()
	testnet.Eventually(t, "a packet", func() bool { return p.Stats().Packets > 0 })
	if d := time.Since(begun); d < 600*time.Millisecond {
		t.Errorf("the first packet came after %v", d)
	}
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// The recorded offers keep what makes each client special, and only our identity is put in.
func TestShapedOffersAreTheClients(t *testing.T) {
	local := link.Credentials{Ufrag: "uuuu", Pwd: "pppppppppppppppppppppp"}
	for _, c := range []struct {
		shape        publish.Shape
		layers       int
		with, absent []string
	}{
		{publish.OBS, 1, []string{"a=setup:actpass", "a=rtcp-fb:96 nack pli", "a=ice-options:ice2,trickle", "profile-level-id=42e01f"}, []string{"rtx", "transport-cc", "a=rid"}},
		{publish.OBS, 3, []string{"a=rid:0 send", "a=simulcast:send 0;1;2", "a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"}, []string{"a=ssrc:8 ", "rtx"}},
		{publish.FFmpeg, 1, []string{"a=setup:passive", "a=ssrc-group:FID 8 9", "a=rtcp-fb:106 nack\r\n", "profile-level-id=42c01f"}, []string{"a=extmap:", "nack pli", "actpass"}},
		{publish.GStreamer, 1, []string{"m=audio 0 ", "a=bundle-only", "a=mid:video0", "OPUS/48000/2", "sprop-parameter-sets=Z0LAH"}, []string{"a=extmap:"}},
	} {
		offer, err := publish.Offer(c.shape, publish.Identity{Local: local, Fingerprint: "AA:BB", Audio: 7, Video: 8, Repair: 9}, source.Synthetic(c.layers, 1e6))
		if err != nil {
			t.Fatal(err)
		}
		var d sdp.SessionDescription
		if err := d.Unmarshal(offer); err != nil {
			t.Errorf("%s: %v", c.shape, err)
		}
		text := string(offer)
		for _, want := range append(c.with, "a=ice-ufrag:uuuu\r\n", "a=ice-pwd:pppppppppppppppppppppp\r\n", "sha-256 AA:BB\r\n") {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q", c.shape, want)
			}
		}
		for _, never := range append(c.absent, "{", "a=candidate") {
			if strings.Contains(text, never) {
				t.Errorf("%s has %q", c.shape, never)
			}
		}
		if strings.Count(text, "\n") != strings.Count(text, "\r\n") {
			t.Errorf("%s has bare line feeds", c.shape)
		}
	}
}

func TestWishesThatCannotBeAreRefused(t *testing.T) {
	three := source.Synthetic(3, 1e6)
	for _, c := range []publish.Config{
		{Shape: publish.FFmpeg, Media: three}, {Shape: "netscape", Media: three}, {}, {Media: three, Loss: 1},
	} {
		if _, err := publish.Dial(t.Context(), c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
