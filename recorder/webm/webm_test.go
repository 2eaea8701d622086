package webm_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/webm"
)

// Frames come back from a file with the times, in microseconds, that they were
// written with, also where a cluster ends between them.
func TestFFprobeReadsEachFrameWithItsTime(t *testing.T) {
	for _, codec := range []media.Codec{media.VP8, media.VP9} {
		film := clip.Make(t, codec)
		file, err := webm.Head(&media.Format{Codec: codec, Width: film.Width, Height: film.Height}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		var run []webm.Block
		for i, f := range film.Frames {
			at := media.Ticks(i)*3003 + 40*3600*90000 // after 40 hours
			run = append(run, webm.Block{Time: at, Key: f.Key, Data: f.Data})
			key := "_"
			if f.Key {
				key = "K"
			}
			want = append(want, fmt.Sprintf("%.6f,%d,%s", float64(at)/90000, len(f.Data), key))
			if i%7 == 6 {
				file, run = webm.AppendClusters(file, 90000, run...), nil
			}
		}
		file = webm.AppendClusters(file, 90000, run...)
		path := filepath.Join(t.TempDir(), "a.webm")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "packet=pts_time,size,flags", "-of", "csv=p=0", path).CombinedOutput()
		if err != nil {
			t.Fatalf("ffprobe: %v\n%s", err, out)
		}
		got := strings.Fields(string(out))
		if len(got) != len(want) {
			t.Fatalf("%v: ffprobe reads %d frames of %d\n%s", codec, len(got), len(want), out)
		}
		for i := range got {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Fatalf("%v: frame %d reads %s, written was %s", codec, i, got[i], want[i])
			}
		}
		if out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: ffmpeg: %v\n%s", codec, err, out)
		}
	}
}
