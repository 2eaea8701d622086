package signaling_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

func (d *door) json(path string, to any, head ...string) {
	d.t.Helper()
	resp := d.want(200, "GET", path, "", head...)
	if resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
		d.t.Errorf("%s: %v", path, resp.Header)
	}
	if err := json.Unmarshal([]byte(text(resp)), to); err != nil {
		d.t.Errorf("%s: %v", path, err)
	}
}

func withStreams(d *door) {
	for _, id := range []media.StreamID{"x", "secret", "open", "y"} {
		d.streams = append(d.streams, media.StreamStatus{
			Stream: id, Live: true, Viewers: 3,
			Publisher: &media.PublisherStatus{Session: "nodeSECRET", Subject: "key:SECRET", Transport: "udp"},
			Sessions:  []media.ViewerStatus{{Session: "nodeSECRET", Subject: "token:SECRET"}},
		})
	}
}

func TestStreamsListsWhatTheCallerMaySee(t *testing.T) {
	d := newDoor(t)
	withStreams(d)
	for _, c := range []struct {
		head []string
		want []string
	}{
		{nil, []string{"open"}}, {asPlay, []string{"open", "x", "y"}}, {asPub, []string{"open", "x", "y"}}, {asAdmin, []string{"open", "secret", "x", "y"}},
	} {
		var list []map[string]any
		d.json("/v1/streams", &list, c.head...)
		var names []string
		for _, s := range list {
			names = append(names, s["stream"].(string))
			if s["public"] != (s["stream"] == "open") {
				t.Errorf("%v: public %v", s["stream"], s["public"])
			}
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("%v: got %v, want %v", c.head, names, c.want)
		}
	}
	d.want(401, "GET", "/v1/streams", "", "Authorization", "Bearer wrong")
	d.streams = nil
	if body := text(d.want(200, "GET", "/v1/streams", "")); body != "[]\n" {
		t.Errorf("no streams: %q", body)
	}
}

func TestSessionsAndSubjectsAreForAdministrators(t *testing.T) {
	d := newDoor(t)
	withStreams(d)
	for _, path := range []string{"/v1/streams", "/v1/streams/x"} {
		for _, head := range [][]string{asPlay, asPub} {
			if body := text(d.want(200, "GET", path, "", head...)); strings.Contains(body, "SECRET") || !strings.Contains(body, `"viewers":3`) || !strings.Contains(body, `"health":[]`) {
				t.Errorf("%s %v: %s", path, head, body)
			}
		}
		if body := text(d.want(200, "GET", path, "", asAdmin...)); strings.Count(body, "SECRET") < 4 {
			t.Errorf("%s: the administrator sees %s", path, body)
		}
	}
	if d.streams[0].Publisher.Subject == "" {
		t.Error("the media plane's own copy was changed")
	}
}

func TestOneStream(t *testing.T) {
	d := newDoor(t)
	withStreams(d)
	d.want(200, "GET", "/v1/streams/open", "")
	d.want(401, "GET", "/v1/streams/x", "")
	d.want(403, "GET", "/v1/streams/secret", "", asPlay...)
	d.want(404, "GET", "/v1/streams/none", "", asAdmin...)
	d.want(404, "GET", "/v1/streams/open2", "")
	d.want(400, "GET", "/v1/streams/a..b", "")
	d.want(405, "POST", "/v1/streams", "")
}

func TestKickIsForAdministrators(t *testing.T) {
	d := newDoor(t)
	at, id := d.publish()
	d.want(401, "DELETE", "/v1/sessions/"+string(id), "")
	d.want(403, "DELETE", "/v1/sessions/"+string(id), "", asPub...)
	d.want(204, "DELETE", "/v1/sessions/"+string(id), "", asAdmin...)
	if did := d.did(); did[len(did)-1] != "hangup: "+media.ErrKicked.Error() {
		t.Errorf("the media plane did %v", did)
	}
	d.want(404, "DELETE", "/v1/sessions/"+string(id), "", asAdmin...)
	d.want(404, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType)...)
	d.want(200, "DELETE", at, "", asPub...)
}

func TestTime(t *testing.T) {
	d := newDoor(t)
	var got struct {
		Now  time.Time `json:"now"`
		Unix float64   `json:"unix_ms"`
	}
	before := time.Now()
	d.json("/v1/time", &got)
	if got.Now.Before(before.Truncate(0).Add(-time.Microsecond)) || got.Now.After(time.Now()) || got.Unix < float64(before.UnixMicro())/1000 {
		t.Errorf("got %+v at %v", got, before)
	}
}

func TestServerTellsTURNToThoseWithATokenOnly(t *testing.T) {
	d := newDoor(t, withICE, func(cfg *signaling.Config) { cfg.Version, cfg.HTTPS = "1.2.3", true })
	var got struct {
		Version string
		HTTPS   bool
		ICE     []struct {
			URLs                 []string
			Username, Credential string
		}
	}
	d.json("/v1/server", &got)
	if got.Version != "1.2.3" || !got.HTTPS || len(got.ICE) != 1 || got.ICE[0].URLs[0] != "stun:stun.example.net" {
		t.Errorf("got %+v", got)
	}
	d.json("/v1/server", &got, asPlay...)
	if len(got.ICE) != 2 || got.ICE[1].Credential != `pass\word` {
		t.Errorf("got %+v", got)
	}
	if body := text(newDoor(t).do("GET", "/v1/server", "")); !strings.Contains(body, `"ice":[]`) {
		t.Errorf("no ICE servers: %s", body)
	}
}

func TestUnknownPathsAreProblems(t *testing.T) {
	d := newDoor(t)
	for _, path := range []string{"/v1/nothing", "/whip/", "/whip/x/", "/whep/x/y/z", "/v1/streams/"} {
		resp := d.want(404, "GET", path, "")
		if resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
}

func TestRevokedKeysSessionsAreHungUp(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.want(201, "POST", "/whip/x", offer, "Content-Type", sdpType, "Authorization", "Bearer pub2")
	d.server.Revoke("key:pub")
	if did := d.did(); d.live() != 1 || did[len(did)-1] != "hangup: the stream key was revoked" {
		t.Errorf("%d live, the media plane did %v", d.live(), did)
	}
	d.want(404, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType)...)
	d.want(201, "POST", "/whep/open", offer, "Content-Type", sdpType)
	d.server.Revoke("")
	if d.live() != 2 {
		t.Error("nobody's sessions were hung up")
	}
}

// Nobody told of the end: the sweep finds it, and the session is forgotten
// after its minute.
func TestSessionsThatEndedByThemselvesAreNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		defer d.run(t)()
		gone, id := d.publish()
		_, other := d.view()
		d.vanish(id)
		d.change(other, func(v *media.SessionView) { v.Ended, v.Reason = true, media.ErrTakenOver.Error() })
		time.Sleep(11 * time.Second)
		for _, why := range []string{media.ErrGone.Error(), media.ErrTakenOver.Error()} {
			if !strings.Contains(d.log.String(), why) {
				t.Errorf("%q is not in the log", why)
			}
		}
		d.want(200, "DELETE", gone, "", asPub...)
		time.Sleep(70 * time.Second)
		d.want(404, "DELETE", gone, "", asPub...)
	})
}

func TestMetrics(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.view()
	d.want(200, "DELETE", at, "", asPub...)
	d.do("BREW", "/whip/x", "")
	families, err := d.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]bool)
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetValue())
			}
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			got[fmt.Sprintf("%s %s %v", f.GetName(), strings.Join(labels, ","), value)] = true
		}
	}
	for _, want := range []string{
		"sluice_signaling_requests_total whip,POST,201 1", "sluice_signaling_requests_total whip-session,DELETE,200 1",
		"sluice_signaling_requests_total whip,other,405 1", "sluice_signaling_request_duration_seconds whep,POST 1",
		"sluice_signaling_sessions whip 0", "sluice_signaling_sessions whep 1", "sluice_signaling_sessions_ended_total hangup,whip 1",
	} {
		if !got[want] {
			t.Errorf("%q is not among %v", want, got)
		}
	}
}

func TestUnknownErrorsAre500AndLogged(t *testing.T) {
	d := newDoor(t)
	d.fail = errors.New("disk on fire")
	resp := d.want(500, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
	if body := text(resp); strings.Contains(body, "fire") || !strings.Contains(d.log.String(), "disk on fire") {
		t.Errorf("told %s, logged %s", body, d.log)
	}
}

func TestNewWantsItsParts(t *testing.T) {
	if _, err := signaling.New(signaling.DefaultConfig(), signaling.Parts{}); err == nil {
		t.Error("a door without a house was made")
	}
}
