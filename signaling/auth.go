package signaling

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/problem"
	"github.com/sluice-live/sluice/signaling/token"
)

func (r role) action() token.Action {
	if r == publisher {
		return token.Publish
	}
	return token.Play
}

// bearer is the token of the Authorization header. That of the URL is for media
// URLs only, as URLs end up in logs and in Location.
func bearer(r *http.Request) string {
	scheme, value, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(value)
}

// authorize asks whether the request's token covers q. A public stream may be
// played by everybody, whatever token they hold.
func (s *Server) authorize(r *http.Request, q token.Request) (token.Grant, error) {
	q.Token = bearer(r)
	public := q.Action == token.Play && s.parts.Policy(q.Stream).Public
	if public && q.Token == "" {
		return token.Grant{}, nil
	}
	g, err := s.parts.Authorizer.Authorize(r.Context(), q)
	if err == nil || public {
		return g, nil
	}
	if errors.Is(err, media.ErrUnauthorized) && q.Token != "" {
		return g, s.guessed(r, err)
	}
	if q.Token == "" && r.URL.Query().Has("token") {
		return g, fmt.Errorf("%w: send it as Authorization: Bearer; in the URL it counts for media files only", media.ErrUnauthorized)
	}
	return g, err
}

// guessed counts a refused token against its address. Good tokens pass all the
// same: a secret of 128 bits is not found by guessing, and one broken encoder
// must not lock out the school that shares its address.
func (s *Server) guessed(r *http.Request, err error) error {
	ok, after := s.logins.take(block(s.remote(r)), time.Now())
	if ok {
		return err
	}
	s.metrics.limited.WithLabelValues("failed_logins").Inc()
	return &problem.Wait{Err: problem.ErrTooManyGuesses, After: after}
}

// Remote is the address of who asks: the connection's, or what trusted proxies say.
func (s *Server) Remote(r *http.Request) netip.Addr { return s.remote(r) }

func (s *Server) remote(r *http.Request) netip.Addr { return Remote(r, s.cfg.Limits.TrustedProxies) }

// mayStart asks the publish limit of a key.
func (s *Server) mayStart(subject string) error {
	if subject == "" {
		return nil
	}
	ok, after := s.starts.take(subject, time.Now())
	if ok {
		return nil
	}
	s.metrics.limited.WithLabelValues("publishes").Inc()
	return &problem.Wait{Err: problem.ErrTooManyStarts, After: after}
}

func sessionID(r *http.Request) media.SessionID { return media.SessionID(r.PathValue("session")) }

// session finds the session of a request and checks that its sender may touch
// it. Expired tokens count, as a session outlives its token; one that began
// without a token needs none, as its URL cannot be guessed. Whether a session
// exists is told only to those who may know.
func (s *Server) session(r *http.Request, want role) (sess *session, live bool, err error) {
	stream, err := media.ParseStreamID(r.PathValue("stream"))
	if err != nil {
		return nil, false, err
	}
	sess, live = s.book.find(sessionID(r), time.Now())
	if sess != nil && (sess.role != want || sess.stream != stream) {
		sess = nil
	}
	if sess == nil || sess.subject != "" {
		_, err := s.authorize(r, token.Request{Action: want.action(), Stream: stream, Expired: true})
		if err != nil {
			return nil, false, err
		}
	}
	if sess == nil {
		return nil, false, fmt.Errorf("%w under this URL", media.ErrNoSession)
	}
	return sess, live, nil
}

// liveSession is session for those that need it alive.
func (s *Server) liveSession(r *http.Request, want role) (*session, error) {
	sess, live, err := s.session(r, want)
	if err == nil && !live {
		err = fmt.Errorf("%w: it has ended", media.ErrNoSession)
	}
	return sess, err
}
