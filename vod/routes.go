package vod

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// handler answers a request, or returns the error to answer it with.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one path with what it serves.
type route struct {
	path    string
	name    string // in metrics
	methods map[string]handler
	free    bool // does not count against the limit of an address
}

func (v *Vod) routes() []route {
	type methods = map[string]handler
	return []route{
		{path: "/v1/assets", name: "assets", methods: methods{"GET": v.listAssets}},
		{path: "/v1/assets/events", name: "events", methods: methods{"GET": v.listEvents}},
		{path: "/v1/assets/{asset}", name: "asset", methods: methods{"GET": v.showAsset, "PATCH": v.patchAsset, "DELETE": v.deleteAsset}},
		{path: "/v1/assets/{asset}/clips", name: "clips", methods: methods{"POST": v.postClip}},
		{path: "/v1/assets/{asset}/views", name: "views", methods: methods{"POST": v.postView}},
		{path: "/v1/assets/{asset}/subtitles/{language}", name: "subtitles", methods: methods{"PUT": v.putSubtitles, "DELETE": v.deleteSubtitles}},
		{path: "/v1/assets/{asset}/export.mp4", name: "export", methods: methods{"GET": v.exportAs(false)}},
		{path: "/v1/assets/{asset}/export.webm", name: "export", methods: methods{"GET": v.exportAs(true)}},
		{path: "/v1/assets/{asset}/original", name: "original", methods: methods{"GET": v.original}},
		{path: "/v1/assets/{asset}/{file}", name: "file", methods: methods{"GET": v.assetFile}, free: true},
		{path: "/v1/streams/{stream}/thumbnail.jpg", name: "live", methods: methods{"GET": v.streamPicture}, free: true},
		{path: "/v1/uploads", name: "uploads", methods: methods{"POST": v.postUpload}},
		{path: "/v1/uploads/{upload}", name: "upload", methods: methods{"GET": v.showUpload, "DELETE": v.deleteUpload}},
		{path: "/v1/uploads/{upload}/parts/{part}", name: "part", methods: methods{"PUT": v.putPart}, free: true},
		{path: "/v1/uploads/{upload}/complete", name: "complete", methods: methods{"POST": v.completeUpload}},
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
	for _, rt := range (&Vod{}).routes() {
		all = append(all, Route{rt.path, rt.sorted()})
	}
	return all
}

func (rt route) sorted() []string {
	var names []string
	for m := range rt.methods {
		names = append(names, m)
	}
	slices.Sort(names)
	return names
}

func (rt route) allowed() string {
	all := rt.sorted()
	if rt.methods["GET"] != nil {
		all = append(all, "HEAD")
	}
	return strings.Join(append(all, "OPTIONS"), ", ")
}

func (v *Vod) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range v.routes() {
		mux.HandleFunc(rt.path, v.serve(rt))
	}
	mux.HandleFunc("/", v.serve(route{name: "none"}))
	return mux
}

// serve gives a request its trace, lets pages of any origin in (rights come from a
// header or a signed URL, which no page sends unknowingly), and answers.
func (v *Vod) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out := &response{ResponseWriter: w, trace: newTrace()}
		h := w.Header()
		h.Set("Trace-Id", out.trace)
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "ETag, Location, Retry-After, WWW-Authenticate, Trace-Id")
		if err := v.answer(rt, out, r); err != nil {
			v.refuse(rt, out, r, err)
		}
		v.metrics.requests.WithLabelValues(rt.name, statusClass(out.status)).Inc()
	}
}

func (v *Vod) answer(rt route, w http.ResponseWriter, r *http.Request) error {
	if rt.methods == nil {
		return errNoRoute
	}
	method := r.Method
	switch method {
	case http.MethodHead:
		method = http.MethodGet // net/http leaves the body out
	case http.MethodOptions:
		h := w.Header()
		h.Set("Allow", rt.allowed())
		h.Set("Access-Control-Allow-Methods", rt.allowed())
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Digest, If-Match")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	h := rt.methods[method]
	if h == nil {
		w.Header().Set("Allow", rt.allowed())
		return errMethod
	}
	if !rt.free {
		if err := v.asks.take(v.remote(r), v.now()); err != nil {
			v.metrics.limited.Inc()
			return err
		}
	}
	return h(w, r)
}

// remote is the address of who asks.
func (v *Vod) remote(r *http.Request) netip.Addr {
	if v.parts.Remote != nil {
		return v.parts.Remote(r).Unmap()
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

func newTrace() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func statusClass(status int) string {
	if status == 0 {
		status = http.StatusOK
	}
	return string(rune('0'+status/100)) + "xx"
}

// response remembers the status for the metrics.
type response struct {
	http.ResponseWriter
	status int
	trace  string
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
