package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

// client speaks to origins: it follows no redirects and unpacks nothing.
func client(cfg Config) *http.Client {
	c := &http.Client{
		Transport:     cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			ForceAttemptHTTP2:   true,
			DisableCompression:  true,
			// Every blocked playlist and hinted part holds a connection in HTTP/1.1.
			MaxIdleConnsPerHost:    512,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return c
}

// question is what the origin is asked.
type question struct {
	target cache.Target
	access cache.Access
	token  string
	header http.Header // who asks
	served cache.Place // no older playlist is wanted
}

// fetch asks the origins in order and fills the flight. It is its only writer.
func (e *Edge) fetch(ctx context.Context, f *flight, q question, order []int) {
	if e.recall(ctx, f, q.target) {
		e.finish(f, nil)
		return
	}
	o := e.race(ctx, q, order)
	err := o.err
	if err == nil {
		if msn, ok := e.reached(q.target, o.resp); ok {
			err = hide(o.resp, msn)
		}
	}
	if err == nil {
		err = e.take(ctx, f, q, &o)
	}
	e.finish(f, err)
	e.remember(f, q.target, err)
}

// broken is the answer of an origin that cannot do its work, so that another one
// may. 503 is not: an origin answers so when it blocked too long.
func broken(status int) bool { return status == 500 || status == 502 || status == 504 }

func (e *Edge) judged(i int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.origins.Worked(i)
	case !errors.Is(err, errNobody) && !errors.Is(err, errStopped):
		e.origins.Failed(i, time.Now())
	}
}

// ask puts the question to one origin and waits for the head of its answer.
func (e *Edge) ask(ctx context.Context, q question, origin int) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.cfg.Origins[origin]+q.target.Address(q.access, q.token), nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("ask the origin: %w", err)
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	// One encoding for all: who cannot take it gets it unpacked here.
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set(SecretHeader, cmp.Or(e.cfg.Secret, checks))
	timer := time.AfterFunc(e.cfg.Timeout, func() { cancel(errSlow) })
	began := time.Now()
	resp, err := e.client.Do(req)
	if err != nil {
		timer.Stop()
		cause := context.Cause(ctx)
		cancel(nil)
		e.metrics.origin("none", time.Since(began))
		if cause != nil {
			return nil, cause
		}
		e.log.Warn("origin not reached", "origin", e.cfg.Origins[origin], "err", withoutURL(err))
		return nil, errOrigin
	}
	e.metrics.origin(strconv.Itoa(resp.StatusCode/100)+"xx", time.Since(began))
	resp.Body = &body{ReadCloser: resp.Body, timer: timer, stall: e.cfg.Stall, cancel: cancel}
	timer.Reset(e.cfg.Stall)
	return resp, nil
}

// withoutURL takes the address out of a client's error: it may hold a token.
func withoutURL(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// body ends a read that stands still for too long.
type body struct {
	io.ReadCloser
	timer  *time.Timer
	stall  time.Duration
	cancel context.CancelCauseFunc
}

// Read reads, and sets the clock anew.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.timer.Reset(b.stall)
	return n, err
}

// Close ends the exchange.
func (b *body) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// take reads an answer into the flight.
func (e *Edge) take(ctx context.Context, f *flight, q question, o *outcome) error {
	resp := o.resp
	defer resp.Body.Close()
	h := &head{status: resp.StatusCode, header: passed(resp.Header), length: resp.ContentLength, origin: e.cfg.Origins[o.origin]}
	cookies := resp.Cookies()
	if q.access != cache.Anonymous && len(cookies) == 1 && cookies[0].Name == Cookie {
		// The origin answers a token with a cookie that holds it. Each client gets one
		// with its own token from here, and the rest is the same for all.
		h.cookie = cookies[0]
	}
	h.life = e.cfg.Limits.Judge(q.target, cache.Answer{
		Status: resp.StatusCode, CacheControl: joined(resp.Header, "Cache-Control"),
		Age: resp.Header.Get("Age"), Expires: resp.Header.Get("Expires"), Date: resp.Header.Get("Date"),
		Vary: joined(resp.Header, "Vary"), SetsCookie: len(cookies) > 0 && h.cookie == nil, Checked: h.cookie != nil,
		Delay: o.took,
	})
	if o.held && !q.target.Blocking() { // it lives as long as what was asked for
		h.header.Set("Cache-Control", "public, max-age=1")
		h.life.For = min(h.life.For, time.Second)
	}
	h.alone = h.length > e.cfg.Object || h.status == http.StatusOK && h.life.Private
	f.begin(h, time.Now())
	if h.alone {
		return nil
	}
	for {
		room := f.room()
		n, err := resp.Body.Read(room)
		if n > 0 {
			f.publish(n)
			if e.air.Add(int64(n)) > e.cfg.Size {
				return errRoom
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("%w: %w", errOrigin, withoutURL(err))
		case f.size > e.cfg.Object:
			return errRoom
		}
	}
}

// finish puts the flight where it belongs: on the shelf, or nowhere.
func (e *Edge) finish(f *flight, err error) {
	now := time.Now()
	f.end(err)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.air.Add(-f.size)
	e.fetched.Leave(f.who)
	if e.flights[f.key] == f {
		delete(e.flights, f.key)
	}
	h := f.head
	if err != nil || h == nil {
		return
	}
	until := f.born.Add(h.life.For)
	if h.alone {
		// Who comes soon need not ask whether it may be shared.
		until = now.Add(aloneFor)
	}
	if now.Before(until) {
		e.metrics.evicted.Add(float64(e.shelf.Put(f.key, f, f.cost(), until)))
	}
}

// aloneFor is how long it is remembered that an answer is not shared.
const aloneFor = 10 * time.Second
