package signaling

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

// cors lets pages of any origin in: rights come from the Authorization header,
// which no page sends unknowingly, and never from cookies. What clients must
// read is exposed, on every answer: the ETag of a restart is as needed as that
// of the 201.
func cors(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Retry-After, Accept-Post, Accept-Patch, WWW-Authenticate, Trace-Id")
}

// preflight reports whether a browser asks for leave to send something else.
// It carries no token, and none may be asked for (RFC 9725 section 4.7).
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

func (s *Server) preflight(rt route, w http.ResponseWriter) error {
	describe(rt, w.Header())
	// A day; browsers cut it to two hours or less.
	w.Header().Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusOK)
	return nil
}

// options answers an OPTIONS that a client sent for itself: what is served, and
// for those who may come in, the ICE servers (RFC 9725 section 4.6).
func (s *Server) options(rt route, w http.ResponseWriter, r *http.Request) error {
	describe(rt, w.Header())
	if rt.role == "" || rt.post == "" {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	stream, err := media.ParseStreamID(r.PathValue("stream"))
	if err != nil {
		return err
	}
	_, err = s.authorize(r, token.Request{Action: rt.role.action(), Stream: stream})
	if err == nil {
		s.iceLinks(w.Header(), r)
	}
	// Who shows no token learns what is served, but no TURN password.
	if err != nil && bearer(r) == "" && errors.Is(err, media.ErrUnauthorized) {
		err = nil
	}
	if err == nil {
		w.WriteHeader(http.StatusOK)
	}
	return err
}

func describe(rt route, h http.Header) {
	h.Set("Allow", rt.allowed())
	h.Set("Access-Control-Allow-Methods", rt.allowed())
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, Accept, Cache-Control, Last-Event-ID")
	if rt.post != "" {
		h.Set("Accept-Post", rt.post)
	}
	if rt.patch != "" {
		h.Set("Accept-Patch", rt.patch)
	}
}

// iceLinks adds one Link per ICE server, the URI as it is: escaping it would
// break turn:host?transport=tcp. Only those who may come in get an answer with
// it: credentials cost traffic.
func (s *Server) iceLinks(h http.Header, r *http.Request) {
	servers := s.cfg.ICE
	if s.parts.Relays != nil {
		servers = slices.Concat(servers, s.parts.Relays(At{Host: hostname(r.Host)}))
		h.Set("Cache-Control", "no-store")
	}
	for _, ice := range servers {
		link := "<" + ice.URL + `>; rel="ice-server"`
		if ice.Username != "" {
			link += `; username=` + quoted(ice.Username) + `; credential=` + quoted(ice.Credential) + `; credential-type="password"`
		}
		h.Add("Link", link)
	}
}

// hostname is a Host header without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// The extensions of a WHEP session (draft "WHEP Core Extensions"), and ours for
// WHIP, which has the same form and no registered name (RFC 9725 section 4.9).
const (
	relEvents          = "urn:ietf:params:whep:ext:core:server-sent-events"
	relLayers          = "urn:ietf:params:whep:ext:core:layer"
	relPublisherEvents = "urn:sluice:whip:ext:server-sent-events"
)

func extensionLinks(h http.Header, sess *session) {
	at, rel := sess.location(), relEvents
	if sess.role == publisher {
		rel = relPublisherEvents
	}
	h.Add("Link", "<"+at+`/events>; rel="`+rel+`"; events="`+strings.Join(sess.role.events(), ",")+`"`)
	if sess.role == viewer {
		h.Add("Link", "<"+at+`/layers>; rel="`+relLayers+`"`)
	}
}

// quoted writes a quoted-string (RFC 9110 section 5.6.4).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
