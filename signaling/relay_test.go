package signaling_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/signaling"
)

// withRelays is a door whose node has a relay: each ticket is another.
func withRelays(t *testing.T, settings ...setting) *door {
	t.Helper()
	d := newDoor(t, settings...)
	parts, made := d.parts(), 0
	parts.Registerer = prometheus.NewRegistry()
	parts.Relays = func(at signaling.At) []signaling.ICEServer {
		made++
		return []signaling.ICEServer{{URL: "turn:" + at.Host + ":3478", Username: fmt.Sprint("user", made), Credential: "hush"}}
	}
	cfg := signaling.DefaultConfig()
	for _, set := range settings {
		set(&cfg)
	}
	var err error
	if d.server, err = signaling.New(cfg, parts); err != nil {
		t.Fatal(err)
	}
	return d
}

func ticket(n int) string {
	return fmt.Sprintf(`<turn:example.com:3478>; rel="ice-server"; username="user%d"; credential="hush"; credential-type="password"`, n)
}

func TestRelayTicketsGoToThoseWhoMayComeInOnly(t *testing.T) {
	d := withRelays(t, withICE)
	resp := d.want(201, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
	got := slices.DeleteFunc(resp.Header.Values("Link"), func(l string) bool { return !strings.Contains(l, `rel="ice-server"`) })
	if !slices.Equal(got, append(slices.Clone(iceLinks), ticket(1))) {
		t.Errorf("201: %q", got)
	}
	if resp.Header.Get("Cache-Control") != "no-store" {
		t.Error("an answer with a ticket may be cached")
	}
	for what, links := range map[string][]string{
		"a wrong token":         d.want(401, "POST", "/whip/x", offer, "Content-Type", sdpType, "Authorization", "Bearer wrong").Header.Values("Link"),
		"another stream":        d.want(403, "POST", "/whip/z", offer, with(asPub, "Content-Type", sdpType)...).Header.Values("Link"),
		"OPTIONS without token": d.want(200, "OPTIONS", "/whip/x", "").Header.Values("Link"),
		"a preflight":           d.want(200, "OPTIONS", "/whip/x", "", "Origin", "https://a", "Access-Control-Request-Method", "POST").Header.Values("Link"),
		"GET":                   d.want(204, "GET", "/whip/x", "").Header.Values("Link"),
	} {
		if len(links) != 0 {
			t.Errorf("%s: %q", what, links)
		}
	}
	if strings.Contains(d.log.String(), "hush") || strings.Contains(d.log.String(), "user1") {
		t.Error("a ticket is in the log")
	}
}

func TestARestartAndOptionsBringFreshTickets(t *testing.T) {
	d := withRelays(t)
	at := d.want(201, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...).Header.Get("Location")
	restart := "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n"
	if got := d.want(200, "PATCH", at, restart, with(asPub, "Content-Type", fragmentType, "If-Match", "*")...).Header.Values("Link"); !slices.Equal(got, []string{ticket(2)}) {
		t.Errorf("restart: %q", got)
	}
	if got := d.want(200, "OPTIONS", "/whip/x", "", asPub...).Header.Values("Link"); !slices.Equal(got, []string{ticket(3)}) {
		t.Errorf("OPTIONS: %q", got)
	}
}
