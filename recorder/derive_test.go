package recorder_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
)

// theatre is a recorder in real time, as ffmpeg knows no other, and a publisher that
// plays films in rounds of two seconds.
type theatre struct {
	*recorder.Recorder
	t       *testing.T
	streams *streams
	shelf   *shelf
	words   *words
	reg     *prometheus.Registry
	end     func()
	stood   atomic.Bool // the machine stood still for a while
}

// words are what the recorder logs.
type words struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *words) count(s string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.b.String(), s)
}

func newTheatre(t *testing.T, cfg recorder.Config, films ...*clip.Clip) *theatre {
	s := &theatre{t: t, streams: &streams{}, shelf: &shelf{}, words: &words{}, reg: prometheus.NewRegistry()}
	var err error
	s.Recorder, err = recorder.New(cfg, recorder.Parts{Streams: s.streams, Logs: s.shelf, Logger: slog.New(slog.NewTextHandler(s.words, nil)), Registerer: s.reg,
		Policy: func(media.StreamID) media.Policy { return media.DefaultPolicy() }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	s.Published("show")
	testnet.Eventually(t, "it listens", func() bool { return s.streams.sink("show") != nil })
	done.Go(func() { s.play(ctx, films) })
	var once sync.Once
	s.end = func() { once.Do(func() { cancel(); done.Wait() }) }
	t.Cleanup(s.end)
	return s
}

// play publishes until ctx ends.
func (s *theatre) play(ctx context.Context, films []*clip.Clip) {
	sink := s.streams.sink("show")
	var info []media.TrackInfo
	type one struct {
		film    *clip.Clip
		packets []*media.Packet
		next    int
	}
	var all []*one
	for _, f := range films {
		k := media.TrackInfo{ID: media.VideoTrack, Kind: media.Video, Codec: f.Codec, Layers: []media.LayerInfo{{Active: true}}}
		if f.Codec == media.Opus {
			k.ID, k.Kind = media.AudioTrack, media.Audio
			f.Frames = f.Frames[:100]
		}
		info = append(info, k)
		all = append(all, &one{film: f, packets: f.Packets(1200)})
	}
	sink.Tracks(1, info)
	begin := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for last := begin; ctx.Err() == nil; last = time.Now() {
		<-tick.C
		if time.Since(last) > 300*ms {
			s.stood.Store(true)
		}
		for _, o := range all {
			for {
				round, i := o.next/len(o.packets), o.next%len(o.packets)
				q := *o.packets[i]
				at := time.Duration(round)*2*time.Second + time.Duration(q.TS-o.film.Frames[0].TS())*time.Second/time.Duration(q.Codec.ClockRate())
				if time.Since(begin) < at+20*ms {
					break
				}
				q.Epoch, q.Arrival, q.Capture = 1, time.Now(), begin.Add(at)
				q.TS += media.Ticks(round) * media.Ticks(2*q.Codec.ClockRate())
				q.Seq += uint64(round * len(o.packets))
				if q.Codec == media.Opus {
					q.Track = media.AudioTrack
				}
				sink.Write([]*media.Packet{&q}, 0)
				o.next++
			}
		}
	}
}

// show is the newest snapshot's rendition; nil before it is there.
func (s *theatre) show(id string) *media.Rendition {
	p, err := s.Presentation(context.Background(), "show")
	if err != nil {
		return nil
	}
	check(s.t, p)
	return p.Rendition(id)
}

// whole returns the segments of a rendition, the open one too.
func whole(r *media.Rendition) []*media.Segment {
	if r.Open == nil {
		return r.Segments
	}
	return append(r.Segments[:len(r.Segments):len(r.Segments)], r.Open)
}

// sounding returns the parts with media up to the newest that follow each other, as
// a file, and where they begin.
func sounding(r *media.Rendition) (file []byte, from, to media.Ticks) {
	for _, s := range whole(r) {
		for _, p := range s.Parts {
			if p.Gap {
				file = nil
				continue
			}
			if file == nil {
				file, from = append(file, r.Inits[s.Init].Data...), p.Start
			}
			file, to = append(file, p.Data...), p.Start+p.Duration
		}
	}
	return file, from, to
}

// longest is the longest run of parts with media, as a file: of what comes now a machine
// that is too busy may have made gaps.
func longest(r *media.Rendition) (file []byte) {
	var run []byte
	for _, s := range whole(r) {
		for _, p := range s.Parts {
			switch {
			case p.Gap:
				run = nil
				continue
			case run == nil:
				run = slices.Clone(r.Inits[s.Init].Data)
			}
			if run = append(run, p.Data...); len(run) > len(file) {
				file = run
			}
		}
	}
	return slices.Clone(file)
}

// clicking is two seconds of Opus with a click each half second.
func clicking(t *testing.T) *clip.Clip {
	return clip.Make(t, media.Opus, "-af", `aeval=if(lt(mod(t\,0.5)\,0.004)\,sin(2*PI*1500*t)\,0):c=same`, "-application", "lowdelay")
}

// heard decodes a file and returns when there are clicks, in ticks of 48 kHz.
func heard(t *testing.T, file []byte, from media.Ticks) []media.Ticks {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sound.mp4")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	// Opus' pre-skip is cut off at the beginning and counts in timestamps: what was cut
	// is put in again.
	out, err := exec.Command("ffmpeg", "-v", "error", "-copyts", "-i", path, "-af", "aresample=async=1:first_pts="+strconv.FormatInt(int64(from), 10), "-ac", "1", "-f", "f32le", "pipe:1").Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	var all []media.Ticks
	quiet := 48000
	for i := 0; i+4 <= len(out); i += 4 {
		if math.Abs(float64(math.Float32frombits(binary.LittleEndian.Uint32(out[i:])))) > 0.25 {
			if quiet > 4800 {
				all = append(all, from+media.Ticks(i/4))
			}
			quiet = 0
		}
		quiet++
	}
	return all
}

func TestAACIsListedFromTheStartAndMadeWhenSomebodyWantsIt(t *testing.T) {
	t.Parallel()
	exact(t, listedAndMade)
}

// exact plays a story, and again where the machine stood still: ffmpeg is begun anew then, and nothing is exact.
func exact(t *testing.T, story func(t *testing.T) (wrong []string, stood bool)) {
	t.Helper()
	var wrong []string
	for range 5 {
		var stood bool
		if wrong, stood = story(t); len(wrong) == 0 || !stood {
			break
		}
	}
	for _, text := range wrong {
		t.Error(text)
	}
}

// listedAndMade plays that story, and tells what is not exact, and whether the machine stood still.
func listedAndMade(t *testing.T) (wrong []string, stood bool) {
	t.Helper()
	cfg := recorder.DefaultConfig()
	cfg.FFmpeg = "ffmpeg"
	s := newTheatre(t, cfg, clip.Make(t, media.H264), clicking(t))
	testnet.Eventually(t, "pictures come", func() bool { v := s.show("video"); return v != nil && len(v.Segments) > 0 })
	aac := s.show("audio-aac")
	if aac == nil || !aac.OnDemand || aac.Codec != "mp4a.40.2" || len(aac.Inits) != 1 {
		t.Fatalf("AAC is not listed: %+v", aac)
	}
	for _, g := range aac.Segments {
		if !g.Gap {
			t.Errorf("segment %d was made although nobody wanted it", g.MSN)
		}
	}
	asked := time.Now()
	s.Want("show", "audio-aac")
	testnet.Eventually(t, "AAC comes", func() bool { file, _, _ := sounding(s.show("audio-aac")); return file != nil })
	t.Logf("the first part %v after it was wanted", time.Since(asked).Round(ms))
	testnet.Eventually(t, "three seconds of it come", func() bool {
		_, from, to := sounding(s.show("audio-aac"))
		return to-from > 3*48000
	})
	aac, opus := s.show("audio-aac"), s.show("audio")
	s.end()
	file, from, to := sounding(aac)
	made := heard(t, file, from)
	file, begin, _ := sounding(opus)
	same := 0
	for _, at := range heard(t, file, begin) {
		for _, b := range made {
			if d := at - b; d < 24000/2 && d > -24000/2 {
				same++
				if d > 48 || d < -48 {
					wrong = append(wrong, fmt.Sprintf("a click at %d in Opus is at %d in AAC", at, b))
				}
			}
		}
	}
	if same < int(to-from)/24000-1 {
		wrong = append(wrong, fmt.Sprintf("%d clicks are in both, of %v", same, made))
	}
	t.Logf("%d clicks are in both", same)
	// The numbers and times of segments are those of Opus.
	for _, g := range aac.Segments {
		for _, o := range opus.Segments {
			if d := g.Start - o.Start; o.MSN == g.MSN && (d > 1024 || d < -1024) {
				wrong = append(wrong, fmt.Sprintf("segment %d begins at %d, of Opus at %d", g.MSN, g.Start, o.Start))
			}
		}
	}
	return wrong, s.stood.Load()
}

// What nobody asks for any more is not made, and costs no process; who asks again has it
// again, with a gap in between that is on the clock of all others.
func TestAACEndsWhenNobodyWantsItAndGoesOnWhenSomebodyDoes(t *testing.T) {
	t.Parallel()
	cfg := recorder.DefaultConfig()
	cfg.FFmpeg, cfg.Unwanted = "ffmpeg", time.Second
	s := newTheatre(t, cfg, clicking(t))
	closed := func(gap bool) int { // the newest segment that is such; -1: there is none
		last := -1
		if r := s.show("audio-aac"); r != nil {
			for _, g := range r.Segments {
				if g.Gap == gap {
					last = int(g.MSN)
				}
			}
		}
		return last
	}
	comes := func(after int) {
		t.Helper()
		testnet.Eventually(t, "AAC comes", func() bool { s.Want("show", "audio-aac"); return closed(false) > after })
	}
	testnet.Eventually(t, "time passes in which nobody asks", func() bool { return closed(true) >= 0 })
	missing := gauges(t, s.reg)["sluice_recorder_gaps_seconds_total"]
	if n := gaps(s.show("audio")); n == 0 && missing >= 1 {
		t.Errorf("%v s of what nobody asked for are counted as missing", missing)
	}
	comes(-1)
	testnet.Eventually(t, "it ends", func() bool {
		return s.words.count("nobody wants it") > 0 && gauges(t, s.reg)["sluice_recorder_encoders"] == 0
	})
	first := closed(false)
	testnet.Eventually(t, "a gap follows", func() bool { return closed(true) > first })
	comes(closed(true))
	r := s.show("audio-aac")
	s.end()
	if n := s.words.count("encoding began"); n < 2 {
		t.Errorf("it began %d times", n)
	}
	for i, g := range r.Segments[1:] {
		if before := r.Segments[i]; g.MSN != before.MSN+1 || g.Start != before.Start+before.Duration || g.Discontinuity {
			t.Errorf("segment %d begins at %d behind %d, which ends at %d", g.MSN, g.Start, before.MSN, before.Start+before.Duration)
		}
	}
	if frames(t, "a.mp4", longest(r)) < 5 {
		t.Error("what came cannot be read")
	}
}

func TestAVP8StreamHasH264AndItsFramesAreKept(t *testing.T) {
	t.Parallel()
	exact(t, listedAndKept)
}

// listedAndKept is that story: what is not exact in it, and whether the machine stood still.
func listedAndKept(t *testing.T) (wrong []string, stood bool) {
	t.Helper()
	cfg := recorder.DefaultConfig()
	cfg.FFmpeg, cfg.AAC = "ffmpeg", recorder.Never
	cfg.Ladder = []recorder.Rung{{Name: "720p", Height: 720, Bitrate: 300_000, FPS: 30}} // larger than the film
	s := newTheatre(t, cfg, clip.Make(t, media.VP8), clicking(t))
	testnet.Eventually(t, "H264 is listed", func() bool { r := s.show("h264-720p"); return r != nil && len(r.Inits) == 1 })
	if r := s.show("h264-720p"); r.Width != 160 || r.Height != 96 || !strings.HasPrefix(r.Codec, "avc1.64") || !r.OnDemand {
		t.Errorf("it is %+v", r)
	}
	var r *media.Rendition
	testnet.Eventually(t, "H264 comes", func() bool {
		s.Want("show", "h264-720p")
		n := 0
		r = s.show("h264-720p")
		for _, g := range whole(r) {
			if !g.Gap {
				n++
			}
		}
		_, from, to := sounding(r) // without a gap
		return n >= 3 && to-from >= 2*90000
	})
	sound := s.show("audio")
	p, _ := s.Presentation(context.Background(), "show")
	s.end()
	if len(p.Renditions) != 2 {
		t.Errorf("%d renditions are shown", len(p.Renditions))
	}
	last := r.Segments[len(r.Segments)-1]
	if !last.Independent {
		wrong = append(wrong, fmt.Sprintf("segment %d does not begin with a key frame", last.MSN))
	}
	for _, o := range sound.Segments {
		if o.MSN == last.MSN && (r.Time(last.Start)-sound.Time(o.Start)).Abs() > 40*ms {
			wrong = append(wrong, fmt.Sprintf("segment %d begins at %v, of sound at %v", last.MSN, r.Time(last.Start), sound.Time(o.Start)))
		}
	}
	file, _, _ := sounding(r)
	if n := frames(t, "a.mp4", file); n < 30 {
		wrong = append(wrong, fmt.Sprintf("%d pictures can be decoded", n))
	}
	kept := append([]byte(nil), s.shelf.inits["vp8"]...)
	kept = append(kept, s.shelf.files[p.Incarnation+"/vp8"].Bytes()...)
	if n := frames(t, "a.webm", kept); n < 60 {
		t.Errorf("%d pictures of VP8 are kept", n)
	}
	return wrong, s.stood.Load()
}

// frames counts what ffmpeg decodes without a word.
func frames(t *testing.T, name string, file []byte) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ffprobe: %v\n%s", err, out)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatalf("ffprobe: %s", out)
	}
	return n
}

func TestAStepOfTheLadderIsCutWhereItsSourceIs(t *testing.T) {
	t.Parallel()
	exact(t, cutAsItsSource)
}

// cutAsItsSource is that story: what is not exact in it, and whether the machine stood still.
func cutAsItsSource(t *testing.T) (wrong []string, stood bool) {
	t.Helper()
	cfg := recorder.DefaultConfig()
	cfg.FFmpeg, cfg.LadderAlways = "ffmpeg", true
	cfg.Ladder = []recorder.Rung{{Name: "90p", Height: 90, Bitrate: 200_000}, {Name: "1080p", Height: 1080, Bitrate: 5_000_000}}
	s := newTheatre(t, cfg, clip.Make(t, media.H264))
	testnet.Eventually(t, "segments come", func() bool {
		r := s.show("h264-90p")
		return r != nil && len(r.Segments) >= 3 && !r.Segments[len(r.Segments)-2].Gap
	})
	r, source := s.show("h264-90p"), s.show("video")
	if s.show("h264-1080p") != nil {
		t.Error("pictures are made larger")
	}
	s.end()
	if r.Width != 150 || r.Height != 90 || r.OnDemand {
		t.Errorf("it is %dx%d, on demand: %v", r.Width, r.Height, r.OnDemand)
	}
	same := 0
	for _, g := range r.Segments[1:] { // it began in the first
		for _, o := range source.Segments {
			if g.MSN == o.MSN && !g.Gap {
				same++
				if d := g.Start - o.Start; d > 3000 || d < -3000 {
					wrong = append(wrong, fmt.Sprintf("segment %d begins at %d, of the source at %d", g.MSN, g.Start, o.Start))
				}
			}
		}
	}
	if same == 0 {
		wrong = append(wrong, "no segment is of both")
	}
	return wrong, s.stood.Load()
}

func TestWithoutFFmpegLiveGoesOn(t *testing.T) {
	t.Parallel()
	cfg := recorder.DefaultConfig()
	cfg.FFmpeg = filepath.Join(t.TempDir(), "ffmpeg") // there is none
	cfg.Ladder = []recorder.Rung{{Name: "90p", Height: 90, Bitrate: 200_000}}
	s := newTheatre(t, cfg, clip.Make(t, media.H264), clicking(t))
	testnet.Eventually(t, "segments come", func() bool { r := s.show("video"); return r != nil && len(r.Segments) >= 1 })
	p, _ := s.Presentation(context.Background(), "show")
	s.end()
	if len(p.Renditions) != 2 || s.words.count("no AAC and no ladder") != 1 {
		t.Errorf("%d renditions, it is told %d times", len(p.Renditions), s.words.count("no AAC and no ladder"))
	}
}

func TestAnEncoderThatCrashesLeavesGapsAndOneWord(t *testing.T) {
	t.Parallel()
	cfg := recorder.DefaultConfig()
	cfg.FFmpeg, cfg.AAC = "false", recorder.Always
	s := newTheatre(t, cfg, clicking(t))
	testnet.Eventually(t, "segments come", func() bool { r := s.show("audio-aac"); return r != nil && len(r.Segments) >= 2 })
	r := s.show("audio-aac")
	s.end()
	for _, g := range r.Segments {
		if !g.Gap {
			t.Errorf("segment %d is no gap", g.MSN)
		}
	}
	if n := s.words.count("encoding stands still"); n != 1 {
		t.Errorf("it is told %d times", n)
	}
}
