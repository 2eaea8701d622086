package validate

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

// The largest answers that are read: a playlist of two weeks, and a long segment of
// a high bitrate.
const (
	maxText  = 32 << 20
	maxMedia = 256 << 20
)

// got is an answer as it came.
type got struct {
	status int
	header http.Header
	body   []byte
	zipped bool
	// sent, first and last are when it was asked for, and when the first and last byte
	// of the body came.
	sent, first, last time.Time
}

// fetch asks for one resource and reads all of it.
func (r *run) fetch(ctx context.Context, uri string, limit int64) (*got, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for it: %w", err)
	}
	// By hand, so that the answer shows whether it was compressed.
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("User-Agent", "sluice-validate")
	if r.o.Token != "" && r.same(req.URL) {
		req.Header.Set("Authorization", "Bearer "+r.o.Token)
	}
	g := &got{sent: time.Now()}
	resp, err := r.o.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for it: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	g.status, g.header = resp.StatusCode, resp.Header
	in := &clocked{in: io.LimitReader(resp.Body, limit+1), g: g}
	var body io.Reader = in
	if resp.Header.Get("Content-Encoding") == "gzip" {
		g.zipped = true
		if body, err = gzip.NewReader(in); err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
	}
	if g.body, err = io.ReadAll(io.LimitReader(body, limit+1)); err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if int64(len(g.body)) > limit {
		return nil, fmt.Errorf("the body has more than %d bytes", limit)
	}
	g.last = time.Now()
	if g.first.IsZero() {
		g.first = g.last
	}
	return g, nil
}

// same reports whether a token may go there: to the host that it was given for.
func (r *run) same(u *url.URL) bool { return u.Scheme == r.entry.Scheme && u.Host == r.entry.Host }

// clocked notes when the first byte comes.
type clocked struct {
	in io.Reader
	g  *got
}

func (c *clocked) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	if n > 0 && c.g.first.IsZero() {
		c.g.first = time.Now()
	}
	return n, err
}

// maxAge is how long the answer says that it may be kept; -1 when it says nothing.
func (g *got) maxAge() time.Duration {
	if age, said := cache.MaxAge(g.header.Get("Cache-Control")); said {
		return age
	}
	return -1
}

// resolve makes a URI of a playlist absolute, with the variables that the playlist
// takes out of its own query (section 4.4.2.3).
func resolve(base *url.URL, relative string) (*url.URL, error) {
	for name, values := range base.Query() {
		relative = strings.ReplaceAll(relative, "{$"+name+"}", url.QueryEscape(values[0]))
	}
	u, err := base.Parse(relative)
	if err != nil {
		return nil, fmt.Errorf("read the URI %.100q: %w", relative, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the URI %.100q is neither http nor https", relative)
	}
	return u, nil
}

// with adds delivery directives, in the order that caches want (section 6.3.2).
func with(u *url.URL, directives string) string {
	c := *u
	if c.RawQuery == "" {
		c.RawQuery = directives
	} else {
		c.RawQuery = directives + "&" + c.RawQuery
	}
	return c.String()
}
