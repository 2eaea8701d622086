package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

// sluice runs a command that ends by itself.
func sluice(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, terminal{&o, &e, nil})
	return code, o.String(), e.String()
}

// want runs a command that must succeed, and returns what it printed.
func want(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := sluice(t, args...)
	if code != 0 {
		t.Fatalf("sluice %s: exit code %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// screen is a terminal that may be read while it is written to.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// node is a server that runs.
type node struct {
	http, https, admin string
	out, log           *screen
	stop               func() int
}

// serve starts a server on free ports of loopback and waits until it is ready.
func serve(t *testing.T, dir string, environ ...string) *node {
	t.Helper()
	n := &node{out: &screen{}, log: &screen{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() { // stop waits for it
		args := []string{"serve", "--data", dir, "--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--media", "127.0.0.1:0"}
		ended <- run(ctx, args, terminal{n.out, n.log, append([]string{"SLUICE_LOG__FORMAT=json"}, environ...)})
	}()
	var once sync.Once
	code := -1
	n.stop = func() int {
		once.Do(func() {
			cancel()
			code = <-ended
		})
		return code
	}
	t.Cleanup(func() { n.stop() })
	eventually(t, "the node starts", func() bool { return n.find() })
	eventually(t, "the node is ready", func() bool { return status(t, n.http+"/readyz") == 200 })
	return n
}

// find reads the addresses from the log.
func (n *node) find() bool {
	for line := range strings.Lines(n.log.String()) {
		var r struct{ Msg, HTTP, HTTPS, Admin string }
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == "node started" {
			n.http, n.https, n.admin = "http://"+r.HTTP, "https://"+r.HTTPS, "http://"+r.Admin
			return true
		}
	}
	return false
}

// patience is what a slow machine may need.
const patience = time.Minute

// eventually polls until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen that %s", what)
		}
		<-tick.C
	}
}

// ask sends a request; change may add headers to it.
func ask(t *testing.T, method, url, body string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func status(t *testing.T, url string) int {
	t.Helper()
	resp, _ := ask(t, "GET", url, "", nil)
	return resp.StatusCode
}

func TestFirstStartMakesSecretsAndPrintsLinksOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := serve(t, dir)
	for name, mode := range map[string]os.FileMode{"": 0o700, "signing.key": 0o600, "admin.token": 0o600, "node.key": 0o600, "node.crt": 0o644, "node": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v, want %v", name, info.Mode().Perm(), mode)
		}
	}
	text := n.out.String()
	for _, pattern := range []string{`http://localhost:\d+/publish/live#token=\S+`, `http://localhost:\d+/watch/live#token=\S+`, `Server\s+http://localhost:\d+/whip/live\n`, `Bearer Token\s+\S+`} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("no %s in\n%s", pattern, text)
		}
	}
	if strings.Contains(n.log.String(), "eyJ") {
		t.Error("a token is logged")
	}
	tokens := regexp.MustCompile(`eyJ[\w.-]+`).FindAllString(text, -1)
	if len(tokens) != 3 {
		t.Fatalf("%d tokens are printed", len(tokens))
	}
	checkGrant(t, dir, tokens[0], token.Publish, "live", 30*24*time.Hour)
	checkGrant(t, dir, tokens[1], token.Play, "live", 30*24*time.Hour)
	checkGrant(t, dir, tokens[2], token.Publish, "live", 30*24*time.Hour)
	tag, _ := os.ReadFile(filepath.Join(dir, "node"))

	if code := n.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, n.log)
	}
	again := serve(t, dir)
	if text := again.out.String(); text != "" {
		t.Errorf("the second start prints\n%s", text)
	}
	if now, _ := os.ReadFile(filepath.Join(dir, "node")); !bytes.Equal(now, tag) {
		t.Error("the node has another tag after a restart")
	}
}

// checkGrant looks at what a token allows, and for how long.
func checkGrant(t *testing.T, dir, text string, action token.Action, id media.StreamID, life time.Duration) {
	t.Helper()
	tokens, err := openTokens(dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := tokens.Authorize(t.Context(), token.Request{Action: action, Stream: id, Token: text})
	if err != nil {
		t.Error(err)
	}
	if left := time.Until(g.Expires); left > life || left < life-time.Minute {
		t.Errorf("the token counts for %v, want %v", left, life)
	}
	if _, err := tokens.Authorize(t.Context(), token.Request{Action: action, Stream: "other", Token: text}); !errors.Is(err, media.ErrForbidden) {
		t.Errorf("another stream: %v", err)
	}
}

func TestTokenIsWhatItsFlagsSay(t *testing.T) {
	dir := t.TempDir()
	out := want(t, "token", "--data", dir, "--publish", "class.*", "--play", "a", "--play", "b", "--ttl", "2h")
	text := strings.TrimSpace(out)
	if strings.ContainsAny(text, " \n") {
		t.Errorf("more than a token is printed: %q", out)
	}
	checkGrant(t, dir, text, token.Publish, "class.1", 2*time.Hour)
	checkGrant(t, dir, text, token.Play, "b", 2*time.Hour)

	admin := strings.TrimSpace(want(t, "token", "--data", dir, "--admin"))
	tokens, err := openTokens(dir)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := tokens.Authorize(t.Context(), token.Request{Action: token.Admin, Token: admin}); err != nil || !g.Admin {
		t.Errorf("%+v, %v", g, err)
	}
	for _, args := range [][]string{{}, {"--play", "a b"}, {"--play", "a", "--ttl", "0s"}, {"--play", "a", "--ttl", "-1h"}, {"--admin", "--ttl", "999999h"}} {
		if code, out, errs := sluice(t, append([]string{"token", "--data", dir}, args...)...); code != 1 || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("token %v: exit code %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestKeysAreMadeListedAndRevoked(t *testing.T) {
	dir := t.TempDir()
	secret := strings.TrimSpace(want(t, "key", "create", "--data", dir, "--publish", "live"))
	other := strings.TrimSpace(want(t, "key", "create", "--data", dir, "--publish", "class.*"))
	allowed := func(key string, id media.StreamID) error {
		tokens, err := openTokens(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tokens.Authorize(t.Context(), token.Request{Action: token.Publish, Stream: id, Token: key})
		return err
	}
	if err := errors.Join(allowed(secret, "live"), allowed(other, "class.7")); err != nil {
		t.Error(err)
	}
	list := want(t, "key", "list", "--data", dir)
	id := strings.Split(secret, "_")[1]
	if !strings.Contains(list, id) || !strings.Contains(list, "class.*") || strings.Contains(list, secret) {
		t.Errorf("the list says\n%s", list)
	}
	if list := want(t, "key", "list", "--data", dir, "--publish", "class.*"); strings.Contains(list, id) {
		t.Errorf("the list of class.* says\n%s", list)
	}
	want(t, "key", "revoke", "--data", dir, id)
	want(t, "key", "revoke", "--data", dir, "--publish", "class.*")
	for key, id := range map[string]media.StreamID{secret: "live", other: "class.7"} {
		if err := allowed(key, id); !errors.Is(err, media.ErrUnauthorized) {
			t.Errorf("a revoked key gives %v", err)
		}
	}
	for _, args := range [][]string{{"create"}, {"create", "--publish", "**"}, {"revoke"}, {"revoke", "nobody"}, {"revoke", "--publish", "class.*"}} {
		if code, _, errs := sluice(t, append(append([]string{"key"}, args...), "--data", dir)...); code != 1 || errs == "" {
			t.Errorf("key %v: exit code %d, %q", args, code, errs)
		}
	}
}

func TestCheckPrintsWhatServeWouldUse(t *testing.T) {
	t.Parallel()
	out := want(t, "check", "--http", ":1234", "--public", "192.0.2.1,2001:db8::1", "--join", "a:1", "--join", "b:2")
	for _, line := range []string{"http: :1234", "- 192.0.2.1", "- 2001:db8::1", "- a:1", "- b:2", "media: :8189"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte("htps: :1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := sluice(t, "check", "--config", file)
	if code != 1 || !strings.Contains(errs, `the nearest is "https"`) {
		t.Errorf("exit code %d, %s", code, errs)
	}
	var o, e bytes.Buffer
	if code := run(t.Context(), []string{"check"}, terminal{&o, &e, []string{"SLUICE_CONFIG=" + file}}); code != 1 {
		t.Errorf("SLUICE_CONFIG is not read: exit code %d", code)
	}
}

func TestHelpAndMistakes(t *testing.T) {
	if out := want(t, "--help"); !strings.Contains(out, "serve") {
		t.Errorf("help says %q", out)
	}
	if out := want(t, "version"); !strings.HasPrefix(out, "sluice ") {
		t.Errorf("version says %q", out)
	}
	if code, _, errs := sluice(t, "srve"); code != 1 || !strings.Contains(errs, "serve") {
		t.Errorf("exit code %d, %q", code, errs)
	}
}

func TestResultsDoNotCarryTokens(t *testing.T) {
	got := strings.Join(withoutSecrets([]string{"sluice", "load", "--token", "SECRET", "--view-token=SECRET", "--rate", "20", "--publish-token", "SECRET", "x"}), " ")
	if got != "sluice load --token … --view-token=… --rate 20 --publish-token … x" {
		t.Errorf("got %s", got)
	}
}
