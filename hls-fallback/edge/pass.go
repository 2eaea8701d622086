package edge

import (
	"context"
	"io"
	"net/http"
	"time"
)

// pass asks the origin for one client alone: for what is too large to keep, and
// for what the origin gives to each client separately.
func (e *Edge) pass(q *request) {
	e.mu.Lock()
	order := e.origins.Order(time.Now())
	e.mu.Unlock()
	ask := question{target: q.target, access: q.access, token: q.token, header: q.credentials()}
	for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since"} {
		if v := q.r.Header.Get(name); v != "" {
			ask.header.Set(name, v)
		}
	}
	ctx, cancel := context.WithCancel(q.r.Context())
	defer cancel()
	stop := context.AfterFunc(e.ctx, cancel)
	defer stop()
	resp, err := e.ask(ctx, ask, order[0])
	e.judged(order[0], err)
	if err != nil {
		e.failed(q, err)
		return
	}
	defer resp.Body.Close()
	out := q.w.Header()
	for name, values := range passed(resp.Header) {
		out[name] = values
	}
	if !e.shares(q) {
		narrow(out)
	}
	for _, name := range []string{"Content-Length", "Accept-Ranges", "Age"} {
		if v := resp.Header.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	out.Set("X-Cache", string(Passed))
	q.w.WriteHeader(resp.StatusCode)
	if q.r.Method == http.MethodHead {
		return
	}
	if _, err := io.CopyBuffer(flushing{q.w}, resp.Body, make([]byte, blockSize)); err != nil {
		q.breakOff()
	}
}

// flushing sends what is written at once.
type flushing struct{ w *writer }

// Write writes and flushes.
func (f flushing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	f.w.Flush()
	return n, err
}

// writer counts, and ends with a client that takes nothing for too long.
type writer struct {
	http.ResponseWriter
	stall  time.Duration
	status int
	bytes  int64
	first  time.Time
}

// WriteHeader notes the status.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.first = status, time.Now()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes within the time that a client has.
func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	// Recorders of tests have no deadline.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.stall))
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what is there.
func (w *writer) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
