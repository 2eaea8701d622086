package vod_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/webvtt"
)

const textVTT = "text/vtt; charset=utf-8"

// spoken returns the text renditions of an asset, with their cues.
func (h *house) spoken(id string) map[string]*webvtt.File {
	h.t.Helper()
	all := map[string]*webvtt.File{}
	for _, r := range h.presentation(id).Renditions {
		if r.Kind != media.SubtitleRendition {
			continue
		}
		f, err := webvtt.Parse(r.Segments[0].Parts[0].Data)
		if err != nil || len(r.Segments) != 1 || !strings.HasPrefix(r.ID, "subtitles-"+r.Language) {
			h.t.Fatalf("%+v: %v", r, err)
		}
		all[r.Language] = f
	}
	return all
}

func TestSubtitlesAreSetAndTakenAway(t *testing.T) {
	h := newHouse(t, nil)
	h.lend(h.tape(6))
	h.began()
	h.ended()
	h.wait(recorded, "it is ready", isReady)
	path := "/v1/assets/" + recorded + "/subtitles/"
	put := func(status int, language, token, body string) map[string]any {
		t.Helper()
		return h.want(status, "PUT", path+language, token, []byte(body), "Content-Type", textVTT)
	}
	const hello = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"
	put(401, "en", "", hello)
	put(403, "en", pupil, hello)
	put(400, "en_US", teacher, hello)
	h.want(415, "PUT", path+"en", teacher, hello)
	bad := put(400, "en", teacher, "WEBVTT\n\n00:01.000 --> 00:00.000\nHello\n")
	if detail, _ := bad["detail"].(string); !strings.Contains(detail, "line 3") {
		t.Errorf("%v", bad)
	}
	put(400, "en", teacher, "WEBVTT\n")
	put(413, "en", teacher, "WEBVTT\n\nNOTE "+strings.Repeat("x", 2<<20))
	before := h.presentation(recorded).Version
	put(201, "en", teacher, hello)
	if got := h.spoken(recorded)["en"]; got == nil || len(got.Cues) != 1 || got.Cues[0].Text != "Hello" {
		t.Fatalf("%+v", got)
	}
	first := h.presentation(recorded)
	if first.Version <= before {
		t.Errorf("version %d after %d: playlists would not be rendered again", first.Version, before)
	}
	put(200, "EN", teacher, strings.Replace(hello, "Hello", "Good morning", 1))
	if second := h.presentation(recorded); second.Version <= first.Version || second.Renditions[len(second.Renditions)-1].ID == first.Renditions[len(first.Renditions)-1].ID {
		t.Error("another text has the address of the one before")
	}
	asset := put(201, "pt-BR", teacher, hello)
	if subs, _ := asset["subtitles"].([]any); len(subs) != 2 {
		t.Errorf("%v", asset["subtitles"])
	}
	if res, out := h.do("GET", "/v1/assets/"+recorded+"/subtitles-pt-br.vtt", pupil, nil); res.StatusCode != 200 || !bytes.Contains(out, []byte("Hello")) {
		t.Errorf("%d %s", res.StatusCode, out)
	}
	h.want(412, "DELETE", path+"en", teacher, nil, "If-Match", `"1"`)
	h.want(403, "DELETE", path+"en", pupil, nil)
	h.want(204, "DELETE", path+"en", teacher, nil)
	h.want(404, "DELETE", path+"en", teacher, nil)
	if got := h.spoken(recorded); len(got) != 1 || got["pt-br"] == nil {
		t.Errorf("%v", got)
	}
	testnetGone(h, "/v1/assets/"+recorded+"/subtitles-en.vtt")
}

// What was captioned live becomes subtitles, and a clip has those of its parent.
func TestLiveCaptionsBecomeSubtitlesAndClipsHaveThem(t *testing.T) {
	h := newHouse(t, nil)
	m := h.tape(12)
	at := func(s float64) time.Time {
		return m.Presentation.Start.Add(time.Duration(s * float64(time.Second)))
	}
	m.Captions = []media.Caption{
		{Language: "en", Start: at(1), End: at(3), Text: "one <b>"},
		{Language: "en", Start: at(7), End: at(9), Text: "two"},
		{Language: "de", Start: at(1), End: at(3), Text: "eins"},
		{Language: "en", Start: at(-5), End: at(-1), Text: "before"},
	}
	h.lend(m)
	h.began()
	h.ended()
	a := h.wait(recorded, "it is ready", isReady)
	if strings.Join(a.Subtitles, " ") != "de en" {
		t.Fatalf("%v", a.Subtitles)
	}
	en := h.spoken(recorded)["en"]
	if len(en.Cues) != 2 || en.Cues[0].Text != "one &lt;b&gt;" || en.Cues[0].Start.Round(100*time.Millisecond) != time.Second {
		t.Fatalf("%+v", en)
	}
	clip := h.want(201, "POST", "/v1/assets/"+recorded+"/clips", teacher, map[string]any{"start": 6, "end": 10})
	id, _ := clip["id"].(string)
	h.wait(id, "the clip is ready", isReady)
	own := h.spoken(id)
	if len(own) != 1 || len(own["en"].Cues) != 1 || own["en"].Cues[0].Text != "two" {
		t.Fatalf("%v", own)
	}
	_, out := h.do("GET", "/v1/assets/"+id+"/subtitles-en.vtt", teacher, nil)
	f, err := webvtt.Parse(out)
	if err != nil || f.Cues[0].Start.Round(100*time.Millisecond) != time.Second { // six seconds in, of seven
		t.Errorf("%+v %v", f, err)
	}
}
