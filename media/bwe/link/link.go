// Package link models one direction of a network path in virtual time, for tests of whoever adapts to one: rate, queue,
// delay, jitter, loss and outages by a script, and a receiver that reports arrivals as browsers do.
//
// It promises the same fate for the same seed and calls, and bytes that arrive no faster than the rate. Not for
// production; no file but tests imports it.
package link

import (
	"math/rand/v2"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Path is what a link does.
type Path struct {
	Rate  media.Bitrate // 0: no limit
	Queue time.Duration // of the drop-tail queue at the rate; 0: 300 ms
	Delay time.Duration
	// Jitter is the mean of a delay that wanders between 0 and twice that, in order, by half its length per time at most.
	Jitter time.Duration
	// Loss is random; Burst is the mean loss in bursts of five packets (Gilbert and Elliott).
	Loss, Burst float64
	Down        bool
}

// Step is a change of path.
type Step struct {
	At   time.Duration
	Path Path
}

// Link is one direction. It is not safe for concurrent use.
type Link struct {
	course   []Step
	start    time.Time
	dice     *rand.Rand
	free     time.Time // when the transmitter has sent what it took
	last     time.Time // newest arrival
	bad      bool
	from, to float64 // jitter, as shares
	stretch  int64
	Dropped  int // by the queue
}

// New makes a link that begins at start; course is in order of time and begins at 0.
func New(start time.Time, seed uint64, course ...Step) *Link {
	return &Link{course: course, start: start, free: start, dice: rand.New(rand.NewPCG(seed, 1)), stretch: -1} //nolint:gosec // dice of a test
}

// Always is a course without changes.
func Always(p Path) Step { return Step{Path: p} }

// Path returns what the link does at a time.
func (l *Link) Path(now time.Time) Path { return l.course[l.step(now)].Path }

// Waiting returns how long a packet would wait in the queue.
func (l *Link) Waiting(now time.Time) time.Duration { return max(0, l.free.Sub(now)) }

// Offer sends a packet, and returns when it arrives; false when it does not.
func (l *Link) Offer(size int, now time.Time) (time.Time, bool) {
	p := l.Path(now)
	lost := l.dice.Float64() < p.Loss
	if lost = l.burst(p.Burst) || lost; lost || p.Down {
		return time.Time{}, false
	}
	queue := p.Queue
	if queue == 0 {
		queue = 300 * time.Millisecond
	}
	if p.Rate > 0 && l.Waiting(now) > queue {
		l.Dropped++
		return time.Time{}, false
	}
	l.free = l.sent(size, now)
	at := l.free.Add(p.Delay + l.wander(p.Jitter, l.free))
	if at.Before(l.last) {
		at = l.last
	}
	l.last = at
	return at, true
}

// sent is when the last bit of a packet leaves.
func (l *Link) sent(size int, now time.Time) time.Time {
	at, bits := now, float64(size)*8
	if l.free.After(at) {
		at = l.free
	}
	for i := l.step(at); ; i++ {
		rate, done := float64(l.course[i].Path.Rate), at
		if rate > 0 {
			done = at.Add(time.Duration(bits / rate * float64(time.Second)))
		}
		if i+1 == len(l.course) {
			return done
		}
		end := l.start.Add(l.course[i+1].At)
		if !done.After(end) {
			return done
		}
		bits -= rate * end.Sub(at).Seconds()
		at = end
	}
}

func (l *Link) step(now time.Time) int {
	i := len(l.course) - 1
	for i > 0 && l.start.Add(l.course[i].At).After(now) {
		i--
	}
	return i
}

func (l *Link) burst(mean float64) bool {
	if mean == 0 {
		return false
	}
	if move := l.dice.Float64(); l.bad {
		l.bad = move >= 0.2
	} else {
		l.bad = move < 0.2*mean/(1-mean)
	}
	return l.bad
}

// wander is a line between values drawn for each stretch of four times the jitter.
func (l *Link) wander(jitter time.Duration, at time.Time) time.Duration {
	if jitter == 0 {
		return 0
	}
	n := int64(at.Sub(l.start) / (4 * jitter))
	for l.stretch < n {
		l.from, l.to = l.to, l.dice.Float64()
		l.stretch++
	}
	within := float64(at.Sub(l.start)%(4*jitter)) / float64(4*jitter)
	return time.Duration((l.from + (l.to-l.from)*within) * 2 * float64(jitter))
}
