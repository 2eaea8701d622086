package edge

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

// maxReplayed bounds the body of a request that may be put to another origin, in bytes:
// an SDP offer has a few kilobytes.
const maxReplayed = 64 << 10

// quiet is how long a stream of events that is handed through may say nothing.
const quiet = 10 * time.Minute

// passes reports whether a path is handed through (Config.Pass).
func (e *Edge) passes(path string) bool {
	for _, prefix := range e.cfg.Pass {
		if strings.HasPrefix(path, prefix) {
			return !strings.Contains(path+"/", "/../") && !strings.Contains(path+"/", "/./")
		}
	}
	return false
}

// forLicence reports whether a licence is asked for: each is one player's, and the
// origin's to give.
func forLicence(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	t, err := cache.Parse(r.URL.EscapedPath(), "")
	return err == nil && (t.Path == "/live/"+t.Name+"/licence" || t.Path == "/videos/"+t.Name+"/licence")
}

func validatePass(prefixes []string) error {
	for _, p := range prefixes {
		if !strings.HasPrefix(p, "/") || !strings.HasSuffix(p, "/") || len(p) < 3 || strings.HasPrefix(p, "/live/") || strings.HasPrefix(p, "/videos/") {
			return fmt.Errorf("read edge settings: what is handed through is a path like /v1/, and neither /live/ nor /videos/, which are kept, not %q", p)
		}
	}
	return nil
}

// through hands a request on and its answer back. Nothing of it is kept; text is
// packed.
func (e *Edge) through(q *request) {
	q.record.Result = Passed
	q.w.stall = max(q.w.stall, quiet)
	w := &packer{ResponseWriter: q.w, request: q.r}
	proxy := httputil.ReverseProxy{
		Transport:      relay{e},
		FlushInterval:  -1, // as it comes
		Rewrite:        func(p *httputil.ProxyRequest) { e.rewrite(q, p) },
		ModifyResponse: uncached,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { e.failed(q, errOrigin) },
	}
	proxy.ServeHTTP(w, q.r)
	w.close()
}

// rewrite says who asks. Which origin it is for, relay knows.
func (e *Edge) rewrite(q *request, p *httputil.ProxyRequest) {
	p.Out.Host = q.r.Host // origins make addresses of it
	p.Out.URL.Scheme, p.Out.URL.Host = "http", "origin"
	if q.remote = remote(q.r); q.remote.IsValid() {
		p.Out.Header.Set("X-Forwarded-For", q.remote.String())
	}
	p.Out.Header.Set("X-Forwarded-Proto", "http")
	if q.r.TLS != nil {
		p.Out.Header.Set("X-Forwarded-Proto", "https")
	}
	p.Out.Header.Del(SecretHeader)
	if e.cfg.Secret != "" {
		p.Out.Header.Set(SecretHeader, e.cfg.Secret)
	}
}

// uncached lets nobody keep what the origin says nothing about.
func uncached(resp *http.Response) error {
	if resp.Header.Get("Cache-Control") == "" {
		resp.Header.Set("Cache-Control", "no-store")
	}
	resp.Header.Set("X-Cache", string(Passed))
	return nil
}

// relay puts requests to the first origin that works.
type relay struct{ e *Edge }

// RoundTrip asks one origin after the other. Another one gets a request again only
// when it did nothing at the first: it never came there, or a session is another
// node's.
func (t relay) RoundTrip(r *http.Request) (*http.Response, error) {
	e := t.e
	e.mu.Lock()
	order := e.origins.Order(time.Now())
	e.mu.Unlock()
	body, whole, err := replayable(r, len(order) > 1)
	if err != nil {
		return nil, err
	}
	for n, i := range order {
		if whole {
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		to, err := url.Parse(e.cfg.Origins[i])
		if err != nil {
			return nil, fmt.Errorf("hand a request through: %w", err)
		}
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
		began := time.Now()
		resp, err := e.client.Transport.RoundTrip(r)
		e.metrics.origin(class(resp), time.Since(began))
		last := n == len(order)-1 || !whole
		if err != nil {
			if r.Context().Err() == nil {
				e.judged(i, err)
			}
			if last || r.Context().Err() != nil || !unsent(err) && !again(r.Method) {
				return nil, fmt.Errorf("%w: %w", errOrigin, withoutURL(err))
			}
			continue
		}
		e.judged(i, nil)
		if last || resp.StatusCode != http.StatusNotFound || r.Method == http.MethodPost {
			return resp, nil
		}
		_ = resp.Body.Close()
	}
	return nil, errOrigin
}

func class(resp *http.Response) string {
	if resp == nil {
		return "none"
	}
	return fmt.Sprintf("%dxx", resp.StatusCode/100)
}

// replayable reads a small body; whole tells that it may be sent again.
func replayable(r *http.Request, several bool) (body []byte, whole bool, err error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return nil, true, nil
	case !several || r.ContentLength < 0 || r.ContentLength > maxReplayed:
		return nil, false, nil
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, maxReplayed))
	if err != nil {
		return nil, false, fmt.Errorf("read a request's body: %w", err)
	}
	return body, true, nil
}

// unsent reports whether an origin was not reached at all.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// again reports whether a request may be made twice (RFC 9110 section 9.2.2).
func again(method string) bool { return method != http.MethodPost && method != http.MethodPatch }

// packer packs text for who takes it.
type packer struct {
	http.ResponseWriter
	request *http.Request
	decided bool
	z       *gzip.Writer // nil: it goes as it is
}

// least is what is worth packing, in bytes: less fits one packet in any case.
const least = 512

// packable are types of text. Streams of events are not among them: each event would
// wait for the next.
var packable = map[string]bool{
	"application/json": true, "application/problem+json": true, "application/javascript": true, "application/xml": true, "application/manifest+json": true,
	"application/yaml": true, "image/svg+xml": true, "text/css": true, "text/html": true, "text/javascript": true, "text/plain": true, "text/vtt": true, "text/xml": true,
}

// WriteHeader decides.
func (p *packer) WriteHeader(status int) {
	h := p.Header()
	if status >= 200 && !p.decided { // not 103
		p.decided = true
		kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
		if packable[kind] {
			h.Add("Vary", "Accept-Encoding")
			if p.may(status, h) {
				h.Set("Content-Encoding", "gzip")
				h.Del("Content-Length")
				weaken(h)
				p.z = gzip.NewWriter(p.ResponseWriter)
			}
		}
	}
	p.ResponseWriter.WriteHeader(status)
}

// may reports whether an answer is packed: one that is whole and not packed yet, for a
// client that takes it. Who is known by a cookie gets it as it is: another site's page
// could make a browser ask, and learn from lengths what is in the answer (BREACH).
func (p *packer) may(status int, h http.Header) bool {
	size, err := strconv.Atoi(h.Get("Content-Length"))
	small := err == nil && size < least
	return p.request.Method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified && status != http.StatusPartialContent &&
		h.Get("Content-Encoding") == "" && !small && takesGzip(p.request.Header) && p.request.Header.Get("Cookie") == "" &&
		!strings.Contains(joined(h, "Cache-Control"), "no-transform")
}

// Write packs, or does not.
func (p *packer) Write(b []byte) (int, error) {
	if !p.decided {
		p.WriteHeader(http.StatusOK)
	}
	if p.z != nil {
		return p.z.Write(b)
	}
	return p.ResponseWriter.Write(b)
}

// FlushError sends what is there.
func (p *packer) FlushError() error {
	if p.z != nil {
		if err := p.z.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (p *packer) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *packer) close() {
	if p.z != nil {
		_ = p.z.Close() // a client that has gone misses nothing
	}
}
