package signaling

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/signaling/problem"
)

// handler answers a request, or returns the error to answer it with.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one path with what it serves.
type route struct {
	path    string
	name    string // in metrics
	methods map[string]handler
	role    role   // of endpoints and sessions, else empty
	post    string // the media type of POST, or ""
	patch   string // the media type of PATCH, or ""
}

const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
	typeJSON     = "application/json"
)

func (s *Server) routes() []route {
	return []route{
		{path: "/whip/{stream}", name: "whip", role: publisher, post: typeSDP, methods: map[string]handler{
			"POST": s.publish, "GET": nothing,
		}},
		{path: "/whip/{stream}/{session}", name: "whip-session", role: publisher, patch: typeFragment, methods: map[string]handler{
			"PATCH": s.patch(publisher), "DELETE": s.leave(publisher), "GET": s.present(publisher),
		}},
		{path: "/whip/{stream}/{session}/events", name: "events", post: typeJSON, methods: map[string]handler{"POST": s.openEvents(publisher)}},
		{path: "/whip/{stream}/{session}/events/{id}", name: "event-stream", methods: map[string]handler{
			"GET": s.events(publisher), "DELETE": s.closeEvents(publisher),
		}},
		{path: "/whep/{stream}", name: "whep", role: viewer, post: typeSDP, methods: map[string]handler{
			"POST": s.play, "GET": discover,
		}},
		{path: "/whep/{stream}/{session}", name: "whep-session", role: viewer, patch: typeFragment, methods: map[string]handler{
			"PATCH": s.patch(viewer), "DELETE": s.leave(viewer), "GET": s.present(viewer),
		}},
		{path: "/whep/{stream}/{session}/events", name: "events", post: typeJSON, methods: map[string]handler{"POST": s.openEvents(viewer)}},
		{path: "/whep/{stream}/{session}/events/{id}", name: "event-stream", methods: map[string]handler{
			"GET": s.events(viewer), "DELETE": s.closeEvents(viewer),
		}},
		{path: "/whep/{stream}/{session}/layers", name: "layers", post: typeJSON, methods: map[string]handler{"POST": s.layers}},
		{path: "/v1/streams", name: "api", methods: map[string]handler{"GET": s.streams}},
		{path: "/v1/streams/{stream}", name: "api", methods: map[string]handler{"GET": s.stream}},
		{path: "/v1/streams/{stream}/captions", name: "captions", post: typeJSON, methods: map[string]handler{
			"GET": s.getCaptions, "POST": s.postCaptions,
		}},
		{path: "/v1/sessions/{session}", name: "api", methods: map[string]handler{"DELETE": s.kick}},
		{path: "/v1/time", name: "time", methods: map[string]handler{"GET": tellTime}},
		{path: "/v1/server", name: "api", methods: map[string]handler{"GET": s.about}},
	}
}

// Route is one path and the methods that it serves, besides OPTIONS and HEAD.
type Route struct {
	Path    string
	Methods []string
}

// Routes lists what a Handler serves.
func Routes() []Route {
	var all []Route
	for _, rt := range (&Server{}).routes() {
		all = append(all, Route{Path: rt.path, Methods: sorted(rt.methods)})
	}
	return all
}

func sorted(methods map[string]handler) []string {
	names := make([]string, 0, len(methods))
	for m := range methods {
		names = append(names, m)
	}
	slices.Sort(names)
	return names
}

func (s *Server) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range s.routes() {
		mux.HandleFunc(rt.path, s.serve(rt))
	}
	mux.HandleFunc("/", s.serve(route{name: "none"}))
	return mux
}

// allowed are the methods of a route as headers list them.
func (rt route) allowed() string {
	all := sorted(rt.methods)
	if rt.methods["GET"] != nil {
		all = append(all, "HEAD")
	}
	return strings.Join(append(all, "OPTIONS"), ", ")
}

// serve gives a request its trace, lets it in, and answers it.
func (s *Server) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		out := &response{ResponseWriter: w}
		r = s.trace(out, r)
		cors(out.Header())
		if err := s.answer(rt, out, r); err != nil {
			s.refuse(rt, out, r, err)
		}
		s.metrics.request(rt.name, r.Method, cmp.Or(out.status, http.StatusOK), time.Since(began))
	}
}

func (s *Server) answer(rt route, w http.ResponseWriter, r *http.Request) error {
	if rt.methods == nil {
		return problem.ErrNotFound
	}
	if preflight(r) {
		return s.preflight(rt, w)
	}
	if err := s.admit(r); err != nil {
		return err
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http leaves the body out
	}
	if method == http.MethodOptions {
		return s.options(rt, w, r)
	}
	h := rt.methods[method]
	if h == nil {
		w.Header().Set("Allow", rt.allowed())
		return problem.ErrMethod
	}
	return h(w, r)
}

// admit asks the rate limit of the address.
func (s *Server) admit(r *http.Request) error {
	ok, after := s.asks.take(block(s.remote(r)), time.Now())
	if ok {
		return nil
	}
	s.metrics.limited.WithLabelValues("requests").Inc()
	return &problem.Wait{Err: problem.ErrTooManyAsks, After: after}
}

// trace names the request. One for a session goes by the session's trace, so
// that one name leads from POST to close.
func (s *Server) trace(w http.ResponseWriter, r *http.Request) *http.Request {
	t := newTrace()
	if sess, _ := s.book.find(sessionID(r), time.Now()); sess != nil {
		t = sess.trace
	}
	w.Header().Set("Trace-Id", t)
	return r.WithContext(withTrace(r.Context(), t))
}

// response remembers the status for the metrics.
type response struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status and passes it on.
func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
