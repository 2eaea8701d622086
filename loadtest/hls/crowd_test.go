package hls

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/source"
)

const media = `#EXTM3U
#EXT-X-TARGETDURATION:6
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:00.000Z
#EXT-X-PART:DURATION=0.5,URI="7.0.m4s?token={$token}",INDEPENDENT=YES
#EXTINF:2,
7.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:02.000Z
#EXT-X-PART:DURATION=0.5,URI="8.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.25,URI="8.1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="init-1.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="8.2.m4s?token={$token}"
`

func TestTheEndOfAPlaylist(t *testing.T) {
	e, err := parse([]byte(media))
	want := time.Date(2026, 11, 21, 12, 0, 2, 750e6, time.UTC)
	if err != nil || e.msn != 8 || e.part != 2 || e.hint != "8.2.m4s?token={$token}" || e.target != 500*time.Millisecond || !e.end.Equal(want) {
		t.Errorf("%+v %v", e, err)
	}
	if !e.lists(edge{hint: "8.1.m4s"}) || e.lists(edge{hint: "8.0.m4s"}) {
		t.Errorf("the newest part is %s", e.last)
	}
	if _, err := parse([]byte("#EXTM3U\n#EXTINF:2,\n1.ts\n")); err == nil {
		t.Error("a playlist without hints was taken")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(media))
	f.Add([]byte("#EXT-X-SKIP:SKIPPED-SEGMENTS=\"\n#EXT-X-PART:=,=\""))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = parse(text)
		_, _ = entry(text)
	})
}

// Of a stream with stamps and dates the age of what is newest is known, by both. A part that
// the playlist does not list yet is not looked at, and sound counts for itself.
func TestACrowdKnowsHowOldIsWhatIsNewest(t *testing.T) {
	const pictures, sound = 40 * time.Minute, 20 * time.Minute // so old that the machine's speed is nothing
	turn := map[string]*atomic.Int64{"v": {}, "s": {}}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := r.URL.Path[1:2]
		switch {
		case r.URL.Path == "/index.m3u8":
			fmt.Fprint(w, "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"s.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n")
		case strings.HasSuffix(r.URL.Path, ".m4s"):
			sent := time.Now().Add(-pictures)
			if strings.HasSuffix(r.URL.Path, "0.m4s") {
				sent = sent.Add(-time.Hour) // its playlist lists the part before
			}
			_, _ = w.Write(source.Stamp{Sent: sent}.AppendSEI([]byte("part")))
		default:
			n := turn[kind].Add(1)
			age, newest := pictures, n
			if kind == "s" {
				age = sound
			}
			if newest%10 == 0 {
				newest--
			}
			fmt.Fprintf(w, "#EXTM3U\n#EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-PROGRAM-DATE-TIME:%s\n#EXT-X-PART:DURATION=0.5,URI=\"%s%d.m4s\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"%s%d.m4s\"\n",
				time.Now().Add(-age-500*time.Millisecond).UTC().Format("2006-01-02T15:04:05.000Z"), kind, newest, kind, n+1)
		}
	}))
	defer origin.Close()
	c, err := New(Config{URL: origin.URL + "/index.m3u8", Clients: 1, Sound: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for turn["v"].Load() < 50 || turn["s"].Load() < 50 {
		<-tick.C
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := c.Window()
	near := func(ms float64, want time.Duration) bool {
		return ms >= float64(want/time.Millisecond)-1 && ms < float64((want+10*time.Minute)/time.Millisecond)
	}
	if got.Newest.N < 40 || !near(got.Newest.P50, pictures) || !near(got.Newest.Max, pictures) || !near(got.Edge.P50, pictures) || !near(got.EdgeSound.P50, sound) {
		t.Errorf("%+v", got)
	}
}

// A crowd against an origin of a few lines: each turn is answered when its part is
// there, and one part in ten is missing.
func TestACrowdAsksAheadAndCountsWhatIsWrong(t *testing.T) {
	var turn atomic.Int64
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer key":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/index.m3u8":
			fmt.Fprint(w, "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"s.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n")
		case strings.HasSuffix(r.URL.Path, ".m4s"):
			if strings.Contains(r.URL.Path, "9.m4s") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			fmt.Fprint(w, "part")
		default:
			n := turn.Add(1)
			fmt.Fprintf(w, "#EXTM3U\n#EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"%d.m4s\"\n", n, n)
		}
	}))
	defer origin.Close()
	c, err := New(Config{URL: origin.URL + "/index.m3u8", Token: "key", Clients: 3, Sound: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	for turn.Load() < 200 {
		<-tick.C
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := c.Window()
	if got.Playlists < 190 || got.Parts < 100 || got.Bytes < 4*got.Parts || got.Errors["status 404"] == 0 || len(got.Errors) != 1 || got.Part != 500 {
		t.Errorf("%+v", got)
	}
	if again := c.Window(); again.Playlists != 0 {
		t.Errorf("counted twice: %+v", again)
	}
	if c, _ := New(Config{URL: origin.URL + "/index.m3u8", Clients: 1}); c.Run(t.Context()) == nil {
		t.Error("a crowd that is not let in says nothing")
	}
}
