package encode_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
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
	"github.com/sluice-live/sluice/recorder/webm"
)

const rate = 48000

// clicks are two seconds of Opus with a click each half second.
func clicks(t *testing.T) []encode.Sample {
	film := clip.Make(t, media.Opus, "-af", `aeval=if(lt(mod(t\,0.5)\,0.004)\,sin(2*PI*1500*t)\,0):c=same`, "-application", "lowdelay")
	format := &media.Format{Codec: media.Opus, Channels: 2}
	var all []encode.Sample
	at := media.Ticks(0)
	for _, f := range film.Frames[:100] {
		all = append(all, encode.Sample{Time: at, Duration: 960, Key: true, Epoch: 1, Format: format, Data: f.Data})
		at += 960
	}
	return all
}

// shifted is the clip in another round.
func shifted(all []encode.Sample, by media.Ticks) []encode.Sample {
	out := append([]encode.Sample(nil), all...)
	for i := range out {
		out[i].Time += by
	}
	return out
}

// sink gathers what a Line makes.
type sink struct {
	mu     sync.Mutex
	frames []encode.Frame
	at     []time.Time
}

func (s *sink) take(f []encode.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames = append(s.frames, f...)
	for range f {
		s.at = append(s.at, time.Now())
	}
}

func (s *sink) all() []encode.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]encode.Frame(nil), s.frames...)
}

// reached reports whether there is something up to t.
func (s *sink) reached(t media.Ticks) bool {
	all := s.all()
	return len(all) > 0 && all[len(all)-1].Time+all[len(all)-1].Duration >= t
}

// slow is how long a process may hang that must not be taken for dead: machines are slow.
const slow = time.Minute

func sound(program string, s *sink) encode.Config {
	return encode.Config{Program: program, Profile: encode.Profile{Kind: media.Audio, Bitrate: 128_000}, Out: s.take, Hang: slow}
}

// start runs a Line until the test ends.
func start(t *testing.T, l *encode.Line, from media.Ticks) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { l.Run(ctx, from) })
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); done.Wait() }) }
	t.Cleanup(stop)
	testnet.Eventually(t, "it runs", func() bool { return l.State().Running })
	return stop
}

// pcm decodes a file to one channel of floats.
func pcm(t *testing.T, name string, file []byte) []float32 {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-f", "f32le", "pipe:1").Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	all := make([]float32, len(out)/4)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:]))
	}
	return all
}

// onsets are where clicks begin, in ticks behind base: where it becomes loud after a
// tenth of a second of silence.
func onsets(pcm []float32, base media.Ticks) []media.Ticks {
	var all []media.Ticks
	quiet := rate
	for i, v := range pcm {
		if math.Abs(float64(v)) > 0.25 {
			if quiet > rate/10 {
				all = append(all, base+media.Ticks(i))
			}
			quiet = 0
		}
		quiet++
	}
	return all
}

// opusFile is samples as they are; its time begins with the first.
func opusFile(t *testing.T, all []encode.Sample) []byte {
	head, err := webm.Head(all[0].Format, append([]byte("OpusHead"), 1, 2, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		head = webm.AppendClusters(head, rate, webm.Block{Time: s.Time - all[0].Time, Key: true, Data: s.Data})
	}
	return head
}

// aacFile is frames that follow each other.
func aacFile(t *testing.T, all []encode.Frame) []byte {
	t.Helper()
	file, _, err := cmaf.Init(all[0].Format, rate)
	if err != nil {
		t.Fatal(err)
	}
	part := cmaf.Part{Sequence: 1, Segment: true}
	for i, f := range all {
		if i > 0 && f.Time != all[i-1].Time+all[i-1].Duration {
			t.Fatalf("frame %d begins at %d, the one before ended at %d", i, f.Time, all[i-1].Time+all[i-1].Duration)
		}
		part.Samples = append(part.Samples, cmaf.Sample{Data: f.Data, Duration: uint32(f.Duration), Key: true})
	}
	if file, err = cmaf.AppendPart(file, &part); err != nil {
		t.Fatal(err)
	}
	return file
}

// same holds clicks of AAC against those of Opus: within a millisecond.
func same(t *testing.T, opus, aac []media.Ticks) {
	t.Helper()
	if len(opus) == 0 || len(opus) != len(aac) {
		t.Fatalf("Opus clicks at %v, AAC at %v", opus, aac)
	}
	for i := range opus {
		if d := aac[i] - opus[i]; d > rate/1000 || d < -rate/1000 {
			t.Fatalf("click %d: Opus at %d, AAC at %d", i, opus[i], aac[i])
		}
	}
	t.Logf("clicks of Opus %v, of AAC %v", opus, aac)
}

// A process that begins in the middle of a stream has what is needed of before.
func TestAClickInAACIsWhereItIsInOpus(t *testing.T) {
	t.Parallel()
	const base, from = 480_000, 480_000 + 7*960 + 100
	all := shifted(clicks(t), base)
	s := &sink{}
	l := encode.New(sound("ffmpeg", s))
	for _, x := range all[:20] { // before anybody wants it
		l.Push(x)
	}
	stop := start(t, l, from)
	for _, x := range all[20:] {
		l.Push(x)
	}
	testnet.Eventually(t, "sound comes", func() bool { return s.reached(base + 90*960) })
	stop()
	frames := s.all()
	if d := frames[0].Time - from; d < 0 || d >= 1024 {
		t.Fatalf("asked for from %d, it begins at %d", from, frames[0].Time)
	}
	opus := onsets(pcm(t, "a.webm", opusFile(t, all)), base)
	same(t, opus[1:], onsets(pcm(t, "a.mp4", aacFile(t, frames)), frames[0].Time))
}

// pace gives samples as they come until the test ends.
func pace(t *testing.T, l *encode.Line, all []encode.Sample, rounds int) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for round := range rounds {
			for _, x := range shifted(all, media.Ticks(round)*2*rate) {
				select {
				case <-tick.C:
					l.Push(x)
				case <-ctx.Done():
					return
				}
			}
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

func TestAProcessThatDiesOrHangsIsReplacedWithoutABreak(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"dies": syscall.SIGKILL, "hangs": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := clicks(t)
			s := &sink{}
			cfg := sound("ffmpeg", s)
			if signal == syscall.SIGSTOP {
				cfg.Hang = 3 * time.Second // one that is only slow may be taken for hanging, too: then there are more
			}
			l := encode.New(cfg)
			start(t, l, 0)
			pace(t, l, all, 40)
			testnet.Eventually(t, "sound comes", func() bool { return s.reached(rate) })
			first := 0
			testnet.Eventually(t, "there is a process", func() bool {
				first = l.State().Pid
				return first != 0 && syscall.Kill(first, signal) == nil
			})
			testnet.Eventually(t, "another process goes on", func() bool {
				now := l.State()
				return now.Pid != 0 && now.Pid != first && now.Restarts >= 1
			})
			from := s.all()
			testnet.Eventually(t, "sound goes on", func() bool { return s.reached(from[len(from)-1].Time + rate) })
			if l.State().Failing != nil {
				t.Errorf("it is failing: %v", l.State().Failing)
			}
			onTime(t, all, s.all())
		})
	}
}

// onTime holds the clicks of runs of frames against those of rounds of all.
func onTime(t *testing.T, all []encode.Sample, frames []encode.Frame) {
	t.Helper()
	var runs [][]encode.Frame
	for i, f := range frames {
		if i == 0 || f.Time != frames[i-1].Time+frames[i-1].Duration {
			if i > 0 && f.Time < frames[i-1].Time+frames[i-1].Duration {
				t.Fatalf("a frame at %d, after one at %d", f.Time, frames[i-1].Time)
			}
			runs = append(runs, nil)
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], f)
	}
	t.Logf("%d runs", len(runs))
	for _, run := range runs {
		for _, at := range onsets(pcm(t, "a.mp4", aacFile(t, run)), run[0].Time) {
			if late := (at - 122) % (rate / 2); late > rate/1000 && late < rate/2-rate/1000 {
				t.Errorf("a click at %d", at)
			}
		}
	}
}

func TestAHoleIsAHole(t *testing.T) {
	t.Parallel()
	all := clicks(t)
	s := &sink{}
	l := encode.New(sound("ffmpeg", s))
	start(t, l, 0)
	const gap = 7777 // no multiple of any frame
	for _, x := range all[:50] {
		l.Push(x)
	}
	for _, x := range shifted(all[50:], gap) {
		l.Push(x)
	}
	testnet.Eventually(t, "both halves come", func() bool { return s.reached(95*960 + gap) })
	var before, after []encode.Frame
	for _, f := range s.all() {
		switch {
		case f.Time < rate:
			before = append(before, f)
		case f.Time >= rate+gap-1024:
			after = append(after, f)
		default:
			t.Errorf("there is sound at %d, in the hole", f.Time)
		}
	}
	if l.State().Restarts != 0 {
		t.Error("a process died")
	}
	opus := onsets(pcm(t, "a.webm", opusFile(t, all[:50])), 0)
	same(t, opus[1:], onsets(pcm(t, "a.mp4", aacFile(t, before)), before[0].Time))
	opus = onsets(pcm(t, "b.webm", opusFile(t, all[50:])), rate+gap)
	same(t, opus, onsets(pcm(t, "b.mp4", aacFile(t, after)), after[0].Time))
}

func TestWithoutFFmpegSomebodyIsToldOnce(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]string{"missing": "/nowhere/ffmpeg", "crashing": "false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := clicks(t)
			told := make(chan error, 16)
			cfg := sound(program, &sink{})
			cfg.Failed = func(err error) { told <- err }
			l := encode.New(cfg)
			stop := start(t, l, 0)
			pace(t, l, all, 5)
			var err error
			testnet.Eventually(t, "somebody is told", func() bool {
				select {
				case err = <-told:
					return true
				default:
					return false
				}
			})
			if missing := errors.Is(err, encode.ErrMissing); missing != (name == "missing") {
				t.Errorf("told %v", err)
			}
			if l.State().Failing == nil {
				t.Error("the state does not tell")
			}
			stop()
			if n := len(told); n > 0 {
				t.Errorf("told %d times more", n)
			}
		})
	}
}
