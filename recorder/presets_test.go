package recorder_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
	"github.com/sluice-live/sluice/recorder/encode"
)

// presets are what hls.ladder may name: lines, bit/s, pictures a second.
var presets = map[string]struct {
	height  int
	bitrate media.Bitrate
}{
	"2160p": {2160, 16_000_000}, "1080p": {1080, 5_000_000}, "720p": {720, 3_000_000},
	"480p": {480, 1_400_000}, "360p": {360, 800_000}, "classic": {1080, 5_000_000},
}

// scribe is an ffmpeg that writes down what it is asked for, and fails.
func scribe(t *testing.T) (program string, asked func() string) {
	t.Helper()
	dir := t.TempDir()
	program = filepath.Join(dir, "ffmpeg")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf '%s ' \"$@\" > "+dir+"/asked\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, func() string {
		b, err := os.ReadFile(filepath.Join(dir, "asked"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestEachPresetIsWhatItsNameSays(t *testing.T) {
	_, names, _ := recorder.Profile("")
	if len(names) != len(presets) {
		t.Errorf("there are %v", names)
	}
	for name, want := range presets {
		got, _, ok := recorder.Profile(name)
		if !ok || got.Height != want.height || got.Bitrate != want.bitrate || got.FPS != 30 || got.Fit != (name == "classic") {
			t.Errorf("%s is %+v", name, got)
			continue
		}
		cfg := recorder.DefaultConfig()
		cfg.Ladder = []recorder.Rung{got}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		program, asked := scribe(t)
		_, err := encode.Rehearse(context.Background(), encode.Config{Program: program, Threads: 1, Profile: encode.Profile{
			Kind: media.Video, Bitrate: got.Bitrate, FPS: got.FPS, Width: got.Height * 16 / 9, Height: got.Height,
		}})
		if err == nil {
			t.Fatal("an encoder that fails made something")
		}
		for _, arg := range []string{
			"-c:v libx264", "-profile:v high", fmt.Sprintf("-b:v %d ", want.bitrate), fmt.Sprintf("-maxrate %d ", want.bitrate),
			"-force_key_frames source_no_drop", "-x264-params fps=30", fmt.Sprintf("-video_size %dx%d", want.height*16/9, want.height),
		} {
			if !strings.Contains(asked(), arg) {
				t.Errorf("%s: no %q in %s", name, arg, asked())
			}
		}
	}
}

// One real run: what comes out has the size, and the codec that playlists name.
func TestThe360pPresetIsH264Of360Lines(t *testing.T) {
	p, _, _ := recorder.Profile("360p")
	f, err := encode.Rehearse(t.Context(), encode.Config{Program: "ffmpeg", Threads: 1, Profile: encode.Profile{
		Kind: media.Video, Bitrate: p.Bitrate, FPS: p.FPS, Width: 640, Height: p.Height,
	}})
	if err != nil || f.Codec != media.H264 || f.Width != 640 || f.Height != 360 {
		t.Errorf("%+v, %v", f, err)
	}
}

// The profile of services that know one rendition, as it comes out: H.264 High in the
// published size, and AAC at 48 kHz in stereo.
func TestTheClassicProfileIsWhatServicesTake(t *testing.T) {
	t.Parallel()
	classic, _, _ := recorder.Profile("classic")
	cfg := recorder.DefaultConfig()
	cfg.FFmpeg, cfg.Ladder, cfg.LadderAlways, cfg.AAC = "ffmpeg", []recorder.Rung{classic}, true, recorder.Always
	s := newTheatre(t, cfg, clip.Make(t, media.VP9), clicking(t))
	made := func(id string) bool {
		r := s.show(id)
		return r != nil && slices.ContainsFunc(r.Segments, func(g *media.Segment) bool { return !g.Gap && g.Parts != nil })
	}
	testnet.Eventually(t, "both come", func() bool { return made("h264-classic") && made("audio-aac") })
	pictures, sound := s.show("h264-classic"), s.show("audio-aac")
	s.end()
	if pictures.Bandwidth < 5_000_000 || sound.Bandwidth < 128_000 || pictures.OnDemand || sound.OnDemand {
		t.Errorf("declared are %d and %d bit/s, on demand %v and %v", pictures.Bandwidth, sound.Bandwidth, pictures.OnDemand, sound.OnDemand)
	}
	for id, want := range map[string]string{
		"pictures": "codec_name=h264 profile=High width=160 height=96",
		"sound":    "codec_name=aac profile=LC sample_rate=48000 channels=2",
	} {
		r := map[string]*media.Rendition{"pictures": pictures, "sound": sound}[id]
		path := filepath.Join(t.TempDir(), id+".mp4")
		if err := os.WriteFile(path, longest(r), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name,profile,width,height,sample_rate,channels", "-of", "default=nw=1", path).CombinedOutput()
		if err != nil {
			t.Fatalf("ffprobe: %v\n%s", err, out)
		}
		for _, field := range strings.Fields(want) {
			if !strings.Contains(string(out), field+"\n") {
				t.Errorf("%s: no %s in\n%s", id, field, out)
			}
		}
	}
}
