package signaling_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
)

func TestEventStreamIsCreated(t *testing.T) {
	d := newDoor(t)
	at, _ := d.view()
	for _, body := range []string{`["active","inactive"]`, `[]`, ``} {
		resp := d.want(201, "POST", at+"/events", body, with(asPlay, "Content-Type", jsonType)...)
		if !strings.HasPrefix(resp.Header.Get("Location"), at+"/events/") {
			t.Errorf("Location %q", resp.Header.Get("Location"))
		}
	}
	d.want(201, "POST", at+"/events", "", asPlay...)
	d.want(409, "POST", at+"/events", "", asPlay...)
}

func TestEventsThatAreNotAnnouncedCreateNothing(t *testing.T) {
	d := newDoor(t)
	at, _ := d.view()
	for range 10 { // more than a session may have
		d.want(400, "POST", at+"/events", `["active","scte35"]`, with(asPlay, "Content-Type", jsonType)...)
	}
	for _, body := range []string{`{"a":1}`, `"active"`, `[1]`, `[`} {
		d.want(400, "POST", at+"/events", body, with(asPlay, "Content-Type", jsonType)...)
	}
	d.want(415, "POST", at+"/events", `["active"]`, with(asPlay, "Content-Type", "text/plain")...)
	d.want(401, "POST", at+"/events", `["active"]`, "Content-Type", jsonType)
	d.want(404, "POST", "/whep/x/nobody/events", "", asPlay...)
	d.want(201, "POST", at+"/events", `["active"]`, with(asPlay, "Content-Type", jsonType)...)
}

func TestEventsFollowTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, _, id := d.open("")
		r := d.read(at)
		if ct := r.Header().Get("Content-Type"); ct != "text/event-stream" {
			t.Errorf("type %q", ct)
		}
		expect(t, "before the publisher", r.events(), `viewercount {"viewercount":1}`)
		time.Sleep(time.Minute)
		r.events()

		d.change(id, func(v *media.SessionView) {
			v.Active = true
			v.MLine = map[media.TrackID]int{media.AudioTrack: 0, media.VideoTrack: 1}
			v.Tracks = []media.TrackInfo{{ID: media.AudioTrack, Kind: media.Audio}, {ID: media.VideoTrack, Kind: media.Video, Layers: []media.LayerInfo{
				{ID: 0, RID: "q", Width: 320, Height: 180, Bitrate: 150000, Active: true},
				{ID: 1, RID: "f", Width: 1280, Height: 720, Bitrate: 2500000, Active: true},
				{ID: 2, RID: "h", Width: 640, Height: 360},
			}}}
			v.Current = 1
		})
		synctest.Wait()
		expect(t, "at once when the publisher comes", r.events(), `active {}`,
			`layers {"1":[{"rid":"f","bitrate":2500000,"width":1280,"height":720,"current":true},{"rid":"h","width":640,"height":360},{"rid":"q","bitrate":150000,"width":320,"height":180}]}`)

		d.change(id, func(v *media.SessionView) { v.Active, v.Reason = false, media.ErrPublisherLeft.Error() })
		time.Sleep(2 * time.Second)
		expect(t, "when the publisher goes", r.events(), `inactive {"reason":"the publisher left and did not come back"}`)

		d.change(id, func(v *media.SessionView) { v.Active, v.Reason = true, "" })
		time.Sleep(2 * time.Second)
		expect(t, "when the publisher comes back", r.events(), `active {}`)

		d.change(id, func(v *media.SessionView) { v.Reconnect, v.ReconnectURL = true, "https://b.example/whep/x" })
		time.Sleep(2 * time.Second)
		expect(t, "when the node drains", r.events(), `reconnect {"url":"https://b.example/whep/x"}`)
		d.change(id, func(v *media.SessionView) { v.Viewers++ })
		time.Sleep(2 * time.Second)
		expect(t, "reconnect is told once", r.events(), `viewercount {"viewercount":2}`)
	})
}

func TestOnlyWantedEventsAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, _, id := d.open(`["inactive","reconnect"]`)
		d.change(id, func(v *media.SessionView) { v.Active = true })
		r := d.read(at)
		expect(t, "active is not wanted", r.events())
		d.change(id, func(v *media.SessionView) { v.Active, v.Reconnect = false, true })
		time.Sleep(2 * time.Second)
		expect(t, "wanted", r.events(), `inactive {}`, `reconnect {}`)
	})
}

func TestInactiveNeverComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, _, id := d.open(`["active","inactive"]`)
		d.change(id, func(v *media.SessionView) { v.Active, v.Reason = false, "nobody publishes" })
		r := d.read(at)
		d.change(id, func(v *media.SessionView) { v.Reason = "still nobody" })
		time.Sleep(5 * time.Second)
		expect(t, "before the publisher", r.events())
	})
}

// A page that comes back after a break is told how things are now.
func TestASecondGetTakesOverAndIsToldEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, _, id := d.open(`["active","inactive","viewercount"]`)
		d.change(id, func(v *media.SessionView) { v.Active = true })
		first := d.read(at)
		second := d.read(at)
		if !first.ended() || second.ended() {
			t.Errorf("first ended %v, second %v", first.ended(), second.ended())
		}
		expect(t, "the second", second.events(), `active {}`, `viewercount {"viewercount":1}`)
		second.cancel()
		synctest.Wait()
		d.change(id, func(v *media.SessionView) { v.Active = false })
		expect(t, "the third", d.read(at).events(), `inactive {}`, `viewercount {"viewercount":1}`)
	})
}

// A layer that rests may be chosen: it has the bitrate that it had.
func TestAPausedLayerIsThereForTheAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, _, id := d.open(`["layers"]`)
		d.change(id, func(v *media.SessionView) {
			v.MLine = map[media.TrackID]int{media.VideoTrack: 1}
			v.Tracks = []media.TrackInfo{{ID: media.VideoTrack, Kind: media.Video, Layers: []media.LayerInfo{
				{ID: 0, RID: "q", Width: 320, Height: 180, Bitrate: 150000, Active: true},
				{ID: 1, RID: "f", Width: 1280, Height: 720, Mean: 2400000, Paused: true},
			}}}
		})
		expect(t, "in the menu", d.read(at).events(),
			`layers {"1":[{"rid":"f","bitrate":2400000,"width":1280,"height":720},{"rid":"q","bitrate":150000,"width":320,"height":180,"current":true}]}`)
	})
}

func TestManyChangesAreToldOncePerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, _, id := d.open(`["viewercount"]`)
		r := d.read(at)
		r.events()
		for i := range 100 {
			d.change(id, func(v *media.SessionView) { v.Viewers = i + 2 })
			synctest.Wait()
		}
		time.Sleep(1500 * time.Millisecond)
		expect(t, "after a hundred joins", r.events(), `viewercount {"viewercount":101}`)
	})
}

// Bitrates change each second; layers are told again only each few seconds.
func TestBitratesAloneAreToldSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, _, id := d.open(`["layers"]`)
		set := func(rate media.Bitrate) {
			d.change(id, func(v *media.SessionView) {
				v.MLine = map[media.TrackID]int{media.VideoTrack: 0}
				v.Tracks = []media.TrackInfo{{ID: media.VideoTrack, Kind: media.Video, Layers: []media.LayerInfo{{Bitrate: rate, Active: true}}}}
			})
		}
		set(1000)
		r := d.read(at)
		expect(t, "a layer without a RID", r.events(), `layers {"0":[{"spatialLayerId":0,"bitrate":1000,"current":true}]}`)
		for i := range 10 {
			set(media.Bitrate(2000 + i))
			time.Sleep(time.Second)
		}
		if n := len(r.events()); n < 1 || n > 2 {
			t.Errorf("%d layers events in ten seconds", n)
		}
	})
}

// A publisher is told which layers to send, at once, and nothing else.
func TestAPublisherIsToldWhichLayersToSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		session, id := d.publish()
		resp := d.want(201, "POST", session+"/events", "", asPub...)
		at := resp.Header.Get("Location")
		if !strings.HasPrefix(at, "/whip/x/") {
			t.Fatalf("Location %q", at)
		}
		r := d.read(at)
		expect(t, "before any layer", r.events())
		send := func(full bool) {
			d.change(id, func(v *media.SessionView) {
				v.Active = true
				v.Encodings = []media.Encoding{{RID: "q", Active: true}, {RID: "f", Active: full}}
			})
		}
		send(true)
		time.Sleep(time.Second)
		expect(t, "all", r.events(), `encodings [{"rid":"q","active":true},{"rid":"f","active":true}]`)
		d.change(id, func(v *media.SessionView) { v.Viewers++ })
		time.Sleep(200 * time.Millisecond)
		send(false)
		synctest.Wait()
		expect(t, "one rests", r.events(), `encodings [{"rid":"q","active":true},{"rid":"f","active":false}]`)
		send(true)
		time.Sleep(150 * time.Millisecond)
		expect(t, "wanted again soon after", r.events(), `encodings [{"rid":"q","active":true},{"rid":"f","active":true}]`)
		expect(t, "a new connection", d.read(at).events(), `encodings [{"rid":"q","active":true},{"rid":"f","active":true}]`)
		d.vanish(id)
		d.server.Ended(id, media.ErrHangup)
		d.want(404, "GET", at, "")
	})
}

func TestEventsOfPublishersAndViewersAreApart(t *testing.T) {
	d := newDoor(t)
	whip, _ := d.publish()
	whep, _ := d.view()
	d.want(400, "POST", whip+"/events", `["layers"]`, with(asPub, "Content-Type", jsonType)...)
	d.want(400, "POST", whep+"/events", `["encodings"]`, with(asPlay, "Content-Type", jsonType)...)
	at := d.want(201, "POST", whip+"/events", `["encodings"]`, with(asPub, "Content-Type", jsonType)...).Header.Get("Location")
	d.want(404, "GET", strings.Replace(at, "/whip/", "/whep/", 1), "")
	d.want(401, "POST", whip+"/events", "")
	d.want(401, "DELETE", at, "")
	d.want(200, "DELETE", at, "", asPub...)
	d.want(404, "GET", at, "")
}

func TestHeartbeatsKeepProxiesFromCutting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, _, _ := d.open("")
		r := d.read(at)
		time.Sleep(time.Minute)
		if n := r.comments(); n < 4 || n > 6 {
			t.Errorf("%d comments in a minute", n)
		}
	})
}

func TestDeletedEventStreamIs404(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, session, _ := d.open("")
		r := d.read(at)
		d.want(401, "DELETE", at, "")
		d.want(200, "DELETE", at, "", asPlay...)
		synctest.Wait()
		if !r.ended() {
			t.Error("the stream goes on")
		}
		d.want(404, "GET", at, "")
		d.want(404, "DELETE", at, "", asPlay...)
		d.want(204, "GET", session, "")
	})
}

func TestEventStreamsDieWithTheSession(t *testing.T) {
	for name, end := range map[string]func(*door, string, media.SessionID){
		"by DELETE": func(d *door, at string, _ media.SessionID) { d.want(200, "DELETE", at, "", asPlay...) },
		"by itself": func(d *door, _ string, id media.SessionID) {
			d.vanish(id)
			d.server.Ended(id, media.ErrHangup)
		},
		"in the view": func(d *door, _ string, id media.SessionID) {
			d.change(id, func(v *media.SessionView) { v.Ended, v.Reason = true, media.ErrHangup.Error() })
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(t)
			at, session, id := d.open(`["active","inactive"]`)
			d.change(id, func(v *media.SessionView) { v.Active = true })
			r := d.read(at)
			expect(t, name, r.events(), `active {}`)
			end(d, session, id)
			time.Sleep(2 * time.Second)
			if !r.ended() {
				t.Errorf("%s: the stream goes on", name)
			}
			expect(t, name, r.events(), `inactive {"reason":"the client hung up"}`)
			d.want(404, "GET", at, "")
			d.want(404, "POST", session+"/events", "", asPlay...)
		})
	}
}

// Shutdown must not wait for streams that never end by themselves.
func TestEventStreamsEndWithRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan error)
		go func() { over <- d.server.Run(ctx) }()
		at, _, _ := d.open("")
		r := d.read(at)
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if !r.ended() {
			t.Error("the stream goes on")
		}
	})
}

func TestHeadOfAnEventStreamEnds(t *testing.T) {
	d := newDoor(t)
	at, _, _ := d.open("")
	d.want(200, "HEAD", at, "")
}

// Over a real connection: the headers come before the first event, and the
// server's write timeout does not cut the stream.
func TestEventsOverARealConnection(t *testing.T) {
	d := newDoor(t)
	server := httptest.NewUnstartedServer(d.server.Handler())
	server.Config.WriteTimeout = 300 * time.Millisecond
	server.Start()
	defer server.Close()
	at, _, id := d.open(`["active"]`)
	resp, err := http.Get(server.URL + at)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-time.After(500 * time.Millisecond)
	d.change(id, func(v *media.SessionView) { v.Active = true })
	var got strings.Builder
	b := make([]byte, 100)
	for !strings.Contains(got.String(), "data: {}\n\n") {
		n, err := resp.Body.Read(b)
		if err != nil {
			t.Fatalf("after %q: %v", got.String(), err)
		}
		got.Write(b[:n])
	}
}
