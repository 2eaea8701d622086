package signaling

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
)

// metrics count what goes through the door. Labels are bounded: endpoints,
// known methods, statuses, roles and the reasons of media.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	sessions *prometheus.GaugeVec
	ended    *prometheus.CounterVec
	limited  *prometheus.CounterVec
	events   *prometheus.CounterVec
	feeds    prometheus.Gauge
}

const metricPrefix = "sluice_signaling_"

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
}

func gauge(name, help string) prometheus.GaugeOpts {
	return prometheus.GaugeOpts{Name: metricPrefix + name, Help: help}
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: counter("requests_total", "HTTP requests answered.", "endpoint", "method", "status"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricPrefix + "request_duration_seconds", Help: "Time to answer, without event streams.",
			// An answer takes about 1 ms; one that pulls a stream from afar up to seconds.
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10},
		}, []string{"endpoint", "method"}),
		sessions: prometheus.NewGaugeVec(gauge("sessions", "Sessions that live."), []string{"role"}),
		ended:    counter("sessions_ended_total", "Sessions that ended.", "role", "reason"),
		limited:  counter("limited_total", "Requests refused by a rate limit.", "limit"),
		events:   counter("events_total", "Server-sent events written.", "event"),
		feeds:    prometheus.NewGauge(gauge("event_streams", "Event streams being read.")),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.sessions, m.ended, m.limited, m.events, m.feeds} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) request(endpoint, method string, status int, took time.Duration) {
	switch method {
	case "GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS":
	default:
		method = "other"
	}
	m.requests.WithLabelValues(endpoint, method, strconv.Itoa(status)).Inc()
	if endpoint != "event-stream" && !(endpoint == "captions" && method == "GET") {
		m.duration.WithLabelValues(endpoint, method).Observe(took.Seconds())
	}
}

var reasons = []struct {
	err  error
	name string
}{
	{media.ErrHangup, "hangup"}, {media.ErrKicked, "kicked"}, {media.ErrTakenOver, "taken_over"}, {media.ErrGone, "gone"},
	{media.ErrPublisherLeft, "publisher_left"}, {media.ErrNoCodec, "no_codec"}, {media.ErrTooFast, "too_fast"},
	{media.ErrShuttingDown, "shutting_down"}, {errRevoked, "revoked"}, {errRepeated, "repeated"},
}

func reasonName(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return "other"
}
