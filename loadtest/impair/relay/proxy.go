package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
)

// ProxyConfig is what a proxy needs.
type ProxyConfig struct {
	Listen string // HTTP address; empty means a free port of 127.0.0.1
	Server string // base URL of the real server
	Relay  Config
	// Opened is told each session whose answer was rewritten, before the client
	// has the answer. It may be nil.
	Opened func(*Session)
}

// Proxy passes every HTTP request on to a server, and leads the media of WHIP
// and WHEP sessions over its relay, and over nothing else. Pages load through
// it, too.
type Proxy struct {
	c        ProxyConfig
	relay    *Relay
	server   *url.URL
	listener net.Listener
	http     *http.Server

	mu       sync.Mutex // guards sessions
	sessions map[string]*Session
}

// maxAnswer is the longest answer that is read; real ones have a few kilobytes.
const maxAnswer = 1 << 20

// NewProxy opens the HTTP port; Run serves it.
func NewProxy(c ProxyConfig) (*Proxy, error) {
	server, err := url.Parse(c.Server)
	if err != nil || server.Host == "" {
		return nil, fmt.Errorf("make a proxy: %q is not the URL of a server", c.Server)
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	p := &Proxy{c: c, relay: New(c.Relay), server: server, sessions: map[string]*Session{}}
	if p.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("make a proxy: %w", err)
	}
	p.http = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: &httputil.ReverseProxy{
		Rewrite: p.forward, ModifyResponse: p.modify, Transport: link.NewClient().Transport,
		FlushInterval: -1, // event streams are told at once
	}}
	return p, nil
}

// URL is where clients find the server now.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() }

// Relay is what moves the media.
func (p *Proxy) Relay() *Relay { return p.relay }

// Run serves until ctx ends.
func (p *Proxy) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	relaying, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { p.relay.Run(relaying) })
	defer context.AfterFunc(ctx, func() { _ = p.http.Close() })()
	if err := p.http.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the proxy: %w", err)
	}
	return nil
}

// forward keeps the Host: what the server says of itself is then about the
// proxy. It takes the client's candidates out.
func (p *Proxy) forward(r *httputil.ProxyRequest) {
	r.SetURL(p.server)
	r.Out.Host = r.In.Host
	if r.In.Method != http.MethodPost && r.In.Method != http.MethodPatch {
		return
	}
	r.Out.Header.Del("Accept-Encoding") // answers must be readable
	if kind := mediaType(r.In.Header); kind != link.TypeSDP && kind != link.TypeFragment {
		return
	}
	b, err := io.ReadAll(io.LimitReader(r.In.Body, maxAnswer))
	if err == nil {
		b = Strip(b)
		r.Out.ContentLength = int64(len(b))
	} // else the length is wrong, and the request fails as it would have
	r.Out.Body = io.NopCloser(bytes.NewReader(b))
}

// mediaType is the Content-Type without parameters.
func mediaType(h http.Header) string {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type")) // what cannot be read is not ours
	return kind
}

// modify looks for answers.
func (p *Proxy) modify(res *http.Response) error {
	kind := mediaType(res.Header)
	switch req := res.Request; {
	case req.Method == http.MethodPost && res.StatusCode == http.StatusCreated && kind == link.TypeSDP:
		return p.created(res)
	case req.Method == http.MethodPatch && res.StatusCode == http.StatusOK && kind == link.TypeFragment:
		return p.restarted(res)
	case req.Method == http.MethodDelete && res.StatusCode < 300:
		p.end(req.URL.Path)
	}
	return nil
}

// created leads a new session over the relay.
func (p *Proxy) created(res *http.Response) error {
	answer, err := body(res)
	if err != nil {
		return err
	}
	rewritten, s, err := p.relay.Rewrite(answer)
	if err != nil {
		return fmt.Errorf("rewrite the answer: %w", err)
	}
	p.keep(res, s)
	if p.c.Opened != nil {
		p.c.Opened(s)
	}
	replace(res, rewritten)
	return nil
}

// keep remembers the session by its resource, and lets an absolute Location
// that names the server lead back to the proxy.
func (p *Proxy) keep(res *http.Response, s *Session) {
	location, err := res.Request.URL.Parse(res.Header.Get("Location"))
	if err != nil {
		return
	}
	if strings.Contains(res.Header.Get("Location"), "://") && location.Host == p.server.Host {
		res.Header.Set("Location", location.RequestURI())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.sessions, func(_ string, s *Session) bool { return s.over() }) // those that fell silent
	p.sessions[location.Path] = s
}

// restarted leads a restarted session (RFC 9725 section 4.4.1.2) over the port it has.
func (p *Proxy) restarted(res *http.Response) error {
	p.mu.Lock()
	s := p.sessions[res.Request.URL.Path]
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	answer, err := body(res)
	if err != nil {
		return err
	}
	replace(res, Rewrite(answer, s.Addr()))
	return nil
}

func (p *Proxy) end(path string) {
	p.mu.Lock()
	s := p.sessions[path]
	delete(p.sessions, path)
	p.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

func body(res *http.Response) ([]byte, error) {
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return b, nil
}

func replace(res *http.Response, b []byte) {
	res.Body = io.NopCloser(bytes.NewReader(b))
	res.ContentLength = int64(len(b))
	res.Header.Set("Content-Length", strconv.Itoa(len(b)))
}
