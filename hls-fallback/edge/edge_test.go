package edge_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluice-live/sluice/hls-fallback/edge"
	words "github.com/sluice-live/sluice/media"
)

// world is a little world: origins, edges, and clients.
type world struct {
	t     *testing.T
	hosts direct
	ctx   context.Context
}

func newWorld(t *testing.T) *world {
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{t: t, hosts: direct{}, ctx: ctx}
	t.Cleanup(cancel)
	return w
}

// edge starts an edge under a name.
func (w *world) edge(name string, change func(*edge.Config), origins ...string) *edge.Edge {
	w.t.Helper()
	cfg := edge.DefaultConfig()
	for _, o := range origins {
		cfg.Origins = append(cfg.Origins, "http://"+o)
	}
	cfg.Transport = w.hosts
	if change != nil {
		change(&cfg)
	}
	e, err := edge.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.hosts[name] = e
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() { // waited for below
		defer close(done)
		_ = e.Run(ctx)
	}()
	w.t.Cleanup(func() { cancel(); <-done })
	return e
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// get asks for an address, "host/path", with header pairs.
func (w *world) get(address string, header ...string) answer {
	return w.do(w.ctx, http.MethodGet, address, header...)
}

func (w *world) do(ctx context.Context, method, address string, header ...string) answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+address, nil)
	if err != nil {
		w.t.Error(err)
		return answer{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := w.hosts.RoundTrip(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

// want asks and compares the status.
func (w *world) want(status int, address string, header ...string) answer {
	w.t.Helper()
	a := w.get(address, header...)
	if a.status != status || a.err != nil {
		w.t.Fatalf("%s: status %d, %v, want %d; %.200s", address, a.status, a.err, status, a.body)
	}
	return a
}

// story runs in virtual time.
func story(t *testing.T, f func(t *testing.T, w *world, o *origin)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, o := newWorld(t), newOrigin()
		w.hosts["origin"] = o
		f(t, w, o)
	})
}

// audience plays parts [from, to) on every edge with n clients each: a blocking
// playlist, and beside it the hinted part.
func (w *world) audience(o *origin, edges []string, n, from, to int, token func(int) string) {
	var clients sync.WaitGroup
	for _, name := range edges {
		for c := range n {
			clients.Go(func() {
				for p := from; p < to; p++ {
					query := fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", p/partsEach, p%partsEach)
					if c%2 == 1 { // another order, and what nobody knows
						query = fmt.Sprintf("CMCD=bl%%3D%d&_HLS_part=%d&_HLS_msn=%d", c, p%partsEach, p/partsEach)
					}
					list := w.get(name+"/live/s/i1/v/media.m3u8?"+query+token(c), "Accept-Encoding", "gzip")
					if list.body != fmt.Sprintf("newest %d", p) {
						w.t.Errorf("part %d: the playlist says %q (status %d, %v)", p, list.body, list.status, list.err)
						return
					}
					part := w.get(fmt.Sprintf("%s/live/s/i1/v/%d.%d.m4s?%s", name, p/partsEach, p%partsEach, strings.TrimPrefix(token(c), "&")))
					if part.body != media(p/partsEach, p%partsEach) {
						w.t.Errorf("part %d: %d bytes are wrong (status %d, %v)", p, len(part.body), part.status, part.err)
						return
					}
				}
			})
		}
	}
	for range to - from {
		time.Sleep(500 * time.Millisecond)
		o.publish()
	}
	clients.Wait()
}

func nobody(int) string { return "" }

// Behind edges, requests at the origin per part are at most as
// many as edges ask it; with a shield in between one.
func TestRequestsPerPartAreNoMoreThanEdges(t *testing.T) {
	for _, tiers := range []int{1, 2} {
		t.Run(fmt.Sprint(tiers, " tiers"), func(t *testing.T) {
			story(t, func(t *testing.T, w *world, o *origin) {
				const edges, clients, parts = 5, 20, 12
				ask, most := "origin", edges
				if tiers == 2 {
					w.edge("shield", nil, "origin")
					ask, most = "shield", 1
				}
				var names []string
				for i := range edges {
					name := fmt.Sprint("edge", i)
					w.edge(name, nil, ask)
					names = append(names, name)
				}
				w.audience(o, names, clients, 0, parts, nobody)
				for address, n := range o.all() {
					if n > most {
						t.Errorf("%s: %d requests at the origin, at most %d are needed", address, n, most)
					}
				}
				if got := len(o.all()); got != 2*parts {
					t.Errorf("%d addresses were asked for, want %d: %v", got, 2*parts, o.all())
				}
			})
		})
	}
}

func TestTokensNeverEnterTheKey(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		check := func(_ context.Context, a edge.Ask) (edge.Leave, error) {
			if strings.HasPrefix(a.Token, "good") {
				return edge.Leave{Subject: a.Token, Expires: time.Now().Add(time.Hour)}, nil
			}
			return edge.Leave{}, words.ErrUnauthorized
		}
		w.edge("edge", func(c *edge.Config) { c.Authorize = check }, "origin")
		w.audience(o, []string{"edge"}, 20, 0, 4, func(c int) string { return fmt.Sprintf("&token=good%d", c) })
		for address, n := range o.all() {
			if n != 1 {
				t.Errorf("%s: asked %d times", address, n)
			}
		}
	})
}

func TestBadTokensNeverReachTheOrigin(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		list := filepath.Join(t.TempDir(), "revoked")
		write := func(text string) {
			if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("# nobody\n")
		start := time.Now()
		check := func(_ context.Context, a edge.Ask) (edge.Leave, error) {
			switch {
			case a.Token != "t1":
				return edge.Leave{}, words.ErrUnauthorized
			case a.Name != "s":
				return edge.Leave{}, words.ErrForbidden
			case time.Since(start) > time.Hour:
				return edge.Leave{}, words.ErrUnauthorized
			}
			return edge.Leave{Subject: "token:1", Expires: start.Add(time.Hour)}, nil
		}
		var log []edge.Record
		w.edge("edge", func(c *edge.Config) {
			c.Authorize, c.Revoked = check, list
			c.Record = func(r edge.Record) { log = append(log, r) }
		}, "origin")
		o.publish()
		part := "edge/live/s/i1/v/0.0.m4s"
		w.want(200, part+"?token=t1")
		w.want(200, part, "Authorization", "Bearer t1")
		w.want(200, part, "Cookie", "sluice_play=t1")
		before := o.count("/live/s/i1/v/0.0.m4s")
		// FFmpeg sends what stands in playlists in the token's place; it has the cookie.
		w.want(200, part+"?token={$token}", "Cookie", "sluice_play=t1")
		w.want(200, part+"?token=%7B%24token%7D", "Cookie", "sluice_play=t1")
		w.want(401, part+"?token={$token}", "Cookie", "sluice_play=forged")
		for _, bad := range [][]string{{part + "?token=forged"}, {part, "Authorization", "Bearer forged"}, {part, "Cookie", "sluice_play=forged"}} {
			w.want(401, bad[0], bad[1:]...)
		}
		w.want(403, "edge/live/other/i1/v/0.0.m4s?token=t1")
		w.want(401, part+"?token="+strings.Repeat("x", 9000))
		write("token:2\ntoken:1\n")
		time.Sleep(11 * time.Second)
		w.want(401, part+"?token=t1")
		write("")
		time.Sleep(11 * time.Second)
		w.want(200, part+"?token=t1")
		time.Sleep(time.Hour)
		w.want(401, part+"?token=t1")
		if n := o.count("/live/s/i1/v/0.0.m4s"); n != before {
			t.Errorf("the origin was asked %d times more", n-before)
		}
		for _, r := range log {
			if strings.Contains(fmt.Sprint(r), "t1") || strings.Contains(fmt.Sprint(r), "forged") {
				t.Errorf("a token is in the log: %+v", r)
			}
		}
	})
}

// What was fetched with somebody's token is not for those who have none.
func TestProtectedAnswersAreNotForStrangers(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		o.token = "t1"
		w.edge("edge", nil, "origin") // knows no keys: it asks the origin about tokens
		o.publish()
		part := "edge/live/s/i1/v/0.0.m4s"
		w.want(200, part+"?token=t1")
		w.want(401, part)
		w.want(401, part+"?token=t2")
		asked := o.count("/live/s/index.m3u8")
		for range 50 {
			w.want(401, part+"?token=t2")
			w.want(200, part+"?token=t1")
		}
		if n := o.count("/live/s/index.m3u8") - asked; n != 0 {
			t.Errorf("the origin was asked %d times about tokens that it had judged", n)
		}
		if n := o.count("/live/s/i1/v/0.0.m4s"); n != 2 {
			t.Errorf("the part was asked for %d times, want 2: once with a token and once without", n)
		}
	})
}

func TestAnswersExpire(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		w.edge("shield", nil, "origin")
		w.edge("edge", nil, "shield")
		o.publish()
		list := "edge/live/s/i1/v/media.m3u8"
		w.want(200, list) // one second
		time.Sleep(600 * time.Millisecond)
		w.want(200, list)
		if n := o.count("/live/s/i1/v/media.m3u8"); n != 1 {
			t.Fatalf("asked %d times within its life", n)
		}
		// At the other edge it is as old as at this one: the shield counts Age.
		w.edge("edge2", nil, "shield")
		w.want(200, "edge2/live/s/i1/v/media.m3u8")
		time.Sleep(500 * time.Millisecond)
		o.publish()
		if a := w.want(200, "edge/live/s/i1/v/media.m3u8"); a.body != "newest 1" {
			t.Errorf("after its life the playlist says %q", a.body)
		}
		part := "edge/live/s/i1/v/0.0.m4s"
		w.want(200, part)
		time.Sleep(35 * time.Second)
		if a := w.want(200, part); a.header.Get("Age") != "35" || a.header.Get("X-Cache") != "hit" {
			t.Errorf("Age %q, X-Cache %q", a.header.Get("Age"), a.header.Get("X-Cache"))
		}
		time.Sleep(2 * time.Second)
		w.want(200, part)
		if n := o.count("/live/s/i1/v/0.0.m4s"); n != 2 {
			t.Errorf("asked %d times, want once in each life", n)
		}
	})
}

func TestErrorsAreForgottenSoon(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		o.extra["/live/s/i1/v/0.3.m4s"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600") // an origin that says too much
			w.WriteHeader(http.StatusNotFound)
		}
		w.edge("edge", nil, "origin")
		for range 10 {
			w.want(404, "edge/live/s/i1/v/0.3.m4s")
		}
		if n := o.count("/live/s/i1/v/0.3.m4s"); n != 1 {
			t.Errorf("asked %d times at once", n)
		}
		delete(o.extra, "/live/s/i1/v/0.3.m4s")
		for range 4 {
			o.publish()
		}
		time.Sleep(6100 * time.Millisecond) // one target duration
		w.want(200, "edge/live/s/i1/v/0.3.m4s")
		w.want(400, "edge/live/s/i1/v/media.m3u8?_HLS_msn=100")
		w.want(400, "edge/live/s/i1/v/media.m3u8?_HLS_msn=100")
		if n := o.count("/live/s/i1/v/media.m3u8?_HLS_msn=100"); n != 1 {
			t.Errorf("a query too far ahead was asked %d times", n)
		}
	})
}

func TestBadRequestsNeedNoOrigin(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		w.edge("edge", nil, "origin")
		for path, status := range map[string]int{
			"/": 404, "/metrics": 404, "/v1/streams": 404, "/live/": 404, "/live/s": 404, "/live/s/": 404, "/live/../x/a": 404,
			"/live/s/../../etc/passwd": 404, "/live/s/%2e%2e/x": 404, "/live/s//x": 404, "/live/s/.x": 404,
			"/live/" + strings.Repeat("a", 2000) + "/x": 400,
			"/live/s/i1/v/media.m3u8?_HLS_msn=-1":       400, "/live/s/i1/v/media.m3u8?_HLS_msn=1&_HLS_msn=2": 400,
			"/live/s/i1/v/media.m3u8?_HLS_msn=99999999999999999999": 400, "/live/s/i1/v/media.m3u8?_HLS_part=%zz": 400,
			"/live/s/index.m3u8?start=" + strings.Repeat("1", 100): 400,
		} {
			a := w.want(status, "edge"+path)
			if a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %s", path, a.header.Get("Content-Type"))
			}
		}
		if a := w.do(w.ctx, http.MethodPost, "edge/live/s/index.m3u8"); a.status != 405 {
			t.Errorf("POST: status %d", a.status)
		}
		if n := len(o.all()); n != 0 {
			t.Errorf("the origin was asked: %v", o.all())
		}
	})
}

func TestRangesOfKeptAndOfComingSegments(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		whole := strings.Repeat("0123456789", 10000)
		gate := make(chan struct{})
		o.extra["/videos/a/seg.m4s"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=31536000")
			w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
			w.Header().Set("ETag", `"x1"`)
			_, _ = io.WriteString(w, whole[:50000])
			<-gate
			_, _ = io.WriteString(w, whole[50000:])
		}
		w.edge("edge", nil, "origin")
		at := "edge/videos/a/seg.m4s"
		// What is there of a segment that still comes is given at once.
		if a := w.want(206, at, "Range", "bytes=10-19"); a.body != "0123456789" || a.header.Get("Content-Range") != "bytes 10-19/100000" {
			t.Errorf("%q, %s", a.body, a.header.Get("Content-Range"))
		}
		close(gate)
		for asked, want := range map[string]string{"bytes=-5": "56789", "bytes=99998-": "89", "bytes=99998-200000": "89", "bytes=0-0": "0"} {
			if a := w.want(206, at, "Range", asked); a.body != want || a.header.Get("Content-Length") != fmt.Sprint(len(want)) {
				t.Errorf("%s: %q", asked, a.body)
			}
		}
		if a := w.want(416, at, "Range", "bytes=100000-"); a.header.Get("Content-Range") != "bytes */100000" {
			t.Errorf("Content-Range %q", a.header.Get("Content-Range"))
		}
		for _, asked := range []string{"bytes=0-1,4-5", "lines=1-2", "bytes=5-1", "bytes=x-"} {
			if a := w.want(200, at, "Range", asked); len(a.body) != len(whole) {
				t.Errorf("%s: %d bytes", asked, len(a.body))
			}
		}
		w.want(206, at, "Range", "bytes=0-1", "If-Range", `"x1"`)
		w.want(200, at, "Range", "bytes=0-1", "If-Range", `"x2"`)
		w.want(304, at, "If-None-Match", `W/"x1"`)
		if a := w.do(w.ctx, http.MethodHead, at); a.status != 200 || a.header.Get("Content-Length") != "100000" || a.body != "" {
			t.Errorf("HEAD: %d, %s, %d bytes", a.status, a.header.Get("Content-Length"), len(a.body))
		}
		if n := o.count("/videos/a/seg.m4s"); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// An open DASH segment is seen as it comes, by all who wait for it.
func TestAnAnswerIsGivenWhileItComes(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		step := make(chan string)
		o.extra["/live/s/i1/v/9.m4s"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=36")
			for text := range step {
				_, _ = io.WriteString(w, text)
			}
		}
		w.edge("edge", nil, "origin")
		read := func() (first string, rest func() string) {
			r, _ := http.NewRequestWithContext(w.ctx, http.MethodGet, "http://edge/live/s/i1/v/9.m4s", nil)
			resp, err := w.hosts.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return "", func() string { return "" }
			}
			b := make([]byte, 5)
			_, _ = io.ReadFull(resp.Body, b)
			return string(b), func() string {
				all, _ := io.ReadAll(resp.Body)
				return string(all)
			}
		}
		go func() { step <- "part1" }()
		a, restA := read()
		b, restB := read()
		if a != "part1" || b != "part1" {
			t.Fatalf("%q and %q came before the end", a, b)
		}
		go func() {
			step <- "part2"
			close(step)
		}()
		if a, b := restA(), restB(); a != "part2" || b != "part2" {
			t.Errorf("%q and %q", a, b)
		}
		if n := o.count("/live/s/i1/v/9.m4s"); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestPackedPlaylistsForThoseWhoTakeNoGzip(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		var z bytes.Buffer
		g := gzip.NewWriter(&z)
		_, _ = io.WriteString(g, "#EXTM3U\n#X\n")
		_ = g.Close()
		o.extra["/videos/a/index.m3u8"] = func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
			}
			w.Header().Set("Cache-Control", "max-age=100")
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Vary", "Accept-Encoding")
			w.Header().Set("Content-Length", fmt.Sprint(z.Len()))
			w.Header().Set("ETag", `"g"`)
			_, _ = w.Write(z.Bytes())
		}
		w.edge("edge", nil, "origin")
		w.edge("steered", func(c *edge.Config) {
			c.Pathways = []edge.Pathway{{ID: "b", Host: "b.example"}, {ID: "a", Host: "steered"}}
		}, "origin")
		at := "edge/videos/a/index.m3u8"
		if a := w.want(200, at, "Accept-Encoding", "br, gzip;q=0.5"); a.header.Get("Content-Encoding") != "gzip" || a.body != z.String() {
			t.Errorf("packed: %v", a.header)
		}
		for _, takes := range []string{"", "br", "gzip;q=0"} {
			if a := w.want(200, at, "Accept-Encoding", takes); a.body != "#EXTM3U\n#X\n" || a.header.Get("Content-Encoding") != "" || a.header.Get("ETag") != `W/"g"` {
				t.Errorf("Accept-Encoding %q: %q, %v", takes, a.body, a.header)
			}
		}
		if n := o.count("/videos/a/index.m3u8"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		if a := w.want(200, "steered/videos/a/index.m3u8"); a.body != "#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"/steering\"\n#X\n" {
			t.Errorf("steered: %q", a.body)
		}
		if a := w.want(200, "steered/videos/a/index.m3u8", "Accept-Encoding", "gzip"); a.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("steered and packed: %v", a.header)
		}
		if a := w.want(200, "steered/steering?_HLS_pathway=."); a.body != `{"VERSION":1,"TTL":60,"RELOAD-URI":"/steering","PATHWAY-PRIORITY":[".","b"]}` {
			t.Errorf("steering: %s", a.body)
		}
	})
}

func TestAnOriginDies(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		second := newOrigin()
		w.hosts["second"] = second
		w.edge("edge", nil, "origin", "second")
		o.publish()
		second.publish()
		part := "edge/live/s/i1/v/0.0.m4s"
		w.want(200, part)
		delete(w.hosts, "origin")
		w.want(200, "edge/live/s/i1/v/media.m3u8") // the other one answers
		time.Sleep(2 * time.Second)
		w.want(200, "edge/live/s/i1/v/media.m3u8")
		delete(w.hosts, "second")
		w.want(200, part) // what is kept lives on
		if a := w.want(502, "edge/live/s/i1/v/init-0.mp4"); a.header.Get("Retry-After") == "" {
			t.Error("502 without Retry-After")
		}
		w.hosts["origin"] = o
		w.want(404, "edge/live/s/i1/v/init-0.mp4")
	})
}

func TestAnOriginThatFailsIsAskedLast(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		broken := 0
		w.hosts["broken"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			broken++
			w.WriteHeader(http.StatusBadGateway)
		})
		w.edge("edge", nil, "broken", "origin")
		for i := range 20 {
			o.publish()
			w.want(200, fmt.Sprintf("edge/live/s/i1/v/%d.%d.m4s", i/partsEach, i%partsEach))
		}
		if broken != 1 {
			t.Errorf("the broken origin was asked %d times within its rest", broken)
		}
	})
}

func TestASlowOriginHasItsTime(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		w.edge("edge", nil, "origin")
		begin := time.Now()
		done := make(chan answer)
		go func() { done <- w.get("edge/live/s/i1/v/media.m3u8?_HLS_msn=0&_HLS_part=0") }()
		time.Sleep(25 * time.Second) // more than three target durations
		o.publish()
		if a := <-done; a.status != 200 {
			t.Errorf("after 25 s: status %d", a.status)
		}
		if a := w.get("edge/live/s/i1/v/media.m3u8?_HLS_msn=0&_HLS_part=1"); a.status != 504 {
			t.Errorf("an origin that never answers: status %d", a.status)
		}
		if d := time.Since(begin); d != 55*time.Second {
			t.Errorf("it took %v, want 25 s and 30 s", d)
		}
	})
}

// A body that stops half way is not kept, and clients see that it is broken.
func TestABodyThatBreaksOffIsNotKept(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		broken := true
		o.extra["/videos/a/seg.m4s"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=31536000")
			_, _ = io.WriteString(w, "half")
			if broken {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, "whole")
		}
		w.edge("edge", nil, "origin")
		if a := w.get("edge/videos/a/seg.m4s"); a.err == nil {
			t.Errorf("a broken body looks whole: %q", a.body)
		}
		broken = false
		if a := w.want(200, "edge/videos/a/seg.m4s"); a.body != "halfwhole" {
			t.Errorf("%q", a.body)
		}
	})
}

func TestAPlayerThatGoesAwayFreesTheOrigin(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		w.edge("edge", nil, "origin")
		leave, cancel := context.WithCancel(w.ctx)
		at := "edge/live/s/i1/v/0.0.m4s"
		for range 3 {
			go w.do(leave, http.MethodGet, at)
		}
		synctest.Wait()
		if n := o.blocked(); n != 1 {
			t.Fatalf("%d requests wait at the origin", n)
		}
		cancel()
		synctest.Wait()
		if n := o.blocked(); n != 0 {
			t.Errorf("%d requests still wait at the origin for nobody", n)
		}
		o.publish()
		w.want(200, at)
	})
}

func TestBoundsAreKept(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		w.edge("edge", func(c *edge.Config) { c.Fetches, c.Clients = 2, 4 }, "origin")
		var all sync.WaitGroup
		for range 3 { // one fetch
			all.Go(func() { w.get("edge/live/s/i1/v/0.0.m4s") })
		}
		synctest.Wait()
		all.Go(func() { w.get("edge/live/s/i1/v/media.m3u8?_HLS_msn=0&_HLS_part=0") })
		synctest.Wait()
		if a := w.want(503, "edge/live/s/i1/v/0.0.m4s"); a.header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		o.publish()
		all.Wait()
		w.want(200, "edge/live/s/i1/v/0.0.m4s")
	})
}

// What is too large, or for one client alone, passes through; ranges go with it.
func TestWhatIsNotKeptIsPassedOn(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		large := strings.Repeat("x", 3<<20)
		o.extra["/videos/a/film.mp4"] = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=31536000")
			http.ServeContent(w, r, "film.mp4", time.Time{}, strings.NewReader(large))
		}
		n := 0
		o.extra["/videos/a/mine.txt"] = func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("Cache-Control", "no-store")
			_, _ = fmt.Fprint(w, n)
		}
		w.edge("edge", func(c *edge.Config) { c.Object = 2 << 20 }, "origin")
		if a := w.want(200, "edge/videos/a/film.mp4"); len(a.body) != len(large) {
			t.Errorf("%d bytes", len(a.body))
		}
		if a := w.want(206, "edge/videos/a/film.mp4", "Range", "bytes=0-9"); len(a.body) != 10 {
			t.Errorf("%d bytes of a range", len(a.body))
		}
		if a, b := w.want(200, "edge/videos/a/mine.txt"), w.want(200, "edge/videos/a/mine.txt"); a.body == b.body {
			t.Error("two clients got one client's answer")
		}
	})
}

// The origin's cookie holds the token of the one who asked: each gets their own.
func TestEachClientGetsTheirOwnCookie(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		o.extra["/live/s/index.m3u8"] = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private, max-age=1")
			http.SetCookie(w, &http.Cookie{Name: "sluice_play", Value: r.URL.Query().Get("token"), Path: "/live/s/", HttpOnly: true})
			_, _ = io.WriteString(w, "#EXTM3U\n")
		}
		check := func(_ context.Context, a edge.Ask) (edge.Leave, error) { return edge.Leave{Subject: a.Token}, nil }
		w.edge("shield", func(c *edge.Config) { c.Authorize = check }, "origin")
		w.edge("edge", func(c *edge.Config) { c.Authorize = check }, "shield")
		for _, token := range []string{"t1", "t2", "t3"} {
			a := w.want(200, "edge/live/s/index.m3u8?token="+token)
			if got := a.header.Values("Set-Cookie"); len(got) != 1 || got[0] != "sluice_play="+token+"; Path=/live/s/; HttpOnly" {
				t.Errorf("%s: Set-Cookie %q", token, got)
			}
		}
		if n := o.count("/live/s/index.m3u8"); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestOnlyEdgesReachAShield(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		w.edge("shield", func(c *edge.Config) { c.Secret, c.EdgesOnly = "s3cret", true }, "origin")
		w.edge("edge", func(c *edge.Config) { c.Secret = "s3cret" }, "shield")
		w.edge("thief", func(c *edge.Config) { c.Secret = "guess" }, "shield")
		o.publish()
		w.want(200, "edge/live/s/i1/v/0.0.m4s")
		w.want(403, "thief/live/s/i1/v/0.0.m4s")
		w.want(403, "shield/live/s/i1/v/0.0.m4s")
		if got := o.headers["/live/s/i1/v/0.0.m4s"].Get(edge.SecretHeader); got != "s3cret" {
			t.Errorf("the origin was told %q", got)
		}
	})
}

func TestRequestsAreCountedAndTold(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		registry := prometheus.NewRegistry()
		var mu sync.Mutex
		var log []edge.Record
		w.edge("edge", func(c *edge.Config) {
			c.Metrics = registry
			c.Record = func(r edge.Record) { mu.Lock(); defer mu.Unlock(); log = append(log, r) }
		}, "origin")
		o.publish()
		at := "edge/live/s/i1/v/0.0.m4s?CMCD=" + url.QueryEscape(`bl=2300,bs,sid="a,b",st=l,com.x-y=1.5`)
		w.want(200, at, "User-Agent", "player/1")
		synctest.Wait() // whole in the cache: its bytes are passed on while they come
		w.want(200, at)
		w.get("edge/nothing")
		mu.Lock()
		defer mu.Unlock()
		if len(log) != 3 {
			t.Fatalf("%d lines for 3 requests", len(log))
		}
		r := log[0]
		if r.Result != edge.Miss || r.Status != 200 || r.Bytes != int64(len(media(0, 0))) || r.Name != "s" || !r.Live || r.Agent != "player/1" || r.Origin != "http://origin" || r.Client != "192.0.2.1" {
			t.Errorf("%+v", r)
		}
		if fmt.Sprint(r.CMCD) != `map[bl:2300 bs:true com.x-y:1.5 sid:a,b st:l]` {
			t.Errorf("CMCD %v", r.CMCD)
		}
		if log[1].Result != edge.Hit || log[2].Result != edge.Local || log[2].Status != 404 {
			t.Errorf("%v, %v", log[1].Result, log[2].Result)
		}
		err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP sluice_edge_origin_requests_total Requests to origins, by the class of the answer.
# TYPE sluice_edge_origin_requests_total counter
sluice_edge_origin_requests_total{answer="2xx"} 1
# HELP sluice_edge_requests_total Requests by where the answer came from: hit, disk, coalesced, miss, passed, refused, failed, local.
# TYPE sluice_edge_requests_total counter
sluice_edge_requests_total{kind="live",result="hit"} 1
sluice_edge_requests_total{kind="live",result="miss"} 1
sluice_edge_requests_total{kind="other",result="local"} 1
`), "sluice_edge_requests_total", "sluice_edge_origin_requests_total")
		if err != nil {
			t.Error(err)
		}
	})
}

func TestBadSettingsAreNamed(t *testing.T) {
	good := edge.DefaultConfig()
	good.Origins = []string{"https://origin.example/"}
	if _, err := edge.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*edge.Config){
		"no origin":       func(c *edge.Config) { c.Origins = nil },
		"no scheme":       func(c *edge.Config) { c.Origins = []string{"origin:8080"} },
		"a path":          func(c *edge.Config) { c.Origins = []string{"http://origin/live"} },
		"a password":      func(c *edge.Config) { c.Origins = []string{"http://a:b@origin"} },
		"no memory":       func(c *edge.Config) { c.Size = 0 },
		"no client":       func(c *edge.Config) { c.Clients = 0 },
		"a bad pathway":   func(c *edge.Config) { c.Pathways = []edge.Pathway{{ID: ".", Host: "b"}} },
		"no secret":       func(c *edge.Config) { c.EdgesOnly = true },
		"a pathway's URL": func(c *edge.Config) { c.Pathways = []edge.Pathway{{ID: "b", Host: "https://b"}} },
	} {
		bad := good
		if change(&bad); bad.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// placed plays an origin whose playlists tell how far they reach.
type placed struct {
	msn, part, asked int
}

func (p *placed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked++
	if r.URL.Query().Has("_HLS_msn") {
		time.Sleep(300 * time.Millisecond) // until it has caught up
		p.msn, p.part = 7, 2
	}
	w.Header().Set("Cache-Control", "max-age=1")
	w.Header().Set("Sluice-Next", fmt.Sprintf("%d.%d", p.msn, p.part))
	_, _ = fmt.Fprintf(w, "next %d.%d after %q", p.msn, p.part, r.URL.RawQuery)
}

func TestPlaylistsNeverGoBack(t *testing.T) {
	story(t, func(t *testing.T, w *world, _ *origin) {
		a, b := &placed{msn: 7, part: 2}, &placed{msn: 6, part: 9}
		w.hosts["a"], w.hosts["b"] = a, b
		w.edge("edge", nil, "a", "b")
		list := "edge/live/s/i1/v/media.m3u8?dvr=1"
		if got := w.want(200, list); got.body != `next 7.2 after "dvr=1"` {
			t.Error(got.body)
		}
		delete(w.hosts, "a")
		time.Sleep(1100 * time.Millisecond)
		got := w.want(200, list)
		if got.body != `next 7.2 after "_HLS_msn=7&_HLS_part=1&dvr=1"` {
			t.Errorf("after the first one died: %s", got.body)
		}
		if life := got.header.Get("Cache-Control"); life != "public, max-age=1" {
			t.Errorf("it lives %s", life)
		}
		if b.asked != 2 {
			t.Errorf("the other one was asked %d times", b.asked)
		}
	})
}

func TestAnOriginThatHangsCostsTheHedge(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		var hung atomic.Int64
		w.hosts["hung"] = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			hung.Add(1)
			<-r.Context().Done()
		})
		w.edge("edge", func(c *edge.Config) { c.Hedge = 400 * time.Millisecond }, "hung", "origin")
		begin := time.Now()
		for i := range 3 {
			o.publish()
			w.want(200, fmt.Sprintf("edge/live/s/i1/v/0.%d.m4s", i))
		}
		if d := time.Since(begin); d != 400*time.Millisecond || hung.Load() != 1 {
			t.Errorf("three parts took %v, the one that hangs was asked %d times", d, hung.Load())
		}
	})
}

func TestWhatOneOriginDoesNotHaveAnotherMay(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		w.hosts["young"] = http.NotFoundHandler()
		w.edge("edge", nil, "young", "origin")
		o.publish()
		w.want(200, "edge/live/s/i1/v/0.0.m4s")
		w.want(404, "edge/live/s/i1/v/init-7.mp4")
	})
}

// What two encoders made of one segment does not go together: its parts are taken out.
func TestASegmentOfTwoEncodersHasNoParts(t *testing.T) {
	story(t, func(t *testing.T, w *world, _ *origin) {
		list := func(place, text string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=1")
				w.Header().Set("Sluice-Next", place)
				_, _ = io.WriteString(w, text)
			})
		}
		const parts = "#EXT-X-PART:DURATION=0.5,URI=\"7.0.m4s\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.5,URI=\"7.1.m4s\"\n"
		const hint = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"7.2.m4s\"\n"
		at := "edge/live/s/i1/v/media.m3u8"
		w.hosts["a"], w.hosts["b"] = list("7.2;aa,bb", parts+hint), list("7.2;ab,bc", parts+hint)
		w.edge("edge", nil, "a", "b")
		if got := w.want(200, at); got.body != parts+hint {
			t.Errorf("before: %s", got.body)
		}
		delete(w.hosts, "a")
		time.Sleep(1100 * time.Millisecond)
		if got := w.want(200, at); got.body != "" {
			t.Errorf("while it is made: %s", got.body)
		}
		const whole = "#EXTINF:2,\n7.m4s\n#EXT-X-PART:DURATION=0.5,URI=\"8.0.m4s\",INDEPENDENT=YES\n"
		w.hosts["b"] = list("8.1;cc,ab", parts+whole)
		time.Sleep(1100 * time.Millisecond)
		if got := w.want(200, at, "Accept-Encoding", "gzip"); got.header.Get("Content-Encoding") != "gzip" {
			t.Error("it is not packed")
		}
		if got := w.want(200, at); got.body != whole {
			t.Errorf("when it is whole: %s", got.body)
		}
	})
}

func TestEachPathwayHasItsVariants(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		o.extra["/live/s/index.m3u8"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3")
			_, _ = io.WriteString(w, `#EXTM3U
#EXT-X-VERSION:11
#EXT-X-DEFINE:QUERYPARAM="token"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="opus",NAME="sound",URI="i1/audio/media.m3u8?token={$token}"
#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="vp09,opus",AUDIO="opus"
i1/video/media.m3u8?token={$token}
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i1/video/iframes.m3u8"
`)
		}
		w.edge("edge", func(c *edge.Config) {
			c.Pathways = []edge.Pathway{{ID: "a", Host: "edge"}, {ID: "b", Host: "b.example:8443"}}
		}, "origin")
		want := `#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i1/video/iframes.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="opus-b",NAME="sound",URI="//b.example:8443/live/s/i1/audio/media.m3u8?token={$token}"
#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="vp09,opus",AUDIO="opus-b",PATHWAY-ID="b"
//b.example:8443/live/s/i1/video/media.m3u8?token={$token}
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="//b.example:8443/live/s/i1/video/iframes.m3u8",PATHWAY-ID="b"
`
		if got := w.want(200, "edge/live/s/index.m3u8"); !strings.HasSuffix(got.body, want) {
			t.Errorf("the playlist is\n%s", got.body)
		}
	})
}

func TestADASHManifestNamesThePathways(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		o.extra["/live/s/manifest.mpd"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=1")
			_, _ = io.WriteString(w, `<?xml version="1.0"?>`+"\n"+`<MPD type="dynamic"><Period id="p0"></Period><UTCTiming></UTCTiming></MPD>`)
		}
		o.extra["/live/s/i1/manifest.mpd"] = o.extra["/live/s/manifest.mpd"]
		named := func(c *edge.Config) {
			c.Secret = "0123456789abcdef"
			c.Pathways = []edge.Pathway{{ID: "a", Host: "edge"}, {ID: "b", Host: "b.example:8443"}}
		}
		w.edge("edge", named, "origin")
		want := func(query string) string {
			return `<?xml version="1.0"?>` + "\n" + `<MPD type="dynamic"><BaseURL serviceLocation=".">./</BaseURL><BaseURL serviceLocation="b">//b.example:8443/live/s/</BaseURL>` +
				`<Location serviceLocation=".">manifest.mpd` + query + `</Location><Location serviceLocation="b">//b.example:8443/live/s/manifest.mpd` + query + `</Location>` +
				`<Period id="p0"></Period><UTCTiming></UTCTiming><ContentSteering defaultServiceLocation=".">http://edge/steering</ContentSteering></MPD>`
		}
		if got := w.want(200, "edge/live/s/manifest.mpd"); got.body != want("") || strings.Contains(got.header.Get("Cache-Control"), "private") {
			t.Errorf("%v\n%s", got.header, got.body)
		}
		if got := w.want(200, "edge/live/s/manifest.mpd?start=1&CMCD=x&token=t%26u"); got.body != want("?start=1&amp;token=t%26u") || got.header.Get("Cache-Control") != "private, max-age=1" {
			t.Errorf("%v\n%s", got.header, got.body)
		}
		// Another edge would give the token to others.
		if got := w.want(200, "edge/live/s/manifest.mpd?token=t", edge.SecretHeader, "0123456789abcdef"); strings.Contains(got.body, "Location") {
			t.Errorf("%s", got.body)
		}
	})
}
