package upload

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics say how far uploads are behind.
type metrics struct {
	tries   *prometheus.CounterVec
	bytes   prometheus.Counter
	waiting prometheus.Gauge
	pending prometheus.Gauge
	lag     prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	const prefix = "sluice_recorder_upload_"
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help})
	}
	m := &metrics{
		tries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "tries_total", Help: "Tries to upload a volume, or a recording's end, by result.",
		}, []string{"result"}),
		bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "bytes_total", Help: "Bytes of volumes that were uploaded and read back."}),
		waiting: gauge("waiting", "Volumes and recordings' ends that are not in the store yet."),
		pending: gauge("pending_bytes", "Bytes of volumes that are not in the store yet."),
		lag:     gauge("lag_seconds", "How long the oldest of them waits."),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.tries), reg.Register(m.bytes), reg.Register(m.waiting), reg.Register(m.pending), reg.Register(m.lag))
}

func (m *metrics) done(t *task) {
	if t.remove {
		return
	}
	if t.err != nil {
		m.tries.WithLabelValues("failed").Inc()
		return
	}
	m.tries.WithLabelValues("succeeded").Inc()
	m.bytes.Add(float64(t.sent))
}

// measure counts what waits; what is on its way counts as done.
func (u *Uploader) measure(now time.Time) {
	var waiting, bytes int64
	var lag time.Duration
	for _, t := range u.tasks {
		if t.remove {
			continue
		}
		waiting++
		lag = max(lag, now.Sub(t.since))
		if t.volume != nil {
			bytes += t.volume.Size
		}
	}
	u.metrics.waiting.Set(float64(waiting))
	u.metrics.pending.Set(float64(bytes))
	u.metrics.lag.Set(lag.Seconds())
}
