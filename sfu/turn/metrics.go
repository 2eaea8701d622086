package turn

import "github.com/prometheus/client_golang/prometheus"

// metrics are bounded in number: nothing is labelled by client.
type metrics struct {
	bytes   *prometheus.CounterVec
	refused *prometheus.CounterVec
}

func newMetrics(s *Server, r prometheus.Registerer) *metrics {
	m := &metrics{
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_turn_bytes_total",
			Help: "Bytes relayed, towards the media port (in) and from it (out)."}, []string{"direction"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_turn_refused_total",
			Help: "What the relay refused, by reason: ticket, peer, quota, full, rate, stranger."}, []string{"reason"}),
	}
	if r != nil {
		r.MustRegister(m.bytes, m.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_turn_allocations",
			Help: "Allocations."}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(s.hops)
		}))
	}
	return m
}
