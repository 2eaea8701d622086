package view_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/reflector"
	"github.com/sluice-live/sluice/loadtest/source"
	"github.com/sluice-live/sluice/loadtest/view"
)

// stage is a reflector with a publisher that plays until the test ends.
func stage(t *testing.T, c publish.Config) (whep string, server *reflector.Server, p *publish.Publisher) {
	t.Helper()
	server, err := reflector.New(reflector.Config{})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	c.URL = web.URL + "/whip/x"
	c.Media = source.Synthetic(1, 1_000_000)
	p, err = publish.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
		server.Close()
		web.Close()
	})
	return web.URL + "/whep/x", server, p
}

// swarm runs one until the test ends.
func swarm(t *testing.T, c view.Config) *view.Swarm {
	t.Helper()
	s, err := view.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return s
}

func summary(t *testing.T, s *view.Swarm) view.Summary {
	t.Helper()
	m, err := s.Summary()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLightViewersSeeEveryFrameAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	whep, server, _ := stage(t, publish.Config{})
	s := swarm(t, view.Config{URL: whep})
	const n = 10
	var wg sync.WaitGroup
	viewers := make([]*view.Viewer, n)
	for i := range viewers {
		wg.Go(func() {
			v, err := s.Join(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			<-v.Keyed()
			viewers[i] = v
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if err := s.Begin(false); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "60 frames each", func() bool { return summary(t, s).Frames >= 60*n })
	m := summary(t, s)
	if m.Viewers != n || m.Bad != 0 || m.FPS <= 0 || m.Bytes == 0 {
		t.Errorf("%+v", m)
	}
	if m.Latency.N < 60*n || m.Latency.P50 <= 0 || m.Latency.P99 < m.Latency.P50 {
		t.Errorf("latency %+v", m.Latency)
	}
	j := m.Joins
	if j.Tried != n || j.Failed != 0 || j.KeyFrame.N != n || j.KeyFrame.P50 < j.DTLS.P50 || j.DTLS.P50 < j.ICE.P50 || j.ICE.P50 < j.Answer.P50 || j.Profiles["SRTP_AEAD_AES_128_GCM"]+j.Profiles["SRTP_AEAD_AES_256_GCM"] != n {
		t.Errorf("joins %+v", j)
	}
	for _, v := range viewers {
		if status := s.Leave(t.Context(), v); status != 200 {
			t.Errorf("DELETE was answered %d", status)
		}
		<-v.Left()
	}
	if n := server.Sessions(); n != 1 {
		t.Errorf("%d sessions are open, the publisher's should be", n)
	}
	if m := summary(t, s); m.Viewers != 0 || m.Joins.KeyFrame.N != n {
		t.Errorf("after leaving: %d viewers, %d joins", m.Viewers, m.Joins.KeyFrame.N)
	}
}

func TestLossOnTheWayInIsRepairedByNACK(t *testing.T) {
	t.Parallel()
	// The reflector NACKs the publisher; the publisher's resends come late, out of order, and complete.
	for _, shape := range []publish.Shape{publish.Default, publish.OBS, publish.FFmpeg} {
		t.Run(string(shape), func(t *testing.T) {
			t.Parallel()
			whep, _, p := stage(t, publish.Config{Shape: shape, Loss: 0.02})
			s := swarm(t, view.Config{URL: whep, RTX: true})
			v, err := s.Join(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			testnet.Eventually(t, "a key frame", func() bool {
				select {
				case <-v.Keyed():
					return true
				default:
					return false
				}
			})
			testnet.Eventually(t, "30 frames", func() bool { return summary(t, s).Frames >= 30 })
			// How many were lost by now is chance, and the last of them need not be missed yet: it plays on until one came back.
			testnet.Eventually(t, "a lost packet, asked for and sent again", func() bool {
				n := p.Stats()
				return n.Dropped > 0 && n.NACKed > 0 && n.Resent > 0
			})
			// What follows is whole, too: frames with a hole are not counted.
			seen := summary(t, s).Frames
			testnet.Eventually(t, "30 frames more", func() bool { return summary(t, s).Frames >= seen+30 })
			s.Leave(t.Context(), v)
		})
	}
}

func TestAStalledViewerReadsAndSaysNothingAndStays(t *testing.T) {
	t.Parallel()
	whep, server, p := stage(t, publish.Config{})
	s := swarm(t, view.Config{URL: whep, Feedback: 50 * time.Millisecond})
	var viewers []*view.Viewer
	for range 2 {
		v, err := s.Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-v.Keyed()
		viewers = append(viewers, v)
	}
	before := p.Stats().Frames
	if err := errors.Join(s.Stall(viewers[0], viewers[0]), s.Begin(false)); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "90 frames of the other", func() bool { return summary(t, s).Frames >= 90 })
	m := summary(t, s)
	if m.Viewers != 2 || m.Stalled != 1 {
		t.Errorf("%d viewers, %d stalled", m.Viewers, m.Stalled)
	}
	// A second's more may have been on their way when it began.
	if sent := p.Stats().Frames - before; m.Frames > sent+source.FPS {
		t.Errorf("of %d frames %d came: more than one viewer's", sent, m.Frames)
	}
	if n := server.Sessions(); n != 3 {
		t.Errorf("%d sessions are open", n)
	}
	for _, v := range viewers {
		s.Leave(t.Context(), v)
	}
}

func TestAFailedJoinIsCountedWithItsReason(t *testing.T) {
	server, err := reflector.New(reflector.Config{Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	web := httptest.NewServer(server)
	defer web.Close()
	s := swarm(t, view.Config{URL: web.URL + "/whep/x"})
	if _, err := s.Join(t.Context()); err == nil {
		t.Fatal("a join without a token went well")
	}
	m := summary(t, s)
	if m.Joins.Tried != 1 || m.Joins.Failed != 1 || len(m.Errors) != 1 {
		t.Errorf("%+v %v", m.Joins, m.Errors)
	}
}

func TestAnEndedSwarmRefusesViewers(t *testing.T) {
	s, err := view.New(view.Config{URL: "http://127.0.0.1:1/whep/x"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(true); err == nil {
		t.Error("a command to an ended swarm went well")
	}
}

func TestAFullViewerSeesTheSame(t *testing.T) {
	t.Parallel()
	whep, _, _ := stage(t, publish.Config{Shape: publish.OBS})
	f, err := view.DialFull(t.Context(), view.Config{URL: whep})
	if err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "30 frames and audio", func() bool { s := f.Stats(); return s.Frames >= 30 && s.Audio >= 30 && s.Keys > 0 })
	s := f.Stats()
	if s.Keys == 0 || s.Joined == 0 || s.Latency.N < 30 || len(s.Codecs) != 2 {
		t.Errorf("%+v", s)
	}
	if err := f.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
