package protect_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/hls-fallback/protect"
	"github.com/sluice-live/sluice/media"
)

// film is fragmented MP4 as FFmpeg writes it: a section, and parts of one frame each.
type film struct {
	section []byte
	parts   [][]byte
}

func shoot(t testing.TB, encoder ...string) film {
	t.Helper()
	path := filepath.Join(t.TempDir(), "film.mp4")
	args := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15:duration=1", "-an"}
	if encoder[0] == "-c:a" {
		args = []string{"-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1"}
	}
	args = append(append(args, encoder...), "-movflags", "+delay_moov+default_base_moof+frag_every_frame+cmaf", "-f", "mp4", path)
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg (scripts/bring ffmpeg installs it): %v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	size := int(f.Init.Size())
	end := len(b)
	if f.Mfra != nil {
		end -= int(f.Mfra.Size())
	}
	parts, err := protect.Split(b[size:end])
	if err != nil || len(parts) < 15 {
		t.Fatal(len(parts), err)
	}
	return film{b[:size], parts}
}

var key = media.ContentKey{
	Protection: media.Protection{KeyID: media.KeyID{1, 2, 3, 15: 16}},
	Secret:     media.ContentSecret{9, 8, 7}, IV: [16]byte{5, 4, 3, 15: 1},
}

func (f film) track(t testing.TB) *protect.Track {
	t.Helper()
	track, err := protect.New(f.section, &key)
	if err != nil {
		t.Fatal(err)
	}
	return track
}

type fataler interface {
	Helper()
	Fatal(args ...any)
}

// sealed protects parts as one segment.
func sealed(t fataler, track *protect.Track, parts [][]byte) (out [][]byte) {
	t.Helper()
	s, err := track.Sequence()
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range parts {
		before := bytes.Clone(part)
		b, err := s.Part(part)
		if err != nil {
			t.Fatal(i, err)
		}
		if !bytes.Equal(part, before) {
			t.Fatal("the clear part was changed", i)
		}
		out = append(out, b)
	}
	return out
}

// samples opens a file with mp4ff's decryption when it has a secret, and returns the
// samples' bytes.
func samples(t testing.TB, file []byte, secret []byte) (all [][]byte) {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var info mp4.DecryptInfo
	trex := f.Init.Moov.Mvex.Trex
	if secret != nil {
		if info, err = mp4.DecryptInit(f.Init); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range f.Segments {
		for _, one := range s.Fragments {
			if secret != nil {
				if err := mp4.DecryptFragment(one, info, secret); err != nil {
					t.Fatal(err)
				}
			}
			full, err := one.GetFullSamples(trex)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range full {
				all = append(all, x.Data)
			}
		}
	}
	return all
}

var encoders = map[string][]string{
	"avc":  {"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "15"},
	"hevc": {"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=15", "-tag:v", "hvc1"},
	"av1":  {"-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-b:v", "300k", "-g", "15"},
	"opus": {"-c:a", "libopus"},
	"aac":  {"-c:a", "aac"},
}

// Who has the key gets the frames that went in, and who has not gets others.
func TestWhatIsProtectedOpensAgain(t *testing.T) {
	for name, encoder := range encoders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := shoot(t, encoder...)
			track := f.track(t)
			parts := sealed(t, track, f.parts)
			file := bytes.Join(append([][]byte{track.Init()}, parts...), nil)
			want := samples(t, bytes.Join(append([][]byte{f.section}, f.parts...), nil), nil)
			got := samples(t, file, key.Secret[:])
			wrong := samples(t, file, make([]byte, 16))
			closed := samples(t, file, nil)
			same, open := 0, 0
			for i := range want {
				if !bytes.Equal(want[i], got[i]) {
					t.Fatalf("frame %d of %d is another", i, len(want))
				}
				if bytes.Equal(want[i], wrong[i]) {
					same++
				}
				if bytes.Equal(want[i], closed[i]) {
					open++
				}
			}
			if len(got) != len(want) || same > len(want)/2 || open > len(want)/2 {
				t.Errorf("%d frames of %d; %d open with a wrong key, %d without any", len(got), len(want), same, open)
			}
			info, err := mp4.DecodeFile(bytes.NewReader(track.Init()))
			if err != nil {
				t.Fatal(err)
			}
			sinf := info.Init.Moov.GetSinf(info.Init.Moov.Trak.Tkhd.TrackID)
			tenc := sinf.Schi.Tenc
			pattern := [2]byte{tenc.DefaultCryptByteBlock, tenc.DefaultSkipByteBlock}
			if want := map[bool][2]byte{true: {0, 0}, false: {1, 9}}[encoder[0] == "-c:a"]; sinf.Schm.SchemeType != "cbcs" || pattern != want || !bytes.Equal(tenc.DefaultKID, key.KeyID[:]) {
				t.Errorf("scheme %s, pattern %v, key %x", sinf.Schm.SchemeType, pattern, tenc.DefaultKID)
			}
		})
	}
}

// However a segment is cut into requests, and however often it is made, its bytes are
// those of its parts.
func TestPartsJoinedAreTheSegment(t *testing.T) {
	for _, name := range []string{"avc", "av1", "opus"} {
		f := shoot(t, encoders[name]...)
		track, other := f.track(t), f.track(t)
		whole := bytes.Join(sealed(t, track, f.parts), nil)
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(1, len(f.parts)).Draw(t, "parts")
			cuts, err := protect.Split(bytes.Join(f.parts[:n], nil))
			if err != nil || len(cuts) != n {
				t.Fatal(len(cuts), err)
			}
			if got := bytes.Join(sealed(t, other, cuts), nil); !bytes.HasPrefix(whole, got) {
				t.Fatal(name, "differs within", n, "parts")
			}
		})
	}
}

// VP9 has no common encryption here: an error, and not clear bytes.
func TestWhatCannotBeProtectedIsAnError(t *testing.T) {
	f := shoot(t, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k")
	if track, err := protect.New(f.section, &key); !errors.Is(err, protect.ErrCodec) || track != nil {
		t.Error(track, err)
	}
}

func FuzzPart(f *testing.F) {
	film := shoot(f, encoders["opus"]...)
	track := film.track(f)
	f.Add(film.parts[0])
	f.Add(film.parts[0][:100])
	f.Fuzz(func(t *testing.T, part []byte) {
		s, err := track.Sequence()
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(part)
		if _, err := s.Part(part); err == nil && !bytes.Equal(part, before) {
			t.Error("the clear part was changed")
		}
		_, _ = protect.Split(part)
	})
}
