package hlsfallback_test

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	hlsfallback "github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/rules"
	"github.com/sluice-live/sluice/hls-fallback/stage"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/webvtt"
)

const spoken = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:1,LOCAL:00:00:00.000\n\n00:00:03.000 --> 00:00:05.000\nHello\n"

// caption adds a language to the newest snapshot: each segment of a picture has the
// same text, or all of it is in one segment.
func (f *source) caption(whole bool, before ...func(*stage.Stage)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, change := range before {
		change(f.s)
		f.p = f.s.Snapshot()
	}
	p, of := *f.p, f.p.Rendition("video-h")
	p.Version++
	r := &media.Rendition{ID: "captions-en", Kind: media.SubtitleRendition, Codec: "wvtt", Timescale: of.Timescale, Language: "en", Name: "English", Bandwidth: 2000}
	for _, s := range of.Segments {
		one := &media.Segment{MSN: s.MSN, Start: s.Start, Duration: s.Duration, Independent: true}
		if whole {
			one.Duration = of.Segments[len(of.Segments)-1].Start + of.Segments[len(of.Segments)-1].Duration
		}
		one.Parts = []media.Part{{Start: one.Start, Duration: one.Duration, Data: []byte(spoken)}}
		if r.Segments = append(r.Segments, one); whole {
			break
		}
	}
	p.Renditions = append(p.Renditions, r)
	f.p = &p
	close(f.changed)
	f.changed = make(chan struct{})
}

func TestTextOfAnAsset(t *testing.T) {
	s := story()
	s.End()
	f := newSource(s)
	f.caption(true)
	h := serve(t, f, func(_ *hlsfallback.Config, p *hlsfallback.Parts) { p.Videos, p.Live = f, nil }).Handler()
	const own = "/videos/show/t5abcde000000001/captions-en/"
	entry := ask(h, "/videos/show/index.m3u8?token=x").Body.String()
	for _, line := range []string{
		`#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="t5abcde000000001/captions-en/media.m3u8?token={$token}"`,
	} {
		if !strings.Contains(entry, line+"\n") {
			t.Errorf("%s", entry)
		}
	}
	if strings.Count(entry, "#EXT-X-STREAM-INF") != strings.Count(entry, `,SUBTITLES="subs"`) {
		t.Errorf("a variant without subtitles:\n%s", entry)
	}
	list := ask(h, own+"media.m3u8").Body.String()
	for _, want := range []string{"#EXT-X-TARGETDURATION:9\n", "#EXT-X-PLAYLIST-TYPE:VOD\n", "#EXTINF:8.50000,\n0.vtt\n", "#EXT-X-ENDLIST\n"} {
		if !strings.Contains(list, want) {
			t.Errorf("without %q:\n%s", want, list)
		}
	}
	if strings.Contains(list, "EXT-X-MAP") || strings.Contains(list, "PART") {
		t.Errorf("%s", list)
	}
	if w := ask(h, own+"0.vtt"); w.Code != 200 || w.Body.String() != spoken || w.Header().Get("Content-Type") != webvtt.Type || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	// DASH players count from the beginning of the period.
	if mpd := ask(h, "/videos/show/manifest.mpd").Body.String(); !strings.Contains(mpd, `mimeType="text/vtt"`) || !strings.Contains(mpd, `lang="en"`) || !strings.Contains(mpd, "captions-en/from-0.vtt</BaseURL>") {
		t.Errorf("%s", mpd)
	}
	if w := ask(h, own+"from-2000.vtt"); w.Body.String() != "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nHello\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, no := range []string{own + "0.m4s", own + "1.vtt", own + "00.vtt", own + "-1.vtt", own + "0.0.vtt", own + "from-.vtt", own + "init-0.mp4", own + "iframes.m3u8", "/videos/show/t5abcde000000001/video-h/0.vtt"} {
		if w := ask(h, no); w.Code != 404 {
			t.Errorf("%s: %d", no, w.Code)
		}
	}
}

func TestLiveTextIsWaitedForBySegment(t *testing.T) {
	f := newSource(story())
	f.caption(false)
	h := serve(t, f, nil).Handler()
	read := func(query string) *rules.Playlist {
		t.Helper()
		w := ask(h, base+"captions-en/media.m3u8"+query)
		p, err := rules.Parse(w.Body.String())
		if err != nil || w.Code != 200 {
			t.Fatalf("%d %v: %s", w.Code, err, w.Body)
		}
		return p
	}
	p := read("")
	if len(p.Segments) != 4 || p.Segments[3].URI != "3.vtt" || len(p.Open.Parts) != 0 || len(p.Hints) != 0 || len(p.Reports) == 0 {
		t.Fatalf("%+v", p)
	}
	var found rules.List
	watch := rules.Watch{Name: "captions-en", LowLatency: true}
	watch.Full(&found, p, f.p.Start)
	for _, problem := range found.Findings {
		t.Errorf("%+v", problem)
	}
	got := make(chan *rules.Playlist)
	go func() { got <- read("?_HLS_msn=4&_HLS_part=0") }()
	f.caption(false, func(s *stage.Stage) { s.Segment(4) })
	if p := <-got; len(p.Segments) != 5 {
		t.Errorf("%d segments", len(p.Segments))
	}
	other := ask(h, base+"video-h/media.m3u8").Body.String()
	if !strings.Contains(other, `#EXT-X-RENDITION-REPORT:URI="../captions-en/media.m3u8",LAST-MSN=4`+"\n") {
		t.Errorf("%s", other)
	}
	if w := ask(h, base+"captions-en/2.vtt"); w.Code != 200 || w.Body.String() != spoken {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if legacy := read("?profile=legacy"); legacy.PartTarget != 0 || len(legacy.Segments) != 5 {
		t.Errorf("%+v", legacy)
	}
}

// Live text for DASH is in CMAF, of the same cues on the same boundaries.
func TestLiveTextForDASH(t *testing.T) {
	f := newSource(story())
	f.caption(false)
	h := serve(t, f, nil).Handler()
	own := base + "captions-en/"
	if mpd := ask(h, "/live/show/manifest.mpd").Body.String(); !strings.Contains(mpd, `lang="en" contentType="text" segmentAlignment="true" mimeType="application/mp4"`) || !strings.Contains(mpd, `captions-en/$Number$.m4s`) {
		t.Errorf("%s", mpd)
	}
	section, next := ask(h, own+"init-0.mp4"), make(chan string)
	go func() { next <- ask(h, own+"4.m4s").Body.String() }() // it is asked for while it is made
	first := ask(h, own+"1.m4s")
	for _, w := range []*httptest.ResponseRecorder{section, first} {
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/mp4" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	}
	file, err := mp4.DecodeFile(io.MultiReader(section.Body, bytes.NewReader(first.Body.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	all, err := file.Segments[0].Fragments[0].GetFullSamples(file.Moov.Mvex.Trex)
	if err != nil || len(all) != 2 || all[0].DecodeTime != 180000 || !bytes.Contains(all[0].Data, []byte("vtte")) || all[1].DecodeTime != 270000 || !bytes.Contains(all[1].Data, []byte("paylHello")) {
		t.Errorf("%v %+v", err, all)
	}
	f.caption(false, func(s *stage.Stage) { s.Segment(4) })
	if body := <-next; !strings.Contains(body, "moof") || !strings.Contains(body, "mdat") {
		t.Errorf("%q", body)
	}
	if w := ask(h, own+"1.vtt"); w.Body.String() != spoken || w.Header().Get("Etag") == first.Header().Get("Etag") {
		t.Errorf("%v %v", w.Header(), first.Header())
	}
	for _, no := range []string{own + "9.m4s", own + "init-1.mp4", own + "init-.mp4", own + "1.0.m4s", own + "1-2.m4s", own + "init-0.vtt"} {
		if w := ask(h, no); w.Code != 404 {
			t.Errorf("%s: %d", no, w.Code)
		}
	}
}
