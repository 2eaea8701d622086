package vod_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-live/sluice/media"
)

// All languages of a film are in its asset, and in the file that is made of it.
func TestLanguagesAreKept(t *testing.T) {
	h := newHouse(t, nil)
	path := film(t, "babel.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=440", "-f", "lavfi", "-i", "sine=880", "-t", "4",
		"-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac",
		"-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=spa", "-disposition:a:0", "default", "-disposition:a:1", "0")
	id := h.upload(path, "video/mp4", "school.math")
	a := h.wait(id, "the asset is ready", isReady)
	if len(a.Renditions) != 3 || a.Renditions[1].Language != "en" || a.Renditions[2].Language != "es" {
		t.Errorf("the catalogue has %+v", a.Renditions)
	}
	got := ""
	for _, r := range h.presentation(id).Renditions {
		if r.Kind == media.AudioRendition {
			got += fmt.Sprintf("%s %s %q %v; ", r.ID, r.Language, r.Name, r.Default)
		}
	}
	if want := `audio en "English" true; audio-2 es "Español" false; `; got != want {
		t.Errorf("the asset has %s", got)
	}
	res, b := h.do("GET", "/v1/assets/"+id+"/export.mp4", pupil, nil)
	file := filepath.Join(t.TempDir(), "export.mp4")
	if err := os.WriteFile(file, b, 0o600); err != nil || res.StatusCode != 200 {
		t.Fatalf("export: %d %.200s %v", res.StatusCode, b, err)
	}
	if tags := ffprobe(t, file, "-select_streams", "a", "-show_entries", "stream_tags=language:stream_disposition=default"); fmt.Sprint(tags) != "[1,eng 0,spa]" {
		t.Errorf("the file has %v", tags)
	}
}
