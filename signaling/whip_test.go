package signaling_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

func TestWHIP431PatchOfAnotherTypeOrMalformedIs4xx(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	resp := d.want(415, "PATCH", at, trickled, with(asPub, "Content-Type", sdpType)...)
	if resp.Header.Get("Accept-Patch") != fragmentType {
		t.Error("a 415 must say what is read")
	}
	d.want(415, "PATCH", at, trickled, asPub...)
	d.want(400, "PATCH", at, "hello", with(asPub, "Content-Type", fragmentType)...)
	d.want(204, "PATCH", at, trickled, with(asPub, "Content-Type", "Application/Trickle-ICE-sdpfrag; x=y")...)
}

func TestWHIP431RestartThatIsNotSupportedIs422(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.fail = media.ErrUnsupported
	d.want(422, "PATCH", at, restarted, with(asPub, "Content-Type", fragmentType, "If-Match", "*")...)
}

func TestWHIP431TheTagIsStrongAndQuoted(t *testing.T) {
	d := newDoor(t)
	for i, want := range []string{`"ice1"`, `"ice2"`} {
		resp := d.want(201, "POST", "/whip/x", offer+fmt.Sprint("a=", i, "\r\n"), with(asPub, "Content-Type", sdpType)...)
		if got := resp.Header.Get("ETag"); got != want {
			t.Errorf("ETag %s, want %s", got, want)
		}
	}
}

func TestWHIP431IfMatch(t *testing.T) {
	for _, c := range []struct {
		name           string
		match          []string
		lenient, exact int
	}{
		{"the present tag", []string{`"ice1"`}, 204, 204},
		{"one of several", []string{`"old", "ice1"`}, 204, 204},
		{"in a second header", []string{`"old"`, `"ice1"`}, 204, 204},
		{"a star", []string{`*`}, 204, 204},
		{"a quoted star", []string{`"*"`}, 204, 204},
		{"no quotes", []string{`ice1`}, 204, 204},
		{"another tag", []string{`"old"`}, 412, 412},
		{"a weak tag", []string{`W/"ice1"`}, 412, 412},
		{"an empty one", []string{``}, 412, 412},
		{"none", nil, 204, 428},
	} {
		for strict, want := range map[bool]int{false: c.lenient, true: c.exact} {
			d := newDoor(t, func(cfg *signaling.Config) { cfg.Strict = strict })
			at, _ := d.publish()
			head := with(asPub, "Content-Type", fragmentType)
			for _, m := range c.match {
				head = append(head, "If-Match", m)
			}
			if resp := d.do("PATCH", at, trickled, head...); resp.StatusCode != want {
				t.Errorf("%s, strict %v: got %d, want %d", c.name, strict, resp.StatusCode, want)
			}
		}
	}
}

func TestWHIP431DeleteIgnoresTheTag(t *testing.T) {
	d := newDoor(t, func(cfg *signaling.Config) { cfg.Strict = true })
	at, _ := d.publish()
	d.want(200, "DELETE", at, "", with(asPub, "If-Match", `"wrong"`)...)
}

func TestWHIP432TrickleIs204WithoutETag(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	resp := d.want(204, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType, "If-Match", `"ice1"`)...)
	if resp.Header.Get("ETag") != "" || text(resp) != "" {
		t.Errorf("got %v", resp.Header)
	}
	if f := d.frags[0]; f.MID != "0" || !slices.Equal(f.Candidates, []string{candidate}) {
		t.Errorf("the media plane got %+v", f)
	}
}

func TestWHIP432UnusableCandidatesAreDroppedSilently(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.want(204, "PATCH", at, "m=audio 9 x 0\na=mid:0\na=candidate:1 1 UDP 1 8f2b5c1e.local 5000 typ host\na=end-of-candidates\n", with(asPub, "Content-Type", fragmentType)...)
	if f := d.frags[0]; len(f.Candidates) != 0 || !f.End {
		t.Errorf("the media plane got %+v", f)
	}
}

func TestWHIP432EmptyAndPartialFragments(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	for _, frag := range []string{"", "a=end-of-candidates\r\n", "a=ice-ufrag:cli1\r\na=ice-pwd:clientpassword0123456\r\n", "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n", "a=ice-ufrag:cli1\r\n"} {
		d.want(204, "PATCH", at, frag, with(asPub, "Content-Type", fragmentType)...)
	}
}

func TestWHIP433RestartIs200WithANewTag(t *testing.T) {
	for _, star := range []string{"*", `"*"`, `"ice1"`} {
		d := newDoor(t)
		at, _ := d.publish()
		resp := d.want(200, "PATCH", at, restarted, with(asPub, "Content-Type", fragmentType, "If-Match", star)...)
		if resp.Header.Get("ETag") != `"ice2"` || resp.Header.Get("Content-Type") != fragmentType {
			t.Errorf("got %v", resp.Header)
		}
		// From now on only the new tag counts.
		d.want(412, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType, "If-Match", `"ice1"`)...)
	}
}

func TestWHIP433RestartAnswerHoldsTheNewCredentials(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	body := text(d.want(200, "PATCH", at, restarted, with(asPub, "Content-Type", fragmentType)...))
	want := "a=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:ice2\r\na=ice-pwd:serverpassword012345678\r\n" +
		"a=candidate:1 1 udp 2130706431 198.51.100.1 8189 typ host\r\na=end-of-candidates\r\n"
	if body != want {
		t.Errorf("got\n%s", body)
	}
}

func TestWHIP433FailedRestartKeepsTheSession(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.fail = media.ErrOverloaded
	d.want(503, "PATCH", at, restarted, with(asPub, "Content-Type", fragmentType)...)
	d.fail = nil
	d.want(204, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType, "If-Match", `"ice1"`)...)
	if d.live() != 1 {
		t.Error("the session ended")
	}
}

// A trickle that a restart has overtaken must neither restart again nor make
// the client give up.
func TestWHIP433ALateTrickleOfTheOldCredentialsIsDropped(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.want(200, "PATCH", at, restarted, with(asPub, "Content-Type", fragmentType)...)
	d.want(204, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType)...)
	if did := d.did(); !slices.Equal(did, []string{"publish x", "restart cli2"}) {
		t.Errorf("the media plane did %v", did)
	}
	d.want(204, "PATCH", at, strings.ReplaceAll(restarted, "a=ice-pwd", "a=candidate:"+candidate+"\r\na=ice-pwd"), with(asPub, "Content-Type", fragmentType, "If-Match", `"ice2"`)...)
	if did := d.did(); did[len(did)-1] != "trickle 1" {
		t.Errorf("the media plane did %v", did)
	}
}

func TestWHIP433RestartWithoutPasswordIs400(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.want(400, "PATCH", at, "a=ice-ufrag:cli2\r\n", with(asPub, "Content-Type", fragmentType)...)
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

func TestWHIP46ICEServersAreLinks(t *testing.T) {
	d := newDoor(t, withICE)
	resp := d.want(201, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
	if got := resp.Header.Values("Link"); !slices.Equal(got, iceLinks) {
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

// OBS closes DTLS first and sends DELETE after; what is not 200 makes it repeat.
func TestDeleteAfterTheSessionEndedIs200ForAMinuteThen404(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, id := d.publish()
		d.vanish(id)
		d.want(200, "DELETE", at, "", asPub...)
		time.Sleep(59 * time.Second)
		d.want(200, "DELETE", at, "", asPub...)
		d.want(404, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType)...)
		d.want(404, "GET", at, "")
		time.Sleep(2 * time.Second)
		d.want(404, "DELETE", at, "", asPub...)
	})
}

func TestTwoDeletesAreBoth200(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.want(200, "DELETE", at, "", asPub...)
	d.want(200, "DELETE", at, "", asPub...)
	if n := strings.Count(d.log.String(), "session ended"); n != 1 {
		t.Errorf("the end was logged %d times", n)
	}
}

func TestPatchAfterDeleteIs404(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.want(200, "DELETE", at, "", asPub...)
	d.want(404, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType)...)
	d.want(404, "PATCH", at, restarted, with(asPub, "Content-Type", fragmentType)...)
}

func TestDeleteOfAnUnknownSessionIs404(t *testing.T) {
	d := newDoor(t)
	at, id := d.publish()
	d.want(404, "DELETE", "/whip/x/nobody", "", asPub...)
	d.want(404, "DELETE", "/whip/y/"+string(id), "", asPub...)
	d.want(404, "DELETE", strings.Replace(at, "whip", "whep", 1), "", asPlay...)
	d.want(401, "DELETE", "/whip/x/nobody", "")
	if d.live() != 1 {
		t.Error("the session ended")
	}
}

func TestExpiredTokenStillEndsItsSession(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.want(204, "PATCH", at, trickled, "Authorization", "Bearer old-pub", "Content-Type", fragmentType)
	d.want(200, "DELETE", at, "", "Authorization", "Bearer old-pub")
	if d.live() != 0 {
		t.Error("the session lives")
	}
}

// A client that did not see its 201 sends the same offer again: the session
// that nobody knows of goes, and only that.
func TestSameOfferAgainReplacesTheSession(t *testing.T) {
	d := newDoor(t)
	first, _ := d.publish()
	second, _ := d.publish()
	if first == second || d.live() != 1 {
		t.Errorf("%d sessions live", d.live())
	}
	if did := d.did(); !slices.Equal(did, []string{"publish x", "hangup: the client sent the same offer again", "publish x"}) {
		t.Errorf("the media plane did %v", did)
	}
	d.want(404, "PATCH", first, trickled, with(asPub, "Content-Type", fragmentType)...)
	d.want(204, "PATCH", second, trickled, with(asPub, "Content-Type", fragmentType)...)
}

func TestOnlyARetryReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		post := func(path, body, auth string) {
			d.want(201, "POST", path, body, "Content-Type", sdpType, "Authorization", auth)
		}
		post("/whip/x", offer, "Bearer pub")
		post("/whip/x", offer+"a=other\r\n", "Bearer pub")
		post("/whip/y", offer, "Bearer pub")
		post("/whip/x", offer, "Bearer pub2")
		time.Sleep(11 * time.Second)
		post("/whip/x", offer, "Bearer pub")
		if d.live() != 5 {
			t.Errorf("%d of 5 sessions live", d.live())
		}
	})
}

// The client gave up waiting while its first POST was still being served.
func TestRetryWhileTheFirstIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.hold = make(chan struct{})
		for range 3 {
			go d.do("POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
			synctest.Wait()
		}
		close(d.hold)
		synctest.Wait()
		if d.live() != 1 {
			t.Errorf("%d sessions live: %v", d.live(), d.did())
		}
	})
}

func TestAFailedPostIsNoAttempt(t *testing.T) {
	d := newDoor(t)
	d.fail = media.ErrStreamTaken
	d.want(409, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
	d.fail = nil
	d.publish()
	if did := d.did(); !slices.Equal(did, []string{"publish x", "publish x"}) {
		t.Errorf("the media plane did %v", did)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	whep, _ := d.view()
	pad := func(s string, n int) string { return s + strings.Repeat("a=x\r\n", n/5) }
	d.want(201, "POST", "/whip/x", pad(offer, 60<<10), with(asPub, "Content-Type", sdpType)...)
	d.want(413, "POST", "/whip/x", pad(offer, 1<<20), with(asPub, "Content-Type", sdpType)...)
	d.want(413, "PATCH", at, pad(trickled, 17<<10), with(asPub, "Content-Type", fragmentType)...)
	d.want(413, "POST", whep+"/layers", `{"rid":"`+strings.Repeat("x", 5<<10)+`"}`, with(asPlay, "Content-Type", jsonType)...)
	d.want(413, "POST", whep+"/events", `["`+strings.Repeat("x", 5<<10)+`"]`, with(asPlay, "Content-Type", jsonType)...)
}

func TestBadStreamNamesAre400(t *testing.T) {
	d := newDoor(t)
	for _, name := range []string{"a%2Fb", "a..b", "%C3%BC", "a%20b", strings.Repeat("x", 129)} {
		d.want(400, "POST", "/whip/"+name, offer, with(asPub, "Content-Type", sdpType)...)
	}
}
