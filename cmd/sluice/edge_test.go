package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-live/sluice/cmd/sluice/config"
	"github.com/sluice-live/sluice/cmd/sluice/front"
	"github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

// startEdge runs the command and returns its address and its end.
func startEdge(t *testing.T, args ...string) (base string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var log screen
	line := regexp.MustCompile(`listen=(\S+)`)
	code := make(chan int, 1)
	go func() { // ended by stop
		code <- run(ctx, append([]string{"edge", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...), terminal{io.Discard, &log, nil})
	}()
	eventually(t, "the edge says its address", func() bool { return line.MatchString(log.String()) })
	stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { stop() })
	return "http://" + line.FindStringSubmatch(log.String())[1], stop
}

func TestEdgeCommandInTwoTiers(t *testing.T) {
	data, logs, store := t.TempDir(), t.TempDir(), t.TempDir()
	cfg := token.DefaultConfig()
	cfg.Dir = data
	tokens, err := token.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Sluice-Edge") != "s3cret" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "part")
	}))
	defer origin.Close()
	key, links := filepath.Join(data, "signing.key"), filepath.Join(data, "play.keys")
	keys, err := playKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	link := func(name string, ttl time.Duration) string {
		return hlsfallback.Sign(keys[0], hlsfallback.Grant{Name: name, Expires: time.Now().Add(ttl), Remote: netip.MustParseAddr("127.0.0.1")})
	}
	shield, _ := startEdge(t, "--origin", origin.URL, "--secret", "s3cret", "--edges-only", "--signing-key", key, "--play-keys", links, "--size", "8MiB")
	at, stop := startEdge(t, "--origin", shield, "--secret", "s3cret", "--signing-key", key, "--play-keys", links, "--log-dir", logs, "--log-upload", "file://"+store, "--log-every", "100ms")
	second, _ := startEdge(t, "--origin", shield, "--secret", "s3cret", "--signing-key", key)
	good, err := tokens.Issue(token.Claims{Play: []media.Pattern{"s"}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	other, err := tokens.Issue(token.Claims{Play: []media.Pattern{"x"}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		url  string
		want int
	}{
		{at + "/live/s/i/v/0.0.m4s?CMCD=bl%3D100&token=" + good, 200}, {at + "/live/s/i/v/0.0.m4s?token=" + good, 200}, {second + "/live/s/i/v/0.0.m4s?token=" + good, 200},
		{at + "/live/s/i/v/0.0.m4s?token=" + other, 403}, {at + "/live/s/i/v/0.0.m4s?token=" + good + "x", 401},
		{at + "/live/s/i/v/0.0.m4s?token=" + link("s", time.Hour), 200}, {at + "/live/s/i/v/0.0.m4s?token=" + link("s", -time.Hour), 401},
		{at + "/live/x/i/v/0.0.m4s?token=" + link("s", time.Hour), 401}, {at + "/live/s/i/v/0.0.m4s?token=sl1.x", 401},
		{shield + "/live/s/i/v/0.0.m4s?token=" + good, 403}, {at + "/readyz", 200},
	} {
		if got := status(t, tc.url); got != tc.want {
			t.Errorf("%s: status %d, want %d", tc.url, got, tc.want)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	// One line per request, whole files in the store, none left in the folder.
	var lines []string
	uploaded := func() bool {
		paths, _ := filepath.Glob(filepath.Join(store, "edge-logs", "*.jsonl"))
		lines = nil
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return false
			}
			lines = append(lines, strings.Split(strings.TrimSpace(string(text)), "\n")...)
		}
		return len(lines) == 8
	}
	eventually(t, "the log is in the store", uploaded)
	var first struct {
		Status int
		Result string
		CMCD   map[string]any
	}
	// Files are uploaded when they are full: their order says nothing.
	miss := slices.IndexFunc(lines, func(line string) bool {
		return strings.Contains(line, `"miss"`) && strings.Contains(line, `"cmcd"`)
	})
	if miss < 0 {
		t.Fatalf("no miss of a client in %v", lines)
	}
	if err := json.Unmarshal([]byte(lines[miss]), &first); err != nil || first.Status != 200 || first.Result != "miss" || first.CMCD["bl"] != 100.0 {
		t.Errorf("%s, %v", lines[miss], err)
	}
	if strings.Contains(strings.Join(lines, ""), good) {
		t.Error("a token is in the log")
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestEdgeSettingsAreChecked(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--origin", "x"}, {"--origin", "http://x", "--size", "1 MB"}, {"--origin", "http://x", "--pathway", "b"},
		{"--origin", "http://x", "--log-upload", "mem://"}, {"--origin", "http://x", "--signing-key", "/nowhere"}, {"--origin", "http://x", "--https", "127.0.0.1:0"},
	} {
		code, _, text := sluice(t, append([]string{"edge", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)...)
		if code != 1 || !strings.HasPrefix(text, "sluice: ") {
			t.Errorf("%v: exit code %d: %s", args, code, text)
		}
	}
	for text, want := range map[string]int64{"1GiB": 1 << 30, "512MiB": 512 << 20, "2GB": 2e9, "1000": 1000, "0.5K": -1, "-1": -1, "x": -1, "": -1} {
		var b bytesize
		if err := b.UnmarshalText([]byte(text)); (err != nil) != (want < 0) || err == nil && int64(b) != want {
			t.Errorf("%q: %d, %v", text, b, err)
		}
	}
}

// A node may answer edges only; it believes them, and nobody else, for whom they ask.
func TestANodeKnowsItsEdges(t *testing.T) {
	reached := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for _, tc := range []struct {
		only          bool
		secret, given string
		status        int
		remote        string
	}{
		{false, "", "", 200, "192.0.2.1"},
		{false, "", "x", 200, "192.0.2.1"},
		{false, "s3cret", "s3cret", 200, "198.51.100.7"},
		{false, "s3cret", "guess", 200, "192.0.2.1"},
		{true, "s3cret", "s3cret", 200, "198.51.100.7"},
		{true, "s3cret", "guess", 403, "192.0.2.1"},
		{true, "s3cret", "", 403, "192.0.2.1"},
	} {
		e := edges{cfg: config.HLS{EdgesOnly: tc.only, EdgeSecret: tc.secret}, origin: reached}
		r := httptest.NewRequest(http.MethodGet, "/live/s/index.m3u8", nil)
		r.RemoteAddr = "192.0.2.1:999"
		r.Header.Set("X-Forwarded-For", "198.51.100.7")
		if tc.given != "" {
			r.Header.Set("Sluice-Edge", tc.given)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if got := e.remote(r).String(); w.Code != tc.status || got != tc.remote {
			t.Errorf("%+v: status %d, remote %s", tc, w.Code, got)
		}
	}
}

// Behind a proxy that ends TLS all viewers had one address: links that are bound to
// theirs opened nothing.
func TestANodeBelievesItsTrustedProxiesForPlaylistsToo(t *testing.T) {
	e := edges{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	r := httptest.NewRequest(http.MethodGet, "/live/s/index.m3u8", nil)
	r.Header.Set("X-Forwarded-For", "203.0.113.5, 198.51.100.7")
	for peer, want := range map[string]string{"10.0.0.9:999": "198.51.100.7", "192.0.2.1:999": "192.0.2.1"} {
		r.RemoteAddr = peer
		if got := e.remote(r).String(); got != want {
			t.Errorf("by %s: %s, want %s", peer, got, want)
		}
	}
}

func TestAnEdgeWithACertificateSendsThereAndTellsBrowsersToStay(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "part")
	}))
	defer origin.Close()
	cert, key, err := front.OwnCertificate(t.TempDir(), []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--origin", origin.URL, "--https", "127.0.0.1:0", "--cert", cert, "--key", key, "--size", "8MiB"}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	get := func(url string) *http.Response {
		t.Helper()
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	at, _ := startEdge(t, args...)
	resp := get(at + "/live/s/index.m3u8?dvr=1")
	to := resp.Header.Get("Location")
	if resp.StatusCode != 308 || !strings.HasPrefix(to, "https://127.0.0.1:") || !strings.HasSuffix(to, "/live/s/index.m3u8?dvr=1") || resp.Header.Get("Strict-Transport-Security") != "" {
		t.Fatalf("status %d to %q, %v", resp.StatusCode, to, resp.Header)
	}
	if resp := get(at + "/readyz"); resp.StatusCode != 200 {
		t.Errorf("probes are sent elsewhere: %d", resp.StatusCode)
	}
	if resp := get(to); resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") != "max-age=31536000" || resp.ProtoMajor != 2 {
		t.Errorf("with TLS: %d, %v", resp.StatusCode, resp.Header)
	}
	plain, _ := startEdge(t, append(args, "--plain")...)
	if resp := get(plain + "/live/s/index.m3u8"); resp.StatusCode != 200 {
		t.Errorf("with --plain: %d", resp.StatusCode)
	}
}
