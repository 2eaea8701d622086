package recorder

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
)

// metrics are bounded in number: nothing is labelled by stream.
type metrics struct {
	parts     *prometheus.CounterVec
	bytes     prometheus.Counter
	gaps      *prometheus.CounterVec
	lateness  *prometheus.HistogramVec
	overflows prometheus.Counter
	keys      prometheus.Counter
	ended     prometheus.Counter
	failures  prometheus.Counter
	stalled   prometheus.Gauge
	hanging   prometheus.Gauge
	steps     prometheus.Counter
	captions  *prometheus.CounterVec

	encoders, encodersFailing prometheus.Gauge
	encoderDeaths             prometheus.Counter
}

func newMetrics(r *Recorder, reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		parts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_recorder_parts_total",
			Help: "Parts that were published, by kind: media, gap."}, []string{"kind"}),
		bytes: counter("sluice_recorder_bytes_total", "Bytes of parts that were published."),
		gaps: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_recorder_gaps_seconds_total",
			Help: "Media time that is missing, over all renditions that are made, by reason."}, []string{"reason"}),
		lateness: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sluice_recorder_publish_seconds",
			Help:    "From the last RTP packet of a part to the snapshot that shows it, of each part, by kind: video, audio.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1}}, []string{"kind"}),
		overflows: counter("sluice_recorder_bursts_dropped_total", "Bursts of packets that a recorder missed as it was too slow."),
		keys:      counter("sluice_recorder_key_frame_requests_total", "Key frames that segments asked for."),
		ended:     counter("sluice_recorder_presentations_ended_total", "Presentations that ended."),
		failures:  counter("sluice_recorder_unwritten_parts_total", "Parts that were not kept as the disk failed or did not answer."),
		stalled:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_recorder_stalled", Help: "Streams that are live but not recorded, as the disk fails."}),
		hanging: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_recorder_hanging",
			Help: "Streams whose disk does not answer: what is new of them waits in memory to be written."}),
		steps: counter("sluice_recorder_steps_total", "Discontinuities as a publisher's timestamps jumped."),
	}
	m.encoders = prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_recorder_encoders", Help: "Renditions that are being encoded."})
	m.encodersFailing = prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_recorder_encoders_failing", Help: "Renditions whose encoder fails again and again."})
	m.encoderDeaths = counter("sluice_recorder_encoder_deaths_total", "Encoders that died or hung, and were replaced.")
	m.captions = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_recorder_captions_total",
		Help: "Captions that came: in time, or late, when their segment was published already."}, []string{"when"})
	if reg == nil {
		return m
	}
	reg.MustRegister(m.captions)
	reg.MustRegister(m.parts, m.bytes, m.gaps, m.lateness, m.overflows, m.keys, m.ended, m.failures, m.stalled, m.hanging, m.steps,
		m.encoders, m.encodersFailing, m.encoderDeaths)
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_recorder_streams",
		Help: "Streams that are packaged."}, func() float64 { return float64(r.running()) }))
	return m
}

// late notes how long after its last packet a part was shown.
func (m *metrics) late(kind media.RenditionKind, d time.Duration) {
	name := "video"
	if kind == media.AudioRendition {
		name = "audio"
	}
	m.lateness.WithLabelValues(name).Observe(d.Seconds())
}
