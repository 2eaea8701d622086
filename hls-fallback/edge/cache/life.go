package cache

import (
	"strconv"
	"strings"
	"time"
)

// Answer is what the life of an answer depends on.
type Answer struct {
	Status       int
	CacheControl string
	Age          string
	Expires      string
	Date         string
	Vary         string
	SetsCookie   bool
	// Checked tells that private means only that a token opens it, and that whoever
	// is given the answer has shown one.
	Checked bool
	// Delay is how long the origin took until the answer began.
	Delay time.Duration
}

// Limits bound what an origin may say.
type Limits struct {
	// Good bounds the life of a good answer.
	Good time.Duration
	// Playlist and Media bound the life of an error: four target durations for a
	// playlist that blocks, one for everything else (R19, RFC 8216bis appendix B.1).
	Blocking, Media time.Duration
}

// DefaultLimits fit a target duration of 6 s.
func DefaultLimits() Limits {
	return Limits{Good: 365 * 24 * time.Hour, Blocking: 24 * time.Second, Media: 6 * time.Second}
}

// Life is what may be done with an answer.
type Life struct {
	// For is how long from now on it may be given to others; 0: not at all.
	For time.Duration
	// Age is how old it is now.
	Age time.Duration
	// Private answers are for the one who asked: those who waited ask themselves.
	Private bool
}

// Judge says how long an answer may be kept by a cache that many share (RFC 9111
// section 3, as far as origins of segments need it: nothing without an explicit
// lifetime is kept, and nothing is revalidated).
func (l Limits) Judge(t Target, a Answer) Life {
	c := parse(a.CacheControl)
	life := Life{Age: age(a)}
	switch {
	case a.Status == 401 || a.Status == 403, c.noStore, c.private && !a.Checked, a.SetsCookie, !varies(a.Vary):
		life.Private = true
		return life
	case !keepable(a.Status), c.noCache:
		return life
	}
	life.For = max(lifetime(c, a)-life.Age, 0)
	limit := l.Good
	switch {
	case a.Status < 300:
	case t.Blocking():
		limit = l.Blocking
	default:
		limit = l.Media
	}
	life.For = min(life.For, limit)
	return life
}

// keepable are the answers that are the same for all: a segment, and that there
// is none (yet). Redirects are not for media (D); 206 is never asked for.
func keepable(status int) bool {
	switch status {
	case 200, 400, 404, 410, 503:
		return true
	}
	return false
}

type control struct {
	private, noStore, noCache bool
	shared, own               time.Duration // s-maxage, max-age; negative: not said
}

// parse reads Cache-Control (RFC 9111 section 5.2.2). Of a directive that comes
// twice the stricter counts; one that cannot be read counts as 0.
func parse(header string) control {
	c := control{shared: -1, own: -1}
	for header != "" {
		var d string
		d, header, _ = strings.Cut(header, ",")
		name, value, _ := strings.Cut(strings.TrimSpace(d), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "private":
			c.private = true
		case "no-store":
			c.noStore = true
		case "no-cache":
			c.noCache = true
		case "s-maxage":
			c.shared = stricter(c.shared, value)
		case "max-age":
			c.own = stricter(c.own, value)
		}
	}
	return c
}

// MaxAge is how long a Cache-Control header lets every cache keep an answer; false:
// it does not say.
func MaxAge(header string) (time.Duration, bool) {
	c := parse(header)
	if c.noStore || c.noCache {
		return 0, true
	}
	return max(c.own, 0), c.own >= 0
}

func stricter(before time.Duration, value string) time.Duration {
	d := seconds(strings.Trim(strings.TrimSpace(value), `"`))
	if before >= 0 {
		return min(before, d)
	}
	return d
}

// seconds reads delta-seconds; too large a number means for ever (RFC 9111
// section 1.2.2).
func seconds(s string) time.Duration {
	const ever = 1 << 31
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > ever {
		n = ever
	}
	return time.Duration(n) * time.Second
}

// lifetime is the freshness lifetime of RFC 9111 section 4.2.1.
func lifetime(c control, a Answer) time.Duration {
	switch {
	case c.shared >= 0:
		return c.shared
	case c.own >= 0:
		return c.own
	}
	expires, err := time.Parse(httpDate, a.Expires)
	if err != nil {
		return 0
	}
	date, err := time.Parse(httpDate, a.Date)
	if err != nil {
		return 0
	}
	return max(expires.Sub(date), 0)
}

const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// age is the corrected age value of RFC 9111 section 4.2.3: what caches before
// us counted, and how long the answer took. Date is left out: it needs clocks
// that agree to the second, and every cache on our way counts Age.
func age(a Answer) time.Duration {
	return seconds(strings.TrimSpace(a.Age)) + max(a.Delay, 0)
}

// varies reports whether the edge knows all that an answer varies by: it always
// asks with the same Accept-Encoding and sends no Origin.
func varies(header string) bool {
	for header != "" {
		var field string
		field, header, _ = strings.Cut(header, ",")
		switch strings.ToLower(strings.TrimSpace(field)) {
		case "", "accept-encoding", "origin":
		default:
			return false
		}
	}
	return true
}
