// Package keyframe asks a publisher for key frames on behalf of all viewers of one layer.
//
// It promises at most one request per gap and one in flight, and that every need ends: with a key frame, or with a
// give-up after bounded retries. A Requester belongs to the goroutine that owns its publisher, and to nobody else.
package keyframe

import "time"

// Config sets the pace of requests. Zero fields take the values of DefaultConfig.
type Config struct {
	// MinGap is the least time between two requests.
	MinGap time.Duration
	// Average is the least time between two requests on average: no more than two in twice this time.
	Average time.Duration
	// Retry is how long a key frame may take to come before it is asked for again.
	Retry time.Duration
	// Tries is how many requests one need may take before it is given up.
	Tries int
	// DeafAfter is how many requests in a row without an answer mark a publisher as deaf.
	DeafAfter int
	// DeafGap is the least time between two requests to a deaf publisher.
	DeafGap time.Duration
}

// DefaultConfig returns the pace that suits browsers and encoders: 500 ms apart as LiveKit and mediasoup ask, one per
// second on average as each key frame costs several times a common frame, and a retry after 1 s, which is more than
// any round trip and encoder takes.
func DefaultConfig() Config {
	return Config{
		MinGap: 500 * time.Millisecond, Average: time.Second, Retry: time.Second,
		Tries: 5, DeafAfter: 2, DeafGap: 10 * time.Second,
	}
}

// state of the need for a key frame.
type state uint8

const (
	idle   state = iota
	queued       // needed, but the gap is not over
	asked        // in flight
)

// Requester asks for the key frames of one layer. It is not safe for concurrent use.
//
// Encoders that ignore requests (OBS, most hardware) still send key frames on their own beat, some of them by chance
// soon after a request. So a key frame counts as an answer only when it is off the beat. A publisher that does not
// answer is deaf: from then on each need gets one request, at DeafGap. The need during which that was found out keeps
// its retries, for lost requests look the same.
type Requester struct {
	cfg        Config
	state      state
	tries      int       // requests for this need
	sent       time.Time // the newest request; zero: none
	before     time.Time // the one before it
	unanswered int       // requests in a row without an answer

	key  time.Time     // the newest key frame
	beat time.Duration // between the newest two
}

// New returns a Requester that has asked for nothing yet.
func New(cfg Config) *Requester {
	d := DefaultConfig()
	for _, f := range []struct{ value, standard *time.Duration }{
		{&cfg.MinGap, &d.MinGap}, {&cfg.Average, &d.Average}, {&cfg.Retry, &d.Retry}, {&cfg.DeafGap, &d.DeafGap},
	} {
		if *f.value <= 0 {
			*f.value = *f.standard
		}
	}
	if cfg.Tries <= 0 {
		cfg.Tries = d.Tries
	}
	if cfg.DeafAfter <= 0 {
		cfg.DeafAfter = d.DeafAfter
	}
	return &Requester{cfg: cfg}
}

// Ask says that somebody needs a key frame; true means: send a request now. It may be called at any rate.
//
// hot: at the rate of the viewers' own requests.
func (r *Requester) Ask(now time.Time) (send bool) {
	if r.state != idle {
		return false
	}
	r.tries = 0
	if now.Before(r.open()) {
		r.state = queued
		return false
	}
	r.send(now)
	return true
}

// Arrived says that a key frame came, asked for or not.
func (r *Requester) Arrived(now time.Time) {
	interval := now.Sub(r.key)
	first := r.key.IsZero()
	onBeat := !first && r.beat > 0 && (interval-r.beat).Abs() <= r.beat/8
	if !r.sent.IsZero() && now.Sub(r.sent) <= r.cfg.Retry && !onBeat {
		r.unanswered = 0
	}
	if !first {
		r.beat = interval
	}
	r.key = now
	r.state = idle
}

// Returned says that the layer sends again after a pause, during which it could not answer: it may be asked anew.
func (r *Requester) Returned() {
	r.unanswered = 0
	if r.state == asked {
		r.state = queued
	}
}

// Wake is to be called at Next. Send means: send a request now. GaveUp means that the need ended without a key frame;
// who still needs one may Ask again.
func (r *Requester) Wake(now time.Time) (send, gaveUp bool) {
	if r.state == idle || now.Before(r.Next()) {
		return false, false
	}
	if r.state == queued {
		r.send(now)
		return true, false
	}
	wasDeaf := r.Deaf()
	r.unanswered++
	if r.tries >= r.cfg.Tries || wasDeaf && r.tries == 1 {
		r.state = idle
		return false, true
	}
	r.send(now)
	return true, false
}

// Next returns when Wake wants to be called; zero means not before the next Ask.
func (r *Requester) Next() time.Time {
	switch r.state {
	case queued:
		return r.open()
	case asked:
		return later(r.sent.Add(r.cfg.Retry), r.pace())
	}
	return time.Time{}
}

// Deaf reports whether the publisher ignores requests.
func (r *Requester) Deaf() bool { return r.unanswered >= r.cfg.DeafAfter }

// open returns when a new need may be asked for.
func (r *Requester) open() time.Time {
	if r.Deaf() {
		return later(r.sent.Add(r.cfg.DeafGap), r.pace())
	}
	return r.pace()
}

// pace returns when the next request may be sent to a publisher that hears.
func (r *Requester) pace() time.Time {
	if r.sent.IsZero() {
		return time.Time{}
	}
	if r.before.IsZero() {
		return r.sent.Add(r.cfg.MinGap)
	}
	return later(r.sent.Add(r.cfg.MinGap), r.before.Add(2*r.cfg.Average))
}

func (r *Requester) send(now time.Time) {
	r.before, r.sent = r.sent, now
	r.state = asked
	r.tries++
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
