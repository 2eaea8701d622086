package vod_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod"
)

// put writes a ready row.
func (h *house) row(id string, stream media.StreamID, public bool) string {
	h.t.Helper()
	id = (id + "0000000000000000")[:16]
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := media.Asset{ID: id, Stream: stream, Public: public, Kind: media.Uploaded, State: media.AssetReady, Title: id, Started: at, Ended: at.Add(time.Hour), Thumbnail: true}
	if _, err := h.store.Save(context.Background(), a); err != nil {
		h.t.Fatal(err)
	}
	return id
}

func TestWhoSeesWhat(t *testing.T) {
	h := newHouse(t, nil)
	math, open, foreign := h.row("math", "school.math", false), h.row("open", "school.art", true), h.row("foreign", "other", false)
	for token, want := range map[string]string{
		"": open, pupil: math + " " + open, teacher: math + " " + open, other: foreign + " " + open, admin: foreign + " " + math + " " + open,
	} {
		var got []string
		for _, a := range h.want(200, "GET", "/v1/assets", token, nil)["assets"].([]any) {
			got = append(got, a.(map[string]any)["id"].(string))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q sees %v, want %s", token, got, want)
		}
	}
	status := map[string][3]int{"": {401, 200, 401}, pupil: {200, 200, 403}, teacher: {200, 200, 403}, other: {403, 200, 200}, admin: {200, 200, 200}}
	leave := map[string]vod.Leave{
		pupil: {Subject: pupil, Play: []media.Pattern{"school.*"}}, teacher: {Subject: teacher, Publish: []media.Pattern{"school.*"}},
		other: {Subject: other, Play: []media.Pattern{"other"}}, admin: {Subject: admin, Admin: true},
	}
	kinds := map[int]error{200: nil, 401: media.ErrUnauthorized, 403: media.ErrForbidden}
	for token, want := range status {
		for i, id := range []string{math, open, foreign} {
			h.want(want[i], "GET", "/v1/assets/"+id, token, nil)
			h.blobs.objects["recordings/"+string(h.store.assets[id].Stream)+"/"+id+"/manifest.json"] = []byte(`{"Presentation":{"Ended":true}}`)
			if err := h.vod.MayPlay(t.Context(), leave[token], id); !errors.Is(err, kinds[want[i]]) {
				t.Errorf("%q may play %s: %v", token, id, err)
			}
		}
	}
	for token, want := range map[string]int{"": 401, pupil: 403, other: 403, teacher: 200, admin: 200} {
		h.want(want, "PATCH", "/v1/assets/"+math, token, `{"title":"x"}`)
	}
	h.want(401, "GET", "/v1/assets", "wrong", nil)
	h.want(401, "GET", "/v1/assets/"+math, "wrong", nil)
	h.want(200, "GET", "/v1/assets/"+open, "wrong", nil) // whatever token they hold
	h.want(401, "PATCH", "/v1/assets/"+open, "wrong", `{"title":"x"}`)
	h.want(401, "GET", "/v1/assets/0000000000000000", "", nil)
	h.want(404, "GET", "/v1/assets/0000000000000000", pupil, nil)
	h.want(404, "GET", "/v1/assets/UPPER", pupil, nil)
	h.want(404, "GET", "/v1/nothing", pupil, nil)
	h.want(405, "PUT", "/v1/assets", pupil, nil)
	h.want(401, "GET", "/v1/assets/"+math+"?token="+pupil, "", nil) // in the URL it counts for media files only
}

func TestPatch(t *testing.T) {
	h := newHouse(t, nil)
	own := "/v1/assets/" + h.row("math", "school.math", false)
	res, _ := h.do("GET", own, teacher, nil)
	tag := res.Header.Get("ETag")
	a := h.want(200, "PATCH", own, teacher, `{"title":" Brüche ","description":"d","labels":["class 5"," b "],"public":true,"keep_days":30}`, "If-Match", tag)
	if a["title"] != "Brüche" || a["description"] != "d" || fmt.Sprint(a["labels"]) != "[class 5 b]" || a["public"] != true || a["keep_days"] != 30.0 ||
		a["expires"] != "2026-01-31T01:00:00Z" || a["version"] != 2.0 {
		t.Errorf("changed: %v", a)
	}
	h.want(412, "PATCH", own, teacher, `{"title":"x"}`, "If-Match", tag)
	h.want(412, "PATCH", own, teacher, `{"title":"x","version":1}`)
	if a := h.want(200, "PATCH", own, teacher, `{"labels":[]}`, "If-Match", `"1", "2"`); a["title"] != "Brüche" || fmt.Sprint(a["labels"]) != "[]" {
		t.Errorf("what is left out stays: %v", a)
	}
	for body, want := range map[string]int{
		`{"title":""}`: 400, `{"title":"` + strings.Repeat("ä", 201) + `"}`: 400, `{"description":"` + strings.Repeat("x", 10_001) + `"}`: 400,
		`{"labels":[""]}`: 400, `{"labels":["` + strings.Repeat(`x","`, 33) + `"]}`: 400, `{"keep_days":-2}`: 400, `{"keep_days":99999}`: 400,
		`{"state":"ready"}`: 400, `{"title":1}`: 400, `{} {}`: 400, `[]`: 400, ``: 400, `{"title":"a\u0000b"}`: 400,
		`{"description":"` + strings.Repeat("x", 65<<10) + `"}`: 413,
	} {
		h.want(want, "PATCH", own, teacher, body)
	}
	h.want(415, "PATCH", own, teacher, []byte("{}"), "Content-Type", "text/plain")
	// Of many who change at the same time without naming a version, all succeed.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if res, b := h.do("PATCH", own, teacher, `{"description":"many"}`); res.StatusCode != 200 {
				t.Errorf("%d %s", res.StatusCode, b)
			}
		})
	}
	wg.Wait()
	if a := h.want(200, "GET", own, teacher, nil); a["version"] != 11.0 {
		t.Errorf("version %v", a["version"])
	}
}

func TestListRefuses(t *testing.T) {
	h := newHouse(t, nil)
	for _, q := range []string{
		"sort=size", "sort=--title", "state=deleting", "state=x", "limit=0", "limit=201", "limit=x", "stream=../x", "q=" + strings.Repeat("x", 201),
		"label=" + strings.Repeat("x", 300), "q=%ff", "q=a%00b", "cursor=" + strings.Repeat("x", 900),
	} {
		h.want(400, "GET", "/v1/assets?"+q, admin, nil)
	}
}

func TestViewsCountOncePerViewer(t *testing.T) {
	h := newHouse(t, nil)
	id := h.row("math", "school.math", false)
	for _, who := range []string{pupil, pupil, teacher, admin, pupil} {
		h.want(204, "POST", "/v1/assets/"+id+"/views", who, nil)
	}
	h.want(401, "POST", "/v1/assets/"+id+"/views", "", nil)
	h.stop() // those of the last seconds count too
	if a, err := h.store.Asset(t.Context(), id); err != nil || a.Views != 3 {
		t.Errorf("%d views, %v", a.Views, err)
	}
}

func TestPagesOfOtherOriginsMayAsk(t *testing.T) {
	h := newHouse(t, nil)
	res, _ := h.do("OPTIONS", "/v1/uploads/x/parts/1", "", nil, "Origin", "https://example.org", "Access-Control-Request-Method", "PUT")
	if res.StatusCode != 200 || res.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "PUT") ||
		!strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "Content-Digest") {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}

func TestPictureOfALiveStream(t *testing.T) {
	h := newHouse(t, func(c *vod.Config) { c.ThumbnailAge = time.Hour })
	p := *h.tape(4).Presentation
	p.Ended = false
	show := func(p *media.Presentation) {
		h.recorder.mu.Lock()
		defer h.recorder.mu.Unlock()
		h.recorder.live["school.math"], h.recorder.live["open"] = p, p
	}
	url := "/v1/streams/school.math/thumbnail.jpg"
	h.want(401, "GET", url, "", nil)
	h.want(403, "GET", url, other, nil)
	h.want(404, "GET", url, pupil, nil) // nobody publishes
	show(&p)
	res, b := h.do("GET", url+"?token="+pupil, "", nil)
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil || res.StatusCode != 200 || m.Bounds().Dx() != 320 || m.Bounds().Dy() != 180 || len(b) > 64<<10 {
		t.Fatalf("%d, %d bytes, %v", res.StatusCode, len(b), err)
	}
	if got := res.Header.Get("Cache-Control"); !strings.HasPrefix(got, "private, max-age=3") {
		t.Errorf("Cache-Control %q", got)
	}
	// It is not made again before its time, whoever asks, and whether or not the
	// stream goes on.
	show(nil)
	if _, again := h.do("GET", url, teacher, nil); !bytes.Equal(again, b) {
		t.Error("it was made again")
	}
	// Parts in memory are enough, before a segment is finished.
	video := *p.Renditions[0]
	first := video.Segments[0]
	in, err := h.recorder.read(nil, video.ID, first.Extent)
	if err != nil {
		t.Fatal(err)
	}
	data := new(bytes.Buffer)
	if _, err := data.ReadFrom(in); err != nil {
		t.Fatal(err)
	}
	video.Segments, video.Open = nil, &media.Segment{Parts: []media.Part{{Independent: true, Data: data.Bytes()}}}
	show(&media.Presentation{Stream: "open", Renditions: []*media.Rendition{&video}})
	if res, b := h.do("GET", "/v1/streams/open/thumbnail.jpg", "", nil); res.StatusCode != 200 || res.Header.Get("Cache-Control")[:6] != "public" {
		t.Errorf("%d %s", res.StatusCode, b)
	}
}

// On a machine without time for it a picture was an internal error, tried again with
// each request.
func TestAPictureThatTakesTooLongIsRefusedForAWhile(t *testing.T) {
	runs := filepath.Join(t.TempDir(), "runs")
	h := newHouse(t, nil)
	live := *h.tape(4).Presentation
	live.Ended = false
	h.stop()
	h.cfg.FFmpeg = filepath.Join(t.TempDir(), "slow")
	if err := os.WriteFile(h.cfg.FFmpeg, []byte("#!/bin/sh\necho run >> "+runs+"\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.cfg.ThumbnailAge = time.Hour
	h.start()
	h.recorder.mu.Lock()
	h.recorder.live["open"] = &live
	h.recorder.mu.Unlock()
	for range 2 {
		h.want(503, "GET", "/v1/streams/open/thumbnail.jpg", "", nil)
	}
	if b, err := os.ReadFile(runs); err != nil || string(b) != "run\n" {
		t.Errorf("ffmpeg ran %q, %v", b, err)
	}
}

// A fault of ours while something was made for all who want it left them waiting, and
// whoever came later too, until the next start.
func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	h := newHouse(t, nil)
	h.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	face := func(live bool) error {
		h.recorder.mu.Lock()
		h.recorder.broken = !live
		h.recorder.mu.Unlock()
		res, err := (&http.Client{Timeout: 20 * time.Second}).Get(h.server.URL + "/v1/streams/open/thumbnail.jpg")
		if err == nil && res.Body.Close() == nil && res.StatusCode != 404 {
			t.Errorf("status %d", res.StatusCode)
		}
		return err
	}
	if face(false) == nil {
		t.Error("the panic was answered")
	}
	if err := face(true); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestWithoutFFmpeg(t *testing.T) {
	h := newHouse(t, nil)
	m := h.tape(4)
	h.stop()
	h.cfg.FFmpeg, h.cfg.FFprobe = "no-such-program", "no-such-program"
	h.start()
	h.lend(m)
	h.began()
	h.ended()
	a := h.wait(recorded, "it is ready, and says what is missing", func(a media.Asset) bool { return a.State == media.AssetReady && a.Reason != "" })
	if a.Thumbnail || !strings.Contains(a.Reason, "ffmpeg is not installed") {
		t.Errorf("%+v", a)
	}
	if p := h.presentation(recorded); len(h.whole(p, p.Renditions[0])) == 0 {
		t.Error("it cannot be played")
	}
	h.want(501, "GET", "/v1/assets/"+recorded+"/export.mp4", pupil, nil)
	live := *m.Presentation
	h.recorder.mu.Lock()
	h.recorder.live["school.math"] = &live
	h.recorder.mu.Unlock()
	h.want(501, "GET", "/v1/streams/school.math/thumbnail.jpg", pupil, nil)
	u := h.want(201, "POST", "/v1/uploads", teacher, map[string]any{"name": "a", "size": 5, "type": "video/mp4"})
	part := u["parts"].([]any)[0].(map[string]any)
	h.want(200, "PUT", part["url"].(string), "", []byte("12345"), "Content-Type", "video/mp4")
	h.want(202, "POST", "/v1/uploads/"+u["id"].(string)+"/complete", teacher, nil)
	h.wait(u["id"].(string), "the upload says so", func(a media.Asset) bool {
		return a.State == media.AssetFailed && strings.Contains(a.Reason, "ffmpeg")
	})
}
