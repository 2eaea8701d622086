// Package keyframe asks a publisher for key frames on behalf of all viewers of one layer.
//
// It promises at most one request per gap, and that each request ends: with a key frame, a retry or a give-up.
// A Requester belongs to the goroutine that owns its publisher; it is not safe for concurrent use.
package keyframe

import "time"

// Config sets the pace of requests.
type Config struct {
	MinGap    time.Duration // between two requests, at least
	Retry     time.Duration // after a request without a key frame
	Tries     int           // requests per need, then give up
	DeafAfter int           // requests in a row without a key frame: the publisher ignores us
	DeafGap   time.Duration // between two requests to a publisher that ignores us
}

// DefaultConfig returns the pace that suits browsers and encoders alike.
func DefaultConfig() Config {
	return Config{MinGap: 500 * time.Millisecond, Retry: time.Second, Tries: 5, DeafAfter: 2, DeafGap: 10 * time.Second}
}

// Requester asks for the key frames of one layer.
type Requester struct {
	cfg    Config
	last   time.Time
	needed bool
	tries  int
}

// New returns a Requester that has asked for nothing yet.
func New(cfg Config) *Requester { return &Requester{cfg: cfg} }

// Ask says that somebody needs a key frame; true means: send a request now.
func (r *Requester) Ask(now time.Time) (send bool) {
	if r.needed || !r.last.IsZero() && now.Sub(r.last) < r.cfg.Retry {
		return false
	}
	r.needed, r.last, r.tries = true, now, 1
	return true
}

// Arrived says that a key frame came.
func (r *Requester) Arrived(now time.Time) { r.needed = false }

// Wake is to be called at Next: it says whether to repeat the request, or that nothing more is tried.
func (r *Requester) Wake(now time.Time) (send, gaveUp bool) {
	if !r.needed || now.Before(r.Next()) {
		return false, false
	}
	if r.tries >= r.cfg.Tries {
		r.needed = false
		return false, true
	}
	r.tries++
	r.last = now
	return true, false
}

// Next returns when Wake wants to be called; zero means never.
func (r *Requester) Next() time.Time {
	if !r.needed {
		return time.Time{}
	}
	return r.last.Add(r.cfg.Retry)
}

// Deaf says that the publisher ignores requests for key frames.
func (r *Requester) Deaf() bool { return false }
