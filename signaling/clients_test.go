package signaling_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/signaling"
)

// Each test is one habit of a real client, seen on the wire in November 2026.

// OBS takes as Location what follows the first space, and a relative one only
// if it begins with "/".
func TestOBSFindsTheLocation(t *testing.T) {
	d := newDoor(t)
	server := httptest.NewServer(d.server.Handler())
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req, err := http.NewRequest("POST", server.URL+"/whip/x", strings.NewReader(offer))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", sdpType)
	req.Header.Set("Authorization", "Bearer pub")
	req.Header.Set("Accept", "*/*")
	req.Close = true
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	raw := text(&http.Response{Body: conn})
	if !strings.HasPrefix(raw, "HTTP/1.1 201 ") || !strings.Contains(raw, "\r\nLocation: /whip/x/node") {
		t.Errorf("got\n%s", raw)
	}
}

// OBS closes the PeerConnection first, then sends DELETE with the token and
// without If-Match, and once more unless the answer is 200.
func TestOBSDeletesAfterClosing(t *testing.T) {
	d := newDoor(t, func(cfg *signaling.Config) { cfg.Strict = true })
	at, id := d.publish()
	d.vanish(id)
	d.server.Ended(id, nil)
	d.want(200, "DELETE", at, "", asPub...)
}

// A query in the session's URL survives in OBS and must not matter.
func TestOBSDeletesWithAQuery(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.want(200, "DELETE", at+"?r=1", "", asPub...)
}

// FFmpeg sends "Connection: close" and Icy-MetaData, and no PATCH.
func TestFFmpegHeaders(t *testing.T) {
	d := newDoor(t)
	at := d.want(201, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType, "Connection", "close", "Icy-MetaData", "1", "User-Agent", "Lavf/63.1.102")...).Header.Get("Location")
	d.want(200, "DELETE", at, "", with(asPub, "Connection", "close")...)
}

// simple-whip-client sends OPTIONS with the token first, to read Link; then its
// fragment's m-line disagrees with its mid; then a fragment with only the end;
// and DELETE carries If-Match.
func TestSimpleWHIPClient(t *testing.T) {
	d := newDoor(t, withICE)
	if links := d.want(200, "OPTIONS", "/whip/x", "", asPub...).Header.Values("Link"); len(links) != 2 {
		t.Errorf("Link %q", links)
	}
	at, _ := d.publish()
	const creds = "a=ice-ufrag:cli1\r\na=ice-pwd:clientpassword0123456\r\nm=audio 9 RTP/AVP 0\r\na=mid:video0\r\n"
	d.want(204, "PATCH", at, creds+"a=candidate:2 1 TCP 1015021823 192.0.2.2 9 typ host tcptype active\r\na=candidate:"+candidate+"\r\n",
		with(asPub, "Content-Type", fragmentType, "If-Match", `"ice1"`)...)
	d.want(204, "PATCH", at, creds+"a=end-of-candidates\r\n", with(asPub, "Content-Type", fragmentType, "If-Match", `"ice1"`)...)
	if f := d.frags[0]; f.MID != "video0" || !slices.Equal(f.Candidates, []string{candidate}) || !d.frags[1].End {
		t.Errorf("the media plane got %+v", d.frags)
	}
	d.want(200, "DELETE", at, "", with(asPub, "If-Match", `"ice1"`)...)
}

// whip-whep sends trickles without If-Match, reads ETag from PATCH answers if
// it may, and joins the candidates of a restart with a comma: there must be one.
func TestWhipWhepLibrary(t *testing.T) {
	d := newDoor(t)
	at, _ := d.view()
	d.want(204, "PATCH", at, trickled, with(asPlay, "Content-Type", fragmentType, "Origin", "https://page.example")...)
	resp := d.want(200, "PATCH", at, restarted, with(asPlay, "Content-Type", fragmentType, "If-Match", "*", "Origin", "https://page.example")...)
	if n := strings.Count(text(resp), "a=candidate:"); n != 1 {
		t.Errorf("%d candidates", n)
	}
	if !exposes(resp, "ETag") {
		t.Error("a page cannot read the ETag of a restart")
	}
	d.want(204, "PATCH", at, strings.ReplaceAll(strings.ReplaceAll(trickled, "cli1", "cli2"), "clientpassword0123456", "anotherpassword01234567"),
		with(asPlay, "Content-Type", fragmentType)...)
}

func exposes(resp *http.Response, header string) bool {
	return slices.Contains(strings.Split(resp.Header.Get("Access-Control-Expose-Headers"), ", "), header)
}

// A browser asks for authorization, content-type and if-match, and for OPTIONS
// itself when @eyevinn/whip-web-client is about to send one with its token.
func TestPreflights(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	whep, _ := d.view()
	for _, path := range []string{"/whip/x", at, "/whep/x", whep, whep + "/events", whep + "/layers", "/v1/streams", "/whip/x/nobody"} {
		resp := d.want(200, "OPTIONS", path, "", "Origin", "https://page.example", "Access-Control-Request-Method", "OPTIONS", "Access-Control-Request-Headers", "authorization,content-type,if-match")
		h := resp.Header
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Max-Age") == "" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "OPTIONS") {
			t.Errorf("%s: %v", path, h)
		}
		for _, name := range []string{"Authorization", "Content-Type", "If-Match"} {
			if !strings.Contains(h.Get("Access-Control-Allow-Headers"), name) {
				t.Errorf("%s: %s is not allowed", path, name)
			}
		}
	}
	for path, methods := range map[string][]string{"/whip/x": {"POST", "GET"}, at: {"PATCH", "DELETE"}, whep + "/events": {"POST"}, "/v1/sessions/a": {"DELETE"}} {
		got := d.do("OPTIONS", path, "", "Origin", "https://page.example", "Access-Control-Request-Method", methods[0]).Header.Get("Access-Control-Allow-Methods")
		for _, m := range methods {
			if !strings.Contains(got, m) {
				t.Errorf("%s: %s not in %q", path, m, got)
			}
		}
	}
}

// What a page must read is exposed on every answer, errors too.
func TestHeadersAreExposed(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	for name, resp := range map[string]*http.Response{
		"201":     d.do("POST", "/whep/open", offer, "Content-Type", sdpType, "Origin", "https://page.example"),
		"trickle": d.do("PATCH", at, trickled, with(asPub, "Content-Type", fragmentType)...),
		"401":     d.do("POST", "/whip/x", offer, "Content-Type", sdpType),
		"404":     d.do("GET", "/nothing", ""),
	} {
		for _, h := range []string{"Location", "ETag", "Link", "Retry-After", "Accept-Post"} {
			if !exposes(resp, h) || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: %s is not exposed", name, h)
			}
		}
	}
}

// The SFU decides what an offer is worth; the door hands it on byte by byte:
// setup:passive, bundle-only with port 0, rtcp-fb of removed payload types.
func TestOffersPassUnchanged(t *testing.T) {
	d := newDoor(t)
	odd := offer + "a=setup:passive\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\na=bundle-only\r\na=rtcp-fb:121 nack\r\na=ice-options:ice2,trickle\r\n"
	d.want(201, "POST", "/whip/x", odd, with(asPub, "Content-Type", sdpType)...)
	if string(d.offers[0].SDP) != odd {
		t.Error("the offer was changed")
	}
}
