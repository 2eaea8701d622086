package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// seconds of media in a file, played in a loop: ten GOPs, so that a reader that
// skips to the next key frame finds one, and small enough to keep in memory.
const seconds = 20

// gop is the distance of key frames: 2 s, what streaming services ask for.
const gop = 2 * FPS

// bFrames in a row, where B-frames are wanted: x264's habit is up to 3.
const bFrames = 2

// ErrNoFFmpeg says what to do.
var ErrNoFFmpeg = errors.New("ffmpeg is needed to make the test media once; install it (apt install ffmpeg)")

// ensure makes the file by ffmpeg unless it is there. It appears under its name
// only when it is complete, so two processes may do this at once.
func ensure(ctx context.Context, c Config, path string, args []string) error {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		return nil
	}
	program := c.FFmpeg
	if program == "" {
		program = "ffmpeg"
	}
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("make %s: %w", path, ErrNoFFmpeg)
	}
	part := path + ".part" + strconv.Itoa(os.Getpid())
	defer func() { _ = os.Remove(part) }()
	args = append([]string{"-hide_banner", "-loglevel", "error", "-y"}, append(args, part)...)
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput() //nolint:gosec // the caller names the program
	if err != nil {
		return fmt.Errorf("make %s: ffmpeg: %w: %s", path, err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return nil
}

// videoArgs draw a moving test card with grain: the grain is what makes the
// encoder use its bitrate, the card what makes a frozen picture visible.
func videoArgs(l Layer, c Config) []string {
	picture := fmt.Sprintf("testsrc2=size=%dx%d:rate=%d:duration=%d,noise=alls=14:allf=t,format=yuv420p", l.Width, l.Height, FPS, c.Seconds)
	rate := strconv.Itoa(int(l.Bitrate))
	profile, x264 := "baseline", "bframes=0"
	if c.BFrames {
		// A fixed pattern, so that the display order can be told from the slice types.
		profile, x264 = "main", fmt.Sprintf("bframes=%d:b-adapt=0:b-pyramid=none:open-gop=0", bFrames)
	}
	return []string{"-f", "lavfi", "-i", picture, "-an", "-c:v", "libx264", "-preset", "veryfast", "-profile:v", profile,
		"-g", strconv.Itoa(gop), "-keyint_min", strconv.Itoa(gop), "-sc_threshold", "0",
		"-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-threads", "2",
		"-x264-params", x264 + ":aud=1:scenecut=0:sliced-threads=0:repeat-headers=1", "-f", "h264"}
}

// audioArgs make a tone that sweeps, in packets of 20 ms.
func audioArgs(seconds int) []string {
	tone := fmt.Sprintf("aevalsrc=exprs='0.2*sin(2*PI*(300+200*sin(t))*t)|0.2*sin(2*PI*440*t)':sample_rate=48000:duration=%d", seconds)
	return []string{"-f", "lavfi", "-i", tone, "-vn", "-c:a", "libopus", "-b:a", "64k", "-vbr", "off", "-frame_duration", "20", "-f", "ogg"}
}
