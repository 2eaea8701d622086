package signaling

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
)

// role is what a session is for; it names the endpoint too.
type role string

const (
	publisher role = "whip"
	viewer    role = "whep"
)

// session is what the door knows of one WHIP or WHEP resource.
type session struct {
	id      media.SessionID
	stream  media.StreamID
	role    role
	subject string // who began it; empty: nobody in particular, so no token is asked
	trace   string
	since   time.Time

	// turn is held by the PATCH that is being served; it owns ice.
	turn chan struct{}
	ice  iceState

	feeds feeds // event streams
	ended time.Time
	why   error // set before feeds are closed, and read after
}

// book is the memory of sessions: those that live, those that ended within the
// last minute, and the offers of the last ten seconds. It is bounded by how
// many sessions the media plane lets in, and by the rate limits.
type book struct {
	mu       sync.Mutex
	sessions map[media.SessionID]*session
	attempts map[fingerprint]*attempt
}

// fingerprint tells a repeated offer: same endpoint, stream, token and bytes.
type fingerprint [sha256.Size]byte

// attempt is one POST whose client may not have seen the answer.
type attempt struct {
	at   time.Time
	done chan struct{} // closed when it is decided
	id   media.SessionID
}

func newBook() *book {
	return &book{sessions: make(map[media.SessionID]*session), attempts: make(map[fingerprint]*attempt)}
}

// begin enters an attempt and returns the one that it repeats, or nil.
func (b *book) begin(f fingerprint, now time.Time) (mine, before *attempt) {
	mine = &attempt{at: now, done: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	before = b.attempts[f]
	if before != nil && now.Sub(before.at) > repeat {
		before = nil
	}
	b.attempts[f] = mine
	return mine, before
}

// decide closes an attempt; one that made no session is forgotten.
func (b *book) decide(f fingerprint, a *attempt, id media.SessionID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a.id = id
	close(a.done)
	if id == "" && b.attempts[f] == a {
		delete(b.attempts, f)
	}
}

func (b *book) add(s *session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions[s.id] = s
}

// find returns a session that lives, or that ended within the last minute.
func (b *book) find(id media.SessionID, now time.Time) (s *session, live bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s = b.sessions[id]
	if s == nil || !s.ended.IsZero() && now.Sub(s.ended) > remember {
		return nil, false
	}
	return s, s.ended.IsZero()
}

// end marks a session as ended; first tells that nobody had before.
func (b *book) end(id media.SessionID, why error, now time.Time) (s *session, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s = b.sessions[id]
	if s == nil || !s.ended.IsZero() {
		return s, false
	}
	s.ended, s.why = now, why
	return s, true
}

// live returns the sessions that have not ended.
func (b *book) live() []*session {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*session, 0, len(b.sessions))
	for _, s := range b.sessions {
		if s.ended.IsZero() {
			all = append(all, s)
		}
	}
	return all
}

// sweep forgets what is older than it needs to be.
func (b *book) sweep(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, s := range b.sessions {
		if !s.ended.IsZero() && now.Sub(s.ended) > remember {
			delete(b.sessions, id)
		}
	}
	for f, a := range b.attempts {
		if now.Sub(a.at) > repeat {
			delete(b.attempts, f)
		}
	}
}
