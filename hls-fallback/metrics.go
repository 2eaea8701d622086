package hlsfallback

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count by kind of file and class of status: few labels, none of a name.
type metrics struct {
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	renders  *prometheus.CounterVec
	refused  *prometheus.CounterVec
	render   prometheus.Histogram
	wait     prometheus.Histogram
	// served are the counters of requests, looked up once: a label lookup takes a
	// noticeable part of a request.
	served [files][6]prometheus.Counter
	sent   [files]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, waiting func() float64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_hls_requests_total", Help: "Requests for playlists and media."}, []string{"file", "status"}),
		bytes:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_hls_sent_bytes_total", Help: "Bytes of bodies that were sent."}, []string{"file"}),
		renders:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_hls_renders_total", Help: "Playlists that were rendered; many requests share one."}, []string{"file"}),
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_hls_refused_total", Help: "Requests that were refused, by reason."}, []string{"reason"}),
		render:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sluice_hls_render_seconds", Help: "Time to render and compress a playlist.", Buckets: prometheus.ExponentialBuckets(20e-6, 3, 9)}),
		wait:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sluice_hls_wait_seconds", Help: "Time that requests waited for new media.", Buckets: []float64{.05, .1, .2, .35, .5, .75, 1, 2, 5, 10, 20}}),
	}
	for f := range files {
		for class := range m.served[f] {
			m.served[f][class] = m.requests.WithLabelValues(fileNames[f], fmt.Sprintf("%dxx", class))
		}
		m.sent[f] = m.bytes.WithLabelValues(fileNames[f])
	}
	if reg == nil {
		return m, nil
	}
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_hls_waiting_requests", Help: "Requests that wait for new media."}, waiting)
	for _, c := range []prometheus.Collector{m.requests, m.bytes, m.renders, m.refused, m.render, m.wait, gauge} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of hls: %w", err)
		}
	}
	return m, nil
}
