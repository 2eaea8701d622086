package vod_test

import (
	"bytes"
	"errors"
	"image/jpeg"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sluice-live/sluice/media"
)

// clusters make a rendition of VP8 as the recorder keeps it: six seconds of WebM, cut
// before each key frame.
func clusters(t *testing.T) (*media.Rendition, []byte) {
	path := filepath.Join(t.TempDir(), "vp8.webm")
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-t", "6", "-c:v", "libvpx", "-deadline", "realtime",
		"-cpu-used", "8", "-g", "50", "-keyint_min", "50", "-b:v", "500k", "-f", "webm", "-dash", "1", "-dash_track_number", "1", "-cluster_time_limit", "1990", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id := []byte{0x1f, 0x43, 0xb6, 0x75}
	r := &media.Rendition{ID: "vp8", Kind: media.VideoRendition, Codec: "vp8", Timescale: 90000, Width: 640, Height: 360}
	head := bytes.Index(b, id)
	r.Inits = []media.Init{{Codec: "vp8", Width: 640, Height: 360, Data: b[:head]}}
	b = b[head:]
	for at := 0; at < len(b); {
		size := len(b) - at
		if next := bytes.Index(b[at+4:], id); next >= 0 {
			size = next + 4
		}
		n := uint64(len(r.Segments))
		r.Segments = append(r.Segments, &media.Segment{MSN: n, Start: media.Ticks(n) * 180000, Duration: 180000, Independent: true,
			Extent: media.Extent{Offset: int64(at), Size: int64(size)}})
		at += size
	}
	if len(r.Segments) != 3 {
		t.Fatalf("%d clusters", len(r.Segments))
	}
	return r, b
}

// What was published in VP8 has pictures, and becomes WebM: neither HLS nor MP4 hold it.
func TestARecordingOfVP8IsExportedAsWebM(t *testing.T) {
	h := newHouse(t, nil)
	m := h.tape(6)
	vp8, file := clusters(t)
	before := h.recorder.read
	h.recorder.read = func(p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
		if rendition == "vp8" {
			return io.NopCloser(bytes.NewReader(file[e.Offset : e.Offset+e.Size])), nil
		}
		return before(p, rendition, e)
	}
	show := *m.Presentation
	show.Renditions = []*media.Rendition{vp8}
	for _, r := range m.Presentation.Renditions {
		if r.Kind == media.AudioRendition {
			show.Renditions = append(show.Renditions, r)
		}
	}
	h.lend(&media.Manifest{Presentation: &show})
	h.began()
	h.ended()
	a := h.wait(recorded, "the recording is ready", isReady)
	if a.Width != 640 {
		t.Errorf("asset %+v", a)
	}
	shown := h.want(200, "GET", "/v1/assets/"+recorded, pupil, nil)
	if shown["hls"] != nil || shown["dash"] != nil || shown["export"] != "/v1/assets/"+recorded+"/export.webm" || shown["playable"] != true {
		t.Errorf("it is shown as %v", shown)
	}
	if _, err := h.vod.Videos().Presentation(t.Context(), recorded); !errors.Is(err, media.ErrUnsupported) {
		t.Errorf("HLS of it: %v", err)
	}
	h.want(409, "GET", "/v1/assets/"+recorded+"/export.mp4", pupil, nil)
	res, b := h.do("GET", "/v1/assets/"+recorded+"/export.webm", pupil, nil)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "video/webm" {
		t.Fatalf("export: %d %.200s", res.StatusCode, b)
	}
	path := filepath.Join(t.TempDir(), "export.webm")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ffprobe(t, path, "-select_streams", "v", "-count_frames", "-show_entries", "stream=nb_read_frames"); got[0] != "150" {
		t.Errorf("it has %v frames of 150", got)
	}
	// The film's sound is AAC, which has no place there.
	if got := ffprobe(t, path, "-show_entries", "stream=codec_name"); len(got) != 1 || got[0] != "vp8" {
		t.Errorf("it holds %v", got)
	}
	res, b = h.do("GET", "/v1/assets/"+recorded+"/thumbnail.jpg", pupil, nil)
	if res.StatusCode != 200 {
		t.Fatalf("its thumbnail: %d %.200s", res.StatusCode, b)
	}
	if picture, err := jpeg.Decode(bytes.NewReader(b)); err != nil || picture.Bounds().Dx() < 100 {
		t.Errorf("its thumbnail: %v", err)
	}
	res, b = h.do("GET", "/v1/assets/"+recorded+"/export.webm?start=2&end=4", pupil, nil)
	if err := os.WriteFile(path, b, 0o600); err != nil || res.StatusCode != 200 {
		t.Fatalf("two seconds: %d %.200s", res.StatusCode, b)
	}
	if got := ffprobe(t, path, "-select_streams", "v", "-count_frames", "-show_entries", "stream=nb_read_frames"); got[0] != "50" {
		t.Errorf("two seconds have %v frames of 50", got)
	}
}
