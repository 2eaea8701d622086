package cache_test

import (
	"strings"
	"testing"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

const manifest = `<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" mediaPresentationDuration="PT2S" minBufferTime="PT1S"><Period id="p0" start="PT0S"><AdaptationSet><Representation id="a" bandwidth="1"><BaseURL>i/a/from-0.vtt</BaseURL></Representation></AdaptationSet></Period></MPD>`

func TestTheWaysAreInTheManifest(t *testing.T) {
	ways := []cache.Way{{".", "./", "manifest.mpd?start=1&token=a"}, {"b", "//b/live/s/", "//b/live/s/manifest.mpd"}}
	text := cache.Steer(manifest, "https://a/steering", ways)
	m, err := mpd.ReadFromString(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.BaseURL) != 2 || m.BaseURL[1].ServiceLocation != "b" || m.BaseURL[1].Value != "//b/live/s/" || len(m.Location) != 2 || m.Location[0].Value != "manifest.mpd?start=1&token=a" ||
		m.ContentSteering == nil || m.ContentSteering.Value != "https://a/steering" || m.ContentSteering.DefaultServiceLocation != "." {
		t.Errorf("%s", text)
	}
	if again := cache.Steer(text, "https://c/steering", ways); again != text {
		t.Errorf("a second edge wrote\n%s", again)
	}
	for _, no := range []string{"", "<MPD", "<MPD ", "</MPD><MPD >", "#EXTM3U", "<html></html>"} {
		if got := cache.Steer(no, "x", ways); got != no {
			t.Errorf("%q became %q", no, got)
		}
	}
	if cache.Steer(manifest, "x", nil) != manifest {
		t.Error("without pathways it is another")
	}
}

func FuzzSteer(f *testing.F) {
	f.Add(manifest)
	f.Add("<MPD </MPD>")
	f.Fuzz(func(t *testing.T, text string) {
		got := cache.Steer(text, "s", []cache.Way{{"a", "b", "c"}})
		rest := got
		for _, added := range []string{`<BaseURL serviceLocation="a">b</BaseURL>`, `<Location serviceLocation="a">c</Location>`, `<ContentSteering defaultServiceLocation="a">s</ContentSteering>`} {
			rest = strings.Replace(rest, added, "", 1)
		}
		if got != text && len(rest) != len(text) {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
