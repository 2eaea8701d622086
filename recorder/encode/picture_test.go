package encode_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/cmaf"
	"github.com/sluice-live/sluice/recorder/encode"
)

// film is a clip as samples, from base on.
func film(c *clip.Clip, base media.Ticks) []encode.Sample {
	format := &media.Format{Codec: c.Codec, Width: c.Width, Height: c.Height, Parameters: c.Sets, Depth: 8, Subsampling: 1}
	var all []encode.Sample
	for _, f := range c.Frames {
		all = append(all, encode.Sample{Time: base + media.Ticks(f.PTS-c.Frames[0].PTS), Key: f.Key, Epoch: 1, Format: format, Data: f.Data})
	}
	return all
}

func pictures(s *sink, w, h, fps int) encode.Config {
	return encode.Config{Program: "ffmpeg", Threads: 1, Out: s.take, Hang: slow,
		Profile: encode.Profile{Kind: media.Video, Bitrate: 1_000_000, Width: w, Height: h, FPS: fps}}
}

const w, h = 80, 48

// gray decodes H.264 frames to pictures of one byte per pixel.
func gray(t *testing.T, frames []encode.Frame) [][]byte {
	t.Helper()
	file, _, err := cmaf.Init(frames[0].Format, 90000)
	if err != nil {
		t.Fatal(err)
	}
	part := cmaf.Part{Sequence: 1, Segment: true}
	for _, f := range frames {
		part.Samples = append(part.Samples, cmaf.Sample{Data: f.Data, Duration: 3000, Key: f.Key})
	}
	if file, err = cmaf.AppendPart(file, &part); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.mp4")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return decode(t, "-i", path)
}

func decode(t *testing.T, from ...string) [][]byte {
	t.Helper()
	args := append([]string{"-v", "error"}, from...)
	args = append(args, "-vf", fmt.Sprintf("scale=%d:%d", w, h), "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1")
	out, err := exec.Command("ffmpeg", args...).Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	var all [][]byte
	for len(out) >= w*h {
		all, out = append(all, out[:w*h]), out[w*h:]
	}
	return all
}

func distance(a, b []byte) (sum int) {
	for i := range a {
		d := int(a[i]) - int(b[i])
		sum += d * d
	}
	return sum
}

// Each picture comes out with the time that it went in with, and key frames stand
// where they stood.
func TestPicturesComeOutWithTheTimesTheyWentInWith(t *testing.T) {
	t.Parallel()
	// What the clip shows, without an encoder between.
	truth := decode(t, "-f", "lavfi", "-t", "2", "-i", "testsrc2=size=160x96:rate=30")
	for _, codec := range []media.Codec{media.H264, media.VP8, media.VP9, media.AV1, media.H265} {
		t.Run(codec.String(), func(t *testing.T) {
			t.Parallel()
			all := film(clip.Make(t, codec), 900_000)
			s := &sink{}
			l := encode.New(pictures(s, w, h, 0))
			stop := start(t, l, 0)
			for _, x := range all {
				l.Push(x)
			}
			testnet.Eventually(t, "all pictures come", func() bool { return len(s.all()) >= len(all) })
			stop()
			frames := s.all()
			for i, f := range frames {
				if f.Time != all[i].Time || f.Key != all[i].Key {
					t.Fatalf("picture %d at %d (key: %v) went in at %d (%v)", i, f.Time, f.Key, all[i].Time, all[i].Key)
				}
			}
			if f := frames[0].Format; f.Width != w || f.Height != h {
				t.Errorf("they have %dx%d pixels", f.Width, f.Height)
			}
			shown := gray(t, frames)
			if len(shown) != len(truth) {
				t.Fatalf("%d pictures can be decoded", len(shown))
			}
			own, before, after := 0, 0, 0
			for i := 1; i+1 < len(shown); i++ {
				own += distance(shown[i], truth[i])
				before += distance(shown[i], truth[i-1])
				after += distance(shown[i], truth[i+1])
			}
			if own >= before || own >= after {
				t.Errorf("pictures differ by %d from their own, by %d from those before, by %d from those after", own, before, after)
			}
		})
	}
}

func TestTooManyPicturesAreLeftOutButNoKeyFrame(t *testing.T) {
	t.Parallel()
	all := film(clip.Make(t, media.H264), 0)
	s := &sink{}
	l := encode.New(pictures(s, w, h, 15))
	start(t, l, 0)
	for _, x := range all {
		l.Push(x)
	}
	testnet.Eventually(t, "pictures come", func() bool { return s.reached(58 * 3000) })
	keys := map[media.Ticks]bool{}
	frames := s.all()
	for i, f := range frames {
		keys[f.Time] = f.Key
		if i > 0 && f.Time-frames[i-1].Time < 6000 && !f.Key {
			t.Errorf("a picture at %d, %d after another", f.Time, f.Time-frames[i-1].Time)
		}
	}
	for _, x := range all {
		if x.Key && !keys[x.Time] {
			t.Errorf("no key frame at %d", x.Time)
		}
	}
	if l.State().Restarts > 0 {
		t.Error("a process died")
	}
}

// After a process died the next decodes from the key frame on, and what it makes
// begins with a key frame where the last one ended.
func TestPicturesGoOnWhenTheProcessDies(t *testing.T) {
	t.Parallel()
	one := clip.Make(t, media.VP8)
	s := &sink{}
	l := encode.New(pictures(s, w, h, 0))
	start(t, l, 0)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	t.Cleanup(func() { cancel(); done.Wait() })
	format := film(one, 0)[0].Format
	done.Go(func() {
		tick := time.NewTicker(33 * time.Millisecond)
		defer tick.Stop()
		for round := range 20 {
			for _, x := range film(one, media.Ticks(round)*180_000) {
				x.Format = format
				select {
				case <-tick.C:
					l.Push(x)
				case <-ctx.Done():
					return
				}
			}
		}
	})
	testnet.Eventually(t, "pictures come", func() bool { return s.reached(90_000) })
	first := l.State().Pid
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "another process goes on", func() bool { now := l.State(); return now.Pid != 0 && now.Pid != first && now.Restarts == 1 })
	from := s.all()
	testnet.Eventually(t, "pictures go on", func() bool { return len(s.all()) > len(from)+10 })
	extra := 0
	frames := s.all()
	for i, f := range frames {
		if i == 0 {
			continue
		}
		if f.Key && f.Time%(20*3000) != 0 {
			extra++
		}
		if f.Time <= frames[i-1].Time {
			t.Fatalf("a picture at %d after one at %d", f.Time, frames[i-1].Time)
		}
		if d := f.Time - frames[i-1].Time; d > 4000 && !f.Key {
			t.Fatalf("pictures are missing before %d, and it is no key frame", f.Time)
		}
	}
	t.Logf("%d key frames more", extra)
}
