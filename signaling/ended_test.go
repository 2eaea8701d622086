package signaling_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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

// The media plane noticed the end before we did.
func TestPatchOfAVanishedSessionIs404AndItsEndIsKnown(t *testing.T) {
	for name, fragment := range map[string]string{"trickle": trickled, "restart": restarted} {
		d := newDoor(t)
		at, id := d.publish()
		d.vanish(id)
		d.want(404, "PATCH", at, fragment, with(asPub, "Content-Type", fragmentType)...)
		if !strings.Contains(d.log.String(), "session ended") {
			t.Errorf("%s: its end is not in the log", name)
		}
		d.want(404, "GET", at, "")
		d.want(200, "DELETE", at, "", asPub...)
	}
}
