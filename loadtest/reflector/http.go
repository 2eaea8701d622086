package reflector

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
	maxBody      = 256 << 10
)

// ServeHTTP serves /whip/x and /whep/x and what lies below.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Location, ETag, Link")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 2 || parts[0] != "whip" && parts[0] != "whep" {
		fail(w, http.StatusNotFound, "there is nothing here")
		return
	}
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, DELETE, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
		h.Set("Accept-Post", typeSDP)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if s.c.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.c.Token {
		h.Set("WWW-Authenticate", "Bearer")
		fail(w, http.StatusUnauthorized, "the token is missing or wrong")
		return
	}
	if len(parts) == 2 {
		s.endpoint(w, r, parts[0])
		return
	}
	s.mu.Lock()
	x := s.sessions[parts[2]]
	s.mu.Unlock()
	if x == nil {
		fail(w, http.StatusNotFound, "there is no such session")
		return
	}
	s.session(w, r, x, parts[3:])
}

func fail(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": why})
}

func (s *Server) endpoint(w http.ResponseWriter, r *http.Request, kind string) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		w.Header().Set("Content-Type", typeSDP)
	case http.MethodPost:
		s.post(w, r, kind)
	default:
		fail(w, http.StatusMethodNotAllowed, "use POST")
	}
}

func (s *Server) post(w http.ResponseWriter, r *http.Request, kind string) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != typeSDP {
		fail(w, http.StatusUnsupportedMediaType, "an offer is application/sdp")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, "the offer is too long")
		return
	}
	if err := inspect(kind, body); err != nil {
		status := http.StatusUnprocessableEntity
		if errors.Is(err, errMalformed) {
			status = http.StatusBadRequest
		}
		fail(w, status, err.Error())
		return
	}
	x, answer, err := s.start(kind, string(body))
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	self := r.URL.Path + "/" + x.id
	h := w.Header()
	h.Set("Content-Type", typeSDP)
	h.Set("Location", self)
	h.Set("ETag", x.tag)
	h.Add("Link", `<turn:turn.example:3478?transport=udp>; rel="ice-server"; username="u"; credential="c"; credential-type="password"`)
	if kind == "whep" {
		h.Add("Link", "<"+self+`/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="active,inactive,layers"`)
		h.Add("Link", "<"+self+`/layers>; rel="urn:ietf:params:whep:ext:core:layer"`)
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

func (s *Server) session(w http.ResponseWriter, r *http.Request, x *session, rest []string) {
	s.mu.Lock()
	ended := x.ended
	s.mu.Unlock()
	switch {
	case r.Method == http.MethodDelete && len(rest) == 0:
		s.end(x)
		w.WriteHeader(http.StatusOK)
	case ended:
		fail(w, http.StatusNotFound, "the session has ended")
	case len(rest) > 0 && rest[0] == "events":
		x.serveEvents(w, r, rest[1:])
	case len(rest) > 0 && rest[0] == "layers":
		x.choose(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPatch:
		s.patch(w, r, x)
	default:
		fail(w, http.StatusMethodNotAllowed, "use PATCH or DELETE")
	}
}

func (s *Server) patch(w http.ResponseWriter, r *http.Request, x *session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if t == typeSDP {
		fail(w, http.StatusUnprocessableEntity, "no counter-offer is pending")
		return
	}
	if t != typeFragment {
		fail(w, http.StatusUnsupportedMediaType, "a fragment is "+typeFragment)
		return
	}
	body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	f, err := parseFragment(string(body))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	tag := r.Header.Get("If-Match")
	if tag == "" && s.c.Strict {
		fail(w, http.StatusPreconditionRequired, "If-Match is missing")
		return
	}
	if tag != "" && tag != "*" && tag != x.tag {
		fail(w, http.StatusPreconditionFailed, "the tag is not this session's")
		return
	}
	if f.ufrag == "" || strings.Contains(x.offer, "a=ice-ufrag:"+f.ufrag+"\r\n") {
		w.WriteHeader(http.StatusNoContent) // viewers are found by their checks
		return
	}
	answer, err := x.restart(f)
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	x.tag = `"` + rand.Text() + `"`
	w.Header().Set("ETag", x.tag)
	w.Header().Set("Content-Type", typeFragment)
	_, _ = io.WriteString(w, answer)
}

// serveEvents is the server-sent events extension.
func (x *session) serveEvents(w http.ResponseWriter, r *http.Request, rest []string) {
	x.mu.Lock()
	known := len(rest) == 1 && x.events[rest[0]]
	x.mu.Unlock()
	switch {
	case len(rest) == 0 && r.Method == http.MethodPost:
		x.subscribe(w, r)
	case !known:
		fail(w, http.StatusNotFound, "there is no such event stream")
	case r.Method == http.MethodDelete:
		x.mu.Lock()
		delete(x.events, rest[0])
		x.mu.Unlock()
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: active\ndata: {}\n\n")
	default:
		fail(w, http.StatusMethodNotAllowed, "use GET or DELETE")
	}
}

func (x *session) subscribe(w http.ResponseWriter, r *http.Request) {
	var wanted []string
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		fail(w, http.StatusBadRequest, "the body is an array of events")
		return
	}
	for _, e := range wanted {
		if e != "active" && e != "inactive" && e != "layers" {
			fail(w, http.StatusBadRequest, fmt.Sprintf("the event %q is not supported", e))
			return
		}
	}
	id := rand.Text()
	x.mu.Lock()
	x.events[id] = true
	x.mu.Unlock()
	w.Header().Set("Location", r.URL.Path+"/"+id)
	w.WriteHeader(http.StatusCreated)
}

// choose is the layer extension: it takes any layer of the video m-line.
func (x *session) choose(w http.ResponseWriter, r *http.Request) {
	var choice struct {
		MediaID string `json:"mediaId"`
	}
	if err := json.NewDecoder(r.Body).Decode(&choice); err != nil {
		fail(w, http.StatusBadRequest, "the body is a JSON object")
		return
	}
	if choice.MediaID != "" && choice.MediaID != "1" {
		fail(w, http.StatusBadRequest, "there is no such m-line")
	}
}
