package sfu_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu"
	"github.com/sluice-live/sluice/sfu/admit"
)

// guest is a viewer of a swarm; it comes again when it is told to.
type guest struct {
	pc        *webrtc.PeerConnection
	offer     webrtc.SessionDescription
	connected chan struct{}
	refused   int
}

func newGuest(t *testing.T) *guest {
	t.Helper()
	g := &guest{pc: recvonly(t), connected: make(chan struct{})}
	var once sync.Once
	g.pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		if st == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(g.connected) })
		}
	})
	var err error
	if g.offer, err = g.pc.CreateOffer(nil); err == nil {
		err = g.pc.SetLocalDescription(g.offer)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// join asks until it is let in.
func (g *guest) join(s *sfu.SFU, id media.SessionID) error {
	for {
		answer, err := s.Subscribe(context.Background(), media.Offer{Stream: "demo", Session: id, SDP: []byte(g.offer.SDP), Arrived: localhost, Remote: localhost, At: time.Now()})
		var busy *media.BusyError
		switch {
		case errors.As(err, &busy):
			if busy.After <= 0 || !errors.Is(err, media.ErrOverloaded) {
				return fmt.Errorf("refused without advice: %w", err)
			}
			g.refused++
			<-time.After(5 * time.Millisecond) // sooner than it is asked to
		case err != nil:
			return err
		default:
			return g.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer.SDP)})
		}
	}
}

// A node that may greet two at a time tells the others to come again: nobody
// waits for an answer in vain, and all get in.
func TestASwarmIsRefusedAndThenServed(t *testing.T) {
	s := start(t, func(c *sfu.Config) { c.Admit = admit.Config{Cores: 1, PerCore: 2, Cost: time.Microsecond} })
	e := publish(t, s, "demo", "pub")
	defer e.play(30)()
	const guests = 12
	var all sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	crowd, open := make([]*guest, guests), make(chan struct{})
	for i := range crowd {
		crowd[i] = newGuest(t)
	}
	for i, g := range crowd {
		all.Go(func() { // waited for below
			<-open // all ask at once: the first are far from connected then
			if err := g.join(s, media.SessionID(fmt.Sprint("guest", i))); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-g.connected:
			case <-time.After(30 * time.Second):
				t.Errorf("guest %d was let in and did not connect", i)
			}
			mu.Lock()
			defer mu.Unlock()
			refused += g.refused
		})
	}
	close(open)
	all.Wait()
	if refused == 0 {
		t.Error("twelve came at once where two may, and nobody was refused")
	}
}

func TestAPublisherComesInWhereViewersWait(t *testing.T) {
	s := start(t, func(c *sfu.Config) { c.Admit = admit.Config{Cores: 1, PerCore: 4} })
	pc := recvonly(t)
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	post := func(id media.SessionID) error { // an offer that nobody follows up
		_, err := s.Subscribe(context.Background(), media.Offer{Stream: "demo", Session: id, SDP: []byte(offer.SDP), Arrived: localhost, Remote: localhost, At: time.Now()})
		return err
	}
	for i := range 4 {
		if err := post(media.SessionID(fmt.Sprint("idle", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := post("one too many"); !errors.Is(err, media.ErrOverloaded) {
		t.Fatalf("the fifth: %v", err)
	}
	publish(t, s, "demo", "pub") // fails the test if it is refused
	if err := s.Hangup(context.Background(), "idle0", nil); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "a place comes free", func() bool { return post("later") == nil })
}

func recvonly(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	pc, err := api(t).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	return pc
}
