package reflector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options of a reflector of its own. The tags are kong's.
type Options struct {
	Listen string `help:"HTTP address to serve on; media goes over UDP of the loopback" default:"127.0.0.1:8095"`
	Bare   bool   `help:"none of Pion's default interceptors: no resends, no reports"`
}

// Serve reflects one stream until ctx ends. Beside it, /metrics tells of
// goroutines and heap, as the bench reads them.
func Serve(ctx context.Context, o Options, out io.Writer) error {
	s, err := New(Config{Bare: o.Bare, Sockets: true})
	if err != nil {
		return err
	}
	defer s.Close()
	own := prometheus.NewRegistry()
	own.MustRegister(collectors.NewGoCollector())
	mux := http.NewServeMux()
	mux.Handle("/", s)
	mux.Handle("/metrics", promhttp.HandlerFor(own, promhttp.HandlerOpts{}))
	mux.Handle("/debug/pprof/heap", pprof.Handler("heap"))
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	_, _ = fmt.Fprintf(out, "reflecting at http://%s/whip/… and /whep/…\n", l.Addr())
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	over := make(chan error, 1)
	go func() { over <- web.Serve(l) }() // Close below ends it
	select {
	case err = <-over:
	case <-ctx.Done():
		_ = web.Close() // what it carries has no end of its own
		err = <-over
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}
