package cache

import "time"

// Origins says in which order several origins are asked: in the order given, then
// those that failed within the last minute, and those that failed just now last.
type Origins struct {
	failures []int
	until    []time.Time // it is asked last
	back     []time.Time // it has its place again
}

const (
	// firstRest is how long an origin that failed is asked last; it doubles with
	// each failure. Both are less than the patience of a player (3 target durations).
	firstRest   = 2 * time.Second
	longestRest = 16 * time.Second
	// returnAfter is how long an origin that failed comes after those that did not.
	// One that was started anew has little to show: players that are with another
	// stay there until its playlist is as long.
	returnAfter = time.Minute
)

// NewOrigins begins with n that work.
func NewOrigins(n int) *Origins {
	return &Origins{failures: make([]int, n), until: make([]time.Time, n), back: make([]time.Time, n)}
}

// Order lists all origins, the best first.
func (o *Origins) Order(now time.Time) []int {
	order := make([]int, 0, len(o.until))
	for class := range 3 {
		for i := range o.until {
			if o.class(i, now) == class {
				order = append(order, i)
			}
		}
	}
	return order
}

func (o *Origins) class(i int, now time.Time) int {
	switch {
	case now.Before(o.until[i]):
		return 2
	case now.Before(o.back[i]):
		return 1
	}
	return 0
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
	o.until[i], o.back[i] = now.Add(rest), now.Add(returnAfter)
}

// Worked notes an answer.
func (o *Origins) Worked(i int) { o.failures[i], o.until[i] = 0, time.Time{} }
