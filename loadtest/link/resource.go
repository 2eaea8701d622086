package link

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Media types of WHIP and WHEP (RFC 9725 sections 4.2 and 4.3.1).
const (
	TypeSDP      = "application/sdp"
	TypeFragment = "application/trickle-ice-sdpfrag"
)

// maxBody is the longest answer that is read; real ones have a few kilobytes.
const maxBody = 1 << 20

// deleteTries is how often a DELETE is repeated after 429.
const deleteTries = 5

// StatusError is a server's refusal.
type StatusError struct {
	Code  int
	Body  string
	Retry time.Duration // what Retry-After asks for; a second where it asks for nothing
}

// Error says what came instead of 201.
func (e *StatusError) Error() string {
	body := strings.Join(strings.Fields(e.Body), " ")
	if len(body) > 200 {
		body = body[:200] + "…"
	}
	return fmt.Sprintf("the server answered %d %s: %s", e.Code, http.StatusText(e.Code), body)
}

// Resource is one WHIP or WHEP session on the server.
type Resource struct {
	URL    string // absolute
	ETag   string
	Answer []byte
	Header http.Header

	client *http.Client
	token  string
}

// NewClient returns an HTTP client for many sessions with few connections; it
// accepts any certificate, as test servers sign their own.
func NewClient() *http.Client {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
		TLSClientConfig:     insecure(),
	}
	return &http.Client{Transport: t, Timeout: 20 * time.Second}
}

// Endpoint is where sessions are made.
type Endpoint struct {
	Client     *http.Client
	URL, Token string
}

// Post makes a session with an offer.
func Post(ctx context.Context, e Endpoint, offer []byte) (*Resource, error) {
	header := http.Header{"Content-Type": {TypeSDP}, "Accept": {TypeSDP}}
	res, err := Do(ctx, e.Client, Request{Method: http.MethodPost, URL: e.URL, Token: e.Token, Header: header, Body: offer})
	if err != nil {
		return nil, fmt.Errorf("post the offer: %w", err)
	}
	if res.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("post the offer: %w", &StatusError{Code: res.StatusCode, Body: string(res.Body), Retry: RetryAfter(res.Header)})
	}
	location, err := Resolve(res.URL, res.Header.Get("Location"))
	if err != nil {
		return nil, err
	}
	return &Resource{URL: location, ETag: res.Header.Get("ETag"), Answer: res.Body, Header: res.Header, client: e.Client, token: e.Token}, nil
}

// RetryAfter reads Retry-After in seconds (RFC 9110 section 10.2.3): at least
// one, and one where there is none.
func RetryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil {
		seconds = 1
	}
	return time.Duration(min(max(seconds, 1), 600)) * time.Second
}

// Patch sends an ICE fragment, with If-Match when ifMatch is not empty.
func (r *Resource) Patch(ctx context.Context, fragment []byte, ifMatch string) (*Response, error) {
	header := http.Header{"Content-Type": {TypeFragment}}
	if ifMatch != "" {
		header.Set("If-Match", ifMatch)
	}
	return Do(ctx, r.client, Request{Method: http.MethodPatch, URL: r.URL, Token: r.token, Header: header, Body: fragment})
}

// Delete ends the session and returns the status. A server that is asked too
// much (429) is asked again when it says so: a session that is left behind
// would spoil what is measured next.
func (r *Resource) Delete(ctx context.Context) (int, error) {
	for try := 0; ; try++ {
		res, err := Do(ctx, r.client, Request{Method: http.MethodDelete, URL: r.URL, Token: r.token})
		if err != nil {
			return 0, fmt.Errorf("delete the session: %w", err)
		}
		if res.StatusCode != http.StatusTooManyRequests || try == deleteTries {
			return res.StatusCode, nil
		}
		t := time.NewTimer(RetryAfter(res.Header))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return res.StatusCode, nil
		}
	}
}

// Request is one HTTP request of a session.
type Request struct {
	Method, URL, Token string
	Header             http.Header
	Body               []byte
}

// Response is what a server answered, read to its end.
type Response struct {
	StatusCode int
	URL        string // that answered, after redirections
	Header     http.Header
	Body       []byte
}

// Do sends the request and reads the whole response.
func Do(ctx context.Context, c *http.Client, r Request) (*Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	return &Response{StatusCode: res.StatusCode, URL: res.Request.URL.String(), Header: res.Header, Body: body}, nil
}

// Resolve turns a Location into an absolute URL.
func Resolve(base, location string) (string, error) {
	if location == "" {
		return "", fmt.Errorf("read the Location: there is none")
	}
	b, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("read the endpoint: %w", err)
	}
	l, err := b.Parse(location)
	if err != nil {
		return "", fmt.Errorf("read the Location %q: %w", location, err)
	}
	return l.String(), nil
}
