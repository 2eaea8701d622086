package signaling_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

// Clients, the API, the media plane and the sweep touch one session at once.
// What remains is one ended session, logged once; the race detector watches.
func TestEverythingAtOnce(t *testing.T) {
	d := newDoor(t, limits(func(l *signaling.Limits) { l.Requests, l.Publishes = 0, 0 }))
	ctx, stop := context.WithCancel(t.Context())
	running := make(chan error)
	go func() { running <- d.server.Run(ctx) }()
	at, session, id := d.open("")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			head := with(asPlay, "Content-Type", fragmentType)
			for n := range 20 {
				d.do("PATCH", session, trickled, head...)
				d.do("PATCH", session, fmt.Sprintf("a=ice-ufrag:r%d-%d\r\na=ice-pwd:anotherpassword01234567\r\n", i, n), head...)
				d.do("GET", session, "")
				d.do("POST", session+"/events", "", asPlay...)
				d.do("GET", "/v1/streams", "", asAdmin...)
			}
		})
		all.Go(func() { d.do("GET", at, "") }) // until the session ends, or another takes over
	}
	all.Go(func() {
		for range 50 {
			d.do("POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
		}
		d.do("DELETE", session, "", asPlay...)
		d.server.Ended(id, media.ErrGone)
		d.server.Revoke("token:play")
	})
	all.Wait()
	d.want(404, "GET", session, "")
	if n := strings.Count(d.log.String(), "session="+string(id[:12])+" stream=x role=whep"); n != 1 {
		t.Errorf("its end is in the log %d times", n)
	}
	stop()
	if err := <-running; err != nil {
		t.Error(err)
	}
}
