package vod

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
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
}

func (v *Vod) routes() []route {
	type methods = map[string]handler
	return []route{
		{"/v1/assets", "assets", methods{"GET": v.listAssets}},
		{"/v1/assets/{asset}", "asset", methods{"GET": v.showAsset, "PATCH": v.patchAsset, "DELETE": v.deleteAsset}},
		{"/v1/assets/{asset}/clips", "clips", methods{"POST": v.postClip}},
		{"/v1/assets/{asset}/views", "views", methods{"POST": v.postView}},
		{"/v1/assets/{asset}/export.mp4", "export", methods{"GET": v.exportAs(false)}},
		{"/v1/assets/{asset}/export.webm", "export", methods{"GET": v.exportAs(true)}},
		{"/v1/assets/{asset}/{file}", "file", methods{"GET": v.assetFile}},
		{"/v1/streams/{stream}/thumbnail.jpg", "live", methods{"GET": v.streamPicture}},
		{"/v1/uploads", "uploads", methods{"POST": v.postUpload}},
		{"/v1/uploads/{upload}", "upload", methods{"GET": v.showUpload, "DELETE": v.deleteUpload}},
		{"/v1/uploads/{upload}/parts/{part}", "part", methods{"PUT": v.putPart}},
		{"/v1/uploads/{upload}/complete", "complete", methods{"POST": v.completeUpload}},
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
	return h(w, r)
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
