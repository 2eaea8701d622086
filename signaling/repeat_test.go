package signaling_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
)

// A client that did not see its 201 sends the same offer again: the session
// that nobody knows of goes, and only that.
func TestTrap02_SameOfferAgainReplacesTheSession(t *testing.T) {
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

func TestTrap35_BodiesAreBounded(t *testing.T) {
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
