package view

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtcp"
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
	// Feedback is how often a viewer reports arrivals (transport-wide congestion
	// control), in steps of 10 ms; Chromium takes 50 to 100 ms. 0 offers none.
	Feedback time.Duration
	// Verify decrypts every packet, not only those where frames begin.
	Verify bool
	// NoGRO takes every datagram from the kernel on its own. With GRO, what a
	// server sends as one UDP_SEGMENT message crosses loopback in one piece, as
	// it would reach a network card that cuts it.
	NoGRO bool
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
	bySocket    []*Viewer
	list, busy  []*Viewer // all; those that cannot wait for their turn
	turn, round int       // of the list
	shaking     int       // viewers without keys: their handshakes want to be read at once
	joins       joins
	latency     *histogram
	fan         fan
	settled     recent
	began       Instant // of the window
	gone        counts  // of viewers that left within the window
	tracks      totals  // likewise
	header      header
	rtpHeader   rtp.Header
	rtcpHeader  rtcp.Header
	plain       [datagramSize]byte
	rtcpOut     []byte
	sealed      [datagramSize]byte
	frames      []Frame
	wanted      []uint16
}

const (
	datagramSize = 2048
	settleAfter  = 5 * time.Second
	// How long packets may wait in the kernel, who notes when they came.
	readEvery = 5 * time.Millisecond
	// A viewer's turn comes this often where it reports no arrivals.
	roundOf = 100 * time.Millisecond
)

// ErrEnded says that the swarm's Run is over.
var ErrEnded = errors.New("the swarm has ended")

// New makes a swarm without viewers.
func New(c Config) (*Swarm, error) {
	cert, err := link.NewCertificate()
	if err != nil {
		return nil, err
	}
	p, err := newPoller(!c.NoGRO)
	if err != nil {
		return nil, fmt.Errorf("make a swarm: %w", err)
	}
	if c.Client == nil {
		c.Client = link.NewClient()
	}
	if c.Settle <= 0 {
		c.Settle = settleAfter
	}
	every := c.Feedback
	if every <= 0 {
		every = roundOf
	}
	return &Swarm{c: c, cert: cert, poller: p, closed: make(chan struct{}), round: max(1, int(every/tickEvery)), latency: newHistogram(),
		fan: fan{spread: newHistogram()}, began: InstantOf(time.Now())}, nil
}

// Run serves the viewers until ctx ends; then all sockets are closed. Sessions
// on the server are left to Leave, or to its consent timeout.
func (s *Swarm) Run(ctx context.Context) error {
	defer close(s.closed)
	defer s.end()
	stop := context.AfterFunc(ctx, s.poller.wake)
	defer stop()
	next := InstantOf(time.Now())
	ready := s.ready // made once
	for ctx.Err() == nil {
		if err := s.poller.wait(readEvery, s.shaking > 0, ready); err != nil {
			return fmt.Errorf("run the swarm: %w", err)
		}
		s.drain()
		if now := InstantOf(time.Now()); now >= next {
			next = now + Instant(tickEvery)
			s.ticks(now)
		}
	}
	return nil
}

// at is the viewer of a socket, or nil.
func (s *Swarm) at(fd int) *Viewer {
	if fd < 0 || fd >= len(s.bySocket) {
		return nil
	}
	return s.bySocket[fd]
}

// enter lets the loop serve a viewer.
func (s *Swarm) enter(v *Viewer) {
	for v.fd >= len(s.bySocket) {
		s.bySocket = append(s.bySocket, nil)
	}
	s.bySocket[v.fd] = v
	v.index = len(s.list)
	s.list = append(s.list, v)
	s.shaking++
	s.watch(v)
}

func (s *Swarm) ready(fd int) {
	if v := s.at(fd); v != nil {
		if n := s.poller.read(fd, func(b []byte, at Instant) { s.take(v, b, at) }); n > v.overflowed {
			v.counts.overflows += uint64(n - v.overflowed)
			v.overflowed = n
		}
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
	for len(s.list) > 0 {
		s.drop(s.list[0])
	}
	s.poller.close()
}

// drop closes a viewer's socket and keeps its counts.
func (s *Swarm) drop(v *Viewer) {
	if s.at(v.fd) != v {
		return
	}
	s.bySocket[v.fd] = nil
	last := len(s.list) - 1
	s.list[v.index] = s.list[last]
	s.list[v.index].index = v.index
	s.list[last] = nil
	s.list = s.list[:last]
	if v.keys == nil {
		s.shaking--
	}
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
