package sfu

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/admit"
	"github.com/sluice-live/sluice/sfu/icelite"
	"github.com/sluice-live/sluice/sfu/pion"
	"github.com/sluice-live/sluice/sfu/transport"
)

// Claims hands out epochs: strictly rising per stream, across restarts.
type Claims interface {
	Claim(ctx context.Context, id media.StreamID) (media.Epoch, error)
	Release(id media.StreamID, e media.Epoch)
}

// Config sets the SFU up. Zero fields take DefaultConfig's values.
type Config struct {
	Media       string       // host:port of the media port, UDP and TCP
	Public      []netip.Addr // announced first; empty: the addresses of the interfaces
	Policy      func(media.StreamID) media.Policy
	Claims      Claims
	Log         *slog.Logger
	Metrics     prometheus.Registerer
	Ended       func(id media.SessionID, why error) // told once of each session's end; may be nil
	Published   func(id media.StreamID)             // told of each publisher that took its stream; must not block; may be nil
	MaxSessions int                                 // more are refused with media.ErrOverloaded
	Shards      int                                 // 0: one per processor
	Carrier     Carrier                             // "": CarrierAuto
	Portable    bool                                // one datagram in each system call, as every system can
	// Channel serves a data channel that a viewer of the stream has opened, until ctx ends; it
	// returns at once for a label that it does not know. nil: data channels are refused.
	Channel func(ctx context.Context, id media.StreamID, label string, send func([]byte) error)
	Admit   admit.Config // how many are let in at once; zero fields: for this machine
}

// DefaultConfig listens on port 8189 and has room for 10,000 sessions.
func DefaultConfig() Config {
	return Config{Media: ":8189", MaxSessions: 10_000, Carrier: CarrierAuto}
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.Claims == nil {
		return errors.New("set the SFU up: Claims are missing")
	}
	if c.MaxSessions < 0 || c.Shards < 0 {
		return errors.New("set the SFU up: MaxSessions and Shards cannot be negative")
	}
	return c.Carrier.validate()
}

// SFU is the forwarding room of one node.
type SFU struct {
	config   Config
	log      *slog.Logger
	endpoint *transport.Endpoint
	pion     *pion.Host
	shards   []*shard
	metrics  *metrics

	mu       sync.Mutex // guards the registry; never held across I/O or per packet
	streams  map[media.StreamID]*stream
	sessions map[media.SessionID]session
	draining bool
	base     context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
	half     atomic.Int64 // sessions that have not connected yet
	gate     gate
}

// minHalf is how many sessions may always be on their way to connect. On a
// large node a quarter of its places may: offers that nobody follows up must not
// take them all.
const minHalf = 256

// arrival counts a session as on its way until it has connected or ended.
type arrival struct {
	half *atomic.Int64
	once sync.Once
}

func (a *arrival) begin(half *atomic.Int64) {
	a.half = half
	half.Add(1)
}

func (a *arrival) end() {
	if a.half != nil {
		a.once.Do(func() { a.half.Add(-1) })
	}
}

// session is a publisher or a viewer.
type session interface {
	close(why error)
	restart(c icelite.Credentials) error
	transport() conn
	view() media.SessionView
	belongs() *stream
}

// New opens the media port; Run serves it.
func New(c Config) (*SFU, error) {
	d := DefaultConfig()
	if c.Media == "" {
		c.Media = d.Media
	}
	if c.Carrier == "" {
		c.Carrier = d.Carrier
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = d.MaxSessions
	}
	if c.Shards == 0 {
		c.Shards = runtime.GOMAXPROCS(0)
	}
	if c.Policy == nil {
		c.Policy = func(media.StreamID) media.Policy { return media.DefaultPolicy() }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	endpoint, err := transport.Listen(transport.Config{Listen: c.Media, Log: c.Log, Portable: c.Portable})
	if err != nil {
		return nil, err
	}
	base, stop := context.WithCancel(context.Background())
	s := &SFU{config: c, log: c.Log, endpoint: endpoint, pion: pion.New(pion.Config{Endpoint: endpoint, Log: c.Log}), streams: map[media.StreamID]*stream{},
		sessions: map[media.SessionID]session{}, base: base, stop: stop}
	if c.Admit.Cores == 0 {
		c.Admit.Cores = runtime.GOMAXPROCS(0)
	}
	s.gate = gate{gate: admit.New(c.Admit, time.Now()), half: &s.half}
	s.metrics = newMetrics(s, c.Metrics)
	s.gate.refused = func(r admit.Reason) { s.metrics.refused.WithLabelValues(string(r)).Inc() }
	for i := range c.Shards {
		s.shards = append(s.shards, newShard(s, i))
	}
	return s, nil
}

// Port returns the media port, for who asked for port 0.
func (s *SFU) Port() uint16 { return s.endpoint.Port() }

// Run serves until ctx ends, then ends every session and returns when all that
// was started is gone.
func (s *SFU) Run(ctx context.Context) error {
	for _, sh := range s.shards {
		s.running.Go(func() { sh.run(s.base) }) // ended by s.stop below
	}
	s.running.Go(func() { _ = s.endpoint.Run(s.base) }) // likewise
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	look := time.NewTicker(gateTick)
	defer look.Stop()
	for {
		select {
		case now := <-look.C:
			s.gate.measure(s.shards, now)
		case <-ctx.Done():
			s.refuse()
			for _, sess := range s.all() {
				sess.close(media.ErrShuttingDown)
			}
			s.stop()
			s.running.Wait()
			return nil
		case now := <-ticker.C:
			s.tick(now)
		}
	}
}

// Drain refuses new sessions and asks viewers to connect elsewhere.
func (s *SFU) Drain(context.Context) {
	s.refuse()
	for _, st := range s.allStreams() {
		st.changed.notify()
	}
}

func (s *SFU) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

func (s *SFU) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// tick ends what waited too long and tells watchers what changed.
func (s *SFU) tick(now time.Time) {
	for _, st := range s.allStreams() {
		st.tick(now)
		s.mu.Lock()
		if st.idle() {
			delete(s.streams, st.id)
		}
		s.mu.Unlock()
	}
}

func (s *SFU) all() []session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]session, 0, len(s.sessions))
	for _, sess := range s.sessions {
		all = append(all, sess)
	}
	return all
}

func (s *SFU) allStreams() []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*stream, 0, len(s.streams))
	for _, st := range s.streams {
		all = append(all, st)
	}
	return all
}

func (s *SFU) lookup(id media.SessionID) (session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess, ok := s.sessions[id]
	if !ok {
		return nil, media.ErrNoSession
	}
	return sess, nil
}

// admit reserves a place for a session in a stream, which it makes if needed.
func (s *SFU) admit(id media.StreamID) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, media.ErrShuttingDown
	}
	if len(s.sessions) >= s.config.MaxSessions {
		return nil, fmt.Errorf("%w: it has %d sessions", media.ErrOverloaded, len(s.sessions))
	}
	if s.half.Load() >= max(minHalf, int64(s.config.MaxSessions)/4) {
		s.gate.refused(admit.Handshakes)
		return nil, fmt.Errorf("%w: too many have not connected yet", media.ErrOverloaded)
	}
	st := s.streams[id]
	if st == nil {
		st = newStream(s, id, s.config.Policy(id))
		s.streams[id] = st
	}
	st.pending.Add(1)
	return st, nil
}

// enter puts a session into the registry; the caller has admitted it.
func (s *SFU) enter(id media.SessionID, sess session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[id] = sess
}

func (s *SFU) leave(id media.SessionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, id)
}

// credentials returns fresh ICE credentials for our side (RFC 8445 section 5.3:
// at least 24 and 128 bits).
func credentials(remoteUfrag, remotePwd string) icelite.Credentials {
	return icelite.Credentials{Ufrag: token(8), Pwd: token(24), RemoteUfrag: remoteUfrag, RemotePwd: remotePwd}
}

// token returns n random characters of ICE's alphabet.
func token(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[b[i]&63]
	}
	return string(b)
}
