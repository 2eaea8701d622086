package vod_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod"
	"github.com/sluice-live/sluice/vod/aac"
)

// song uploads so many seconds of Opus: a tone, and a click each half second.
func (h *house) song(seconds int) string {
	h.t.Helper()
	path := film(h.t, "song.mkv", "-f", "lavfi", "-i", "aevalsrc='0.2*sin(2*PI*330*t)+if(lt(mod(t\\,0.5)\\,0.004)\\,0.7*sin(2*PI*1500*t)\\,0)':s=48000:c=stereo",
		"-t", fmt.Sprint(seconds), "-c:a", "libopus", "-b:a", "128k", "-application", "lowdelay")
	id := h.upload(path, "video/x-matroska", "school.music")
	h.wait(id, "the song is ready", func(a media.Asset) bool { return a.State == media.AssetReady })
	return id
}

// encoder is ffmpeg behind a script that notes each run for AAC; more is what it does
// then instead.
func encoder(t *testing.T, more string) (path string, runs func() int) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "ffmpeg")
	script := "#!/bin/sh\ncase \"$*\" in *adts*) echo run >> " + dir + "/runs\n" + more + "\n;; esac\nexec ffmpeg \"$@\"\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, func() int {
		b, _ := os.ReadFile(filepath.Join(dir, "runs")) // not there before the first
		return bytes.Count(b, []byte("\n"))
	}
}

// heard reads a rendition from beginning to end.
func (h *house) heard(p *media.Presentation, r *media.Rendition, init []byte) []float32 {
	h.t.Helper()
	b := bytes.Clone(init)
	for _, s := range r.Segments {
		b = append(b, h.segment(p, r, s)...)
	}
	path := filepath.Join(h.t.TempDir(), r.ID+".mp4")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		h.t.Fatal(err)
	}
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-af", "aresample=async=1:min_comp=0.0005:min_hard_comp=0.0005", "-ac", "1", "-f", "f32le", "pipe:1").Output()
	if err != nil {
		h.t.Fatalf("ffmpeg: %v", err)
	}
	all := make([]float32, len(out)/4)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:]))
	}
	return all
}

func (h *house) segment(p *media.Presentation, r *media.Rendition, s *media.Segment) []byte {
	h.t.Helper()
	in, err := h.vod.Videos().Read(h.t.Context(), p, r.ID, s.Extent)
	if err != nil {
		h.t.Fatal(err)
	}
	b, err := io.ReadAll(in)
	if err = errors.Join(err, in.Close()); err != nil || len(b) == 0 {
		h.t.Fatalf("segment %d of %s: %d bytes, %v", s.MSN, r.ID, len(b), err)
	}
	return b
}

// Who does not know Opus hears the same at the same time, sample for sample, and the
// second who asks has it at once.
func TestAnAssetOfOpusPlaysWithAAC(t *testing.T) {
	program, runs := encoder(t, "")
	h := newHouse(t, func(c *vod.Config) { c.FFmpeg = program })
	id := h.song(20)
	p := h.presentation(id)
	opus, made := p.Rendition("audio"), p.Rendition("audio-aac")
	if opus == nil || made == nil || made.Codec != "mp4a.40.2" || made.Channels != 2 || len(made.Segments) != len(opus.Segments) {
		t.Fatalf("renditions %+v", p.Renditions)
	}
	if n := runs(); n != 0 {
		t.Fatalf("%d pieces were made before anybody wanted one", n)
	}
	var together sync.WaitGroup
	for range 8 {
		together.Go(func() {
			in, err := h.vod.Videos().Read(t.Context(), p, made.ID, made.Segments[0].Extent)
			if err != nil {
				t.Error(err)
				return
			}
			_ = in.Close()
		})
	}
	together.Wait()
	if n := runs(); n > 2 { // this piece, and the one that follows
		t.Errorf("%d runs for eight who want the same", n)
	}
	want, got := h.heard(p, opus, aac.Plain(opus.Inits[0].Data)), h.heard(p, made, made.Inits[0].Data)
	likewise(t, want, got, int(made.Segments[0].Start-opus.Segments[0].Start))
	if keys := h.blobs.keys("assets/school.music/" + id + "/audio-aac/"); len(keys) != 2 {
		t.Errorf("kept: %v", keys)
	}

	// After a restart, on a machine whose ffmpeg falls.
	before := runs()
	h.stop()
	h.cfg.FFmpeg, runs = encoder(t, "exit 1")
	h.start()
	again := h.heard(h.presentation(id), made, made.Inits[0].Data)
	if len(again) != len(got) || runs() != 0 {
		t.Errorf("it was made again: %d samples, %d runs (%d before)", len(again), runs(), before)
	}
	h.want(202, "DELETE", "/v1/assets/"+id, admin, nil)
	testnetGone(h, "/v1/assets/"+id)
	if keys := h.blobs.keys(""); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
}

// likewise holds what is heard against the original: as long, every click where it
// was, and nothing to be heard where pieces meet. late is where it begins.
func likewise(t *testing.T, want, got []float32, late int) {
	t.Helper()
	want = want[late:]
	if d := len(got) - len(want); d < -2*aac.Frame || d > 2*aac.Frame {
		t.Errorf("%d samples of %d", len(got), len(want))
	}
	clicks := func(pcm []float32) (at []int) {
		quiet := 0
		for i, v := range pcm {
			if v > 0.5 || v < -0.5 {
				if quiet > aac.Rate/10 {
					at = append(at, i)
				}
				quiet = 0
			}
			quiet++
		}
		return at
	}
	a, b := clicks(want), clicks(got)
	if len(a) < 38 || len(a) != len(b) {
		t.Fatalf("%d clicks of %d", len(b), len(a))
	}
	worst := 0
	for i := range a {
		worst = max(worst, a[i]-b[i], b[i]-a[i])
	}
	if worst > 10 {
		t.Errorf("a click is %d samples off", worst)
	}
	// Between clicks there is a tone: the loudest difference in each frame.
	loudest, at := 0.0, 0
	for i := 2 * aac.Frame; i < min(len(want), len(got))-2*aac.Frame; i++ {
		if phase := (i + late) % (aac.Rate / 2); phase < 5000 || phase > aac.Rate/2-5000 {
			continue
		}
		if d := math.Abs(float64(want[i] - got[i])); d > loudest {
			loudest, at = d, i
		}
	}
	if loudest > 0.03 {
		t.Errorf("at sample %d it differs by %.3f", at, loudest)
	}
	t.Logf("%d clicks, the worst %d samples off; the tone differs by %.4f at most", len(a), worst, loudest)
}

// What was made while somebody listened to it live is a part: the recording has all.
func TestAACThatWasMadeInPartIsMadeWhole(t *testing.T) {
	program, runs := encoder(t, "")
	h := newHouse(t, func(c *vod.Config) { c.FFmpeg = program })
	id := h.song(6)
	key := "recordings/school.music/" + id + "/manifest.json"
	for whole, name := range map[bool]string{false: "in part", true: "whole"} {
		p := h.presentation(id)
		live := *p.Rendition("audio")
		live.ID, live.Codec = "audio-aac", "mp4a.40.2"
		live.Segments = slices.Clone(live.Segments)
		if !whole {
			gap := *live.Segments[1]
			gap.Gap, gap.Extent = true, media.Extent{}
			live.Segments[1] = &gap
		}
		m := media.Manifest{Presentation: p}
		m.Presentation.Renditions = []*media.Rendition{p.Rendition("audio"), &live}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		h.stop()
		if err := h.blobs.Put(t.Context(), key, bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
		h.start()
		got := h.presentation(id).Rendition("audio-aac")
		if len(h.presentation(id).Renditions) != 2 || got.Segments[1].Gap || (got.Segments[1].Extent.Size < 0) == whole {
			t.Errorf("%s: %+v, segment %+v", name, got, got.Segments[1])
		}
	}
	if runs() != 0 {
		t.Error("something was made that nobody played")
	}
}

// Without an encoder, or with one that falls, the recording plays as it is.
func TestOpusStaysWhenThereIsNoAAC(t *testing.T) {
	program, runs := encoder(t, "echo it is broken >&2; exit 1")
	h := newHouse(t, func(c *vod.Config) { c.FFmpeg = program })
	id := h.song(4)
	p := h.presentation(id)
	made := p.Rendition("audio-aac")
	for range 3 {
		_, err := h.vod.Videos().Read(t.Context(), p, made.ID, made.Segments[0].Extent)
		if !errors.Is(err, media.ErrOverloaded) || !strings.Contains(err.Error(), "Opus") {
			t.Errorf("an encoder that falls: %v", err)
		}
	}
	if n := runs(); n != 1 {
		t.Errorf("it was tried %d times in a row", n)
	}
	opus := p.Rendition("audio")
	h.segment(p, opus, opus.Segments[0])
	for name, change := range map[string]func(){"no ffmpeg": func() { h.cfg.FFmpeg = "no-such-ffmpeg" }, "off": func() { h.cfg.AAC = false }} {
		h.stop()
		h.cfg.FFmpeg, h.cfg.AAC = program, true
		change()
		h.start()
		if p := h.presentation(id); len(p.Renditions) != 1 || p.Renditions[0].ID != "audio" {
			t.Errorf("%s: %+v", name, p.Renditions)
		}
	}
}
