package vod_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod"
)

const recorded = "t00000000000000a"

// reel is a film of twelve seconds as the catalogue repackages it, with its bytes.
type reel struct {
	once  sync.Once
	show  media.Presentation
	bytes map[string][]byte // of a rendition
}

// studio is the one reel of these tests: it is made by the first that wants it.
var studio reel

// shoot makes the reel by an upload.
func (f *reel) shoot(t *testing.T) {
	h := newHouse(t, nil)
	id := h.upload(lesson(t, 12), "video/mp4", "school.studio")
	h.wait(id, "the film is there", func(a media.Asset) bool { return a.State == media.AssetReady })
	f.show, f.bytes = *h.presentation(id), map[string][]byte{}
	for _, r := range f.show.Renditions {
		all := h.whole(&f.show, r)
		f.bytes[r.ID] = all[len(r.Inits[0].Data):]
		at := int64(0)
		for _, s := range r.Segments {
			s.Extent = media.Extent{Offset: at, Size: s.Extent.Size}
			at += s.Extent.Size
		}
	}
	h.stop()
}

// tape lends the beginning of the reel to the fake recorder as what it records: an
// ended recording, whose files are on this node alone. Segments have two seconds.
func (h *house) tape(seconds int) *media.Manifest {
	h.t.Helper()
	studio.once.Do(func() { studio.shoot(h.t) })
	p := studio.show
	p.Stream, p.Incarnation, p.Renditions = "school.math", recorded, nil
	for _, r := range studio.show.Renditions {
		one := *r
		one.Segments = slices.Clone(r.Segments[:seconds/2])
		p.Renditions = append(p.Renditions, &one)
	}
	h.recorder.read = func(_ *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(studio.bytes[rendition][e.Offset : e.Offset+e.Size])), nil
	}
	return &media.Manifest{Presentation: &p, Gaps: []media.Gap{{Rendition: "video", Start: time.Second, End: 3 * time.Second, Why: "lost"}}}
}

func (h *house) lend(m *media.Manifest) {
	h.recorder.mu.Lock()
	defer h.recorder.mu.Unlock()
	h.recorder.ended[m.Presentation.Incarnation] = m
}

func (h *house) began() {
	h.t.Helper()
	if err := h.vod.Began(context.Background(), "school.math", recorded, time.Now()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) ended() {
	h.t.Helper()
	if err := h.vod.Ended(context.Background(), "school.math", recorded); err != nil {
		h.t.Fatal(err)
	}
}

// The life of a recording: it is playable while it records, and everything that is
// told twice counts once.
func TestRecordingBecomesAnAsset(t *testing.T) {
	h := newHouse(t, nil)
	m := h.tape(6)
	h.began()
	h.began()
	live := *m.Presentation
	live.Ended = false
	h.recorder.mu.Lock()
	h.recorder.live["school.math"] = &live
	h.recorder.mu.Unlock()
	if p := h.presentation(recorded); p.Ended || len(h.whole(p, p.Renditions[0])) == 0 {
		t.Error("it is not playable while it records")
	}
	shown := h.want(200, "GET", "/v1/assets/"+recorded, pupil, nil)
	if shown["state"] != "recording" || shown["playable"] != true || shown["hls"] != "/videos/"+recorded+"/index.m3u8" ||
		shown["thumbnail"] != "/v1/streams/school.math/thumbnail.jpg" || shown["path"] != nil {
		t.Errorf("while it records: %v", shown)
	}
	h.want(409, "DELETE", "/v1/assets/"+recorded, teacher, nil)

	h.recorder.mu.Lock()
	delete(h.recorder.live, "school.math")
	h.recorder.mu.Unlock()
	h.lend(m)
	h.ended()
	h.ended()
	a := h.wait(recorded, "the recording is ready", isReady)
	if a.Duration < 5900*time.Millisecond || a.Duration > 6200*time.Millisecond || a.Width != 640 || len(a.Gaps) != 1 || a.Path != "" {
		t.Errorf("asset %+v", a)
	}
	h.ended()
	h.began()
	for range 2 {
		if err := h.vod.Stored(t.Context(), recorded, "recordings/school.math/"+recorded); err != nil {
			t.Error(err)
		}
	}
	if got := fmt.Sprint(h.store.kinds(recorded)); got != "[began ended ready stored]" {
		t.Errorf("events %s", got)
	}
	shown = h.want(200, "GET", "/v1/assets/"+recorded, teacher, nil)
	if shown["complete"] != false || shown["missing"] != 2.0 || len(shown["gaps"].([]any)) != 1 || shown["path"] != "recordings/school.math/"+recorded {
		t.Errorf("when it is stored: %v", shown)
	}
	if err := h.vod.Stored(t.Context(), "t00000000000000z", "x"); !errors.Is(err, media.ErrNotFound) {
		t.Errorf("stored, but unknown: %v", err)
	}
}

// Who renders playlists keeps what it has until there is something newer: what the
// recorder showed last, also of the end, is older than what the catalogue makes of it.
func TestWhatIsKeptIsNewerThanWhatWasLive(t *testing.T) {
	h := newHouse(t, nil)
	m := h.tape(4)
	h.began()
	for i, over := range []bool{false, true} {
		live := *m.Presentation
		live.Ended, live.Version = over, uint64(70_000+i)
		h.recorder.mu.Lock()
		h.recorder.live["school.math"] = &live
		h.recorder.mu.Unlock()
		if p := h.presentation(recorded); p.Ended != over {
			t.Fatal("it is not shown as the recorder has it")
		}
	}
	h.recorder.mu.Lock()
	delete(h.recorder.live, "school.math")
	h.recorder.mu.Unlock()
	h.lend(m)
	h.ended()
	h.wait(recorded, "the recording is ready", isReady)
	if p := h.presentation(recorded); !p.Ended || p.Version <= 70_001 {
		t.Errorf("it has version %d behind 70001, ended: %v", p.Version, p.Ended)
	}
}

// When the local copy is dropped, the blob store is played from.
func TestPlaysFromTheBlobStore(t *testing.T) {
	h := newHouse(t, nil)
	m := h.tape(4)
	h.lend(m)
	h.began()
	h.ended()
	h.wait(recorded, "the recording is ready", isReady)
	want := h.whole(m.Presentation, m.Presentation.Renditions[0])
	path := "recordings/school.math/" + recorded
	for _, r := range m.Presentation.Renditions {
		all := h.whole(m.Presentation, r)[len(r.Inits[0].Data):]
		if err := h.blobs.Put(t.Context(), path+"/"+r.ID+"/000000.cmaf", bytes.NewReader(all), int64(len(all))); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.blobs.Put(t.Context(), path+"/manifest.json", bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
	if err := h.vod.Stored(t.Context(), recorded, path); err != nil {
		t.Fatal(err)
	}
	before := h.presentation(recorded)
	if err := h.recorder.Delete(t.Context(), recorded); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(h.whole(before, before.Renditions[0]), want) {
		t.Error("a viewer who has begun gets something else")
	}
	h.stop()
	h.start()
	p := h.presentation(recorded)
	if !bytes.Equal(h.whole(p, p.Renditions[0]), want) {
		t.Error("the blob store has something else")
	}
}

// The node fell before it told the end, or before it heard it.
func TestEndThatWasNotTold(t *testing.T) {
	h := newHouse(t, nil)
	m := h.tape(4)
	h.began()
	h.stop()
	h.lend(m)
	h.start()
	h.wait(recorded, "the recording is ready", isReady)
	if got := fmt.Sprint(h.store.kinds(recorded)); got != "[began ended ready]" {
		t.Errorf("events %s", got)
	}
}

// An end whose beginning was never told makes an asset all the same.
func TestEndWithoutBeginning(t *testing.T) {
	h := newHouse(t, nil)
	h.lend(h.tape(4))
	h.ended()
	h.wait(recorded, "the recording is ready", isReady)
}

// A recording of which nothing can be read fails, with the reason for people; one that
// is in the blob store, or of which nobody knows, is left alone.
func TestWhatCannotBeReadFails(t *testing.T) {
	h := newHouse(t, nil)
	ctx := context.Background()
	if err := h.vod.Lost(ctx, recorded, "gone"); err != nil {
		t.Fatalf("of a recording that never was: %v", err)
	}
	if err := h.vod.Began(ctx, "school.math", recorded, time.Now()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.vod.Lost(ctx, recorded, "its journal is damaged"); err != nil {
			t.Fatal(err)
		}
	}
	a, err := h.store.Asset(ctx, recorded)
	if err != nil || a.State != media.AssetFailed || a.Reason != "its journal is damaged" {
		t.Errorf("the asset is %s (%s): %v", a.State, a.Reason, err)
	}
	if got := h.store.kinds(recorded); len(got) != 2 {
		t.Errorf("events %v", got)
	}
}

func TestPicturesAndStoryboard(t *testing.T) {
	h := newHouse(t, nil)
	h.lend(h.tape(8))
	h.began()
	h.ended()
	h.wait(recorded, "the recording is ready", isReady)
	own := "/v1/assets/" + recorded
	h.want(401, "GET", own+"/thumbnail.jpg", "", nil)
	h.want(403, "GET", own+"/thumbnail.jpg", other, nil)
	h.want(404, "GET", own+"/secret.jpg", pupil, nil)
	h.want(404, "GET", own+"/..%2fmanifest.json", pupil, nil)
	for name, size := range map[string][2]int{"thumbnail.jpg": {640, 360}, "storyboard-0.jpg": {4 * 160, 90}} {
		res, b := h.do("GET", own+"/"+name, pupil, nil)
		m, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil || res.StatusCode != 200 || m.Bounds().Dx() != size[0] || m.Bounds().Dy() != size[1] {
			t.Fatalf("%s: %d, %v, %v", name, res.StatusCode, err, m.Bounds())
		}
		// The last tile is a picture, not what was left empty.
		r, g, bl, _ := m.At(size[0]-40, 30).RGBA()
		if r+g+bl == 0 {
			t.Errorf("%s is black", name)
		}
	}
	_, vtt := h.do("GET", own+"/storyboard.vtt?token="+pupil, "", nil)
	if !strings.HasPrefix(string(vtt), "WEBVTT\n") || strings.Count(string(vtt), "storyboard-0.jpg?token="+pupil+"#xywh=") != 4 {
		t.Errorf("storyboard:\n%s", vtt)
	}
}

func TestClipOutlivesItsParent(t *testing.T) {
	h := newHouse(t, nil)
	h.lend(h.tape(12))
	h.began()
	h.ended()
	h.wait(recorded, "the recording is ready", isReady)
	own := "/v1/assets/" + recorded
	h.want(403, "POST", own+"/clips", pupil, map[string]any{"start": 3, "end": 5})
	for _, bad := range []string{`{"start":-1,"end":5}`, `{"start":5,"end":5}`, `{"start":20,"end":30}`, `{"start":1e300,"end":1e301}`, `{"start":"x"}`} {
		h.want(400, "POST", own+"/clips", teacher, bad)
	}
	c := h.want(201, "POST", own+"/clips", teacher, map[string]any{"start": 3, "end": 7.5, "title": "The proof"})
	if s, e := c["start"].(float64), c["end"].(float64); s > 2.1 || s < 1.9 || e < 7.9 || e > 8.1 {
		t.Errorf("cut from %v to %v", s, e)
	}
	id := c["id"].(string)
	a := h.wait(id, "the clip is ready", isReady)
	if a.Parent != recorded || a.Title != "The proof" || (a.Duration-6*time.Second).Abs() > 200*time.Millisecond {
		t.Errorf("clip %+v", a)
	}
	h.want(202, "DELETE", own, teacher, nil)
	testnetGone(h, own)
	p := h.presentation(id)
	if n := h.frames(p, p.Renditions[0]); n != "150" {
		t.Errorf("%s frames of 150", n)
	}
	for _, r := range p.Renditions {
		if r.Segments[0].MSN != 0 {
			t.Errorf("%s begins with number %d", r.ID, r.Segments[0].MSN)
		}
	}
	h.export(id, "", "150")
}

// export fetches an asset as MP4 and holds it against what is in it.
func (h *house) export(id, query, frames string) {
	h.t.Helper()
	res, b := h.do("GET", "/v1/assets/"+id+"/export.mp4"+query, pupil, nil)
	path := filepath.Join(h.t.TempDir(), "export.mp4")
	if err := os.WriteFile(path, b, 0o600); err != nil || res.StatusCode != 200 {
		h.t.Fatalf("export: %d %.200s", res.StatusCode, b)
	}
	if !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") || res.Header.Get("Content-Type") != "video/mp4" {
		h.t.Errorf("export: %v", res.Header)
	}
	if at := bytes.Index(b, []byte("moov")); at < 0 || at > bytes.Index(b, []byte("mdat")) {
		h.t.Error("the index is not in front")
	}
	if got := ffprobe(h.t, path, "-select_streams", "v", "-count_frames", "-show_entries", "stream=nb_read_frames"); got[0] != frames {
		h.t.Errorf("export has %v frames of %s", got, frames)
	}
	starts := ffprobe(h.t, path, "-show_entries", "stream=start_time")
	if len(starts) != 2 || starts[0] > "0.1" || starts[1] > "0.1" {
		h.t.Errorf("streams begin at %v", starts)
	}
}

func TestExport(t *testing.T) {
	h := newHouse(t, nil)
	m := h.tape(10)
	h.lend(m)
	h.began()
	h.ended()
	h.wait(recorded, "the recording is ready", isReady)
	h.export(recorded, "", "250")
	h.export(recorded, "?start=4&end=8", "100")
	h.export(recorded, "?rendition=video&end=2", "50")
	for _, bad := range []string{"?start=x", "?start=-1", "?start=NaN", "?start=1e9", "?rendition=none", "?rendition=../audio", "?start=100"} {
		h.want(400, "GET", "/v1/assets/"+recorded+"/export.mp4"+bad, pupil, nil)
	}
	h.want(409, "GET", "/v1/assets/"+recorded+"/export.webm", pupil, nil) // H.264 has no place in WebM
	res, part := h.do("GET", "/v1/assets/"+recorded+"/export.mp4", pupil, nil, "Range", "bytes=0-99")
	if res.StatusCode != 206 || len(part) != 100 {
		t.Errorf("a range: %d, %d bytes", res.StatusCode, len(part))
	}
	// A format that changes does not fit into one track.
	one := *m.Presentation.Renditions[0]
	one.Inits = append(one.Inits, one.Inits[0])
	one.Segments = slices.Clone(one.Segments)
	changed := *one.Segments[3]
	changed.Init = 1
	one.Segments[3] = &changed
	p := *m.Presentation
	p.Renditions = []*media.Rendition{&one, p.Renditions[1]}
	p.Incarnation = "t00000000000000b"
	h.lend(&media.Manifest{Presentation: &p})
	if err := h.vod.Ended(t.Context(), "school.math", p.Incarnation); err != nil {
		t.Fatal(err)
	}
	h.wait(p.Incarnation, "the recording is ready", isReady)
	if got := h.want(409, "GET", "/v1/assets/"+p.Incarnation+"/export.mp4", pupil, nil); !strings.Contains(got["detail"].(string), "6.0") {
		t.Errorf("%v", got)
	}
	h.export(p.Incarnation, "?end=6", "150")
	// Who exports does not fill the disk that is recorded to.
	h.stop()
	h.cfg.Uploads.Reserve = 1 << 60
	h.start()
	h.want(507, "GET", "/v1/assets/"+recorded+"/export.mp4", pupil, nil)
}

// What was exported while an asset still recorded was all that there was of it
// afterwards, too; and whoever made up times had a file made for each.
func TestAnExportIsKnownByWhereItIsCut(t *testing.T) {
	h := newHouse(t, nil)
	m := h.tape(8)
	live := *h.tape(4).Presentation
	live.Ended = false
	h.recorder.mu.Lock()
	h.recorder.live["school.math"] = &live
	h.recorder.mu.Unlock()
	h.began()
	h.want(409, "GET", "/v1/assets/"+recorded+"/export.mp4", pupil, nil) // it grows
	h.export(recorded, "?end=100", "100")
	h.recorder.mu.Lock()
	delete(h.recorder.live, "school.math")
	h.recorder.mu.Unlock()
	h.lend(m)
	h.ended()
	h.wait(recorded, "the recording is ready", isReady)
	h.export(recorded, "?end=100", "200")
	before := len(h.exports())
	for _, wish := range []string{"", "?start=0.01", "?end=8", "?start=0&end=7.99", "?start=0.5&end=9999"} {
		h.export(recorded, wish, "200")
	}
	if after := len(h.exports()); after != before {
		t.Errorf("wishes for the same made %d files of it", after-before+1)
	}
}

// exports are the files that are kept.
func (h *house) exports() []os.DirEntry {
	h.t.Helper()
	all, err := os.ReadDir(filepath.Join(h.cfg.Dir, "exports"))
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// A deletion that is stopped in the middle goes on.
func TestDeletionGoesOn(t *testing.T) {
	h := newHouse(t, nil)
	h.lend(h.tape(4))
	h.began()
	h.ended()
	h.wait(recorded, "the recording is ready", isReady)
	own := "/v1/assets/" + recorded
	h.want(401, "DELETE", own, "", nil)
	h.want(403, "DELETE", own, pupil, nil)
	h.want(403, "DELETE", own, other, nil)
	h.want(412, "DELETE", own, teacher, nil, "If-Match", `"99"`)
	h.blobs.setFail(func(op, key string) error {
		if op == "delete" && strings.HasSuffix(key, "thumbnail.jpg") {
			return io.ErrClosedPipe
		}
		return nil
	})
	h.want(202, "DELETE", own, teacher, nil)
	h.wait(recorded, "it is being deleted", func(a media.Asset) bool { return a.State == media.AssetDeleting })
	if _, err := h.vod.Videos().Presentation(t.Context(), recorded); !errors.Is(err, media.ErrNotFound) {
		t.Errorf("what is being deleted is played: %v", err)
	}
	if list := h.want(200, "GET", "/v1/assets", admin, nil)["assets"].([]any); len(list) != 0 {
		t.Errorf("what is being deleted is listed: %v", list)
	}
	h.stop()
	h.blobs.setFail(nil)
	h.start()
	testnetGone(h, own)
	if left := h.blobs.keys(""); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if got := fmt.Sprint(h.store.kinds(recorded)); got != "[began ended ready deleted]" {
		t.Errorf("events %s", got)
	}
	if !slices.Contains(h.recorder.deleted, recorded) {
		t.Error("the recording's files are still there")
	}
}

func TestRetention(t *testing.T) {
	h := newHouse(t, func(c *vod.Config) {
		c.Retention = []vod.Rule{{Streams: "school.exam", Days: 0}, {Streams: "school.*", Days: 30}}
	})
	h.stop()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for id, a := range map[string]media.Asset{
		"old": {Stream: "school.math"}, "forever": {Stream: "school.math", Keep: -1}, "longer": {Stream: "school.math", Keep: 60},
		"exam": {Stream: "school.exam"}, "else": {Stream: "other"}, "shorter": {Stream: "other", Keep: 2}, "newer": {Stream: "school.art"},
	} {
		a.ID, a.State, a.Version, a.Ended, a.Kind = (id + "0000000000000000")[:16], media.AssetReady, 1, at, media.Uploaded
		if id == "newer" {
			a.Ended = at.Add(10 * 24 * time.Hour)
		}
		h.store.assets[a.ID] = a
	}
	left := func() string {
		h.store.mu.Lock()
		defer h.store.mu.Unlock()
		var all []string
		for id := range h.store.assets {
			all = append(all, strings.TrimRight(id, "0"))
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	for _, step := range []struct {
		day  int
		want string
	}{
		{1, "else exam forever longer newer old shorter"},
		{3, "else exam forever longer newer old"},
		{31, "else exam forever longer newer"},
		{41, "else exam forever longer"},
		{61, "else exam forever"},
		{9999, "else exam forever"},
	} {
		h.clock.set(at.Add(time.Duration(step.day) * 24 * time.Hour))
		h.start()
		testnet.Eventually(t, fmt.Sprintf("day %d: %s", step.day, step.want), func() bool { return left() == step.want })
		h.stop()
	}
}
