package signaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/problem"
)

// feeds are the event streams of one session (WHEP Core Extensions, "Server
// Sent Events extension").
type feeds struct {
	mu     sync.Mutex
	byID   map[string]*feed
	closed bool
}

// feed is one event stream. A second GET takes it over from the first, which
// may hang on a connection that died.
type feed struct {
	teller teller
	turn   chan struct{} // held by the GET that is being served; it owns teller

	mu   sync.Mutex
	next chan struct{} // closed when the GET that is being served shall end
	gone bool
}

// maxFeeds bounds what a session may open: one per tab and some that were lost.
const maxFeeds = 4

func (f *feeds) open(wanted []string) (id string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return "", media.ErrNoSession
	case len(f.byID) >= maxFeeds:
		return "", fmt.Errorf("%w: %d; DELETE one", problem.ErrManyEvents, maxFeeds)
	case f.byID == nil:
		f.byID = make(map[string]*feed)
	}
	// Unguessable, as EventSource sends no Authorization and GET asks for none.
	id = newTrace() + newTrace()
	f.byID[id] = &feed{teller: teller{wanted: wanted}, turn: make(chan struct{}, 1), next: make(chan struct{})}
	return id, nil
}

func (f *feeds) find(id string) *feed {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byID[id]
}

func (f *feeds) remove(id string) bool {
	f.mu.Lock()
	fd := f.byID[id]
	delete(f.byID, id)
	f.mu.Unlock()
	if fd != nil {
		fd.end()
	}
	return fd != nil
}

// close lets no new stream be opened; those that are read end after the last
// snapshot, which says why.
func (f *feeds) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, fd := range f.byID {
		fd.end()
	}
	f.byID = nil
}

func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.gone {
		f.gone = true
		close(f.next)
	}
}

// take waits for the GET before, having told it to end. over is closed when
// this one shall end.
func (f *feed) take(ctx context.Context) (over <-chan struct{}, err error) {
	f.mu.Lock()
	if f.gone {
		f.mu.Unlock()
		return nil, problem.ErrNoEvents
	}
	close(f.next)
	mine := make(chan struct{})
	f.next = mine
	f.mu.Unlock()
	select {
	case f.turn <- struct{}{}:
		return mine, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// openEvents makes an event stream for the wanted events, or for all.
func (s *Server) openEvents(as role) handler {
	return func(w http.ResponseWriter, r *http.Request) error { return s.openFeed(w, r, as) }
}

func (s *Server) openFeed(w http.ResponseWriter, r *http.Request, as role) error {
	sess, err := s.liveSession(r, as)
	if err != nil {
		return err
	}
	b, err := body(w, r, maxJSON)
	if err != nil {
		return err
	}
	wanted := as.events()
	if len(b) > 0 {
		if err := wantType(r, typeJSON); err != nil {
			return err
		}
		if wanted, err = wantedEvents(b, as.events()); err != nil {
			return err
		}
	}
	id, err := sess.feeds.open(wanted)
	if err != nil {
		return err
	}
	w.Header().Set("Location", sess.location()+"/events/"+id)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// wantedEvents reads the array; one event that is not announced refuses all.
func wantedEvents(b []byte, known []string) ([]string, error) {
	var wanted []string
	if err := json.Unmarshal(b, &wanted); err != nil {
		return nil, fmt.Errorf("%w: an array of event names is wanted", problem.ErrBadJSON)
	}
	for _, name := range wanted {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w: known are %s", problem.ErrBadEvents, strings.Join(known, ", "))
		}
	}
	if len(wanted) == 0 {
		return known, nil
	}
	return wanted, nil
}

// closeEvents ends an event stream; it is 404 from then on.
func (s *Server) closeEvents(as role) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		sess, err := s.liveSession(r, as)
		if err != nil {
			return err
		}
		if !sess.feeds.remove(r.PathValue("id")) {
			return problem.ErrNoEvents
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
}

// events sends events until the session, the client or this node goes. It asks
// for no token: EventSource cannot send one, and the URL is a secret.
func (s *Server) events(as role) handler {
	return func(w http.ResponseWriter, r *http.Request) error { return s.readFeed(w, r, as) }
}

func (s *Server) readFeed(w http.ResponseWriter, r *http.Request, as role) error {
	sess, live := s.book.find(sessionID(r), time.Now())
	if !live || sess.role != as || string(sess.stream) != r.PathValue("stream") {
		return media.ErrNoSession
	}
	fd := sess.feeds.find(r.PathValue("id"))
	if fd == nil {
		return problem.ErrNoEvents
	}
	over, err := fd.take(r.Context())
	if err != nil {
		return err
	}
	defer func() { <-fd.turn }()
	s.metrics.feeds.Inc()
	defer s.metrics.feeds.Dec()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would collect events otherwise
	if r.Method == http.MethodHead {
		return nil
	}
	fd.teller.fresh()
	s.feed(r.Context(), feeding{fd, sess, over, newLine(w)})
	return nil
}

// feeding is one GET of an event stream.
type feeding struct {
	feed *feed
	sess *session
	over <-chan struct{}
	line *line
}

// pause bounds how often a snapshot is taken: viewers that join by the hundred
// must not make each of the others be told of each. A publisher is one, and a
// viewer waits for the layer that it is told to send.
const (
	pause          = time.Second
	publisherPause = 100 * time.Millisecond
)

func (s *Server) feed(ctx context.Context, f feeding) {
	defer f.line.done()
	if f.line.comment() != nil {
		return // the client is gone
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		v, changed, err := s.parts.Views.View(f.sess.id)
		switch {
		case err == nil && v.Ended:
			s.Ended(f.sess.id, ending(v))
		case errors.Is(err, media.ErrNoSession):
			s.Ended(f.sess.id, media.ErrGone)
		case err != nil || s.say(f, v) != nil:
			return
		}
		if !f.wait(ctx, s.closing, beat.C, changed) {
			break
		}
	}
	s.farewell(f)
}

// farewell tells, where the session has ended, why.
func (s *Server) farewell(f feeding) {
	if _, live := s.book.find(f.sess.id, time.Now()); !live && f.sess.why != nil {
		_ = s.say(f, media.SessionView{Ended: true, Reason: f.sess.why.Error()}) // the client may be gone
	}
}

func (s *Server) say(f feeding, v media.SessionView) error {
	for _, e := range f.feed.teller.tell(v, time.Now()) {
		if err := f.line.event(e); err != nil {
			return err
		}
		s.metrics.events.WithLabelValues(e.name).Inc()
	}
	return nil
}

func (f feeding) pause() time.Duration {
	if f.sess.role == publisher {
		return publisherPause
	}
	return pause
}

// wait returns true when there is news and the pause is over, false when the
// feed shall end. Meanwhile it keeps the connection alive.
func (f feeding) wait(ctx context.Context, closing <-chan struct{}, beat <-chan time.Time, changed <-chan struct{}) bool {
	rest := time.NewTimer(f.pause())
	defer rest.Stop()
	news, rested := changed, rest.C
	for news != nil || rested != nil {
		select {
		case <-ctx.Done():
			return false
		case <-closing:
			return false
		case <-f.over:
			return false
		case <-beat:
			if f.line.comment() != nil {
				return false
			}
		case <-news:
			news = nil
		case <-rested:
			rested = nil
		}
	}
	return true
}
