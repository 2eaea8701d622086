package view

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/sluice-live/sluice/loadtest/link"
)

// Config is what a swarm needs.
type Config struct {
	URL, Token string
	Client     *http.Client // nil means link.NewClient()
	RTX        bool         // offer retransmission
	// Settle is how long after its first key frame a viewer counts as settled:
	// whatever a server sends fast at the start is over. 0 means 5 s.
	Settle time.Duration
}

// Swarm is light viewers of one stream. Run's goroutine owns them all; other
// methods may be called from anywhere while Run runs.
type Swarm struct {
	c      Config
	cert   link.Certificate
	poller *poller

	mu     sync.Mutex // guards queue and ended
	queue  []func()   // what the loop shall do
	ended  bool
	closed chan struct{} // closed when Run has returned

	// The loop's own.
	viewers map[int]*Viewer // by socket
	joins   joins
	latency *histogram
	settled recent
	began   Instant // of the window
	gone    counts  // of viewers that left within the window
	tracks  totals  // likewise
	header  rtp.Header
	plain   [datagramSize]byte
	frames  []Frame
	wanted  []uint16
}

const (
	datagramSize = 2048
	// Often enough for NACKs after nackWait, seldom enough for a thousand viewers.
	tickEvery   = 10 * time.Millisecond
	settleAfter = 5 * time.Second
)

// ErrEnded says that the swarm's Run is over.
var ErrEnded = errors.New("the swarm has ended")

// New makes a swarm without viewers.
func New(c Config) (*Swarm, error) {
	cert, err := link.NewCertificate()
	if err != nil {
		return nil, err
	}
	p, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("make a swarm: %w", err)
	}
	if c.Client == nil {
		c.Client = link.NewClient()
	}
	if c.Settle <= 0 {
		c.Settle = settleAfter
	}
	return &Swarm{c: c, cert: cert, poller: p, closed: make(chan struct{}), viewers: map[int]*Viewer{}, latency: newHistogram(), began: InstantOf(time.Now())}, nil
}

// Run serves the viewers until ctx ends; then all sockets are closed. Sessions
// on the server are left to Leave, or to its consent timeout.
func (s *Swarm) Run(ctx context.Context) error {
	defer close(s.closed)
	defer s.end()
	stop := context.AfterFunc(ctx, s.poller.wake)
	defer stop()
	next := InstantOf(time.Now())
	for ctx.Err() == nil {
		if err := s.poller.wait(tickEvery, s.ready); err != nil {
			return fmt.Errorf("run the swarm: %w", err)
		}
		s.drain()
		if now := InstantOf(time.Now()); now >= next {
			next = now + Instant(tickEvery)
			for _, v := range s.viewers {
				s.tick(v, now)
			}
		}
	}
	return nil
}

func (s *Swarm) ready(fd int) {
	if v := s.viewers[fd]; v != nil {
		s.poller.read(fd, func(b []byte, at Instant) { s.take(v, b, at) })
	}
}

func (s *Swarm) drain() {
	s.mu.Lock()
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	for _, f := range queue {
		f()
	}
}

// do lets the loop run f and waits for it.
func (s *Swarm) do(f func()) error {
	done := make(chan struct{})
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return ErrEnded
	}
	s.queue = append(s.queue, func() { f(); close(done) })
	s.mu.Unlock()
	s.poller.wake()
	<-done
	return nil
}

func (s *Swarm) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.drain()
	for _, v := range s.viewers {
		s.drop(v)
	}
	s.poller.close()
}

// drop closes a viewer's socket and keeps its counts.
func (s *Swarm) drop(v *Viewer) {
	if s.viewers[v.fd] != v {
		return
	}
	delete(s.viewers, v.fd)
	s.poller.drop(v.fd)
	s.gone.add(v.counts)
	s.tracks.add(v)
	_ = v.pipe.Close()
	close(v.left)
}

// recent is the median of the last latencies of settled viewers.
type recent struct {
	ring   [256]time.Duration
	n      int
	cached time.Duration
	at     int
}

func (r *recent) add(d time.Duration) {
	r.ring[r.n%len(r.ring)] = d
	r.n++
}

// median is computed anew each 64 frames: it moves slowly.
func (r *recent) median() (time.Duration, bool) {
	if r.n < 30 { // one second of one viewer
		return 0, false
	}
	if r.at == 0 || r.n-r.at >= 64 {
		sorted := slices.Clone(r.ring[:min(r.n, len(r.ring))])
		slices.Sort(sorted)
		r.cached, r.at = sorted[len(sorted)/2], r.n
	}
	return r.cached, true
}
