package front

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// bodyTime is how long a client may take to send a body. An SDP offer has a few
// kilobytes: who needs longer holds a connection for its own sake.
const bodyTime = 15 * time.Second

// Door hands each request of the main address to who answers it.
type Door struct {
	Signaling http.Handler // /whip/, /whep/ and /v1/
	Origin    http.Handler // /live/ and /videos/
	Catalogue http.Handler // /v1/assets, /v1/uploads and pictures of streams
	Pages     http.Handler // all else
	Health    *Health
	Log       *slog.Logger
	// HSTS tells browsers to come by https from now on. Only with a certificate
	// that they trust: with a self-signed one they would lock their user out.
	HSTS bool
}

// ServeHTTP routes by the first path segment. It is not a http.ServeMux, which
// answers unclean paths with a redirect: a POST must never be redirected by
// 301 (RFC 9725 section 4.5).
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w}
	if r.ContentLength != 0 {
		// Not http.Server.ReadTimeout: that would also end event streams.
		_ = http.NewResponseController(w).SetReadDeadline(start.Add(bodyTime))
	}
	d.headers(w.Header(), r)
	defer d.recover(rec, r)
	switch {
	case d.Health.Route(rec, r):
		return // probes come every second and say nothing new
	case origin(r.URL.Path):
		d.Origin.ServeHTTP(rec, r)
	case catalogue(r.URL.Path):
		d.Catalogue.ServeHTTP(rec, r)
	case signaling(r.URL.Path):
		d.Signaling.ServeHTTP(rec, r)
	default:
		d.Pages.ServeHTTP(rec, r)
	}
	d.log(r, rec, time.Since(start))
}

// recover turns a panic of one request into a 500 and an entry in the log: the
// others go on.
func (d *Door) recover(rec *recorder, r *http.Request) {
	what := recover()
	switch what {
	case nil:
		return
	case http.ErrAbortHandler: // a handler breaks its answer off, and has said why
		panic(what)
	}
	d.Log.ErrorContext(r.Context(), "request panicked", "method", cut(r.Method, 16), "path", LogPath(r.URL.Path),
		"panic", fmt.Sprint(what), "stack", string(debug.Stack()))
	if rec.status != 0 {
		panic(http.ErrAbortHandler) // half an answer is out: break the connection
	}
	http.Error(rec, "something went wrong on our side; the log says what", http.StatusInternalServerError)
}

func origin(path string) bool {
	return strings.HasPrefix(path, "/live/") || strings.HasPrefix(path, "/videos/")
}

func catalogue(path string) bool {
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		return false
	}
	first, more, _ := strings.Cut(rest, "/")
	return first == "assets" || first == "uploads" || first == "streams" && strings.HasSuffix(more, "/thumbnail.jpg")
}

func signaling(path string) bool {
	first, _, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return found && (first == "whip" || first == "whep" || first == "v1")
}

func (d *Door) headers(h http.Header, r *http.Request) {
	h.Set("X-Content-Type-Options", "nosniff")
	// A link with a token in its fragment must not travel on as a referrer.
	h.Set("Referrer-Policy", "no-referrer")
	if d.HSTS && r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// log writes one line per request, for those who debug: the room that served it
// has told what matters already.
func (d *Door) log(r *http.Request, rec *recorder, took time.Duration) {
	if !d.Log.Enabled(r.Context(), slog.LevelDebug) {
		return // a crowd of players asks thousands of times a second
	}
	d.Log.LogAttrs(r.Context(), slog.LevelDebug, "request served",
		slog.String("method", cut(r.Method, 16)), slog.String("path", LogPath(r.URL.Path)),
		slog.Int("status", rec.status), slog.Int64("bytes", rec.bytes),
		slog.Duration("took", took), slog.String("remote", r.RemoteAddr))
}

// LogPath is a path as it may be logged: without the secret part of a session's
// name, and never longer than 200 bytes.
func LogPath(path string) string {
	parts := strings.Split(cut(path, 200), "/")
	const session = 3 // /whip/{stream}/{session}; /v1/sessions/{session}
	if len(parts) > session && (parts[1] == "whip" || parts[1] == "whep" || parts[1] == "v1" && parts[2] == "sessions") {
		// The node's tag and four characters tell sessions apart in a log, and are
		// of no use to who reads it.
		if len(parts[session]) > 8 {
			parts[session] = parts[session][:8] + "…"
		}
	}
	return strings.Join(parts, "/")
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// recorder remembers status and size of an answer for the access log.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader remembers the final status; 1xx are not final.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the body. Each piece has its own time to go out, so that an
// event stream lives as long as its client reads, and no longer.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTime))
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach deadlines and flushing.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush is here for handlers that ask by type assertion.
func (r *recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }
