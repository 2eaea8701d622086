package edge_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hlsfallback "github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/edge"
	"github.com/sluice-live/sluice/hls-fallback/stage"
	words "github.com/sluice-live/sluice/media"
)

// tape is a staged recorder: a hlsfallback.Source.
type tape struct {
	mu   sync.Mutex
	s    *stage.Stage
	p    *words.Presentation
	news chan struct{}
}

func (f *tape) part(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.p = f.s.Part(id)
	close(f.news)
	f.news = make(chan struct{})
}

func (f *tape) Presentation(_ context.Context, name string) (*words.Presentation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name != "show" {
		return nil, words.ErrNotFound
	}
	return f.p, nil
}

func (f *tape) Changed(string, string) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.news
}

func (f *tape) Read(context.Context, *words.Presentation, string, words.Extent) (io.ReadCloser, error) {
	return nil, words.ErrNotFound
}

func (f *tape) Want(string, string) {}

var _ hlsfallback.Source = (*tape)(nil)

// Our own origin behind a shield and three edges: 40 viewers with links of their
// own at each, and each playlist, part and entry is asked for once.
func TestOurOriginIsAskedOnce(t *testing.T) {
	story(t, func(t *testing.T, w *world, _ *origin) {
		key := hlsfallback.Key{ID: "k", Secret: []byte("0123456789abcdef")}
		s := stage.New("show")
		s.Bytes = 20000
		s.Segment(4)
		f := &tape{s: s, news: make(chan struct{})}
		f.part("video-h")
		cfg := hlsfallback.DefaultConfig()
		cfg.Keys = []hlsfallback.Key{key}
		server, err := hlsfallback.New(cfg, hlsfallback.Parts{
			Live: f, Authorize: func(context.Context, hlsfallback.Ask) error { return words.ErrUnauthorized },
			Checks: func(r *http.Request) bool { return r.Header.Get(edge.SecretHeader) == "s3cret" },
			Remote: func(r *http.Request) netip.Addr {
				a, _ := netip.ParseAddr(r.Header.Get("X-Forwarded-For"))
				return a
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		asked := make(map[string]int)
		w.hosts["node"] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			q.Del("token")
			mu.Lock()
			asked[r.URL.Path+"?"+q.Encode()]++
			mu.Unlock()
			server.ServeHTTP(rw, r)
		})
		tier := func(c *edge.Config) {
			c.Secret = "s3cret"
			c.Authorize = func(_ context.Context, a edge.Ask) (edge.Leave, error) {
				_, err := hlsfallback.Verify(cfg.Keys, a.Token, hlsfallback.Grant{Videos: !a.Live, Name: a.Name, Remote: a.Remote}, time.Now())
				return edge.Leave{Subject: "link"}, err
			}
		}
		w.edge("shield", tier, "node")
		var viewers sync.WaitGroup
		const parts, base = 6, "/live/show/t5abcde000000001/video-h/"
		names := []string{"a", "b", "c"}
		for _, name := range names {
			w.edge(name, tier, "shield")
		}
		for _, name := range names {
			for v := range 40 {
				viewers.Go(func() {
					token := hlsfallback.Sign(key, hlsfallback.Grant{Name: "show", Expires: time.Now().Add(time.Hour + time.Duration(v)*time.Second), Remote: netip.MustParseAddr("192.0.2.1")})
					for _, at := range []string{"/live/show/index.m3u8?token=", base + "init-0.mp4?token="} {
						if a := w.get(name + at + token); a.status != 200 {
							t.Errorf("%s: status %d, %s", at, a.status, a.body)
						}
					}
					// It is shared between tiers, and nowhere else.
					if a := w.get(name + base + "init-0.mp4?token=" + token); a.header.Get("Cache-Control") != "private, max-age=86400, immutable" {
						t.Errorf("a viewer is told %q", a.header.Get("Cache-Control"))
					}
					for p := 1; p <= parts; p++ {
						list := w.get(fmt.Sprintf("%s%smedia.m3u8?_HLS_msn=1&_HLS_part=%d&token=%s", name, base, p, token), "Accept-Encoding", "gzip")
						part := w.get(fmt.Sprintf("%s%s1.%d.m4s?token=%s", name, base, p, token))
						if list.status != 200 || part.status != 200 || len(part.body) == 0 {
							t.Errorf("part %d: status %d and %d", p, list.status, part.status)
							return
						}
					}
				})
			}
		}
		for range parts {
			synctest.Wait() // all viewers wait for it
			f.part("video-h")
		}
		viewers.Wait()
		for address, n := range asked {
			if n != 1 {
				t.Errorf("%s was asked for %d times", address, n)
			}
		}
		if len(asked) != 2*parts+2 {
			t.Errorf("%d addresses were asked for, want %d: %v", len(asked), 2*parts+2, asked)
		}
		if a := w.get("a" + base + "1.1.m4s"); a.status != 401 {
			t.Errorf("a stranger: status %d", a.status)
		}
	})
}
