package signaling_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

// Each test is one row of the duties of a WHIP server (RFC 9725).

func TestWHIP41GetAnswersWithoutContent(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	for _, path := range []string{"/whip/x", at} {
		for _, method := range []string{"GET", "HEAD"} {
			if resp := d.want(204, method, path, ""); text(resp) != "" {
				t.Errorf("%s %s has content", method, path)
			}
		}
	}
	d.want(404, "GET", "/whip/x/nobody", "")
	d.want(400, "GET", "/whip/x..y", "")
}

func TestWHIP41ErrorsAreProblems(t *testing.T) {
	d := newDoor(t)
	resp := d.want(401, "POST", "/whip/x", offer, "Content-Type", sdpType)
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("type %q", ct)
	}
	var p map[string]any
	if err := json.Unmarshal([]byte(text(resp)), &p); err != nil {
		t.Fatal(err)
	}
	if p["status"] != 401.0 || p["instance"] != resp.Header.Get("Trace-Id") || p["instance"] == "" || p["title"] == "" || p["detail"] == "" || p["type"] == "" {
		t.Errorf("got %v", p)
	}
}

func TestWHIP42PostCreatesASession(t *testing.T) {
	d := newDoor(t)
	resp := d.want(201, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
	at := resp.Header.Get("Location")
	if !regexp.MustCompile(`^/whip/x/node[A-Za-z0-9_-]{22}$`).MatchString(at) {
		t.Errorf("Location %q", at)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/sdp" {
		t.Errorf("type %q", ct)
	}
	if body := text(resp); body != "v=0\r\nanswer\r\n" {
		t.Errorf("body %q", body)
	}
	o := d.offers[0]
	if string(o.SDP) != offer || o.Stream != "x" || !strings.HasSuffix(at, string(o.Session)) || o.Subject != "key:pub" || o.Remote.String() != "198.51.100.9" || o.At.IsZero() {
		t.Errorf("the media plane got %+v", o)
	}
}

func TestWHIP42WrongTypeIs415AndParametersAreTolerated(t *testing.T) {
	d := newDoor(t)
	for ct, status := range map[string]int{
		"application/sdp": 201, "Application/SDP": 201, "application/sdp; charset=utf-8": 201, "application/sdp;": 201, "application/sdp; =broken": 201,
		"application/json": 415, "": 415, "text/plain": 415, "application/sdpx": 415, fragmentType: 415,
	} {
		resp := d.want(status, "POST", "/whip/x", offer+"a=x:"+ct+"\r\n", with(asPub, "Content-Type", ct)...)
		if status == 415 && resp.Header.Get("Accept-Post") != "application/sdp" {
			t.Errorf("%q: a 415 must say what is read", ct)
		}
	}
}

func TestWHIP42MalformedOfferIs400(t *testing.T) {
	d := newDoor(t)
	d.want(400, "POST", "/whip/x", "", with(asPub, "Content-Type", sdpType)...)
	d.fail = fmt.Errorf("read the offer: %w: no m-line", media.ErrBadOffer)
	resp := d.want(400, "POST", "/whip/x", "v=0", with(asPub, "Content-Type", sdpType)...)
	if !strings.Contains(text(resp), "no m-line") {
		t.Error("the problem does not say what is wrong")
	}
}

func TestWHIP42OfferThatCannotBeServedIs422(t *testing.T) {
	d := newDoor(t)
	d.fail = fmt.Errorf("%w: two video m-lines", media.ErrUnsupported)
	d.want(422, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
}

func TestWHIP42DeleteFreesTheSession(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.want(200, "DELETE", at, "", asPub...)
	if d.live() != 0 || !slices.Contains(d.did(), "hangup: the client hung up") {
		t.Errorf("after DELETE: %v", d.did())
	}
	d.want(404, "GET", at, "")
}

func TestWHIP42OptionsCarryAcceptPost(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	resp := d.want(200, "OPTIONS", "/whip/x", "")
	if resp.Header.Get("Accept-Post") != "application/sdp" || !strings.Contains(resp.Header.Get("Allow"), "POST") {
		t.Errorf("endpoint: %v", resp.Header)
	}
	resp = d.want(200, "OPTIONS", at, "")
	if resp.Header.Get("Accept-Patch") != fragmentType || !strings.Contains(resp.Header.Get("Allow"), "DELETE") {
		t.Errorf("session: %v", resp.Header)
	}
}

func TestWHIP42OtherMethodsAre405WithAllow(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	for path, allow := range map[string]string{"/whip/x": "GET, POST, HEAD, OPTIONS", at: "DELETE, GET, PATCH, HEAD, OPTIONS"} {
		resp := d.want(405, "PUT", path, "", asPub...)
		if got := resp.Header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow %q", path, got)
		}
	}
}

func TestWHIP45RedirectIs307AndNever301(t *testing.T) {
	d := newDoor(t)
	d.fail = fmt.Errorf("publish: %w", &media.RedirectError{Location: "https://b.example/whip/x"})
	resp := d.want(307, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
	if got := resp.Header.Get("Location"); got != "https://b.example/whip/x" {
		t.Errorf("Location %q", got)
	}
	d.fail = nil
	for _, path := range []string{"/whip//x", "/whip/x/", "/whip/./x"} {
		if resp := d.do("POST", path, offer, with(asPub, "Content-Type", sdpType)...); resp.StatusCode == 301 || resp.StatusCode == 302 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestWHIP45OverloadIs503WithRetryAfter(t *testing.T) {
	d := newDoor(t)
	for _, d.fail = range []error{media.ErrOverloaded, media.ErrShuttingDown} {
		resp := d.want(503, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
		if ra := resp.Header.Get("Retry-After"); !regexp.MustCompile(`^([5-9]|10)$`).MatchString(ra) {
			t.Errorf("Retry-After %q", ra)
		}
	}
	d.fail = nil
	d.server.Drain()
	d.want(503, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
}

func TestABusyNodeSaysWhyAndWhenWithoutFillingTheLog(t *testing.T) {
	d := newDoor(t)
	d.fail = &media.BusyError{Why: "too many come at once", After: 2 * time.Second}
	resp := d.want(503, "POST", "/whep/x", offer, with(asPlay, "Content-Type", sdpType)...)
	if ra := resp.Header.Get("Retry-After"); !regexp.MustCompile(`^[234]$`).MatchString(ra) {
		t.Errorf("Retry-After %q", ra)
	}
	if body := text(resp); !strings.Contains(body, "too many come at once") || !strings.Contains(body, "urn:sluice:problem:overloaded") {
		t.Errorf("got %s", body)
	}
	if strings.Contains(d.log.String(), "WARN") {
		t.Errorf("a refusal under load is a warning: %s", d.log)
	}
}

func TestWHIP46ICEServersAreLinks(t *testing.T) {
	d := newDoor(t, withICE)
	resp := d.want(201, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
	events := "<" + resp.Header.Get("Location") + `/events>; rel="urn:sluice:whip:ext:server-sent-events"; events="encodings"`
	if got := resp.Header.Values("Link"); !slices.Equal(got, append(slices.Clone(iceLinks), events)) {
		t.Errorf("got %q", got)
	}
}

func withICE(cfg *signaling.Config) {
	cfg.ICE = []signaling.ICEServer{
		{URL: "stun:stun.example.net"},
		{URL: "turn:turn.example.net:443?transport=tcp", Username: `us"er`, Credential: `pass\word`},
	}
}

var iceLinks = []string{
	`<stun:stun.example.net>; rel="ice-server"`,
	`<turn:turn.example.net:443?transport=tcp>; rel="ice-server"; username="us\"er"; credential="pass\\word"; credential-type="password"`,
}

func TestWHIP46OptionsTellICEServersToThoseWhoMayComeIn(t *testing.T) {
	d := newDoor(t, withICE)
	if got := d.want(200, "OPTIONS", "/whip/x", "", asPub...).Header.Values("Link"); !slices.Equal(got, iceLinks) {
		t.Errorf("with a token: %q", got)
	}
	if got := d.want(200, "OPTIONS", "/whip/x", "").Header.Values("Link"); len(got) != 0 {
		t.Errorf("without a token: %q", got)
	}
	d.want(401, "OPTIONS", "/whip/x", "", "Authorization", "Bearer wrong")
	if got := d.want(200, "OPTIONS", "/whip/x", "", "Origin", "https://a", "Access-Control-Request-Method", "POST").Header.Values("Link"); len(got) != 0 {
		t.Errorf("on a preflight: %q", got)
	}
}

func TestWHIP47BearerIsAskedFor(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	for _, c := range []struct {
		auth, challenge string
		status          int
	}{
		{"", `Bearer realm="sluice"`, 401},
		{"Bearer wrong", `Bearer realm="sluice", error="invalid_token"`, 401},
		{"Bearer old-pub", `Bearer realm="sluice", error="invalid_token"`, 401},
		{"Basic cHVi", `Bearer realm="sluice"`, 401},
		{"Bearer play", `Bearer realm="sluice", error="insufficient_scope"`, 403},
		{"bearer  pub", "", 201},
	} {
		resp := d.want(c.status, "POST", "/whip/x", offer+c.auth, "Content-Type", sdpType, "Authorization", c.auth)
		if got := resp.Header.Get("WWW-Authenticate"); got != c.challenge {
			t.Errorf("%q: challenge %q", c.auth, got)
		}
	}
	d.want(403, "POST", "/whip/z", offer, with(asPub, "Content-Type", sdpType)...)
	d.want(401, "PATCH", at, trickled, "Content-Type", fragmentType)
	d.want(401, "DELETE", at, "")
	d.want(403, "DELETE", at, "", asPlay...)
	if d.live() != 2 {
		t.Error("a refused request did something")
	}
}

func TestWHIP47TokenInTheURLDoesNotCount(t *testing.T) {
	d := newDoor(t)
	resp := d.want(401, "POST", "/whip/x?token=pub", offer, "Content-Type", sdpType)
	if body := text(resp); !strings.Contains(body, "Authorization") || strings.Contains(body, "pub") {
		t.Errorf("got %s", body)
	}
	if strings.Contains(d.log.String(), "token=") {
		t.Error("the token is in the log")
	}
}

func TestWHIP5SessionURLsAreRandom(t *testing.T) {
	d := newDoor(t, func(cfg *signaling.Config) { cfg.Limits.Publishes = 0 })
	seen := make(map[string]bool)
	for i := range 200 {
		resp := d.want(201, "POST", "/whip/x", offer+fmt.Sprint(i), with(asPub, "Content-Type", sdpType)...)
		seen[resp.Header.Get("Location")] = true
	}
	if len(seen) != 200 {
		t.Errorf("200 sessions have %d URLs", len(seen))
	}
}
