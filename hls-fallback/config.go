package hlsfallback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/hls-fallback/places"
	"github.com/sluice-live/sluice/media"
)

// Source gives snapshots and bytes: the recorder of what is live, the catalogue of
// assets. All methods may be called from any goroutine and return at once, but Read.
type Source interface {
	// Presentation returns the newest snapshot; media.ErrNotFound when there is none.
	Presentation(ctx context.Context, name string) (*media.Presentation, error)
	// Changed returns a channel that is closed when the rendition has something newer
	// than a Presentation that is asked for afterwards; "" is any rendition.
	Changed(name, rendition string) <-chan struct{}
	// Read opens the bytes of an extent that Part.Data does not hold.
	Read(ctx context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error)
	// Want tells that somebody wants a rendition that is made on demand.
	Want(name, rendition string)
}

// Ask is what is decided on before anything is told.
type Ask struct {
	// Videos tells that Name is an asset, else a stream.
	Videos bool
	Name   string
	// Token is what came as Authorization: Bearer, as ?token= or as the cookie; empty
	// without any. It never goes to a log.
	Token string
}

// Config says how it is served. The zero Config is not useful; begin with
// DefaultConfig.
type Config struct {
	// Window is how far a live playlist reaches back when nothing else is asked for.
	Window time.Duration
	// MaxWaiting bounds the requests that wait for what comes next; more are told to
	// come again (503), and those of one address earlier than others (places). Each
	// takes a goroutine, about 10 KB with its connection.
	MaxWaiting int
	// Keys sign and check the tokens of Sign: the first signs, all are accepted, so
	// that keys can be changed without anybody noticing. None: such tokens are refused.
	Keys []Key
	// HTTPS tells that clients come by https although the request does not show it,
	// because a proxy ends TLS: the cookie is marked as secure then.
	HTTPS bool
}

// DefaultConfig serves the last minute, ten segments of the longest that are usual,
// to up to 20,000 waiting requests.
func DefaultConfig() Config {
	return Config{Window: time.Minute, MaxWaiting: 20000}
}

// Validate says what is wrong with a configuration.
func (c Config) Validate() error {
	switch {
	case c.Window < 10*time.Second:
		return fmt.Errorf("window: %v is less than 10s", c.Window)
	case c.MaxWaiting < 1:
		return errors.New("max waiting: at least one request has to be allowed to wait")
	}
	for _, k := range c.Keys {
		if err := k.validate(); err != nil {
			return err
		}
	}
	return nil
}

// Parts are the others that the server works with.
type Parts struct {
	Live   Source // nil: nothing beneath /live/
	Videos Source // nil: nothing beneath /videos/
	// Authorize decides; nil lets everybody play. Its answer is kept for a few seconds
	// per name and token. What it returns wraps media.ErrUnauthorized or
	// media.ErrForbidden.
	Authorize func(ctx context.Context, a Ask) error
	// Keys protects what it says; nil leaves all as it is.
	Keys Keys
	// Checks reports whether who asks is a cache that looks at the token of each request
	// itself, also of those that it answers from what it has. Only such caches are told
	// to keep what is not public. Nil: nobody is.
	Checks func(r *http.Request) bool
	// Remote is the address of who asks, when proxies stand before the server; nil
	// takes the connection's.
	Remote     func(r *http.Request) netip.Addr
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Server serves streams and assets. Its methods may be called from any goroutine.
type Server struct {
	cfg     Config
	parts   Parts
	log     *slog.Logger
	metrics *metrics
	guards  map[bool]*guard // of assets, and of streams; empty without Keys
	live    *shelves
	videos  *shelves
	leave   *leave
	stop    chan struct{}
	shifts  chan struct{} // one element for each time-shifted playlist that is rendered
	shifted atomic.Int64  // requests for such that wait or are rendered

	mu      sync.Mutex // guards what follows
	waiting *places.Places
}

// New makes a server; nothing runs before a request comes.
func New(cfg Config, parts Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("hls: %w", err)
	}
	if parts.Logger == nil {
		parts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, parts: parts, log: parts.Logger,
		live: newShelves(), videos: newShelves(),
		leave:   newLeave(parts.Authorize),
		stop:    make(chan struct{}),
		shifts:  make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		waiting: places.New(cfg.MaxWaiting),
	}
	if parts.Keys != nil {
		s.guard()
	}
	var err error
	s.metrics, err = newMetrics(parts.Registerer, func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(s.waiting.Taken())
	})
	return s, err
}

// guard lets nothing out of the sources that is not protected and should be.
func (s *Server) guard() {
	s.guards = make(map[bool]*guard)
	if s.parts.Live != nil {
		s.guards[false] = newGuard(s.parts.Live, s.parts.Keys, "/live/", s.log)
		s.parts.Live = s.guards[false]
	}
	if s.parts.Videos != nil {
		s.guards[true] = newGuard(s.parts.Videos, s.parts.Keys, "/videos/", s.log)
		s.parts.Videos = s.guards[true]
	}
}

// Stop answers all requests that wait with 503, now and later. It is called once,
// before the HTTP server is shut down.
func (s *Server) Stop() { close(s.stop) }

// Handler serves GET, HEAD and OPTIONS beneath /live/ and /videos/.
func (s *Server) Handler() http.Handler { return s }
