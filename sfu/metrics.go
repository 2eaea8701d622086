package sfu

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/egress"
)

// metrics are bounded in number: nothing is labelled by stream or session.
type metrics struct {
	sessionsEnded    *prometheus.CounterVec
	keyFramesAsked   prometheus.Counter
	keyFramesGivenUp prometheus.Counter
	firstMedia       prometheus.Histogram
	refused          *prometheus.CounterVec
}

func newMetrics(s *SFU, r prometheus.Registerer) *metrics {
	m := &metrics{
		sessionsEnded: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_sfu_sessions_ended_total",
			Help: "Sessions that ended, by kind and reason."}, []string{"kind", "reason"}),
		keyFramesAsked: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_sfu_key_frame_requests_total",
			Help: "Key frames asked of publishers."}),
		keyFramesGivenUp: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_sfu_key_frame_giveups_total",
			Help: "Wishes for a key frame that no publisher fulfilled."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_sfu_refused_total",
			Help: "Sessions refused as the node was busy, by what it lacked: handshakes, rate, lag."}, []string{"reason"}),
		firstMedia: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sluice_sfu_join_seconds",
			Help:    "From the POST of a viewer to its first media packet.",
			Buckets: []float64{.02, .05, .1, .2, .3, .5, 1, 2, 5, 10}}),
	}
	if r == nil {
		return m
	}
	r.MustRegister(m.sessionsEnded, m.keyFramesAsked, m.keyFramesGivenUp, m.firstMedia, m.refused)
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	counter := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
	}
	gauge("sluice_sfu_streams", "Streams with a publisher, viewers or sinks.", func() float64 { return float64(len(s.allStreams())) })
	gauge("sluice_sfu_sessions", "Sessions, publishers and viewers.", func() float64 { return float64(len(s.all())) })
	for name, n := range map[string]func() int{
		"pion": s.endpoint.Guests, "lite": func() int { return max(len(s.all())-s.endpoint.Guests(), 0) },
	} {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_sfu_carried_sessions",
			Help: "Sessions by the transport that carries them.", ConstLabels: prometheus.Labels{"transport": name}}, func() float64 { return float64(n()) }))
	}
	gauge("sluice_sfu_connecting", "Sessions that have not connected yet.", func() float64 { return float64(s.half.Load()) })
	gauge("sluice_sfu_joins_allowed", "Joins per second that would be let in now.", s.gate.perSecond)
	gauge("sluice_sfu_viewers", "Viewers.", func() float64 {
		n := int64(0)
		for _, sh := range s.shards {
			n += sh.viewers.Load()
		}
		return float64(n)
	})
	counter("sluice_sfu_shard_bursts_dropped_total", "Bursts that a lagging shard missed.", func() float64 {
		n := uint64(0)
		for _, sh := range s.shards {
			n += sh.dropped.Load()
		}
		return float64(n)
	})
	for _, c := range []struct {
		name, help string
		value      func(*egress.Stats) uint64
	}{
		{"sluice_sfu_sent_packets_total", "Packets to viewers that the system took.", func(e *egress.Stats) uint64 { return e.Packets.Load() }},
		{"sluice_sfu_sent_runs_total", "Runs of equal packets that they left in.", func(e *egress.Stats) uint64 { return e.Messages.Load() }},
		{"sluice_sfu_sent_writes_total", "System calls that they left by.", func(e *egress.Stats) uint64 { return e.Writes.Load() }},
		{"sluice_sfu_sent_lost_total", "Packets to viewers that the system did not take.", func(e *egress.Stats) uint64 { return e.Lost.Load() }},
		{"sluice_sfu_sent_refused_total", "Packets to viewers that could not be sealed.", func(e *egress.Stats) uint64 { return e.Refused.Load() }},
	} {
		counter(c.name, c.help, func() float64 {
			n := uint64(0)
			for _, sh := range s.shards {
				n += c.value(&sh.engine.Stats)
			}
			return float64(n)
		})
	}
	counter("sluice_sfu_datagrams_unknown_total", "Datagrams from addresses without a session.", func() float64 {
		n, _ := s.endpoint.Rejected()
		return float64(n)
	})
	counter("sluice_sfu_checks_forged_total", "Connectivity checks with wrong credentials.", func() float64 {
		_, n := s.endpoint.Rejected()
		return float64(n)
	})
	return m
}

// reasonLabel keeps the number of label values bounded.
func reasonLabel(why error) string {
	for _, r := range []struct {
		err  error
		name string
	}{
		{media.ErrHangup, "hangup"}, {media.ErrKicked, "kicked"}, {media.ErrTakenOver, "taken_over"}, {media.ErrGone, "gone"},
		{media.ErrPublisherLeft, "publisher_left"}, {media.ErrNoCodec, "no_codec"}, {media.ErrTooFast, "too_fast"}, {media.ErrTooLarge, "too_large"},
		{media.ErrShuttingDown, "shutdown"},
	} {
		if errors.Is(why, r.err) {
			return r.name
		}
	}
	return "other"
}
