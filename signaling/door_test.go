package signaling_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
	"github.com/sluice-live/sluice/signaling/token"
)

// bearers are the tokens that the tests' authorizer knows.
var bearers = map[string]token.Grant{
	"pub":   {Subject: "key:pub", Publish: []media.Pattern{"x", "y"}},
	"pub2":  {Subject: "key:pub2", Publish: []media.Pattern{"x"}},
	"play":  {Subject: "token:play", Play: []media.Pattern{"x", "y"}},
	"admin": {Subject: "token:admin", Admin: true},
}

// guard is an authorizer; a token with "old-" before its name has expired.
type guard struct{}

func (guard) Authorize(_ context.Context, r token.Request) (token.Grant, error) {
	name, old := strings.CutPrefix(r.Token, "old-")
	g, ok := bearers[name]
	if !ok || old && !r.Expired {
		return token.Grant{}, fmt.Errorf("%w: it is not known", media.ErrUnauthorized)
	}
	return g, g.Allows(r.Action, r.Stream)
}

// door is a Server with its fake and its log.
type door struct {
	*fake
	t      testing.TB
	server *signaling.Server
	log    *logbook
	reg    *prometheus.Registry
}

type setting func(*signaling.Config)

func newDoor(t testing.TB, settings ...setting) *door {
	t.Helper()
	d := &door{fake: newFake(), t: t, log: new(logbook), reg: prometheus.NewRegistry()}
	cfg := signaling.DefaultConfig()
	for _, set := range settings {
		set(&cfg)
	}
	var err error
	d.server, err = signaling.New(cfg, d.parts())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *door) parts() signaling.Parts {
	return signaling.Parts{
		Sessions: d.fake, Views: d.fake, Authorizer: guard{},
		Policy: func(id media.StreamID) media.Policy {
			p := media.DefaultPolicy()
			p.Public = strings.HasPrefix(string(id), "open")
			return p
		},
		Logger: slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Registerer: d.reg,
	}
}

// logbook is a log that may be read while it is written.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// do sends a request. head is pairs of header names and values.
func (d *door) do(method, path, body string, head ...string) *http.Response {
	d.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "198.51.100.9:4711"
	for i := 0; i < len(head); i += 2 {
		if head[i] == "Remote" {
			r.RemoteAddr = head[i+1]
			continue
		}
		r.Header.Add(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	d.server.Handler().ServeHTTP(w, r)
	return w.Result()
}

// want sends a request and checks the status.
func (d *door) want(status int, method, path, body string, head ...string) *http.Response {
	d.t.Helper()
	resp := d.do(method, path, body, head...)
	if resp.StatusCode != status {
		d.t.Errorf("%s %s: got %d, want %d: %s", method, path, resp.StatusCode, status, text(resp))
	}
	return resp
}

func text(resp *http.Response) string {
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

var (
	asPub   = []string{"Authorization", "Bearer pub"}
	asPlay  = []string{"Authorization", "Bearer play"}
	asAdmin = []string{"Authorization", "Bearer admin"}
)

func with(head []string, more ...string) []string {
	return append(append([]string{}, head...), more...)
}

// publish makes a WHIP session and returns its URL and identifier.
func (d *door) publish() (string, media.SessionID) { return d.begin("/whip/x", asPub) }

// view makes a WHEP session.
func (d *door) view() (string, media.SessionID) { return d.begin("/whep/x", asPlay) }

func (d *door) begin(path string, as []string) (string, media.SessionID) {
	d.t.Helper()
	resp := d.want(201, "POST", path, offer, with(as, "Content-Type", sdpType)...)
	at := resp.Header.Get("Location")
	return at, media.SessionID(at[strings.LastIndex(at, "/")+1:])
}
