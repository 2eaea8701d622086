package signaling_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
)

// Each test is one row of the duties of a WHEP server (draft-ietf-wish-whep).

func TestWHEP42GetAndHeadTellThatThisIsWHEP(t *testing.T) {
	d := newDoor(t)
	for _, method := range []string{"GET", "HEAD"} {
		resp := d.want(200, method, "/whep/x", "")
		if resp.Header.Get("Content-Type") != "application/sdp" || resp.Header.Get("Content-Length") != "0" || text(resp) != "" {
			t.Errorf("%s: %v", method, resp.Header)
		}
	}
	at, _ := d.view()
	d.want(204, "GET", at, "")
	d.want(400, "HEAD", "/whep/x..", "")
}

func TestWHEP431PostCreatesASession(t *testing.T) {
	d := newDoor(t)
	resp := d.want(201, "POST", "/whep/x", offer, with(asPlay, "Content-Type", sdpType)...)
	at := resp.Header.Get("Location")
	if !strings.HasPrefix(at, "/whep/x/node") || resp.Header.Get("ETag") != `"ice1"` || resp.Header.Get("Content-Type") != "application/sdp" {
		t.Errorf("got %v", resp.Header)
	}
	if did := d.did(); !slices.Equal(did, []string{"subscribe x"}) {
		t.Errorf("the media plane did %v", did)
	}
}

func TestWHEP434WrongTypeOrMalformedIs4xx(t *testing.T) {
	d := newDoor(t)
	resp := d.want(415, "POST", "/whep/x", offer, with(asPlay, "Content-Type", "text/plain")...)
	if strings.Contains(text(resp), "v=0") {
		t.Error("a 415 must hold no SDP")
	}
	d.want(400, "POST", "/whep/x", "", with(asPlay, "Content-Type", sdpType)...)
}

func TestWHEP438NotLiveIs409WithRetryAfter(t *testing.T) {
	d := newDoor(t)
	d.fail = media.ErrNotLive
	resp := d.want(409, "POST", "/whep/x", offer, with(asPlay, "Content-Type", sdpType)...)
	if resp.Header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
	}
}

func TestWHEP44DeleteAndOptions(t *testing.T) {
	d := newDoor(t)
	at, _ := d.view()
	if got := d.want(200, "OPTIONS", "/whep/x", "").Header.Get("Accept-Post"); got != "application/sdp" {
		t.Errorf("Accept-Post %q", got)
	}
	d.want(200, "DELETE", at, "", asPlay...)
	d.want(200, "DELETE", at, "", asPlay...)
	d.want(404, "PATCH", at, trickled, with(asPlay, "Content-Type", fragmentType)...)
}

// No counter-offer is ever made, so no answer is waited for; and no POST is
// answered 406, which means a counter-offer.
func TestWHEP451PatchWithSDPIs422(t *testing.T) {
	d := newDoor(t)
	at, _ := d.view()
	d.want(422, "PATCH", at, offer, with(asPlay, "Content-Type", sdpType)...)
	d.want(415, "PATCH", at, "{}", with(asPlay, "Content-Type", jsonType)...)
}

func TestWHEP452TrickleIs204AndRestart200(t *testing.T) {
	d := newDoor(t)
	at, _ := d.view()
	resp := d.want(204, "PATCH", at, trickled, with(asPlay, "Content-Type", fragmentType, "If-Match", `"ice1"`)...)
	if resp.Header.Get("ETag") != "" {
		t.Error("a trickle has an ETag")
	}
	resp = d.want(200, "PATCH", at, restarted, with(asPlay, "Content-Type", fragmentType, "If-Match", "*")...)
	if resp.Header.Get("ETag") != `"ice2"` {
		t.Errorf("ETag %s", resp.Header.Get("ETag"))
	}
	d.want(412, "PATCH", at, trickled, with(asPlay, "Content-Type", fragmentType, "If-Match", `"ice1"`)...)
}

func TestWHEP47RedirectIs307(t *testing.T) {
	d := newDoor(t)
	d.fail = &media.RedirectError{Location: "https://edge.example/whep/x"}
	d.want(307, "POST", "/whep/x", offer, with(asPlay, "Content-Type", sdpType)...)
}

func TestWHEP410ExtensionsAreAnnounced(t *testing.T) {
	d := newDoor(t, withICE)
	resp := d.want(201, "POST", "/whep/x", offer, with(asPlay, "Content-Type", sdpType)...)
	at := resp.Header.Get("Location")
	want := append(slices.Clone(iceLinks),
		"<"+at+`/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="active,inactive,layers,viewercount,reconnect,audio"`,
		"<"+at+`/layers>; rel="urn:ietf:params:whep:ext:core:layer"`)
	if got := resp.Header.Values("Link"); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// Who may play a public stream needs no token, nor for the session after; a
// token that says nothing about it does no harm.
func TestPublicStreamsArePlayedWithoutAToken(t *testing.T) {
	d := newDoor(t)
	at := d.want(201, "POST", "/whep/open", offer, "Content-Type", sdpType).Header.Get("Location")
	d.want(204, "PATCH", at, trickled, "Content-Type", fragmentType)
	d.want(200, "DELETE", at, "")
	d.want(201, "POST", "/whep/open", offer, "Content-Type", sdpType, "Authorization", "Bearer old-play")
	d.want(401, "POST", "/whip/open", offer, "Content-Type", sdpType)
	d.want(401, "POST", "/whep/x", offer, "Content-Type", sdpType)
	d.want(403, "POST", "/whep/x", offer, with(asPub, "Content-Type", sdpType)...)
}

func TestLayerChoices(t *testing.T) {
	auto := media.AutomaticChoice()
	for body, want := range map[string]func(*media.LayerChoice){
		`{}`:                           func(*media.LayerChoice) {},
		`{"mediaId":"0"}`:              func(c *media.LayerChoice) { c.MID = "0" },
		`{"mediaId":1}`:                func(c *media.LayerChoice) { c.MID = "1" },
		`{"mediaId":null}`:             func(*media.LayerChoice) {},
		`{"mediaId":"0","rid":"hd"}`:   func(c *media.LayerChoice) { c.MID, c.RID = "0", "hd" },
		`{"spatialLayerId":0}`:         func(c *media.LayerChoice) { c.Spatial = 0 },
		`{"temporalLayerId":1,"z":[]}`: func(c *media.LayerChoice) { c.Temporal = 1 },
		`{"maxSpatialLayerId":2,"maxTemporalLayerId":1,"maxWidth":640,"maxHeight":360}`: func(c *media.LayerChoice) {
			c.MaxSpatial, c.MaxTemporal, c.MaxWidth, c.MaxHeight = 2, 1, 640, 360
		},
	} {
		d := newDoor(t)
		at, _ := d.view()
		d.want(200, "POST", at+"/layers", body, with(asPlay, "Content-Type", "application/json; charset=utf-8")...)
		c := auto
		want(&c)
		if len(d.choices) != 1 || d.choices[0] != c {
			t.Errorf("%s: got %+v, want %+v", body, d.choices, c)
		}
	}
}

func TestBadLayerChoices(t *testing.T) {
	d := newDoor(t)
	at, _ := d.view()
	for _, body := range []string{"", "[]", "null", "{", `{"maxWidth":-1}`, `{"maxWidth":"x"}`, `{"mediaId":{}}`} {
		d.want(400, "POST", at+"/layers", body, with(asPlay, "Content-Type", jsonType)...)
	}
	d.want(415, "POST", at+"/layers", "{}", asPlay...)
	d.want(401, "POST", at+"/layers", "{}", "Content-Type", jsonType)
	d.want(404, "POST", "/whep/x/nobody/layers", "{}", with(asPlay, "Content-Type", jsonType)...)
	if len(d.choices) != 0 {
		t.Errorf("the media plane got %+v", d.choices)
	}
	d.fail = media.ErrBadChoice
	d.want(400, "POST", at+"/layers", `{"rid":"none"}`, with(asPlay, "Content-Type", jsonType)...)
}
