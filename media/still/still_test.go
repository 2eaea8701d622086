package still_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/depack"
	"github.com/sluice-live/sluice/media/still"
)

func frames(t testing.TB, c *clip.Clip) (out []*media.Frame) {
	t.Helper()
	d := depack.New(c.Codec, "")
	for _, p := range c.Packets(1200) {
		for f := d.Push(p, false); f != nil; f = d.Next() {
			out = append(out, f)
		}
	}
	return out
}

// stream is what FFmpeg reads: Annex B, or IVF.
func stream(c media.Codec, samples [][]byte, sets [][]byte) []byte {
	var b bytes.Buffer
	if c == media.H264 {
		unit := func(u []byte) {
			b.Write([]byte{0, 0, 0, 1})
			b.Write(u)
		}
		for _, s := range sets {
			unit(s)
		}
		for _, s := range samples {
			unit([]byte{9, 0xf0}) // a delimiter, as samples are units of their own
			for len(s) > 4 {
				n := int(binary.BigEndian.Uint32(s))
				unit(s[4 : 4+n])
				s = s[4+n:]
			}
		}
		return b.Bytes()
	}
	head := append([]byte("DKIF\x00\x00\x20\x00"), map[media.Codec]string{media.VP9: "VP90", media.AV1: "AV01"}[c]...)
	head = binary.LittleEndian.AppendUint16(head, 160)
	head = binary.LittleEndian.AppendUint16(head, 96)
	head = binary.LittleEndian.AppendUint32(head, 30)
	head = binary.LittleEndian.AppendUint32(head, 1)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(samples)))
	b.Write(head)
	for i, s := range samples {
		if c == media.AV1 {
			s = append([]byte{2<<3 | 2, 0}, s...) // a temporal delimiter
		}
		b.Write(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, uint32(len(s))), uint64(i)))
		b.Write(s)
	}
	return b.Bytes()
}

// pictures decodes, without a word, and returns a digest of each picture.
func pictures(t *testing.T, c media.Codec, file []byte) (sums []string) {
	t.Helper()
	format := "ivf"
	if c == media.H264 {
		format = "h264"
	}
	path := filepath.Join(t.TempDir(), "film")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ffmpeg", "-v", "warning", "-xerror", "-f", format, "-i", path, "-fps_mode", "passthrough", "-f", "framemd5", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, stderr.String())
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Split(line, ","); !strings.HasPrefix(line, "#") {
			sums = append(sums, strings.TrimSpace(fields[len(fields)-1]))
		}
	}
	return sums
}

// Every picture is repeated three times, and each repeat shows it, and those that
// follow are what they were.
func TestARepeatShowsThePictureAgainAndDisturbsNone(t *testing.T) {
	for _, c := range []struct {
		name  string
		codec media.Codec
		args  []string
		none  int // pictures without a repeat
	}{
		{"H264 baseline", media.H264, []string{"-profile:v", "baseline"}, 0},
		{"H264 main, order counts", media.H264, []string{"-x264-params", "cabac=0:bframes=0:weightp=2:ref=3"}, 0},
		{"H264 arithmetic", media.H264, []string{"-x264-params", "cabac=1"}, 60},
		{"VP9", media.VP9, nil, 0},
		{"AV1", media.AV1, nil, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			film := clip.Make(t, c.codec, c.args...)
			var before, after [][]byte
			var times []int
			none := 0
			for _, f := range frames(t, film) {
				before, after, times = append(before, f.Data), append(after, f.Data), append(times, 1)
				again, ok := still.Repeat(f.Format, f.Data)
				if !ok {
					none++
					continue
				}
				if len(again) > 40 {
					t.Fatalf("a repeat of %d bytes", len(again))
				}
				after = append(after, again, again, again)
				times[len(times)-1] = 4
			}
			if none != c.none {
				t.Fatalf("%d of %d pictures have no repeat", none, len(before))
			}
			var want []string
			for i, sum := range pictures(t, c.codec, stream(c.codec, before, film.Sets)) {
				want = append(want, slices.Repeat([]string{sum}, times[i])...)
			}
			if got := pictures(t, c.codec, stream(c.codec, after, film.Sets)); !slices.Equal(got, want) {
				t.Fatalf("%d pictures, want %d, or others", len(got), len(want))
			}
		})
	}
}

func FuzzRepeat(f *testing.F) {
	for _, c := range []media.Codec{media.H264, media.VP9, media.AV1} {
		for _, one := range frames(f, clip.Make(f, c))[:2] {
			sets := append(slices.Clone(one.Format.Parameters), nil, nil)
			f.Add(uint8(c), sets[0], sets[1], one.Data)
		}
	}
	f.Fuzz(func(t *testing.T, codec uint8, first, second, data []byte) {
		format := &media.Format{Codec: media.Codec(codec), Parameters: [][]byte{first}}
		if len(second) > 0 {
			format.Parameters = append(format.Parameters, second)
		}
		if again, ok := still.Repeat(format, data); ok && (len(again) == 0 || len(again) > 64) {
			t.Fatalf("%d bytes", len(again))
		}
	})
}
