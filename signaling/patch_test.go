package signaling_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

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

func TestTrap22_IfMatchDecides(t *testing.T) {
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
