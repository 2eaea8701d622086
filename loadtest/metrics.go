package loadtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Readings are repeated and the least is taken: between two reads a server may
// serve the read itself, and garbage only ever adds.
const (
	readings    = 5
	readingsGap = time.Second
)

// reading waits for ended sessions to be forgotten, and reads the server.
func (s *stage) reading(ctx context.Context, after int) (Reading, error) {
	r := Reading{After: after}
	if s.o.Metrics == "" {
		return r, nil
	}
	if err := pause(ctx, s.o.Settle); err != nil {
		return r, err
	}
	for i := range readings {
		collect(ctx, s.o.Metrics)
		m, err := scrape(ctx, s.o.Metrics)
		if err != nil {
			return r, err
		}
		g, h := m["go_goroutines"], m["go_memstats_heap_alloc_bytes"]
		if g == 0 {
			return r, fmt.Errorf("read %s: there is no go_goroutines", s.o.Metrics)
		}
		if i == 0 || g < r.Goroutines {
			r.Goroutines = g
		}
		if i == 0 || h < r.HeapBytes {
			r.HeapBytes = h
		}
		if err := pause(ctx, min(readingsGap, s.o.Settle)); err != nil {
			return r, err
		}
	}
	if s.o.PID != 0 {
		var err error
		if r.RSS, err = rss(s.o.PID); err != nil {
			return r, err
		}
	}
	return r, nil
}

// snapshot reads a Go server once, after a collection of garbage.
func snapshot(ctx context.Context, metrics string) (Reading, error) {
	collect(ctx, metrics)
	m, err := scrape(ctx, metrics)
	return Reading{Goroutines: m["go_goroutines"], HeapBytes: m["go_memstats_heap_alloc_bytes"]}, err
}

// collect asks a Go server that shows pprof beside its metrics to collect
// garbage; others ignore it.
func collect(ctx context.Context, metrics string) {
	u, err := url.Parse(metrics)
	if err != nil {
		return
	}
	u.Path, u.RawQuery = "/debug/pprof/heap", "gc=1"
	if res, err := fetch(ctx, u.String()); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

func fetch(ctx context.Context, u string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// scrape reads the metrics without labels.
func scrape(ctx context.Context, u string) (map[string]float64, error) {
	res, err := fetch(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the metrics: %s", res.Status)
	}
	return parseMetrics(res.Body)
}

// parseMetrics reads Prometheus's text format, as far as it has no labels.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	out := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if !ok || strings.HasPrefix(name, "#") || strings.Contains(name, "{") {
			continue
		}
		if v, err := strconv.ParseFloat(strings.Fields(value)[0], 64); err == nil {
			out[name] = v
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	return out, nil
}
