package disk

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	reads   *prometheus.CounterVec
	writes  *prometheus.CounterVec
	evicted prometheus.Counter
}

func newMetrics(s *Store, r prometheus.Registerer) *metrics {
	m := &metrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_edge_disk_reads_total",
			Help: "Looks into the disk cache: hit, miss, old, damaged, failed, late (the disk did not answer in time), busy (too many at once)."}, []string{"result"}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_edge_disk_writes_total",
			Help: "Answers for the disk cache: kept, failed, dropped (the disk is behind)."}, []string{"result"}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_edge_disk_evictions_total",
			Help: "Files that had to go for others."}),
	}
	if r == nil {
		return m
	}
	r.MustRegister(m.reads, m.writes, m.evicted)
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	locked := func(f func() float64) func() float64 {
		return func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return f()
		}
	}
	gauge("sluice_edge_disk_bytes", "Bytes of files in the disk cache.", locked(func() float64 { return float64(s.bytes) }))
	gauge("sluice_edge_disk_objects", "Files in the disk cache.", locked(func() float64 { return float64(len(s.items)) }))
	gauge("sluice_edge_disk_up", "Whether the disk cache works: 0 after an error, until it was tried again.", func() float64 {
		if s.reading.off.Load() == 0 && s.writing.off.Load() == 0 {
			return 1
		}
		return 0
	})
	return m
}
