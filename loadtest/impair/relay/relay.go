package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
)

// Bounds of one relay.
const (
	maxSessions = 256
	// A session without a packet for so long is over: consent is checked each 5 s
	// and given up after 30 s (RFC 7675 section 5.1).
	silence = 60 * time.Second
	sweep   = 10 * time.Second
)

// Config is what a relay needs.
type Config struct {
	Profile impair.Profile
	// Held lets sessions stay on the first step of the profile until Begin.
	Held bool
	Seed uint64     // 0 means by chance; sessions count on from it
	Host netip.Addr // what ports are opened on; the zero value means 127.0.0.1
}

// ErrFull says that a relay has as many sessions as it may.
var ErrFull = errors.New("the relay has no room for another session")

// Relay impairs the media of any number of sessions, each on a port of its own.
type Relay struct {
	c     Config
	wheel *Wheel

	mu       sync.Mutex // guards what follows
	sessions map[*Session]struct{}
	opened   uint64
	ended    bool
}

// New makes a relay; Run runs it.
func New(c Config) *Relay {
	if !c.Host.IsValid() {
		c.Host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64() //nolint:gosec // chance, not secrets
	}
	return &Relay{c: c, wheel: NewWheel(), sessions: map[*Session]struct{}{}}
}

// Run moves packets until ctx ends, and closes all sessions then.
func (r *Relay) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { r.wheel.Run(ctx) })
	t := time.NewTicker(sweep)
	defer t.Stop()
	for ctx.Err() == nil {
		select {
		case <-t.C:
			r.close(func(s *Session) bool { return time.Since(time.Unix(0, s.heard.Load())) > silence })
		case <-ctx.Done():
		}
	}
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.close(func(*Session) bool { return true })
	wg.Wait()
}

func (r *Relay) close(over func(*Session) bool) {
	for _, s := range r.Sessions() {
		if over(s) {
			s.Close()
		}
	}
}

// Open makes a session to the server's media address with the relay's profile.
func (r *Relay) Open(server netip.AddrPort) (*Session, error) {
	return r.OpenWith(server, r.c.Profile)
}

// OpenWith is Open with another profile.
func (r *Relay) OpenWith(server netip.AddrPort, p impair.Profile) (*Session, error) {
	front, err := openFront(r.c.Host)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || len(r.sessions) >= maxSessions {
		_ = front.Close()
		return nil, ErrFull
	}
	down, up := p.Down, p.Up
	if r.c.Held {
		down, up = impair.Always(down.At(0)), impair.Always(up.At(0))
	}
	now := time.Now()
	seed := r.c.Seed + 2*r.opened
	r.opened++
	s := &Session{relay: r, front: front, server: server, profile: p, flows: map[netip.AddrPort]*flow{},
		down: newDirection(r.wheel, down, seed, now), up: newDirection(r.wheel, up, seed+1, now)}
	s.heard.Store(now.UnixNano())
	r.sessions[s] = struct{}{}
	s.wg.Go(s.readFront)
	return s, nil
}

// Rewrite opens a session for an answer and returns the answer that leads the
// client to it.
func (r *Relay) Rewrite(answer []byte) ([]byte, *Session, error) {
	server, err := Candidate(answer)
	if err != nil {
		return nil, nil, err
	}
	s, err := r.Open(server)
	if err != nil {
		return nil, nil, err
	}
	return Rewrite(answer, s.Addr()), s, nil
}

// Sessions are those that are open.
func (r *Relay) Sessions() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*Session, 0, len(r.sessions))
	for s := range r.sessions {
		out = append(out, s)
	}
	return out
}

func (r *Relay) forget(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s)
}
