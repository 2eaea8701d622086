package signaling

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/sdpfrag"
	"github.com/sluice-live/sluice/signaling/token"
)

// publish answers a WHIP POST (RFC 9725 section 4.2).
func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	offer, repeated, err := s.offer(w, r, publisher)
	if err != nil {
		return err
	}
	if err := s.mayStart(offer.Subject); err != nil {
		return err
	}
	return s.start(w, r, start{publisher, offer, repeated, s.parts.Sessions.Publish})
}

// play answers a WHEP POST (draft-ietf-wish-whep section 4.3).
func (s *Server) play(w http.ResponseWriter, r *http.Request) error {
	offer, repeated, err := s.offer(w, r, viewer)
	if err != nil {
		return err
	}
	if offer.Audio, err = wantedAudio(r); err != nil {
		return err
	}
	return s.start(w, r, start{viewer, offer, repeated, s.parts.Sessions.Subscribe})
}

// maxAudio bounds what names an audio track, in bytes.
const maxAudio = 128

// wantedAudio is the audio track that a viewer asks for: ?audio=es. Of one that the stream does not have it gets the
// first.
func wantedAudio(r *http.Request) (string, error) {
	audio := r.URL.Query().Get("audio")
	if len(audio) > maxAudio {
		return "", fmt.Errorf("%w: audio has more than %d bytes", media.ErrBadChoice, maxAudio)
	}
	return audio, nil
}

// offer reads a POST: who sends what.
func (s *Server) offer(w http.ResponseWriter, r *http.Request, as role) (media.Offer, fingerprint, error) {
	var none fingerprint
	if s.draining.Load() {
		return media.Offer{}, none, media.ErrShuttingDown
	}
	stream, err := media.ParseStreamID(r.PathValue("stream"))
	if err != nil {
		return media.Offer{}, none, err
	}
	if err := wantType(r, typeSDP); err != nil {
		return media.Offer{}, none, err
	}
	grant, err := s.authorize(r, token.Request{Action: as.action(), Stream: stream})
	if err != nil {
		return media.Offer{}, none, err
	}
	sdp, err := body(w, r, maxSDP)
	if err != nil {
		return media.Offer{}, none, err
	}
	if len(sdp) == 0 {
		return media.Offer{}, none, fmt.Errorf("%w: the body is empty", media.ErrBadOffer)
	}
	o := media.Offer{
		Stream: stream, Session: s.newSessionID(), SDP: sdp, Subject: grant.Subject,
		Arrived: arrived(r), Remote: s.remote(r), At: time.Now(),
	}
	print := fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s", as, stream, bearer(r), sdp)
	return o, sha256.Sum256(print), nil
}

// newSessionID is the node's tag and 128 random bits, so that a session's URL
// is a secret and tells any node whose it is.
func (s *Server) newSessionID() media.SessionID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return media.SessionID(s.cfg.Tag + base64.RawURLEncoding.EncodeToString(b[:]))
}

// start is a session about to begin.
type start struct {
	role   role
	offer  media.Offer
	print  fingerprint
	accept func(context.Context, media.Offer) (media.Answer, error)
}

// start makes the session and answers 201. A client that did not see its 201
// sends the same offer again: the session that nobody knows of makes place.
func (s *Server) start(w http.ResponseWriter, r *http.Request, st start) error {
	attempt, before := s.book.begin(st.print, st.offer.At)
	var made media.SessionID
	defer func() { s.book.decide(st.print, attempt, made) }()
	if err := s.giveWay(r.Context(), before); err != nil {
		return err
	}
	ans, err := st.accept(r.Context(), st.offer)
	if err != nil {
		return fmt.Errorf("%s: %w", st.role, err)
	}
	made = st.offer.Session
	sess := s.joined(r.Context(), st, ans)
	s.created(w, r, sess, ans)
	return nil
}

// giveWay ends the session of an earlier attempt, waiting for its outcome.
func (s *Server) giveWay(ctx context.Context, before *attempt) error {
	if before == nil {
		return nil
	}
	select {
	case <-before.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if before.id == "" {
		return nil
	}
	return s.hangup(ctx, before.id, errRepeated)
}

func (s *Server) joined(ctx context.Context, st start, ans media.Answer) *session {
	ufrag, pwd := sdpfrag.Credentials(st.offer.SDP)
	sess := &session{
		id: st.offer.Session, stream: st.offer.Stream, role: st.role, subject: st.offer.Subject,
		trace: Trace(ctx), since: st.offer.At, turn: make(chan struct{}, 1),
		ice: iceState{tag: ans.ICE, ufrag: ufrag, pwd: pwd},
	}
	s.book.add(sess)
	s.metrics.sessions.WithLabelValues(string(sess.role)).Inc()
	who := "viewer joined"
	if sess.role == publisher {
		who = "publisher joined"
	}
	s.log.Info(who, "trace", sess.trace, "session", short(sess.id), "stream", sess.stream, "subject", sess.subject, "remote", st.offer.Remote)
	return sess
}

func (s *Server) created(w http.ResponseWriter, r *http.Request, sess *session, ans media.Answer) {
	h := w.Header()
	h.Set("Content-Type", typeSDP)
	h.Set("Location", sess.location())
	h.Set("ETag", quote(ans.ICE))
	h.Set("Accept-Patch", typeFragment)
	s.iceLinks(h, r)
	extensionLinks(h, sess)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(ans.SDP) // a client that is gone is found by its silence
}

// location is an absolute path: OBS takes a relative reference only if it
// begins with "/", and a proxy may have another name than we know.
func (sess *session) location() string {
	return "/" + string(sess.role) + "/" + string(sess.stream) + "/" + string(sess.id)
}

// nothing answers GET: there is a resource, and it has no representation
// (RFC 9725 section 4.1).
func nothing(w http.ResponseWriter, r *http.Request) error {
	if _, err := media.ParseStreamID(r.PathValue("stream")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// discover tells players that this is a WHEP endpoint (draft-ietf-wish-whep
// section 4.2): 200, the type of offers, and no content.
func discover(w http.ResponseWriter, r *http.Request) error {
	if _, err := media.ParseStreamID(r.PathValue("stream")); err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeSDP)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}
