package signaling

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

// streams lists what the caller may play or publish; without a token, the
// public streams.
func (s *Server) streams(w http.ResponseWriter, r *http.Request) error {
	g, err := s.caller(r)
	if err != nil {
		return err
	}
	all := []media.StreamStatus{}
	for _, st := range s.parts.Views.Streams() {
		st.Public = s.parts.Policy(st.Stream).Public
		if s.shown(g, st.Stream) {
			all = append(all, strip(st, g))
		}
	}
	slices.SortFunc(all, func(a, b media.StreamStatus) int { return strings.Compare(string(a.Stream), string(b.Stream)) })
	return writeJSON(w, all)
}

// stream shows one stream to those who may play or publish it.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	id, err := media.ParseStreamID(r.PathValue("stream"))
	if err != nil {
		return err
	}
	g, err := s.caller(r)
	if err != nil {
		return err
	}
	if !s.shown(g, id) && bearer(r) == "" {
		return media.ErrUnauthorized
	}
	if !s.shown(g, id) {
		return media.ErrForbidden
	}
	st, err := s.parts.Views.Stream(id)
	if err != nil {
		return err
	}
	st.Public = s.parts.Policy(id).Public
	return writeJSON(w, strip(st, g))
}

// caller is who asks; nobody in particular without a token.
func (s *Server) caller(r *http.Request) (token.Grant, error) {
	if bearer(r) == "" {
		return token.Grant{}, nil
	}
	return s.authorize(r, token.Request{Action: token.Look})
}

func (s *Server) shown(g token.Grant, id media.StreamID) bool {
	return g.MayPlay(id) || g.MayPublish(id) || s.parts.Policy(id).Public
}

// strip leaves out what only administrators may see: who is there.
func strip(st media.StreamStatus, g token.Grant) media.StreamStatus {
	if !g.Admin {
		st.Sessions = nil
	}
	if st.Publisher == nil {
		return st
	}
	p := *st.Publisher
	if !g.Admin {
		p.Session, p.Subject = "", ""
	}
	if p.Tracks == nil {
		p.Tracks = []media.TrackStatus{}
	}
	if p.Health == nil {
		p.Health = []media.Finding{}
	}
	st.Publisher = &p
	return st
}

// kick ends a session by order of an administrator.
func (s *Server) kick(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.authorize(r, token.Request{Action: token.Admin}); err != nil {
		return err
	}
	id := sessionID(r)
	err := s.parts.Sessions.Hangup(context.WithoutCancel(r.Context()), id, media.ErrKicked)
	if err == nil || errors.Is(err, media.ErrNoSession) {
		s.Ended(id, media.ErrKicked)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// clock is the answer of GET /v1/time.
type clock struct {
	Now  string  `json:"now"`
	Unix float64 `json:"unix_ms"`
}

// tellTime tells the node's time, from which pages measure their own.
func tellTime(w http.ResponseWriter, _ *http.Request) error {
	t := time.Now().UTC()
	return writeJSON(w, clock{Now: t.Format(time.RFC3339Nano), Unix: float64(t.UnixMicro()) / 1000})
}

// about is the answer of GET /v1/server.
type about struct {
	Version string      `json:"version"`
	HTTPS   bool        `json:"https"`
	ICE     []iceServer `json:"ice"`
}

// iceServer has the form of the browsers' RTCIceServer.
type iceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// about tells pages what they need to know of the node. TURN servers are told
// to those with a token only, as their passwords cost traffic.
func (s *Server) about(w http.ResponseWriter, r *http.Request) error {
	g, err := s.caller(r)
	if err != nil {
		return err
	}
	a := about{Version: s.cfg.Version, HTTPS: s.cfg.HTTPS, ICE: []iceServer{}}
	for _, ice := range s.cfg.ICE {
		if ice.Username == "" || g.Subject != "" {
			a.ICE = append(a.ICE, iceServer{URLs: []string{ice.URL}, Username: ice.Username, Credential: ice.Credential})
		}
	}
	return writeJSON(w, a)
}
