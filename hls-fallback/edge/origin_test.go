package edge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge"
)

// origin plays an origin of one live stream: playlists that block, parts that are
// hinted, errors, and answers that come slowly. It counts what it is asked.
type origin struct {
	mu      sync.Mutex
	asked   map[string]int
	headers map[string]http.Header
	waiting int
	parts   int // published so far: 4 to a segment
	news    chan struct{}
	// extra answers other paths.
	extra map[string]http.HandlerFunc
	// token, when set, is what opens the stream.
	token string
}

const partsEach = 4

func newOrigin() *origin {
	return &origin{asked: make(map[string]int), headers: make(map[string]http.Header), news: make(chan struct{}), extra: make(map[string]http.HandlerFunc)}
}

func (o *origin) publish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts++
	close(o.news)
	o.news = make(chan struct{})
}

// count is how often an address was asked for, without the token's value.
func (o *origin) count(address string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[address]
}

// all are the counts.
func (o *origin) all() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make(map[string]int)
	for k, v := range o.asked {
		out[k] = v
	}
	return out
}

func (o *origin) blocked() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting
}

// wait blocks until n parts are there; false when the client left.
func (o *origin) wait(ctx context.Context, n int) bool {
	for {
		o.mu.Lock()
		have, news := o.parts, o.news
		if have >= n {
			o.mu.Unlock()
			return true
		}
		o.waiting++
		o.mu.Unlock()
		var left bool
		select {
		case <-news:
		case <-ctx.Done():
			left = true
		}
		o.mu.Lock()
		o.waiting--
		o.mu.Unlock()
		if left {
			return false
		}
	}
}

// media is the whole of a part.
func media(msn, part int) string { return strings.Repeat(fmt.Sprintf("%d.%d|", msn, part), 5000) }

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	token := q.Get("token")
	if token == "" {
		token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	address := r.URL.Path
	if q.Del("token"); len(q) > 0 {
		address += "?" + q.Encode()
	}
	o.mu.Lock()
	o.asked[address]++
	o.headers[address] = r.Header.Clone()
	extra := o.extra[r.URL.Path]
	o.mu.Unlock()
	keep := func(d time.Duration) {
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(d/time.Second)))
	}
	var msn, part int
	switch name := strings.TrimPrefix(r.URL.Path, "/live/s/i1/v/"); {
	case o.token != "" && token != o.token:
		http.Error(w, "no", http.StatusUnauthorized)
	case extra != nil:
		extra(w, r)
	case r.URL.Path == "/live/s/index.m3u8":
		keep(3 * time.Second)
		_, _ = io.WriteString(w, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ni1/v/media.m3u8\n")
	case name == "media.m3u8":
		o.playlist(w, r, keep)
	case parsed(name, &msn, &part):
		n := msn*partsEach + part
		o.mu.Lock()
		have := o.parts
		o.mu.Unlock()
		if n > have || n == have && !o.wait(r.Context(), n+1) {
			keep(time.Second)
			w.WriteHeader(http.StatusNotFound)
			return
		}
		keep(36 * time.Second)
		w.Header().Set("Content-Length", strconv.Itoa(len(media(msn, part))))
		_, _ = io.WriteString(w, media(msn, part))
	default:
		keep(time.Second)
		w.WriteHeader(http.StatusNotFound)
	}
}

func parsed(name string, msn, part *int) bool {
	a, b, ok := strings.Cut(strings.TrimSuffix(name, ".m4s"), ".")
	var err1, err2 error
	*msn, err1 = strconv.Atoi(a)
	*part, err2 = strconv.Atoi(b)
	return ok && err1 == nil && err2 == nil && strings.HasSuffix(name, ".m4s")
}

// playlist names the newest part; with directives it waits for it.
func (o *origin) playlist(w http.ResponseWriter, r *http.Request, keep func(time.Duration)) {
	q := r.URL.Query()
	life := time.Second
	if q.Has("_HLS_msn") {
		msn, _ := strconv.Atoi(q.Get("_HLS_msn"))
		part, _ := strconv.Atoi(q.Get("_HLS_part"))
		o.mu.Lock()
		far := msn > o.parts/partsEach+2
		o.mu.Unlock()
		if far {
			keep(time.Second)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if !o.wait(r.Context(), msn*partsEach+part+1) {
			return
		}
		life = 36 * time.Second
	}
	keep(life)
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = fmt.Fprintf(w, "newest %d", o.parts-1)
}

// direct carries requests to handlers without sockets, so that tests may run in
// virtual time; hosts name handlers, and one that is not there refuses.
type direct map[string]http.Handler

// RoundTrip runs the handler and returns as soon as its answer begins.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	h := d[r.URL.Host]
	if h == nil {
		return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("%s: refused", r.URL.Host)}
	}
	in := r.Clone(r.Context())
	in.RemoteAddr = "192.0.2.1:1000"
	in.Host = r.URL.Host
	pr, pw := io.Pipe()
	w := &pipeWriter{header: make(http.Header), pipe: pw, head: make(chan struct{})}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				w.WriteHeader(http.StatusOK)
				_ = pw.CloseWithError(io.ErrUnexpectedEOF)
				return
			}
			w.WriteHeader(http.StatusOK)
			_ = pw.Close()
		}()
		h.ServeHTTP(w, in)
	}()
	select {
	case <-w.head:
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
	context.AfterFunc(r.Context(), func() { _ = pr.CloseWithError(context.Canceled) })
	length := int64(-1)
	if v := w.sent.Get("Content-Length"); v != "" {
		length, _ = strconv.ParseInt(v, 10, 64)
	}
	return &http.Response{StatusCode: w.status, Header: w.sent, Body: pr, ContentLength: length, Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

type pipeWriter struct {
	header, sent http.Header
	pipe         *io.PipeWriter
	head         chan struct{}
	status       int
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
		close(w.head)
	}
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(b)
}

func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }

var _ http.RoundTripper = direct(nil)
var _ http.Handler = (*edge.Edge)(nil)
