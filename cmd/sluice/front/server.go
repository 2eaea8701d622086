package front

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	headerTime = 5 * time.Second
	// writeTime is for one piece of an answer to go out; Door moves it on with each.
	writeTime = 30 * time.Second
	idleTime  = 2 * time.Minute
	// maxHeader leaves room for a token with a long list of patterns.
	maxHeader = 32 << 10
	// maxStreams is what one HTTP/2 connection may ask at once: a page needs a
	// dozen, a proxy in front of many viewers some hundred.
	maxStreams = 250
)

// Server is one listener and what is served on it.
type Server struct {
	Name     string // "http", "https" or "admin"
	listener net.Listener
	http     *http.Server
}

// Listen opens an address. With a TLS configuration it serves https with HTTP/2.
func Listen(name, addr string, h http.Handler, secure *tls.Config, log *slog.Logger) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, explain(name, addr, err)
	}
	if secure != nil {
		secure = secure.Clone()
		secure.NextProtos = []string{"h2", "http/1.1"}
	}
	return &Server{
		Name:     name,
		listener: l,
		http: &http.Server{
			Handler:           h,
			TLSConfig:         secure,
			ReadHeaderTimeout: headerTime,
			WriteTimeout:      writeTime,
			IdleTimeout:       idleTime,
			MaxHeaderBytes:    maxHeader,
			HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
			// Broken handshakes of scanners are no news.
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}, nil
}

// Addr is the address that was opened, with the port that was found for :0.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until Shutdown or Close.
func (s *Server) Run() error {
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", s.Name, err)
}

// Shutdown stops listening, lets running requests end until ctx is done, then
// closes what is left.
func (s *Server) Shutdown(ctx context.Context) {
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close() // the time is up: nothing can be done about an error
	}
}

// Close lets go of the listener of a server that never ran.
func (s *Server) Close() { _ = s.listener.Close() }

// explain says in one line what to do about an address that cannot be opened.
func explain(name, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s (%s): another program has this port; stop it, or choose another with --%s: %w", addr, name, name, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen on %s (%s): ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another with --%s: %w", addr, name, name, syscall.EACCES)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen on %s (%s): this machine does not have that address: %w", addr, name, syscall.EADDRNOTAVAIL)
	}
	return fmt.Errorf("listen on %s (%s): %w", addr, name, err)
}
