package view

import (
	"slices"
	"time"
)

// Quantiles sums a set of durations up, in milliseconds.
type Quantiles struct {
	N   uint64  `json:"n"`
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// Of sums a slice up; it sorts it.
func Of(d []time.Duration) Quantiles {
	if len(d) == 0 {
		return Quantiles{}
	}
	slices.Sort(d)
	at := func(q float64) float64 { return ms(d[min(len(d)-1, int(q*float64(len(d))))]) }
	return Quantiles{N: uint64(len(d)), P50: at(0.5), P95: at(0.95), P99: at(0.99), Max: ms(d[len(d)-1])}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// The histogram's buckets: 50 µs wide up to 10 s, so that half a million
// frames cost no memory and no quantile is off by more than 50 µs.
const (
	bucketWidth = 50 * time.Microsecond
	buckets     = int(10 * time.Second / bucketWidth)
)

// histogram counts durations. Longer ones than 10 s fall into the last bucket,
// negative ones (a clock that was set back) into the first; max is exact.
type histogram struct {
	count []uint32
	n     uint64
	max   time.Duration
}

func newHistogram() *histogram { return &histogram{count: make([]uint32, buckets+1)} }

func (h *histogram) add(d time.Duration) {
	h.count[max(0, min(buckets, int(d/bucketWidth)))]++
	h.n++
	h.max = max(h.max, d)
}

func (h *histogram) reset() {
	clear(h.count)
	h.n, h.max = 0, 0
}

func (h *histogram) quantiles() Quantiles {
	return Quantiles{N: h.n, P50: ms(h.at(0.5)), P95: ms(h.at(0.95)), P99: ms(h.at(0.99)), Max: ms(h.max)}
}

// at returns the upper edge of the bucket that holds the quantile.
func (h *histogram) at(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	want, seen := uint64(q*float64(h.n)), uint64(0)
	for i, c := range h.count {
		if seen += uint64(c); seen > want {
			return min(time.Duration(i+1)*bucketWidth, h.max)
		}
	}
	return h.max
}
