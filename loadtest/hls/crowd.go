package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/loadtest/view"
)

// Config is a crowd.
type Config struct {
	URL     string // a Multivariant or a Media Playlist
	Token   string // sent as Authorization: Bearer
	Clients int
	Sound   bool // each follows the sound, too
	NoParts bool // playlists alone are asked for
	// Ramp is the time in which they come.
	Ramp time.Duration
}

// Counts are what the crowd saw in a window.
type Counts struct {
	Seconds   float64        `json:"seconds"`
	Clients   int            `json:"clients"`
	Part      float64        `json:"part_ms"` // PART-TARGET
	Playlists uint64         `json:"playlists"`
	Parts     uint64         `json:"parts"`
	Bytes     uint64         `json:"bytes"`
	Playlist  view.Quantiles `json:"playlist"` // from the request to the last byte
	Hinted    view.Quantiles `json:"hinted"`   // likewise
	// Edge is how long ago the newest part that a playlist lists ended when it was there, by
	// its EXT-X-PROGRAM-DATE-TIME and this machine's clock; EdgeSound that of sound. What
	// the server holds for the time of capture decides: Newest does without.
	Edge      view.Quantiles `json:"edge"`
	EdgeSound view.Quantiles `json:"edge_sound"`
	// Newest is how long ago the last picture of that part was sent, by the stamp of
	// `sluice load publish` in it; the first client looks for that.
	Newest view.Quantiles    `json:"newest"`
	Behind uint64            `json:"behind"` // answers that did not hold what was asked for
	Missed uint64            `json:"missed"` // parts that went by without being asked for, at least
	Errors map[string]uint64 `json:"errors,omitempty"`
}

// Crowd is many clients. Run it once; Window may be called meanwhile.
type Crowd struct {
	cfg   Config
	mu    sync.Mutex
	now   tally
	open  map[net.Conn]struct{}
	ended bool // no more connections
}

type tally struct {
	since                 time.Time
	target                time.Duration
	bytes, behind, missed uint64
	playlist, hinted      []time.Duration
	edge                  [2][]time.Duration // of pictures, of sound
	newest                []time.Duration
	errors                map[string]uint64
}

// Limits of what is read: a playlist of hours, a part of a second at 60 Mbit/s.
const (
	maxPlaylist = 4 << 20
	maxPart     = 16 << 20
	// maxSamples bounds what a window keeps of each kind.
	maxSamples = 4 << 20
	patience   = 30 * time.Second
)

// New makes a crowd; nothing is asked before Run.
func New(cfg Config) (*Crowd, error) {
	if cfg.Clients < 1 {
		return nil, errors.New("a crowd has at least one client")
	}
	if u, err := url.Parse(cfg.URL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is no URL", cfg.URL)
	}
	return &Crowd{cfg: cfg, open: make(map[net.Conn]struct{}), now: tally{errors: make(map[string]uint64)}}, nil
}

// Run plays until ctx ends. The error is of a stream that cannot be played at all.
func (c *Crowd) Run(ctx context.Context) error {
	lists, err := c.lists(ctx)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, c.hangUp)()
	var all sync.WaitGroup
	for i := range c.cfg.Clients {
		for kind, list := range lists {
			all.Go(func() {
				wait := time.NewTimer(c.cfg.Ramp * time.Duration(i) / time.Duration(c.cfg.Clients))
				defer wait.Stop()
				select {
				case <-wait.C:
					(&client{Crowd: c, kind: kind, looks: i == 0 && kind == 0}).follow(ctx, list)
				case <-ctx.Done():
				}
			})
		}
	}
	all.Wait()
	return nil
}

// holds remembers a connection until the end; it reports false when that was already.
func (c *Crowd) holds(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = struct{}{}
	return !c.ended
}

func (c *Crowd) lets(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

// hangUp ends whatever waits for an answer.
func (c *Crowd) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for conn := range c.open {
		_ = conn.Close() // whoever reads is told
	}
}

// lists finds what each client follows.
func (c *Crowd) lists(ctx context.Context) ([]*url.URL, error) {
	text, base, err := c.first(ctx)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", c.cfg.URL, err)
	}
	picture, sound := entry(text)
	if picture == "" {
		if _, err := parse(text); err != nil {
			return nil, fmt.Errorf("read %s: %w", c.cfg.URL, err)
		}
		return []*url.URL{base}, nil
	}
	names := []string{picture}
	if c.cfg.Sound && sound != "" {
		names = append(names, sound)
	}
	lists := make([]*url.URL, len(names))
	for i, name := range names {
		if lists[i], err = resolve(base, name); err != nil {
			return nil, err
		}
	}
	return lists, nil
}

// resolve is a URI in a playlist as a URL; the one variable that is known is the
// token of the playlist's own query.
func resolve(base *url.URL, name string) (*url.URL, error) {
	if strings.Contains(name, "{$token}") {
		name = strings.ReplaceAll(name, "{$token}", url.QueryEscape(base.Query().Get("token")))
	}
	u, err := base.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("read the URI %q: %w", name, err)
	}
	return u, nil
}

// statusError is an answer that is none.
type statusError struct{ status int }

func (e statusError) Error() string { return fmt.Sprintf("status %d", e.status) }

var errTooLong = errors.New("too long")

// first reads what a client begins with, wherever it is sent for it.
func (c *Crowd) first(ctx context.Context) (text []byte, at *url.URL, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.URL, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	if c.cfg.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end, or is given up
	text, err = io.ReadAll(io.LimitReader(resp.Body, maxPlaylist+1))
	switch {
	case err != nil:
		return nil, nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, nil, statusError{resp.StatusCode}
	case len(text) > maxPlaylist:
		return nil, nil, errTooLong
	}
	return text, resp.Request.URL, nil
}

// Window returns what was counted since the last call, and begins anew.
func (c *Crowd) Window() Counts {
	c.mu.Lock()
	t := c.now
	c.now = tally{since: time.Now(), target: t.target, errors: make(map[string]uint64)}
	c.mu.Unlock()
	out := Counts{Clients: c.cfg.Clients, Part: float64(t.target) / float64(time.Millisecond), Playlists: uint64(len(t.playlist)), Parts: uint64(len(t.hinted)),
		Bytes: t.bytes, Behind: t.behind, Missed: t.missed, Errors: t.errors}
	if !t.since.IsZero() {
		out.Seconds = time.Since(t.since).Seconds()
	}
	out.Playlist, out.Hinted, out.Newest = view.Of(t.playlist), view.Of(t.hinted), view.Of(t.newest)
	out.Edge, out.EdgeSound = view.Of(t.edge[0]), view.Of(t.edge[1])
	return out
}
