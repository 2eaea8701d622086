package front

import (
	"net/http"
	"sync/atomic"
)

// Health is what /healthz and /readyz tell. The zero value is starting; it is
// safe for concurrent use.
type Health struct{ state atomic.Int32 }

const (
	starting int32 = iota
	ready
	draining
)

// Ready turns readiness green, unless the node drains already.
func (h *Health) Ready() { h.state.CompareAndSwap(starting, ready) }

// Drain turns readiness red for good: load balancers send nobody new.
func (h *Health) Drain() { h.state.Store(draining) }

// Route answers the two health paths; it reports whether the request was one of them.
func (h *Health) Route(w http.ResponseWriter, r *http.Request) bool {
	var status int
	var text string
	switch r.URL.Path {
	case "/healthz":
		// Alive means that this line runs; who cannot serve says so in /readyz.
		status, text = http.StatusOK, "ok\n"
	case "/readyz":
		status, text = h.readiness()
	default:
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET or HEAD", http.StatusMethodNotAllowed)
		return true
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // a probe that went away needs no answer
	return true
}

func (h *Health) readiness() (int, string) {
	switch h.state.Load() {
	case ready:
		return http.StatusOK, "ready\n"
	case draining:
		return http.StatusServiceUnavailable, "draining\n"
	}
	return http.StatusServiceUnavailable, "starting\n"
}
