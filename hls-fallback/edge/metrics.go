package edge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	origins  *prometheus.CounterVec
	wait     prometheus.Histogram
	evicted  prometheus.Counter
}

// newMetrics makes the metrics; the hit ratio is hits, those on disk too, and coalesced requests by
// all of sluice_edge_requests_total.
func newMetrics(e *Edge, r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_edge_requests_total",
			Help: "Requests by where the answer came from: hit, disk, coalesced, miss, passed, refused, failed, local."}, []string{"result", "kind"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_edge_sent_bytes_total",
			Help: "Bytes of bodies sent to clients, by where they came from."}, []string{"result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sluice_edge_request_seconds",
			Help: "How long requests took; blocked ones wait for the stream.", Buckets: []float64{.001, .005, .02, .1, .3, .6, 1, 2, 6, 20}}, []string{"result"}),
		origins: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_edge_origin_requests_total",
			Help: "Requests to origins, by the class of the answer."}, []string{"answer"}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sluice_edge_origin_seconds",
			Help: "How long origins took to begin an answer.", Buckets: []float64{.001, .005, .02, .1, .3, .6, 1, 2, 6, 20}}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_edge_evictions_total",
			Help: "Objects that had to go for others."}),
	}
	if r == nil {
		return m
	}
	r.MustRegister(m.requests, m.bytes, m.duration, m.origins, m.wait, m.evicted)
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	locked := func(f func() float64) func() float64 {
		return func() float64 {
			e.mu.Lock()
			defer e.mu.Unlock()
			return f()
		}
	}
	gauge("sluice_edge_cache_bytes", "Bytes that are kept.", locked(func() float64 { return float64(e.shelf.Bytes()) }))
	gauge("sluice_edge_cache_objects", "Objects that are kept.", locked(func() float64 { return float64(e.shelf.Len()) }))
	gauge("sluice_edge_fetches", "Requests to origins that are under way.", locked(func() float64 { return float64(len(e.flights)) }))
	gauge("sluice_edge_clients", "Requests that are being answered.", func() float64 { return float64(e.clients.Load()) })
	return m
}

func (m *metrics) served(r *Record, took time.Duration) {
	kind := "other"
	switch {
	case r.Live:
		kind = "live"
	case r.Name != "":
		kind = "videos"
	}
	m.requests.WithLabelValues(string(r.Result), kind).Inc()
	m.bytes.WithLabelValues(string(r.Result)).Add(float64(r.Bytes))
	m.duration.WithLabelValues(string(r.Result)).Observe(took.Seconds())
}

func (m *metrics) origin(answer string, took time.Duration) {
	m.origins.WithLabelValues(answer).Inc()
	m.wait.Observe(took.Seconds())
}
