package cache

import "time"

// Origins says in which order several origins are asked: in the order given, and
// those that failed lately last.
type Origins struct {
	failures []int
	until    []time.Time
}

const (
	// firstRest is how long an origin that failed is asked last; it doubles with
	// each failure. Both are less than the patience of a player (3 target durations).
	firstRest   = 2 * time.Second
	longestRest = 16 * time.Second
)

// NewOrigins begins with n that work.
func NewOrigins(n int) *Origins {
	return &Origins{failures: make([]int, n), until: make([]time.Time, n)}
}

// Order lists all origins, the best first.
func (o *Origins) Order(now time.Time) []int {
	order := make([]int, 0, len(o.until))
	for i, t := range o.until {
		if !now.Before(t) {
			order = append(order, i)
		}
	}
	for i, t := range o.until {
		if now.Before(t) {
			order = append(order, i)
		}
	}
	return order
}

// Failed notes that an origin gave no answer.
func (o *Origins) Failed(i int, now time.Time) {
	if now.Before(o.until[i]) {
		return // a burst of requests that fail together is one failure
	}
	rest := longestRest
	if o.failures[i] < 3 {
		rest = firstRest << o.failures[i]
	}
	o.failures[i]++
	o.until[i] = now.Add(rest)
}

// Worked notes an answer.
func (o *Origins) Worked(i int) { o.failures[i], o.until[i] = 0, time.Time{} }
