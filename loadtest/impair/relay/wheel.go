package relay

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Outlet is where a packet goes when its time has come.
type Outlet interface{ Emit(b []byte) }

// parcel is a packet that waits for its time.
type parcel struct {
	at  time.Time
	n   uint64 // parcels of one time leave in the order they came
	b   []byte
	out Outlet
}

type parcels []parcel

func (p parcels) Len() int { return len(p) }

func (p parcels) Less(i, j int) bool {
	if p[i].at.Equal(p[j].at) {
		return p[i].n < p[j].n
	}
	return p[i].at.Before(p[j].at)
}

func (p parcels) Swap(i, j int) { p[i], p[j] = p[j], p[i] }

// Push is heap.Interface's.
func (p *parcels) Push(v any) { *p = append(*p, v.(parcel)) }

// Pop is heap.Interface's.
func (p *parcels) Pop() any {
	old := *p
	last := old[len(old)-1]
	old[len(old)-1] = parcel{}
	*p = old[:len(old)-1]
	return last
}

// Wheel lets packets go at their times, from one goroutine that sleeps in
// between. Now is the clock that it goes by: in a synctest bubble time.Now is
// virtual, too.
type Wheel struct {
	mu      sync.Mutex // guards what follows
	waiting parcels
	n       uint64
	bytes   int
	woken   chan struct{}
}

// soon is how much too early a packet may leave, rather than wait for another
// turn: the runtime's timers are no finer.
const soon = 200 * time.Microsecond

// most is how many bytes may wait: a second of 500 Mbit/s. What comes on top is
// dropped; only a course with an endless delay comes so far.
const most = 64 << 20

// NewWheel makes an empty wheel.
func NewWheel() *Wheel { return &Wheel{woken: make(chan struct{}, 1)} }

// At lets b go to out at a time. It reports false when too much waits already.
func (w *Wheel) At(at time.Time, b []byte, out Outlet) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes+len(b) > most {
		return false
	}
	first := len(w.waiting) == 0 || at.Before(w.waiting[0].at)
	w.n++
	w.bytes += len(b)
	heap.Push(&w.waiting, parcel{at, w.n, b, out})
	if first {
		select {
		case w.woken <- struct{}{}:
		default: // it is awake
		}
	}
	return true
}

// Run turns the wheel until ctx ends; what still waits then is dropped.
func (w *Wheel) Run(ctx context.Context) {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	var due []parcel
	for {
		var wait time.Duration
		due, wait = w.due(due[:0], time.Now())
		for i := range due {
			due[i].out.Emit(due[i].b)
		}
		if len(due) > 0 {
			clear(due)
			continue
		}
		t.Reset(wait)
		select {
		case <-t.C:
		case <-w.woken:
		case <-ctx.Done():
			return
		}
	}
}

// due takes what may go at now, and says how long to wait when that is nothing.
func (w *Wheel) due(dst []parcel, now time.Time) ([]parcel, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) > 0 && w.waiting[0].at.Sub(now) < soon {
		p := heap.Pop(&w.waiting).(parcel)
		w.bytes -= len(p.b)
		dst = append(dst, p)
	}
	if len(w.waiting) == 0 {
		return dst, time.Hour
	}
	return dst, w.waiting[0].at.Sub(now)
}
