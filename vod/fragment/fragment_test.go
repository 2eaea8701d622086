package fragment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/vod/fragment"
)

// film is what ffmpeg writes as fragments of one track.
func film(t testing.TB, args ...string) []byte {
	t.Helper()
	all := append([]string{"-hide_banner", "-loglevel", "error"}, args...)
	cmd := exec.Command("ffmpeg", append(all, "-movflags", "+cmaf+frag_keyframe+frag_discont", "-f", "mp4", "pipe:1")...)
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, &words)
	}
	return out
}

func picture(t testing.TB, codec ...string) []byte {
	args := []string{"-f", "lavfi", "-i", "testsrc2=size=322x180:rate=25", "-t", "2", "-g", "25", "-pix_fmt", "yuv420p"}
	return film(t, append(args, codec...)...)
}

type piece struct {
	fragment.Fragment
	moof, mdat []byte
}

func read(t testing.TB, b []byte) (fragment.Track, []piece) {
	t.Helper()
	r := fragment.NewReader(bytes.NewReader(b))
	var init, moof []byte
	var track fragment.Track
	var all []piece
	for {
		kind, box, err := r.Next()
		if errors.Is(err, io.EOF) {
			return track, all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch kind {
		case "ftyp", "moov":
			init = append(init, box...)
			if kind == "moov" {
				if track, err = fragment.ParseInit(init); err != nil {
					t.Fatal(err)
				}
			}
		case "moof":
			moof = box
		case "mdat":
			f, err := fragment.Parse(moof, track)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, piece{f, moof, box})
		}
	}
}

func TestReadsWhatFFmpegWrites(t *testing.T) {
	for _, c := range []struct {
		codec string
		args  []string
	}{
		{"avc1.42c00d", []string{"-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast"}},
		{"avc1.64000d", []string{"-c:v", "libx264", "-preset", "fast", "-bf", "2"}},
		{"hvc1.1.6.L60.90", []string{"-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", "log-level=none"}},
		{"vp09.00.11.08", []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-strict", "-2"}},
	} {
		track, all := read(t, picture(t, c.args...))
		if track.Codec != c.codec || !track.Video || track.Width != 322 || track.Height != 180 {
			t.Errorf("%v: track %+v", c.args, track)
		}
		end := all[0].Start
		for i, p := range all {
			if !p.Key || p.Start != end || p.First == 0 || int(p.First) > len(p.mdat)-8 {
				t.Errorf("%s: fragment %d: %+v, the one before ends at %d", c.codec, i, p.Fragment, end)
			}
			end = p.Start + p.Duration
		}
		if len(all) != 2 || (end-all[0].Start)/uint64(track.Timescale) != 2 {
			t.Errorf("%s: %d fragments to %d of %d", c.codec, len(all), end, track.Timescale)
		}
	}
	for codec, args := range map[string][]string{
		"mp4a.40.2": {"-c:a", "aac"}, "opus": {"-c:a", "libopus", "-strict", "-2"},
	} {
		args = append([]string{"-f", "lavfi", "-i", "sine=440:sample_rate=48000", "-t", "2", "-ac", "2", "-frag_duration", "500000"}, args...)
		track, all := read(t, film(t, args...))
		if track.Codec != codec || track.Video || track.Channels != 2 || track.Timescale != 48000 || len(all) < 4 {
			t.Errorf("%s: track %+v, %d fragments", codec, track, len(all))
		}
	}
}

// A picture alone is decoded, and is the first of the segment.
func TestPictureIsOne(t *testing.T) {
	for _, args := range [][]string{
		{"-c:v", "libx264", "-preset", "ultrafast"},
		{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-strict", "-2"},
	} {
		b := picture(t, args...)
		track, all := read(t, b)
		init := b[:bytes.Index(b, []byte("moof"))-4]
		second := append(bytes.Clone(all[1].moof), all[1].mdat...)
		want := second[:fragment.Lead(all[1].moof, all[1].Fragment)]
		// As much as Lead says is enough, and what stands before the moof is passed.
		one, err := fragment.Picture(bytes.NewReader(append([]byte("\x00\x00\x00\x10styp\x00\x00\x00\x00\x00\x00\x00\x00"), want...)), track)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", "-")
		cmd.Stdin = bytes.NewReader(append(bytes.Clone(init), one...))
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "1" {
			t.Errorf("%v: %v: %s", args, err, out)
		}
		for n := range len(want) {
			if _, err := fragment.Picture(bytes.NewReader(want[:n]), track); err == nil {
				t.Fatalf("%d of %d bytes are a picture", n, len(want))
			}
		}
	}
}

func TestMove(t *testing.T) {
	track, all := read(t, picture(t, "-c:v", "libx264", "-preset", "ultrafast"))
	p := all[1]
	if err := fragment.Move(p.moof, p.Fragment, 1000-int64(p.Start)); err != nil {
		t.Fatal(err)
	}
	f, err := fragment.Parse(p.moof, track)
	if err != nil || f.Start != 1000 || f.Duration != p.Duration {
		t.Errorf("moved: %+v, %v", f, err)
	}
	if err := fragment.Move(p.moof, f, -1001); err == nil {
		t.Error("it was moved before the beginning")
	}
}

// A box that claims to be large is not believed before its bytes come.
func TestLargeBox(t *testing.T) {
	b := binary.BigEndian.AppendUint32(nil, 190<<20)
	b = append(b, "mdat and nothing else"...)
	r := fragment.NewReader(bytes.NewReader(b))
	if n := testing.AllocsPerRun(1, func() { _, _, _ = r.Next() }); n > 20 {
		t.Errorf("%v allocations", n)
	}
	_, _, err := fragment.NewReader(bytes.NewReader(b)).Next()
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	for _, head := range []string{"\x00\x00\x00\x07mdat", "\xff\xff\xff\xffmdat", "\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x0f", "\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, _, err := fragment.NewReader(strings.NewReader(head)).Next(); !errors.Is(err, fragment.ErrBad) {
			t.Errorf("%q: %v", head, err)
		}
	}
}

func FuzzFragment(f *testing.F) {
	b := picture(f, "-c:v", "libx264", "-preset", "ultrafast")
	track, all := read(f, b)
	f.Add(b[:bytes.Index(b, []byte("moof"))-4], append(bytes.Clone(all[0].moof), all[0].mdat...))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, init, segment []byte) {
		with := track
		if got, err := fragment.ParseInit(init); err == nil {
			if with = got; with.Timescale == 0 {
				t.Error("no timescale")
			}
		}
		if got, err := fragment.Parse(segment, with); err == nil {
			if err := fragment.Move(segment, got, 1); err == nil {
				if again, err := fragment.Parse(segment, with); err != nil || again.Start != got.Start+1 {
					t.Errorf("moved from %d to %d, %v", got.Start, again.Start, err)
				}
			}
		}
		one, err := fragment.Picture(bytes.NewReader(segment), with)
		if err != nil {
			return
		}
		// What came out is a picture itself.
		if again, err := fragment.Picture(bytes.NewReader(one), with); err != nil || !bytes.Equal(again, one) {
			t.Errorf("%v", err)
		}
	})
}
