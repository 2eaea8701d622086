package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/rules"
)

const good = `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,HOLD-BACK=12,CAN-SKIP-UNTIL=24
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:5
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-MAP:URI="a.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:00.000Z
#EXTINF:4.00000,
5.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:04.000Z
#EXT-X-PART:DURATION=0.50000,URI="6.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.50000,URI="6.1.m4s"
#EXT-X-PART:DURATION=0.20000,URI="6.2.m4s"
#EXTINF:1.20000,
6.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:05.200Z
#EXT-X-PART:DURATION=0.50000,URI="7.0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="7.1.m4s"
#EXT-X-RENDITION-REPORT:URI="../b/media.m3u8",LAST-MSN=7,LAST-PART=0
`

// next is good half a second later.
var next = strings.Replace(good, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"7.1.m4s\"\n",
	"#EXT-X-PART:DURATION=0.50000,URI=\"7.1.m4s\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"7.2.m4s\"\n", 1)

func look(t *testing.T, texts ...string) []rules.Finding {
	t.Helper()
	w := rules.Watch{Name: "a", LowLatency: true, Slack: 100 * time.Millisecond}
	var l rules.List
	now := time.Unix(0, 0)
	for _, text := range texts {
		p, err := rules.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if p.Delta {
			w.Delta(&l, p)
		} else {
			w.Full(&l, p, now)
		}
		now = now.Add(500 * time.Millisecond)
	}
	return l.Findings
}

func TestADeltaWithoutItsMapIsOneFindingAndNotOnePerSegment(t *testing.T) {
	bare := strings.Replace(strings.Replace(next, "VERSION:6", "VERSION:9", 1), "#EXT-X-MAP:URI=\"a.mp4\"\n", "", 1)
	delta := strings.Replace(bare, "#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:00.000Z\n#EXTINF:4.00000,\n5.m4s", "#EXT-X-SKIP:SKIPPED-SEGMENTS=1", 1)
	for _, f := range look(t, good, delta) {
		if f.Rule == "R7" {
			t.Errorf("%+v", f)
		}
	}
}

func TestAGoodPlaylistHasNoFindings(t *testing.T) {
	if f := look(t, good, next); len(f) > 0 {
		t.Error(f)
	}
}

// Each departure is found by its rule.
func TestDeparturesAreFound(t *testing.T) {
	for _, c := range []struct{ rule, old, new string }{
		{"R1", "TARGETDURATION:4", "TARGETDURATION:3"},
		{"R1", "TARGETDURATION:4", "TARGETDURATION:0"},
		{"R3", `DURATION=0.50000,URI="6.1`, `DURATION=0.60000,URI="6.1`},
		{"R3", `DURATION=0.50000,URI="6.1`, `DURATION=0.40000,URI="6.1`},
		{"R5", "PART-HOLD-BACK=1.5", "PART-HOLD-BACK=0.9"},
		{"R5", "HOLD-BACK=12", "HOLD-BACK=11"},
		{"R5", "CAN-SKIP-UNTIL=24", "CAN-SKIP-UNTIL=12"},
		{"R6", "12:00:04.000Z", "12:00:09.000Z"},
		{"R6", "6.m4s\n#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:05.200Z", "6.m4s\n#EXT-X-DISCONTINUITY"},
		{"R6", `URI="6.1.m4s"` + "\n", `URI="6.1.m4s"` + "\n#EXT-X-DISCONTINUITY\n"},
		{"R7", "#EXT-X-DISCONTINUITY-SEQUENCE:1\n", ""},
		{"R9", "#EXTINF:1.20000", "#EXT-X-GAP\n#EXTINF:1.20000"},
		{"R10", "#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:04.000Z", "#EXT-X-MAP:URI=\"b.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:04.000Z"},
		{"R11", "#EXT-X-TARGET", "#EXT-X-DEFINE:QUERYPARAM=\"token\"\n#EXT-X-TARGET"},
		{"R12", "#EXT-X-RENDITION-REPORT", "#EXT-X-ENDLIST\n#EXT-X-RENDITION-REPORT"},
		{"R13", "CAN-BLOCK-RELOAD=YES,", ""},
		{"R15", "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"7.1.m4s\"\n", ""},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%q is not there", c.old)
		}
		expect(t, c.rule, look(t, text))
	}
}

func expect(t *testing.T, rule string, found []rules.Finding) {
	t.Helper()
	for _, f := range found {
		if f.Rule == rule {
			return
		}
	}
	t.Errorf("%s was not found: %v", rule, found)
}

func TestChangesOverTimeAreFound(t *testing.T) {
	for _, c := range []struct{ rule, old, new string }{
		{"R1", "TARGETDURATION:4", "TARGETDURATION:5"},
		{"R2", "PART-TARGET=0.5", "PART-TARGET=0.6"},
		{"R2", "PART-HOLD-BACK=1.5", "PART-HOLD-BACK=1.8"},
		{"R6", "12:00:04.000Z", "12:00:04.100Z"},
		{"R7", "MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:4"},
		{"R7", "MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:6"},
		{"R7", "DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:0"},
		{"R7", "\n5.m4s", "\nfive.m4s"},
		{"R15", `URI="7.1.m4s"`, `URI="seven.m4s"`},
	} {
		expect(t, c.rule, look(t, good, strings.Replace(next, c.old, c.new, 1)))
	}
	expect(t, "R4", look(t, good, good, good, next))
	expect(t, "R14", look(t, good, strings.Replace(strings.Replace(next, "VERSION:6", "VERSION:9", 1), "#EXTINF:4.00000,\n5.m4s", "#EXT-X-SKIP:SKIPPED-SEGMENTS=1", 1)))
	event := strings.Replace(good, "#EXT-X-MAP", "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-MAP", 1)
	shorter := strings.Replace(event, "#EXTINF:4.00000,\n5.m4s\n", "", 1)
	expect(t, "R8", look(t, event, strings.Replace(shorter, "SEQUENCE:5", "SEQUENCE:6", 1)))
	expect(t, "R7", look(t, event, strings.Replace(shorter, "SEQUENCE:5", "SEQUENCE:6", 1)))
}

func TestPlaylistsThatDoNotFitEachOtherAreFound(t *testing.T) {
	for _, c := range []struct{ rule, old, new string }{
		{"", "", ""},
		{"R1", "TARGETDURATION:4", "TARGETDURATION:5"},
		{"R5", "HOLD-BACK=12", "HOLD-BACK=13"},
		{"R7", "DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:2"},
		{"R16", "../b/media", "../c/media"},
	} {
		a, err := rules.Parse(strings.Replace(good, c.old, c.new, 1))
		if err != nil {
			t.Fatal(err)
		}
		b, err := rules.Parse(strings.Replace(good, "../b/", "../a/", 1))
		if err != nil {
			t.Fatal(err)
		}
		var l rules.List
		rules.Together(&l, []string{"https://x/i/a/media.m3u8?token=1", "https://x/i/b/media.m3u8"}, []*rules.Playlist{a, b})
		if c.rule == "" {
			if len(l.Findings) > 0 {
				t.Error(l.Findings)
			}
			continue
		}
		expect(t, c.rule, l.Findings)
	}
}

func TestMultivariantDepartures(t *testing.T) {
	p, err := rules.Parse("#EXTM3U\n#EXT-X-STREAM-INF:RESOLUTION=1x1,AUDIO=\"x\"\na.m3u8\n")
	if err != nil {
		t.Fatal(err)
	}
	var l rules.List
	rules.Multivariant(&l, "index.m3u8", p)
	if l.Broken() != 2 || len(l.Findings) != 6 {
		t.Error(l.Findings)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good, next)
	f.Add(next, "#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=18446744073709551615\n#EXTINF:1,\na\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		w := rules.Watch{Name: "f"}
		var l rules.List
		for _, text := range []string{a, b, a} {
			p, err := rules.Parse(text)
			if err != nil {
				return
			}
			w.Full(&l, p, time.Unix(0, 0))
			w.Delta(&l, p)
			rules.Together(&l, []string{"a", "b"}, []*rules.Playlist{p, p})
			rules.Multivariant(&l, "a", p)
		}
	})
}
