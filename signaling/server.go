package signaling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Why the door itself ends sessions.
var (
	errRevoked  = errors.New("the stream key was revoked")
	errRepeated = errors.New("the client sent the same offer again")
)

// Server is the door. Safe for concurrent use.
type Server struct {
	cfg     Config
	parts   Parts
	log     *slog.Logger
	metrics *metrics
	book    *book
	mux     *http.ServeMux

	asks     *limiter[netip.Prefix] // session requests per address
	logins   *limiter[netip.Prefix] // refused tokens per address
	starts   *limiter[string]       // publishes per key
	said     *limiter[media.StreamID]
	hub      *hub // of captions
	draining atomic.Bool
	closing  chan struct{} // closed by Run at its end: event streams end
}

// New makes a door. It starts nothing.
func New(cfg Config, parts Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if parts.Sessions == nil || parts.Views == nil || parts.Authorizer == nil || parts.Policy == nil {
		return nil, errors.New("make the door: Sessions, Views, Authorizer and Policy are needed")
	}
	m, err := newMetrics(parts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	if parts.Logger == nil {
		parts.Logger = slog.New(slog.DiscardHandler)
	}
	l := cfg.Limits
	s := &Server{
		cfg: cfg, parts: parts, metrics: m, book: newBook(),
		log:     parts.Logger,
		asks:    newLimiter[netip.Prefix](l.Requests, l.RequestsBurst, l.Addresses),
		starts:  newLimiter[string](l.Publishes, max(1, int(l.Publishes)), l.Addresses),
		logins:  newLimiter[netip.Prefix](l.FailedLogins/60, max(1, int(l.FailedLogins)), l.Addresses),
		said:    newLimiter[media.StreamID](captionRate, captionBurst, l.Addresses),
		hub:     newHub(),
		closing: make(chan struct{}),
	}
	s.mux = s.newMux()
	return s, nil
}

// Handler serves /whip/, /whep/ and /v1/.
func (s *Server) Handler() http.Handler { return s.mux }

// sweeping is how often Run forgets what is old, and looks for sessions that
// ended without Ended being told: ten thousand looks cost some 10 ms.
const sweeping = 10 * time.Second

// Run forgets what has had its time, and notices sessions that ended by
// themselves, until ctx is done. Then event streams end. Call it once.
func (s *Server) Run(ctx context.Context) error {
	defer close(s.closing)
	tick := time.NewTicker(sweeping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.sweep(now)
		}
	}
}

func (s *Server) sweep(now time.Time) {
	for _, sess := range s.book.live() {
		v, _, err := s.parts.Views.View(sess.id)
		switch {
		case errors.Is(err, media.ErrNoSession):
			s.Ended(sess.id, media.ErrGone)
		case err == nil && v.Ended:
			s.Ended(sess.id, ending(v))
		}
	}
	s.book.sweep(now)
	s.asks.sweep(now)
	s.starts.sweep(now)
	s.logins.sweep(now)
	s.said.sweep(now)
	s.hub.sweep(now)
}

// ending is why a session that shows itself as ended did so.
func ending(v media.SessionView) error {
	for _, r := range reasons {
		if v.Reason == r.err.Error() {
			return r.err
		}
	}
	return media.ErrGone
}

// Drain makes every POST be answered 503 from now on.
func (s *Server) Drain() { s.draining.Store(true) }

// Ended tells that a session has ended by itself. Who does not call it is
// noticed by Run, some seconds later.
func (s *Server) Ended(id media.SessionID, why error) {
	sess, first := s.book.end(id, why, time.Now())
	if !first {
		return
	}
	sess.feeds.close()
	s.metrics.sessions.WithLabelValues(string(sess.role)).Dec()
	s.metrics.ended.WithLabelValues(string(sess.role), reasonName(why)).Inc()
	s.log.Info("session ended", "trace", sess.trace, "session", short(sess.id), "stream", sess.stream, "role", sess.role,
		"subject", sess.subject, "why", why, "after", time.Since(sess.since).Round(time.Millisecond))
}

// Revoke hangs up every session that a stream key began; subject is "key:<id>".
func (s *Server) Revoke(subject string) {
	for _, sess := range s.book.live() {
		if sess.subject != subject || subject == "" {
			continue
		}
		ctx := withTrace(context.Background(), sess.trace)
		if err := s.hangup(ctx, sess.id, errRevoked); err != nil {
			s.log.Error("session of a revoked key could not be hung up", "trace", sess.trace, "session", short(sess.id), "err", err)
		}
	}
}

// hangup ends a session. That it has ended already is no error.
func (s *Server) hangup(ctx context.Context, id media.SessionID, why error) error {
	err := s.parts.Sessions.Hangup(ctx, id, why)
	if err != nil && !errors.Is(err, media.ErrNoSession) {
		return fmt.Errorf("hang up: %w", err)
	}
	s.Ended(id, why)
	return nil
}
