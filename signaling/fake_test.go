package signaling_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

const (
	offer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:cli1\r\na=ice-pwd:clientpassword0123456\r\n"

	candidate    = "1 1 UDP 2015363327 192.0.2.2 34521 typ host"
	trickled     = "a=ice-ufrag:cli1\r\na=ice-pwd:clientpassword0123456\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:" + candidate + "\r\n"
	restarted    = "a=ice-ufrag:cli2\r\na=ice-pwd:anotherpassword01234567\r\n"
	sdpType      = "application/sdp"
	fragmentType = "application/trickle-ice-sdpfrag"
	jsonType     = "application/json"
)

// fake is a media plane that does as it is told and writes down what it was asked.
type fake struct {
	mu      sync.Mutex
	fail    error // what every call answers, if set
	views   map[media.SessionID]*media.SessionView
	changed map[media.SessionID]chan struct{}
	calls   []string
	offers  []media.Offer
	frags   []media.Fragment
	choices []media.LayerChoice
	sounds  []string
	traces  []string
	streams []media.StreamStatus
	tags    int
	hold    chan struct{} // Publish and Subscribe wait until it is closed
}

func newFake() *fake {
	return &fake{views: make(map[media.SessionID]*media.SessionView), changed: make(map[media.SessionID]chan struct{})}
}

func (f *fake) note(ctx context.Context, format string, args ...any) error {
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	f.traces = append(f.traces, signaling.Trace(ctx))
	return f.fail
}

func (f *fake) Publish(ctx context.Context, o media.Offer) (media.Answer, error) {
	return f.accept(ctx, "publish", o)
}

func (f *fake) Subscribe(ctx context.Context, o media.Offer) (media.Answer, error) {
	return f.accept(ctx, "subscribe", o)
}

func (f *fake) accept(ctx context.Context, what string, o media.Offer) (media.Answer, error) {
	f.mu.Lock()
	hold := f.hold
	f.mu.Unlock()
	if hold != nil {
		<-hold
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.note(ctx, "%s %s", what, o.Stream); err != nil {
		return media.Answer{}, err
	}
	f.tags++
	f.offers = append(f.offers, o)
	f.views[o.Session] = &media.SessionView{Stream: o.Stream, Viewers: 1}
	f.changed[o.Session] = make(chan struct{})
	return media.Answer{SDP: []byte("v=0\r\nanswer\r\n"), ICE: fmt.Sprintf("ice%d", f.tags)}, nil
}

func (f *fake) Trickle(ctx context.Context, id media.SessionID, frag media.Fragment) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frags = append(f.frags, frag)
	if f.views[id] == nil {
		return media.ErrNoSession
	}
	return f.note(ctx, "trickle %d", len(frag.Candidates))
}

func (f *fake) Restart(ctx context.Context, id media.SessionID, frag media.Fragment) (media.Fragment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.views[id] == nil {
		return media.Fragment{}, media.ErrNoSession
	}
	if err := f.note(ctx, "restart %s", frag.Ufrag); err != nil {
		return media.Fragment{}, err
	}
	f.tags++
	return media.Fragment{
		Ufrag: fmt.Sprintf("ice%d", f.tags), Pwd: "serverpassword012345678", MID: "0", Lite: true, End: true,
		Candidates: []string{"1 1 udp 2130706431 198.51.100.1 8189 typ host", "2 1 udp 1 203.0.113.1 8189 typ host"},
	}, nil
}

func (f *fake) Hangup(ctx context.Context, id media.SessionID, why error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.views[id] == nil {
		return fmt.Errorf("hang up %s: %w", id, media.ErrNoSession)
	}
	if err := f.note(ctx, "hangup: %v", why); err != nil {
		return err
	}
	delete(f.views, id)
	return nil
}

func (f *fake) View(id media.SessionID) (media.SessionView, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.views[id] == nil {
		return media.SessionView{}, nil, media.ErrNoSession
	}
	return *f.views[id], f.changed[id], nil
}

// change edits what a session sees.
func (f *fake) change(id media.SessionID, edit func(*media.SessionView)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := *f.views[id]
	edit(&v)
	f.views[id] = &v
	close(f.changed[id])
	f.changed[id] = make(chan struct{})
}

// vanish ends a session as a peer that stopped answering does.
func (f *fake) vanish(id media.SessionID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.views, id)
}

func (f *fake) Choose(id media.SessionID, c media.LayerChoice) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.choices = append(f.choices, c)
	return f.fail
}

func (f *fake) ChooseAudio(_ media.SessionID, audio string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sounds = append(f.sounds, audio)
	return f.fail
}

func (f *fake) Streams() []media.StreamStatus { return f.streams }

func (f *fake) Stream(id media.StreamID) (media.StreamStatus, error) {
	for _, s := range f.streams {
		if s.Stream == id {
			return s, nil
		}
	}
	return media.StreamStatus{}, media.ErrNoStream
}

func (f *fake) did() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

func (f *fake) live() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.views)
}
