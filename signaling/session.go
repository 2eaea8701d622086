package signaling

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/problem"
	"github.com/sluice-live/sluice/signaling/sdpfrag"
)

// patch takes candidates and restarts (RFC 9725 section 4.3). One PATCH of a
// session is served at a time, so that a tag names one state.
func (s *Server) patch(as role) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		sess, err := s.liveSession(r, as)
		if err != nil {
			return err
		}
		if err := patchType(r, as); err != nil {
			return err
		}
		b, err := body(w, r, maxFragment)
		if err != nil {
			return err
		}
		f, err := sdpfrag.Parse(b)
		if err != nil {
			return err
		}
		f.Arrived, f.Remote = arrived(r), s.remote(r)
		select {
		case sess.turn <- struct{}{}:
		case <-r.Context().Done():
			return r.Context().Err()
		}
		defer func() { <-sess.turn }()
		if err := sess.ice.match(r.Header.Values("If-Match"), s.cfg.Strict); err != nil {
			return err
		}
		return s.apply(w, r, sess, f)
	}
}

// patchType refuses an SDP answer in WHEP by 422, as no counter-offer is ever
// made, and all else by 415 (draft-ietf-wish-whep section 4.5.1 and the working
// group's clarification of Nov 2025).
func patchType(r *http.Request, as role) error {
	if as == viewer && mediaType(r) == typeSDP {
		return problem.ErrNoAnswer
	}
	return wantType(r, typeFragment)
}

func (s *Server) apply(w http.ResponseWriter, r *http.Request, sess *session, f media.Fragment) error {
	kind, err := sess.ice.kind(f)
	switch {
	case err != nil:
		return err
	case kind == restart:
		return s.restart(w, r, sess, f)
	case kind == late:
		// They belong to credentials that are gone; an error would make clients give up.
	default:
		err = s.lost(sess, s.parts.Sessions.Trickle(r.Context(), sess.id, f))
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// restart changes the session's credentials. When it fails the session goes on
// with the old ones (RFC 9725 section 4.3.3).
func (s *Server) restart(w http.ResponseWriter, r *http.Request, sess *session, f media.Fragment) error {
	ans, err := s.parts.Sessions.Restart(r.Context(), sess.id, f)
	if err != nil {
		return s.lost(sess, fmt.Errorf("restart ICE: %w", err))
	}
	sess.ice.restarted(f, ans.Ufrag)
	// whip-whep 1.2.0 joins the candidates with a comma and breaks on a second.
	ans.Candidates = ans.Candidates[:min(1, len(ans.Candidates))]
	w.Header().Set("Content-Type", typeFragment)
	w.Header().Set("ETag", quote(ans.Ufrag))
	s.iceLinks(w.Header(), r)                // credentials of the first answer may have had their time
	_, _ = w.Write(sdpfrag.Append(nil, ans)) // the client may be gone
	return nil
}

// lost notes a session of which the media plane knows no more.
func (s *Server) lost(sess *session, err error) error {
	if errors.Is(err, media.ErrNoSession) {
		s.Ended(sess.id, media.ErrGone)
	}
	return err
}

// leave ends a session. It answers 200 also when the session ended within the
// last minute: clients close DTLS first, and OBS repeats a DELETE that was not
// answered 200. If-Match is not looked at (RFC 9725 section 4.3.1).
func (s *Server) leave(as role) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		sess, live, err := s.session(r, as)
		if err != nil {
			return err
		}
		if live {
			// What the client wanted is done even if it does not wait for the answer.
			if err := s.hangup(context.WithoutCancel(r.Context()), sess.id, media.ErrHangup); err != nil {
				return err
			}
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
}

// present answers GET of a session: 204 while there is one.
func (s *Server) present(as role) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		sess, live := s.book.find(sessionID(r), time.Now())
		if !live || sess.role != as || string(sess.stream) != r.PathValue("stream") {
			return fmt.Errorf("%w under this URL", media.ErrNoSession)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
