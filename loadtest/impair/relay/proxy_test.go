package relay_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
	"github.com/sluice-live/sluice/loadtest/impair/relay"
	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/reflector"
	"github.com/sluice-live/sluice/loadtest/source"
	"github.com/sluice-live/sluice/loadtest/view"
)

// proxy runs one before a server until the test ends.
func proxy(t *testing.T, c relay.ProxyConfig) *relay.Proxy {
	t.Helper()
	p, err := relay.NewProxy(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return p
}

// eventually polls until ok or 30 s have passed.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("in 30 s not: %s", what)
		}
		<-tick.C
	}
}

const fragment = "a=ice-ufrag:new\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 10.0.0.1 8189 typ host\r\na=candidate:1 1 tcp 1 10.0.0.1 8189 typ host tcptype passive\r\n"

// scripted is a server that answers with fixed texts, and minds when a client
// tells its addresses.
func scripted(t *testing.T) *httptest.Server {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err != nil || r.ContentLength != int64(len(b)) || bytes.Contains(b, []byte("a=candidate")) {
			t.Errorf("%s %s: %q, %v", r.Method, r.URL, b, err)
		}
		switch {
		case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/whep/"):
			w.Header().Set("Content-Type", "application/sdp; charset=utf-8")
			w.Header().Set("Location", "http://"+r.Host+r.URL.Path+"/id")
			w.Header().Set("ETag", `"tag"`)
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, answer)
		case r.Method == http.MethodPatch:
			w.Header().Set("Content-Type", link.TypeFragment)
			_, _ = io.WriteString(w, fragment)
		case r.Method == http.MethodDelete:
		default:
			_, _ = io.WriteString(w, r.Method+" "+r.Host+r.URL.String()+" a=candidate:untouched")
		}
	}))
	t.Cleanup(web.Close)
	return web
}

func TestAProxyRewritesAnswersAndRestartsAndNothingElse(t *testing.T) {
	web := scripted(t)
	var opened []*relay.Session
	p := proxy(t, relay.ProxyConfig{Server: web.URL, Opened: func(s *relay.Session) { opened = append(opened, s) }})
	res, err := link.Post(t.Context(), link.Endpoint{Client: http.DefaultClient, URL: p.URL() + "/whep/x"}, []byte("v=0\r\na=candidate:1 1 udp 1 10.0.0.9 1 typ host\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(opened) != 1 || res.ETag != `"tag"` || res.URL != p.URL()+"/whep/x/id" {
		t.Fatalf("%d sessions, %+v", len(opened), res)
	}
	if addr, err := relay.Candidate(res.Answer); err != nil || addr != opened[0].Addr() || bytes.Contains(res.Answer, []byte("tcp")) {
		t.Errorf("the answer leads to %v, %v", addr, err)
	}
	fragment, err := res.Patch(t.Context(), []byte("a=ice-ufrag:x\r\na=candidate:1 1 udp 1 10.0.0.9 1 typ host\r\n"), "*")
	if err != nil {
		t.Fatal(err)
	}
	if addr, err := relay.Candidate(fragment.Body); err != nil || addr != opened[0].Addr() || !bytes.Contains(fragment.Body, []byte("a=ice-ufrag:new")) || bytes.Contains(fragment.Body, []byte("tcp")) {
		t.Errorf("the restart leads to %v, %v:\n%s", addr, err, fragment.Body)
	}
	page, err := http.Get(p.URL() + "/watch/x?y=z")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	if b, _ := io.ReadAll(page.Body); string(b) != "GET "+strings.TrimPrefix(p.URL(), "http://")+"/watch/x?y=z a=candidate:untouched" {
		t.Errorf("a page became %s", b)
	}
	if _, err := res.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(p.Relay().Sessions()); n != 0 {
		t.Errorf("after the DELETE there are %d sessions", n)
	}
}

func TestAServerThatIsGoneIsABadGateway(t *testing.T) {
	web := scripted(t)
	p := proxy(t, relay.ProxyConfig{Server: web.URL})
	web.Close()
	res, err := http.Get(p.URL())
	if err != nil || res.StatusCode != http.StatusBadGateway {
		t.Fatalf("%v, %v", res, err)
	}
	res.Body.Close()
}

// A publisher and both kinds of viewer go over relays of their own: media
// flows, loss is seen and repaired, and the client knows no other way.
func TestPionAndTheLoadViewerPlayThroughRelays(t *testing.T) {
	server, err := reflector.New(reflector.Config{})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() { server.Close(); web.Close() })
	lossy := relay.Config{Seed: 3, Profile: profile(impair.Path{Loss: 0.05, Delay: 5 * time.Millisecond}, impair.Path{})}
	in, out := proxy(t, relay.ProxyConfig{Server: web.URL}), proxy(t, relay.ProxyConfig{Server: web.URL, Relay: lossy})

	pub, err := publish.Dial(t.Context(), publish.Config{URL: in.URL() + "/whip/x", Media: source.Synthetic(1, 1_000_000)})
	if err != nil {
		t.Fatal(err)
	}
	playing, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- pub.Run(playing) }()
	defer func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}()

	swarm, err := view.New(view.Config{URL: out.URL() + "/whep/x"})
	if err != nil {
		t.Fatal(err)
	}
	watching, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- swarm.Run(watching) }()
	defer func() { end(); <-ended }()
	if _, err := swarm.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	full, err := view.DialFull(t.Context(), view.Config{URL: out.URL() + "/whep/x"})
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close(t.Context())
	eventually(t, "both viewers see pictures over a lossy link", func() bool {
		s, err := swarm.Summary()
		return err == nil && s.Frames > 60 && s.NACKs > 0 && full.Stats().Frames > 30
	})
	sessions := out.Relay().Sessions()
	if len(sessions) != 2 {
		t.Fatalf("%d sessions", len(sessions))
	}
	for _, s := range sessions {
		eventually(t, "packets are lost on the way to the viewer", func() bool {
			d := s.Down().Total
			return d.Lost > 0 && d.Passed >= 100
		})
		if u := s.Up().Total; u.Passed == 0 || u.Lost > 0 {
			t.Errorf("up %+v", u)
		}
	}
}

func TestServeTellsWhatPasses(t *testing.T) {
	web := scripted(t)
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	over := make(chan error, 1)
	go func() {
		over <- relay.Serve(ctx, relay.Options{Listen: "127.0.0.1:0", Server: web.URL, Profile: "drop4m", Up: "loss=1%", Seed: 1}, w)
		w.Close()
	}()
	line := make([]byte, 500)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	first := string(line[:n])
	if !strings.Contains(first, "stands for "+web.URL) || !strings.Contains(first, "down rate=4000000;12s:clean,rate=500000;24s:clean,rate=4000000, up loss=0.01") {
		t.Errorf("said %q", first)
	}
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
	var all bytes.Buffer
	if err := relay.Serve(t.Context(), relay.Options{Profile: "list"}, &all); err != nil || !strings.Contains(all.String(), "outage3") {
		t.Errorf("%v, %s", err, all.String())
	}
	for _, o := range []relay.Options{{Profile: "x"}, {Down: "x"}, {Server: "::"}} {
		if err := relay.Serve(t.Context(), o, io.Discard); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
