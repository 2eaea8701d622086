//go:build integration

package edge_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge"
	"github.com/sluice-live/sluice/internal/testnet/port"
)

// front is a cache that listens; origin is "host:port".
type front func(t *testing.T, origin string) (base string)

// The same promises hold for our edge and for the recipes of deploy/cdn, with
// the real programs.
func TestCaches(t *testing.T) {
	for _, tc := range []struct {
		name  string
		start front
		tiers int
	}{
		{"sluice edge", startEdge, 2},
		{"varnish", startVarnish, 2},
		{"nginx", startNginx, 1}, // it counts no Age
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin()
			server := httptest.NewServer(o)
			t.Cleanup(server.Close)
			at := strings.TrimPrefix(server.URL, "http://")
			if tc.tiers == 2 {
				at = strings.TrimPrefix(tc.start(t, at), "http://")
			}
			bases := []string{tc.start(t, at), tc.start(t, at)}
			c := &caches{o: o, bases: bases, next: bases[0], most: len(bases)}
			if tc.tiers == 2 {
				c.most, c.next = 1, "http://"+at
			}
			var slow sync.WaitGroup
			slow.Go(func() { c.slow(t) })
			defer slow.Wait()
			t.Run("one question per part", c.coalesces)
			t.Run("tokens", c.tokens)
			t.Run("bound links", c.bound)
			t.Run("keys", c.keys)
			t.Run("lives", c.lives)
			t.Run("ranges", c.ranges)
			t.Run("gzip", c.packs)
		})
	}
}

type caches struct {
	o     *origin
	bases []string
	next  string // the one that asks the origin itself
	most  int    // questions at the origin for one thing that all ask for
}

func fetch(t *testing.T, address string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

// coalesces has an audience that waits for each part, by playlist and by hint.
func (c *caches) coalesces(t *testing.T) {
	const clients, parts, each = 20, 8, 250 * time.Millisecond
	published := make([]time.Time, parts)
	var mu sync.Mutex
	var late []time.Duration
	var all sync.WaitGroup
	for _, base := range c.bases {
		for n := range clients {
			all.Go(func() {
				for p := range parts {
					list := fmt.Sprintf("%s/live/s/i1/v/media.m3u8?_HLS_msn=%d&_HLS_part=%d", base, p/partsEach, p%partsEach)
					part := fmt.Sprintf("%s/live/s/i1/v/%d.%d.m4s", base, p/partsEach, p%partsEach)
					if n%2 == 1 {
						list = fmt.Sprintf("%s/live/s/i1/v/media.m3u8?CMCD=bl%%3D%d&_HLS_part=%d&_HLS_msn=%d", base, n, p%partsEach, p/partsEach)
						part += fmt.Sprintf("?CMCD=bl%%3D%d", n)
					}
					// Half of them wait for the part that was hinted, half for the playlist.
					if n%4 < 2 {
						list, part = part, list
					}
					first := fetch(t, list)
					mu.Lock()
					late = append(late, time.Since(published[p]))
					mu.Unlock()
					second := fetch(t, part)
					if first.status != 200 || second.status != 200 || len(first.body)+len(second.body) < len(media(0, 0)) {
						t.Errorf("part %d: status %d and %d, %d and %d bytes", p, first.status, second.status, len(first.body), len(second.body))
						return
					}
				}
			})
		}
	}
	tick := time.NewTicker(each)
	defer tick.Stop()
	for p := range parts {
		<-tick.C
		mu.Lock()
		published[p] = time.Now()
		mu.Unlock()
		c.o.publish()
	}
	all.Wait()
	for address, n := range c.o.all() {
		if n > c.most && !strings.HasSuffix(address, "slow.m4s") {
			t.Errorf("%s: %d questions at the origin, at most %d are needed", address, n, c.most)
		}
	}
	slices.Sort(late)
	t.Logf("from publishing to the end of the answer: p50 %v, p99 %v, of %d that waited", late[len(late)/2], late[len(late)*99/100], len(late))
}

// tokens are not in the key, and are looked at for what is kept, too.
func (c *caches) tokens(t *testing.T) {
	const name = "/live/locked/i1/v/init-0.mp4"
	locked := func(inner http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			token := r.URL.Query().Get("token") + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if cookie, err := r.Cookie("sluice_play"); err == nil {
				token += cookie.Value
			}
			if !strings.HasPrefix(token, "good") {
				w.Header().Set("Cache-Control", "no-store")
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			inner(w, r)
		}
	}
	c.o.mu.Lock()
	c.o.extra["/live/locked/index.m3u8"] = locked(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=1")
		http.SetCookie(w, &http.Cookie{Name: "sluice_play", Value: r.URL.Query().Get("token")})
		_, _ = io.WriteString(w, "#EXTM3U\n")
	})
	c.o.extra[name] = locked(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		if r.Header.Get(edge.SecretHeader) != "" { // who says that it checks tokens may keep what they open
			w.Header().Set("Cache-Control", "public, max-age=60")
		}
		_, _ = io.WriteString(w, "init")
	})
	c.o.mu.Unlock()
	base := c.bases[0]
	for i := range 5 {
		if a := fetch(t, fmt.Sprintf("%s%s?token=good%d", base, name, i)); a.status != 200 || a.body != "init" {
			t.Errorf("token %d: status %d, %q", i, a.status, a.body)
		}
	}
	if n := c.o.count(name); n != 1 {
		t.Errorf("five tokens asked %d times", n)
	}
	for what, bad := range map[string][]string{
		"no token": {base + name}, "a bad token": {base + name + "?token=bad"}, "a bad header": {base + name, "Authorization", "Bearer bad"}, "a bad cookie": {base + name, "Cookie", "x=y; sluice_play=bad"},
	} {
		if a := fetch(t, bad[0], bad[1:]...); a.status != 401 {
			t.Errorf("%s: status %d, %q", what, a.status, a.body)
		}
	}
	if a := fetch(t, base+name, "Authorization", "Bearer good9"); a.status != 200 {
		t.Errorf("a good header: status %d", a.status)
	}
	if a := fetch(t, base+name, "Cookie", "x=y; sluice_play=good9"); a.status != 200 {
		t.Errorf("a good cookie: status %d", a.status)
	}
	// FFmpeg sends what stands in playlists in a token's place, and has the cookie.
	for _, place := range []string{"{$token}", "%7B%24token%7D"} {
		for cookie, status := range map[string]int{"good9": 200, "bad": 401} {
			if a := fetch(t, base+name+"?token="+place, "Cookie", "sluice_play="+cookie); a.status != status {
				t.Errorf("?token=%s, the cookie %s: status %d", place, cookie, a.status)
			}
		}
	}
	// Who may play one stream is let into no other, however the path is written.
	c.o.mu.Lock()
	c.o.extra["/live/mine/index.m3u8"] = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "#EXTM3U\n") }
	c.o.mu.Unlock()
	for _, path := range []string{"/live/mine/../locked/i1/v/init-0.mp4", "/live/mine/%2e%2e/locked/i1/v/init-0.mp4", "/live/mine/i1/../../locked/i1/v/init-0.mp4", "/live/mine/..%2flocked/i1/v/init-0.mp4"} {
		if a := fetch(t, base+path+"?token=bad"); a.status < 400 || a.status >= 500 {
			t.Errorf("%s: status %d, %q", path, a.status, a.body)
		}
	}
	// An entry that sets a cookie is for its client.
	for _, token := range []string{"good1", "good2"} {
		if a := fetch(t, base+"/live/locked/index.m3u8?token="+token); a.status != 200 || !strings.HasPrefix(a.header.Get("Set-Cookie"), "sluice_play="+token) {
			t.Errorf("%s: status %d, cookie %q", token, a.status, a.header.Get("Set-Cookie"))
		}
	}
}

// bound links open what they are for to one address, which nobody can claim to have.
func (c *caches) bound(t *testing.T) {
	const name, link = "/live/bound/i1/v/init-0.mp4", "?token=sl1.k1.zzzzzz.1.c2VjcmV0"
	mine := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		if r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	c.o.mu.Lock()
	c.o.extra["/live/bound/index.m3u8"], c.o.extra[name] = mine, mine
	c.o.mu.Unlock()
	elsewhere := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext}
	defer elsewhere.CloseIdleConnections()
	for range 2 { // what a cache remembers of the one is not for the other
		if a := fetch(t, c.next+name+link); a.status != 200 {
			t.Errorf("from the address: status %d", a.status)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.next+name+link, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", "127.0.0.1")
		resp, err := elsewhere.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != 401 {
			t.Errorf("from another: status %d", resp.StatusCode)
		}
	}
}

func (c *caches) keys(t *testing.T) {
	base := c.bases[0]
	for _, q := range []string{"start=2026-11-20T12:00:00Z&end=2026-11-20T12:01:00Z", "end=2026-11-20T12:01:00Z&x=1&start=2026-11-20T12:00:00Z&CMCD=sid%3D%22a%22"} {
		if a := fetch(t, base+"/live/s/index.m3u8?"+q); a.status != 200 {
			t.Errorf("%s: status %d", q, a.status)
		}
	}
	n := 0
	for address, count := range c.o.all() {
		if strings.Contains(address, "start=") {
			if n += count; strings.Contains(address, "CMCD") || strings.Contains(address, "x=1") {
				t.Errorf("asked for as %s", address)
			}
		}
	}
	if n != 1 {
		t.Errorf("one wish in two orders asked %d times", n)
	}
	for _, path := range []string{"/", "/v1/streams", "/metrics", "/live/%2e%2e/x", "/live/s/a%00b"} {
		if a := fetch(t, base+path); a.status != 404 && a.status != 400 {
			t.Errorf("%s: status %d", path, a.status)
		}
	}
}

// lives ends what has ended, and soon what is not there.
func (c *caches) lives(t *testing.T) {
	base := c.bases[0]
	list := base + "/live/s/i1/v/media.m3u8"
	first := fetch(t, list).body
	c.o.publish()
	eventually(t, "the playlist is new after its second", func() bool { return fetch(t, list).body != first })
	// A part that was asked for too early is there soon after it came.
	c.o.mu.Lock()
	far := c.o.parts + 1
	c.o.mu.Unlock()
	part := fmt.Sprintf("%s/live/s/i1/v/%d.%d.m4s", base, far/partsEach, far%partsEach)
	if a := fetch(t, part); a.status != 404 {
		t.Errorf("a part far ahead: status %d", a.status)
	}
	c.o.publish()
	c.o.publish()
	eventually(t, "a part is there after it was not", func() bool { return fetch(t, part).status == 200 })
}

func (c *caches) ranges(t *testing.T) {
	part := c.bases[0] + "/live/s/i1/v/0.0.m4s"
	whole := media(0, 0)
	fetch(t, part) // it is kept for 36 s, which may be over
	before := c.o.count("/live/s/i1/v/0.0.m4s")
	for asked, want := range map[string]string{"bytes=0-9": whole[:10], "bytes=-3": whole[len(whole)-3:]} {
		a := fetch(t, part, "Range", asked)
		if a.status != 206 || a.body != want || !strings.HasSuffix(a.header.Get("Content-Range"), "/"+strconv.Itoa(len(whole))) {
			t.Errorf("%s: status %d, %d bytes, %s", asked, a.status, len(a.body), a.header.Get("Content-Range"))
		}
	}
	if n := c.o.count("/live/s/i1/v/0.0.m4s") - before; n > 0 {
		t.Errorf("ranges of what is kept asked %d times", n)
	}
}

func (c *caches) packs(t *testing.T) {
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	_, _ = io.WriteString(g, strings.Repeat("#EXTM3U\n", 1000))
	_ = g.Close()
	c.o.mu.Lock()
	c.o.extra["/videos/a1/index.m3u8"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		w.Header().Set("Cache-Control", "public, max-age=31536000")
		w.Header().Set("Vary", "Accept-Encoding")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(z.Bytes())
	}
	c.o.mu.Unlock()
	at := c.bases[0] + "/videos/a1/index.m3u8"
	for _, takes := range []string{"gzip, deflate, br", "identity", "gzip"} {
		a := fetch(t, at, "Accept-Encoding", takes)
		if packed := a.header.Get("Content-Encoding") == "gzip"; packed != strings.Contains(takes, "gzip") || packed && a.body != z.String() || !packed && len(a.body) != 8000 {
			t.Errorf("Accept-Encoding %s: %q, %d bytes", takes, a.header.Get("Content-Encoding"), len(a.body))
		}
	}
	if n := c.o.count("/videos/a1/index.m3u8"); n != 1 {
		t.Errorf("two encodings asked %d times", n)
	}
}

// slow is an origin that blocks longer than nginx's locks last by default.
func (c *caches) slow(t *testing.T) {
	const name = "/live/s/i1/v/slow.m4s"
	release := make(chan struct{})
	c.o.mu.Lock()
	c.o.extra[name] = func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.Header().Set("Cache-Control", "public, max-age=36")
		_, _ = io.WriteString(w, "at last")
	}
	c.o.mu.Unlock()
	time.AfterFunc(6*time.Second, func() { close(release) })
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if a := fetch(t, c.bases[0]+name); a.body != "at last" {
				t.Errorf("status %d, %q", a.status, a.body)
			}
		})
	}
	all.Wait()
	if n := c.o.count(name); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen that %s", what)
		}
	}
}

func startEdge(t *testing.T, origin string) string {
	cfg := edge.DefaultConfig()
	cfg.Origins = []string{"http://" + origin}
	e, err := edge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // waited for below
		defer close(done)
		_ = e.Run(ctx)
	}()
	s := httptest.NewServer(e)
	t.Cleanup(func() { s.Close(); cancel(); <-done })
	return s.URL
}

// recipe copies a file of deploy/cdn with the lines changed that a reader would change.
func recipe(t *testing.T, name string, pairs ...string) string {
	text, err := os.ReadFile(filepath.Join("../../deploy/cdn", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(text, []byte(pairs[i])) {
			t.Fatalf("%s has no %q", name, pairs[i])
		}
		text = bytes.ReplaceAll(text, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// program runs until the test is over and waits until its port answers.
func program(t *testing.T, port, name string, args ...string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name // not in everybody's path
	}
	var out bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; scripts/bring %s", err, name)
	}
	died := make(chan error, 1)
	go func() { died <- cmd.Wait() }() // received below
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-died
		if t.Failed() {
			t.Logf("%s said: %.4000s", name, out.String())
		}
	})
	eventually(t, name+" listens", func() bool {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return "http://127.0.0.1:" + port
}

func startNginx(t *testing.T, origin string) string {
	port, dir := strconv.Itoa(port.Free(t)), t.TempDir()
	conf := recipe(t, "nginx.conf", "127.0.0.1:8080", origin, "listen 8090", "listen 127.0.0.1:"+port,
		"/var/cache/nginx/sluice", filepath.Join(dir, "cache"), "/var/log/nginx/sluice.log", filepath.Join(dir, "access.log"))
	global := "daemon off; pid " + filepath.Join(dir, "pid") + "; error_log stderr warn;"
	if os.Getuid() == 0 {
		global += " user root;"
	}
	return program(t, port, "nginx", "-c", conf, "-p", dir, "-e", "stderr", "-g", global)
}

func startVarnish(t *testing.T, origin string) string {
	port, dir := strconv.Itoa(port.Free(t)), t.TempDir()
	host, at, _ := net.SplitHostPort(origin)
	vcl := recipe(t, "varnish.vcl", `.host = "127.0.0.1"`, `.host = "`+host+`"`, `.port = "8080"`, `.port = "`+at+`"`)
	return program(t, port, "varnishd", "-F", "-a", "127.0.0.1:"+port, "-f", vcl, "-s", "malloc,64m",
		// The rules are compiled; without optimising it takes a third of the time.
		"-p", "cc_command=exec gcc -pthread -fpic -shared -Wl,-x -o %o %s", "-n", filepath.Join(dir, "varnish"), "-j", "none")
}
