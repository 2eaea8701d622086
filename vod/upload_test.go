package vod_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod"
)

// upload sends a file in parts and returns the asset's identifier.
func (h *house) upload(path, kind, stream string) string {
	h.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	u := h.want(201, "POST", "/v1/uploads", admin, map[string]any{"name": filepath.Base(path), "size": len(data), "type": kind, "title": "A lesson", "stream": stream})
	id := u["id"].(string)
	parts := u["parts"].([]any)
	for _, i := range rand.Perm(len(parts)) {
		h.put(parts[i], data, kind, int64(u["part_size"].(float64)))
	}
	a := h.want(202, "POST", "/v1/uploads/"+id+"/complete", admin, nil)
	if a["state"] != "processing" || a["kind"] != "upload" {
		h.t.Errorf("after the last part: %v", a)
	}
	return id
}

func (h *house) put(part any, data []byte, kind string, size int64) {
	h.t.Helper()
	p := part.(map[string]any)
	at := int64(p["number"].(float64)-1) * size
	piece := data[at : at+int64(p["size"].(float64))]
	sum := sha256.Sum256(piece)
	h.want(200, "PUT", p["url"].(string), "", piece, "Content-Type", kind,
		"Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
}

// whole reads a rendition as one file.
func (h *house) whole(p *media.Presentation, r *media.Rendition) []byte {
	h.t.Helper()
	var b bytes.Buffer
	b.Write(r.Inits[0].Data)
	for _, s := range r.Segments {
		if s.Gap {
			continue
		}
		in, err := h.vod.Videos().Read(context.Background(), p, r.ID, s.Extent)
		if err != nil {
			h.t.Fatal(err)
		}
		n, err := io.Copy(&b, in)
		if err != nil || n != s.Extent.Size {
			h.t.Fatalf("segment %d of %s: %d bytes of %d, %v", s.MSN, r.ID, n, s.Extent.Size, err)
		}
		_ = in.Close()
	}
	return b.Bytes()
}

func (h *house) presentation(id string) *media.Presentation {
	h.t.Helper()
	p, err := h.vod.Videos().Presentation(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// frames counts what a decoder gets out of a rendition.
func (h *house) frames(p *media.Presentation, r *media.Rendition) string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), r.ID+".mp4")
	if err := os.WriteFile(path, h.whole(p, r), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return ffprobe(h.t, path, "-count_frames", "-show_entries", "stream=nb_read_frames")[0]
}

func TestUploadBecomesAnAsset(t *testing.T) {
	h := newHouse(t, nil)
	path := lesson(t, 9)
	id := h.upload(path, "video/mp4", "school.math")
	a := h.wait(id, "the asset is ready", isReady)
	if a.Width != 640 || a.Height != 360 || a.Duration < 8900*time.Millisecond || a.Duration > 9100*time.Millisecond ||
		fmt.Sprint(a.Codecs) != "[avc1.42c016 mp4a.40.2]" && !strings.HasPrefix(a.Codecs[0], "avc1.") {
		t.Errorf("asset %+v", a)
	}
	p := h.presentation(id)
	if !p.Ended || p.Incarnation != id || len(p.Renditions) != 2 || p.TargetDuration != 2*time.Second {
		t.Fatalf("presentation %+v", p)
	}
	video, audio := p.Renditions[0], p.Renditions[1]
	if video.Timescale != 90000 || len(video.Segments) != 5 || len(audio.Segments) != 5 {
		t.Errorf("timescale %d, %d and %d segments", video.Timescale, len(video.Segments), len(audio.Segments))
	}
	if video.Segments[0].Start > 90000/10 || audio.Segments[0].Start != 0 {
		t.Errorf("they begin at %d and %d", video.Segments[0].Start, audio.Segments[0].Start)
	}
	for i, s := range video.Segments {
		if !s.Independent || s.Lead <= 0 || s.Lead >= s.Extent.Size || s.MSN != uint64(i) {
			t.Errorf("segment %d: %+v", i, s)
		}
		if apart := (video.Time(s.Start) - audio.Time(audio.Segments[i].Start)).Abs(); apart > 200*time.Millisecond {
			t.Errorf("segment %d: picture and sound begin %v apart", i, apart)
		}
	}
	if n := h.frames(p, video); n != "225" {
		t.Errorf("%s frames of 225", n)
	}
	want := ffprobe(t, path, "-select_streams", "a", "-count_packets", "-show_entries", "stream=nb_read_packets")[0]
	if n := h.frames(p, audio); n != want {
		t.Errorf("%s audio frames of %s", n, want)
	}
	if keys := h.blobs.keys("assets/school.math/" + id); strings.Join(keys, " ") == "" || len(keys) != 3 {
		t.Errorf("pictures: %v", keys)
	}
	if left, err := os.ReadDir(filepath.Join(h.cfg.Dir, "uploads", id)); err == nil {
		t.Errorf("the upload's files are still there: %v", left)
	}
	if got := fmt.Sprint(h.store.kinds(id)); got != "[began ready]" {
		t.Errorf("events %s", got)
	}
}

func TestUploadedSubtitlesAndForeignCodecs(t *testing.T) {
	h := newHouse(t, nil)
	srt := filepath.Join(t.TempDir(), "a.srt")
	if err := os.WriteFile(srt, []byte("1\n00:00:01,000 --> 00:00:02,500\nGuten Tag\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// VP8 has no place in CMAF, Vorbis neither.
	path := film(t, "old.mkv", "-f", "lavfi", "-i", "testsrc2=size=322x180:rate=25", "-f", "lavfi", "-i", "sine=440", "-i", srt, "-t", "3",
		"-map", "0", "-map", "1", "-map", "2", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libvorbis", "-c:s", "srt", "-metadata:s:s:0", "language=ger")
	id := h.upload(path, "video/x-matroska", "school.math")
	a := h.wait(id, "the asset is ready", isReady)
	if len(a.Codecs) != 2 || !strings.HasPrefix(a.Codecs[0], "avc1.") || a.Codecs[1] != "mp4a.40.2" || fmt.Sprint(a.Subtitles) != "[ger]" {
		t.Errorf("asset %+v", a)
	}
	p := h.presentation(id)
	if n := h.frames(p, p.Renditions[0]); n != "75" {
		t.Errorf("%s frames of 75", n)
	}
	res, vtt := h.do("GET", "/v1/assets/"+id+"/subtitles-ger.vtt?token="+pupil, "", nil)
	if res.StatusCode != 200 || !strings.Contains(string(vtt), "00:01.0") || !strings.Contains(string(vtt), "Guten Tag") {
		t.Errorf("subtitles: %d %s", res.StatusCode, vtt)
	}
}

func TestWhatIsNoFilmFails(t *testing.T) {
	h := newHouse(t, nil)
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	for name, text := range map[string]string{
		"noise.mp4":    strings.Repeat("no film at all ", 1000),
		"playlist.mp4": "#EXTM3U\n#EXTINF:1,\nfile://" + secret + "\n#EXT-X-ENDLIST\n",
		"concat.mp4":   "ffconcat version 1.0\nfile " + secret + "\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		id := h.upload(path, "video/mp4", "school.math")
		a := h.wait(id, name+" fails", func(a media.Asset) bool { return a.State == media.AssetFailed })
		if a.Reason == "" || strings.Contains(a.Reason, dir) {
			t.Errorf("%s: reason %q", name, a.Reason)
		}
		h.want(404, "GET", "/v1/assets/"+id+"/thumbnail.jpg", admin, nil)
	}
}

func TestUploadRefuses(t *testing.T) {
	h := newHouse(t, nil)
	good := map[string]any{"name": "a.mp4", "size": 100_000, "type": "video/mp4", "stream": "school.math"}
	with := func(key string, value any) map[string]any {
		m := map[string]any{key: value}
		for k, v := range good {
			if k != key {
				m[k] = v
			}
		}
		return m
	}
	h.want(401, "POST", "/v1/uploads", "", good)
	h.want(403, "POST", "/v1/uploads", pupil, good)
	h.want(403, "POST", "/v1/uploads", other, good)
	h.want(413, "POST", "/v1/uploads", teacher, with("size", 6<<30))
	h.want(413, "POST", "/v1/uploads", teacher, with("size", 0))
	h.want(413, "POST", "/v1/uploads", teacher, with("size", -5))
	h.want(415, "POST", "/v1/uploads", teacher, with("type", "text/html"))
	h.want(400, "POST", "/v1/uploads", teacher, with("stream", "../x"))
	h.want(400, "POST", "/v1/uploads", teacher, with("title", strings.Repeat("x", 201)))
	h.want(400, "POST", "/v1/uploads", teacher, with("unknown", 1))
	h.want(400, "POST", "/v1/uploads", teacher, "{")
	h.want(413, "POST", "/v1/uploads", teacher, `{"name":"`+strings.Repeat("x", 70<<10)+`"}`)

	u := h.want(201, "POST", "/v1/uploads", teacher, good)
	id, parts := u["id"].(string), u["parts"].([]any)
	if len(parts) != 2 {
		t.Fatalf("%d parts", len(parts))
	}
	url := parts[0].(map[string]any)["url"].(string)
	second := parts[1].(map[string]any)["url"].(string)
	data := make([]byte, 64<<10)
	video := []string{"Content-Type", "video/mp4"}
	h.want(403, "PUT", strings.Replace(url, "/parts/1", "/parts/2", 1), "", data, video...)
	h.want(403, "PUT", strings.Replace(url, "expires=", "expires=9", 1), "", data, video...)
	h.want(403, "PUT", strings.Split(url, "?")[0], admin, data, video...)
	h.want(403, "PUT", strings.Replace(url, id, "0000000000000000", 1), "", data, video...)
	h.want(415, "PUT", url, "", data, "Content-Type", "text/html")
	h.want(400, "PUT", url, "", data[1:], video...)
	h.want(400, "PUT", url, "", make([]byte, len(data)+1), video...)
	h.want(400, "PUT", url, "", data, "Content-Type", "video/mp4", "Content-Digest", "sha-256=:AAAA:")
	wrong := base64.StdEncoding.EncodeToString(make([]byte, 32))
	h.want(400, "PUT", url, "", data, "Content-Type", "video/mp4", "Content-Digest", "sha-256=:"+wrong+":")
	h.want(409, "POST", "/v1/uploads/"+id+"/complete", teacher, nil)
	h.want(403, "POST", "/v1/uploads/"+id+"/complete", pupil, nil)
	h.want(401, "GET", "/v1/uploads/"+id, "", nil)
	h.want(404, "GET", "/v1/uploads/0000000000000000", teacher, nil)
	if shown := h.want(200, "GET", "/v1/uploads/"+id, teacher, nil)["parts"].([]any); shown[0].(map[string]any)["sha256"] != nil {
		t.Errorf("a refused part is there: %v", shown)
	}
	h.want(200, "PUT", url, "", data, video...)
	h.want(200, "PUT", second, "", data[:100_000-64<<10], video...)
	h.clock.set(time.Now().Add(7 * time.Hour))
	h.want(403, "PUT", url, "", data, video...) // expired
	h.want(204, "DELETE", "/v1/uploads/"+id, teacher, nil)
	h.want(404, "GET", "/v1/uploads/"+id, teacher, nil)
}

// The catalogue says where the caller may upload: pages show their button by that.
func TestTheListSaysWhereTheCallerMayUpload(t *testing.T) {
	h := newHouse(t, nil)
	for token, want := range map[string]any{"": nil, pupil: nil, teacher: "uploads", admin: "uploads", other: "other"} {
		to := h.want(200, "GET", "/v1/assets", token, nil)["upload_to"]
		if to != want {
			t.Errorf("%q may upload to %v, not %v", token, to, want)
		}
		if to != nil {
			h.want(201, "POST", "/v1/uploads", token, map[string]any{"name": "a.mp4", "size": 1, "type": "video/mp4", "stream": to})
		}
	}
}

// Who has as many uploads open as one may have is told so, and when to come again;
// others begin theirs. Who it is stays inside.
func TestOneTokenDoesNotTakeAllUploads(t *testing.T) {
	h := newHouse(t, func(c *vod.Config) { c.Uploads.Active = 12 })
	ask := map[string]any{"name": "a.mp4", "size": 1, "type": "video/mp4", "stream": "school.math"}
	var one map[string]any
	for range 3 {
		one = h.want(201, "POST", "/v1/uploads", teacher, ask)
	}
	if one["owner"] != nil {
		t.Errorf("it is told whose it is: %v", one)
	}
	r, body := h.do("POST", "/v1/uploads", teacher, ask)
	if r.StatusCode != 429 || r.Header.Get("Retry-After") == "" || !bytes.Contains(body, []byte("finish or delete one: 3")) {
		t.Errorf("the fourth: %s %v %s", r.Status, r.Header, body)
	}
	h.want(201, "POST", "/v1/uploads", admin, ask)
	h.want(204, "DELETE", "/v1/uploads/"+one["id"].(string), teacher, nil)
	h.want(201, "POST", "/v1/uploads", teacher, ask)
}

// A part of unknown length is measured as it comes.
func TestPartWithoutLength(t *testing.T) {
	h := newHouse(t, nil)
	u := h.want(201, "POST", "/v1/uploads", admin, map[string]any{"name": "a", "size": 1000, "type": "video/mp4"})
	url := h.server.URL + u["parts"].([]any)[0].(map[string]any)["url"].(string)
	for n, want := range map[int]int{999: 400, 1001: 400, 1_000_000: 400, 1000: 200} {
		r, err := http.NewRequest("PUT", url, io.LimitReader(zeros{}, int64(n)))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = -1
		r.Header.Set("Content-Type", "video/mp4")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%d bytes: %d", n, res.StatusCode)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// What is there after a restart is what was acknowledged, and it goes on from there.
func TestUploadGoesOnAfterARestart(t *testing.T) {
	h := newHouse(t, nil)
	path := lesson(t, 3)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	u := h.want(201, "POST", "/v1/uploads", teacher, map[string]any{"name": "a", "size": len(data), "type": "video/mp4", "stream": "school.math"})
	id, size := u["id"].(string), int64(u["part_size"].(float64))
	for i, p := range u["parts"].([]any) {
		if i%2 == 1 {
			h.put(p, data, "video/mp4", size)
		}
	}
	h.stop()
	h.start()
	u = h.want(200, "GET", "/v1/uploads/"+id, teacher, nil)
	for i, p := range u["parts"].([]any) {
		if _, missing := p.(map[string]any)["url"]; missing == (i%2 == 1) {
			t.Errorf("part %d: %v", i+1, p)
		} else if missing {
			h.put(p, data, "video/mp4", size)
		}
	}
	// It falls between the last part and the row.
	h.blobs.setFail(func(op, key string) error { return io.ErrClosedPipe })
	h.want(202, "POST", "/v1/uploads/"+id+"/complete", teacher, nil)
	h.want(202, "POST", "/v1/uploads/"+id+"/complete", teacher, nil)
	h.stop()
	h.store.mu.Lock()
	delete(h.store.assets, id)
	h.store.mu.Unlock()
	h.blobs.setFail(nil)
	h.start()
	h.wait(id, "the asset is ready", isReady)
	p := h.presentation(id)
	if n := h.frames(p, p.Renditions[0]); n != "75" {
		t.Errorf("%s frames of 75", n)
	}
}

func TestStaleUploadsGo(t *testing.T) {
	h := newHouse(t, nil)
	u := h.want(201, "POST", "/v1/uploads", teacher, map[string]any{"name": "a", "size": 1000, "type": "video/mp4"})
	h.stop()
	h.clock.set(time.Now().Add(25 * time.Hour))
	h.start()
	testnetGone(h, "/v1/uploads/"+u["id"].(string))
}
