package front

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func ask(h http.Handler, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name) })
}

func TestReadinessFollowsTheNode(t *testing.T) {
	health := &Health{}
	door := &Door{Signaling: named("signaling"), Pages: named("pages"), Health: health, Log: silent()}
	status := func(path string) int { return ask(door, "GET", path, nil).Code }
	if got := status("/readyz"); got != 503 {
		t.Errorf("starting: %d", got)
	}
	health.Ready()
	if got := status("/readyz"); got != 200 {
		t.Errorf("ready: %d", got)
	}
	health.Drain()
	health.Ready() // late news of a start must not turn a draining node green
	if got := status("/readyz"); got != 503 {
		t.Errorf("draining: %d", got)
	}
	if got := status("/healthz"); got != 200 {
		t.Errorf("healthz while draining: %d", got)
	}
	if got := ask(door, "POST", "/readyz", nil); got.Code != 405 || got.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", got.Code)
	}
}

func TestDoorHandsOnWithoutRedirects(t *testing.T) {
	door := &Door{Signaling: named("signaling"), Pages: named("pages"), Health: &Health{}, Log: silent()}
	for path, want := range map[string]string{
		"/whip/live": "signaling", "/whep/live/session": "signaling", "/v1/streams": "signaling",
		"/whip//live": "signaling", "/whip/../v1": "signaling",
		"/": "pages", "/publish/live": "pages", "/whipped/x": "pages", "/assets/a.js": "pages",
	} {
		got := ask(door, "POST", path, nil)
		if got.Code != 200 || got.Body.String() != want {
			t.Errorf("%s: %d %q, want %q", path, got.Code, got.Body, want)
		}
		for _, h := range []string{"X-Content-Type-Options", "Referrer-Policy"} {
			if got.Header().Get(h) == "" {
				t.Errorf("%s: no %s", path, h)
			}
		}
		if got.Header().Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: HSTS on plain http", path)
		}
	}
}

func TestAccessLogHoldsNeitherTokenNorQueryNorSession(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	door := &Door{Signaling: named("s"), Pages: named("p"), Health: &Health{}, Log: log}
	ask(door, "DELETE", "/whip/live/NODEabcdSECRETSECRET?token=SECRET1", func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer SECRET2")
	})
	ask(door, "DELETE", "/v1/sessions/NODEabcdSECRETSECRET", nil)
	ask(door, "GET", "/"+strings.Repeat("a", 5000), nil)
	text := out.String()
	if strings.Contains(text, "SECRET") {
		t.Errorf("a secret is logged:\n%s", text)
	}
	if !strings.Contains(text, "/whip/live/NODEabcd…") || !strings.Contains(text, "status=200") {
		t.Errorf("the log does not say what was served:\n%s", text)
	}
	if len(text) > 2000 {
		t.Errorf("a long path makes a long log: %d bytes", len(text))
	}
}

func TestPanicOfOneRequestIsA500AndALogLine(t *testing.T) {
	var out strings.Builder
	broken := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") })
	door := &Door{Signaling: broken, Pages: broken, Health: &Health{}, Log: slog.New(slog.NewTextHandler(&out, nil))}
	got := ask(door, "POST", "/whip/live", nil)
	if got.Code != 500 || strings.Contains(got.Body.String(), "a bug") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if !strings.Contains(out.String(), "a bug") || !strings.Contains(out.String(), "/whip/live") {
		t.Errorf("logged: %s", out.String())
	}
}

func admin(host string) http.Handler {
	health := &Health{}
	health.Ready()
	a := &Admin{Health: health, Gatherer: prometheus.NewRegistry(), Host: host, Authorize: func(t string) bool { return t == "right" }}
	return a.Handler()
}

func TestAdminRefusesRebound(t *testing.T) {
	for host, want := range map[string]int{
		"127.0.0.1:8081": 200, "localhost:8081": 200, "LOCALHOST": 200, "[::1]:8081": 200, "10.0.0.3": 200,
		"evil.example:8081": 421, "127.0.0.1.evil.example": 421, "": 421, "localhost.evil.example:1": 421,
	} {
		for _, path := range []string{"/metrics", "/debug/pprof/", "/readyz"} {
			got := ask(admin("127.0.0.1"), "GET", path, func(r *http.Request) { r.Host = host })
			if got.Code != want {
				t.Errorf("Host %q %s: %d, want %d", host, path, got.Code, want)
			}
		}
	}
	got := ask(admin("127.0.0.1"), "GET", "http://127.0.0.1/debug/pprof/heap", func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	})
	if got.Code != http.StatusForbidden {
		t.Errorf("another site's page gets %d", got.Code)
	}
}

func TestAdminOffLoopbackWantsTheToken(t *testing.T) {
	for _, tc := range []struct {
		host, path, auth string
		want             int
	}{
		{"127.0.0.1", "/metrics", "", 200},
		{"127.8.9.1", "/metrics", "", 200},
		{"::1", "/metrics", "", 200},
		{"localhost", "/metrics", "", 200},
		{"", "/metrics", "", 401},
		{"0.0.0.0", "/metrics", "", 401},
		{"::", "/debug/pprof/", "", 401},
		{"10.0.0.3", "/metrics", "Bearer wrong", 401},
		{"10.0.0.3", "/metrics", "Basic right", 401},
		{"10.0.0.3", "/metrics", "bearer right", 200},
		{"0.0.0.0", "/readyz", "", 200},
		{"ops.example", "/metrics", "", 401},
	} {
		got := ask(admin(tc.host), "GET", "http://10.0.0.3:8081"+tc.path, func(r *http.Request) {
			if tc.auth != "" {
				r.Header.Set("Authorization", tc.auth)
			}
		})
		if got.Code != tc.want {
			t.Errorf("admin on %q, %s, %q: %d, want %d", tc.host, tc.path, tc.auth, got.Code, tc.want)
		}
	}
	if got := ask(admin("ops.example"), "GET", "http://ops.example/readyz", nil); got.Code != 200 {
		t.Errorf("the configured name is refused: %d", got.Code)
	}
}

// timed is a ResponseWriter that remembers its write deadlines.
type timed struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (w *timed) SetWriteDeadline(t time.Time) error {
	w.deadlines = append(w.deadlines, t)
	return nil
}

// A fixed deadline for the whole answer would cut every event stream.
func TestEachPieceOfAnAnswerHasItsOwnTime(t *testing.T) {
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	})
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	(&Door{Signaling: stream, Health: &Health{}, Log: silent()}).ServeHTTP(w, httptest.NewRequest("GET", "/whep/live/s/events/1", nil))
	if len(w.deadlines) != 3 {
		t.Fatalf("%d deadlines for three pieces", len(w.deadlines))
	}
	for _, d := range w.deadlines {
		if left := time.Until(d); left <= 0 || left > writeTime {
			t.Errorf("a piece has %v", left)
		}
	}
	if !w.Flushed {
		t.Error("nothing was flushed")
	}
}

func TestAHandlerThatBreaksItsAnswerOffIsNoPanic(t *testing.T) {
	var out strings.Builder
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	door := &Door{Origin: origin, Health: &Health{}, Log: slog.New(slog.NewTextHandler(&out, nil))}
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) || out.Len() > 0 {
			t.Errorf("%v, %s", err, &out)
		}
	}()
	ask(door, "GET", "/live/x/index.m3u8", nil)
}
