package vod

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sluice-live/sluice/media"
)

// maxAskers bounds the addresses that are remembered. When there are more, those of the
// time before are forgotten, and begin afresh: nobody gains more by many addresses than
// each of them has anyway.
const maxAskers = 16 << 10

// asks gives each address so many requests a second to the API. Pictures and parts of
// uploads do not count: a page has fifty of those, and a school one address.
type asks struct {
	rate  rate.Limit
	burst int

	mu     sync.Mutex // guards what follows
	by     map[netip.Prefix]*rate.Limiter
	before map[netip.Prefix]*rate.Limiter
}

func newAsks(c LimitConfig) *asks {
	return &asks{rate: rate.Limit(c.PerSecond), burst: c.Burst, by: make(map[netip.Prefix]*rate.Limiter)}
}

// take asks for one request; errTooMany says when to come again.
func (l *asks) take(a netip.Addr, now time.Time) error {
	if l.rate <= 0 || !a.IsValid() {
		return nil
	}
	bits := 64 // a customer's IPv6 network, in which one machine picks addresses at will (RFC 6177)
	if a.Is4() {
		bits = 32
	}
	key, err := a.Prefix(bits)
	if err != nil {
		return nil // an address with a zone: of this link
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	lim := l.by[key]
	if lim == nil {
		if lim = l.before[key]; lim == nil {
			lim = rate.NewLimiter(l.rate, l.burst)
		}
		if len(l.by) >= maxAskers {
			l.by, l.before = make(map[netip.Prefix]*rate.Limiter), l.by
		}
		l.by[key] = lim
	}
	r := lim.ReserveN(now, 1)
	after := r.DelayFrom(now)
	if after <= 0 {
		return nil
	}
	r.CancelAt(now)
	return &errTooMany{after}
}

// errTooMany is too many requests of one address.
type errTooMany struct{ after time.Duration }

// Error says when to come again.
func (e *errTooMany) Error() string {
	return fmt.Sprintf("%v: too many requests from this address; come again in %v", media.ErrOverloaded, e.after.Round(time.Millisecond))
}
