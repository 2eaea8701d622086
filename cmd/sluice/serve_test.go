package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// offer is what an encoder posts; recorded from OBS.
func offer(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("../../sfu/negotiate/testdata/offers/*obs*")
	if err != nil || len(found) == 0 {
		t.Fatalf("no recorded offer: %v", err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// publish posts the offer with a token or key.
func publish(t *testing.T, n *node, stream, bearer string) (*http.Response, string) {
	t.Helper()
	return ask(t, "POST", n.http+"/whip/"+stream, offer(t), func(r *http.Request) {
		r.Header.Set("Content-Type", "application/sdp")
		r.Header.Set("Authorization", "Bearer "+bearer)
	})
}

func TestServeAnswersAndEndsCleanly(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	dir := t.TempDir()
	n := serve(t, dir)
	for url, want := range map[string]int{
		n.http + "/healthz": 200, n.http + "/readyz": 200, n.http + "/v1/time": 200,
		n.admin + "/readyz": 200, n.admin + "/metrics": 200, n.admin + "/debug/pprof/": 200,
		n.http + "/metrics": 404, n.http + "/debug/pprof/": 404, n.admin + "/v1/time": 404,
	} {
		if got := status(t, url); got != want {
			t.Errorf("%s: %d, want %d", url, got, want)
		}
	}
	resp, _ := ask(t, "GET", n.admin+"/metrics", "", func(r *http.Request) { r.Host = "evil.example" })
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a rebound name gets %d on the admin address", resp.StatusCode)
	}
	if resp, _ := publish(t, n, "live", "nonsense"); resp.StatusCode != 401 {
		t.Errorf("a wrong token gets %d", resp.StatusCode)
	}
	checkHTTPS(t, n, filepath.Join(dir, "node.crt"))
	start := time.Now()
	if code := n.stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, n.log)
	}
	if took := time.Since(start); took > patience {
		t.Errorf("stopping took %v", took)
	}
	eventually(t, "all goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
}

// checkHTTPS asks over TLS, trusting the node's own certificate and no other.
func checkHTTPS(t *testing.T, n *node, cert string) {
	t.Helper()
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(n.https + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Errorf("https: %d by %s", resp.StatusCode, resp.Proto)
	}
	// A self-signed certificate and HSTS together lock the user out.
	if resp.Header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS with a self-signed certificate")
	}
}

func TestPublisherComesInAndRevokedKeyThrowsItOut(t *testing.T) {
	dir := t.TempDir()
	// Polling with a key that the server does not know yet counts as guessing.
	n := serve(t, dir, `SLUICE_STREAMS=[{match: "*", second: reject}]`, "SLUICE_LIMITS__FAILED_AUTH_PER_MINUTE=0")
	first := strings.TrimSpace(want(t, "key", "create", "--data", dir, "--publish", "live"))
	second := strings.TrimSpace(want(t, "key", "create", "--data", dir, "--publish", "live"))
	eventually(t, "the server knows the new key", func() bool {
		resp, _ := publish(t, n, "live", first)
		return resp.StatusCode == 201
	})
	if resp, text := publish(t, n, "live", second); resp.StatusCode != 409 {
		t.Fatalf("a second publisher gets %d %s", resp.StatusCode, text)
	}
	want(t, "key", "revoke", "--data", dir, strings.Split(first, "_")[1])
	eventually(t, "the revoked key's session ends", func() bool {
		resp, _ := publish(t, n, "live", second)
		return resp.StatusCode == 201
	})
	if resp, _ := publish(t, n, "live", first); resp.StatusCode != 401 {
		t.Errorf("the revoked key gets %d", resp.StatusCode)
	}
}

func TestMistakesAtTheStartAreOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	held := t.TempDir()
	serve(t, held)
	free := []string{"--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--media", "127.0.0.1:0"}
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"http port", []string{"--http", taken.Addr().String()}, "--http"},
		{"admin port", []string{"--admin", taken.Addr().String()}, "--admin"},
		{"media port", []string{"--media", taken.Addr().String()}, "--media"},
		{"data is a file", []string{"--data", file}, "data directory"},
		{"data is in use", []string{"--data", held}, "another sluice serves from"},
		{"configuration", []string{"--config", "/does/not/exist.yaml"}, "no such file"},
		{"address", []string{"--http", "nonsense"}, "HOST:PORT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			args := append(append([]string{"serve", "--data", dir}, free...), tc.args...)
			code, out, errs := sluice(t, args...)
			if code != 1 || !strings.Contains(errs, tc.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("exit code %d: %s", code, errs)
			}
			if out != "" {
				t.Errorf("links of a start that failed:\n%s", out)
			}
		})
	}
}

// A start that fails leaves nothing open, so that the next can succeed; and it
// is the first that succeeds that prints the links.
func TestFailedStartDoesNotCountAsTheFirst(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if code, _, _ := sluice(t, "serve", "--data", dir, "--http", "127.0.0.1:0", "--media", "127.0.0.1:0", "--admin", taken.Addr().String()); code != 1 {
		t.Fatalf("exit code %d", code)
	}
	taken.Close()
	if n := serve(t, dir); !strings.Contains(n.out.String(), "/watch/live#token=") {
		t.Errorf("no links:\n%s", n.out)
	}
}

// A viewer that does not go when it is told to must not keep the node.
func TestShutdownWaitsForViewersButNotForEver(t *testing.T) {
	t.Parallel()
	n := serve(t, t.TempDir(), `SLUICE_STREAMS=[{match: "*", public: true}]`, "SLUICE_JOIN=192.0.2.1:7946") // not alone: viewers have somewhere to go
	found, err := filepath.Glob("../../sfu/negotiate/testdata/offers/chromium*whep*")
	if err != nil || len(found) == 0 {
		t.Fatalf("no recorded offer: %v", err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	sdp := func(r *http.Request) { r.Header.Set("Content-Type", "application/sdp") }
	if resp, body := ask(t, "POST", n.http+"/whep/live", string(text), sdp); resp.StatusCode != 201 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	start := time.Now()
	ended := make(chan int, 1)
	go func() { ended <- n.stop() }() // waited for below
	eventually(t, "readiness turns red", func() bool { return strings.Contains(n.log.String(), "shutdown begun") })
	if got := status(t, n.http+"/readyz"); got != 503 {
		t.Errorf("readiness while draining: %d", got)
	}
	if resp, _ := ask(t, "POST", n.http+"/whep/live", string(text), sdp); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a new viewer while draining: %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d:\n%s", code, n.log)
	}
	if took := time.Since(start); took < movingTime || took > patience {
		t.Errorf("stopping took %v", took)
	}
	if movingTime+answeringTime+endingTime > 10*time.Second {
		t.Error("a node that nothing holds up does not end within 10 s")
	}
	if !strings.Contains(n.log.String(), "viewers remained") {
		t.Errorf("the log does not say who was left:\n%s", n.log)
	}
}
