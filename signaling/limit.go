package signaling

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter gives each key a token bucket. It remembers at most size keys; when
// full it forgets the one unused for longest, which then starts afresh. So an
// attacker with many addresses gains what each of them has anyway, and costs
// bounded memory.
type limiter[K comparable] struct {
	rate  rate.Limit // tokens per second; zero means no limit
	burst int
	size  int

	mu    sync.Mutex
	byKey map[K]*list.Element
	order *list.List // of *bucket[K], the most recently used in front
}

type bucket[K comparable] struct {
	key  K
	lim  *rate.Limiter
	used time.Time
}

func newLimiter[K comparable](perSecond float64, burst, size int) *limiter[K] {
	return &limiter[K]{
		rate: rate.Limit(perSecond), burst: burst, size: size,
		byKey: make(map[K]*list.Element), order: list.New(),
	}
}

// take asks for one token; if there is none, after says when there will be.
func (l *limiter[K]) take(key K, now time.Time) (ok bool, after time.Duration) {
	if l.rate <= 0 {
		return true, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(key)
	b.used = now
	r := b.lim.ReserveN(now, 1)
	if after = r.DelayFrom(now); after > 0 {
		r.CancelAt(now)
		return false, after
	}
	return true, 0
}

func (l *limiter[K]) bucket(key K) *bucket[K] {
	if e, ok := l.byKey[key]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*bucket[K])
	}
	if len(l.byKey) >= l.size {
		l.forget(l.order.Back())
	}
	b := &bucket[K]{key: key, lim: rate.NewLimiter(l.rate, l.burst)}
	l.byKey[key] = l.order.PushFront(b)
	return b
}

func (l *limiter[K]) forget(e *list.Element) {
	delete(l.byKey, e.Value.(*bucket[K]).key)
	l.order.Remove(e)
}

// sweep forgets the keys whose buckets are full again: they hold no knowledge.
func (l *limiter[K]) sweep(now time.Time) {
	if l.rate <= 0 {
		return
	}
	full := time.Duration(float64(l.burst) / float64(l.rate) * float64(time.Second))
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.order.Back(); e != nil && now.Sub(e.Value.(*bucket[K]).used) > full; e = l.order.Back() {
		l.forget(e)
	}
}

// block is what counts as one address: a customer's IPv6 network is a /64 at
// least, in which one machine picks addresses at will (RFC 6177).
func block(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}
