package cmaf_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/aac"
	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/depack"
	"github.com/sluice-live/sluice/recorder/cmaf"
)

// film packages a clip as the recorder does: packets, frames, parts of n samples.
func film(t *testing.T, c *clip.Clip, n int) (file []byte, codecs string) {
	t.Helper()
	d := depack.New(c.Codec, "")
	var order depack.Order
	var frames []*media.Frame
	var times []media.Ticks
	for _, p := range c.Packets(1200) {
		for f := d.Push(p, false); f != nil; f = d.Next() {
			at, err := order.DTS(f)
			if err != nil {
				t.Fatal(err)
			}
			frames, times = append(frames, f), append(times, at)
		}
	}
	scale := c.Codec.ClockRate()
	file, codecs, err := cmaf.Init(frames[0].Format, scale)
	if err != nil {
		t.Fatal(err)
	}
	p := cmaf.Part{Decode: 7}
	for i, f := range frames {
		s := cmaf.Sample{Data: f.Data, Key: f.Key, Offset: int32(f.TS - times[i])}
		switch {
		case c.Codec == media.Opus:
			s.Duration = uint32(depack.OpusDuration(f.Data))
		case i+1 < len(frames):
			s.Duration = uint32(times[i+1] - times[i])
		default:
			s.Duration = scale / clip.FPS
		}
		p.Samples = append(p.Samples, s)
		if len(p.Samples) < n && i+1 < len(frames) {
			continue
		}
		p.Segment, p.Captured = f.Key, f.Capture
		if file, err = cmaf.AppendPart(file, &p); err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Samples {
			p.Decode += uint64(s.Duration)
		}
		p.Sequence++
		p.Samples = p.Samples[:0]
	}
	return file, codecs
}

// probed is what ffprobe tells of one stream.
type probed struct {
	CodecTag string `json:"codec_tag_string"`
	Name     string `json:"codec_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Channels int    `json:"channels"`
	Read     string `json:"nb_read_frames"`
	Packets  string `json:"nb_read_packets"`
}

// probe lets FFmpeg read and decode a file; it may complain about nothing.
func probe(t *testing.T, file []byte) probed {
	t.Helper()
	path := filepath.Join(t.TempDir(), "film.mp4")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ffmpeg", "-v", "warning", "-xerror", "-i", path, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("ffmpeg: %v\n%s", err, out)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", "warning", "-count_frames", "-count_packets", "-show_streams", "-of", "json", path)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("ffprobe: %v\n%s", err, stderr.String())
	}
	var told struct{ Streams []probed }
	if err := json.Unmarshal(out, &told); err != nil || len(told.Streams) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return told.Streams[0]
}

// Each codec's way from packets to a file ends in what FFmpeg reads and decodes
// without a word, frame by frame.
func TestFilmsAreReadAndDecoded(t *testing.T) {
	for _, c := range []struct {
		codec  media.Codec
		codecs string // begins with
		tag    string
		args   []string
	}{
		{media.H264, "avc1.42c00b", "avc1", nil},
		{media.H264, "avc1.4d400b", "avc1", []string{"-bf", "2", "-preset", "fast"}},
		{media.H265, "hvc1.1.6.L30.90", "hvc1", nil},
		{media.H265, "hvc1.1.6.L", "hvc1", []string{"-x265-params", "log-level=none:keyint=20:bframes=2"}},
		{media.VP9, "vp09.00.10.08", "vp09", nil},
		{media.AV1, "av01.0.00M.08", "av01", nil},
		{media.Opus, "opus", "Opus", nil},
		{media.Opus, "opus", "Opus", []string{"-frame_duration", "60"}},
	} {
		t.Run(strings.Join(append([]string{c.tag}, c.args...), " "), func(t *testing.T) {
			t.Parallel()
			source := clip.Make(t, c.codec, c.args...)
			file, codecs := film(t, source, 7)
			if !strings.HasPrefix(codecs, c.codecs) {
				t.Errorf("codecs %q, expected %q", codecs, c.codecs)
			}
			got := probe(t, file)
			if got.CodecTag != c.tag || got.Packets != fmt.Sprint(len(source.Frames)) {
				t.Errorf("ffprobe finds %+v of %d frames", got, len(source.Frames))
			}
			if c.codec.Kind() == media.Video && (got.Read != got.Packets || got.Width != source.Width || got.Height != source.Height) {
				t.Errorf("ffprobe finds %+v", got)
			}
			if c.codec == media.Opus && got.Channels != 2 {
				t.Errorf("%d channels", got.Channels)
			}
			samples, key := 0, false
			good, err := cmaf.Scan(bytes.NewReader(file), func(c cmaf.Chunk) error {
				key = key || c.Key
				samples += c.Samples
				return nil
			})
			if err != nil || good != int64(len(file)) || samples != len(source.Frames) || !key {
				t.Errorf("our own scan finds %d samples up to %d: %v", samples, good, err)
			}
		})
	}
}

// AAC as FFmpeg's encoder writes it, packaged anew.
func TestAACIsReadAndDecoded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sound.aac")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "2", "-ac", "2",
		"-c:a", "aac", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config := []byte{0x11, 0x90} // LC, 48 kHz, stereo
	file, codecs, err := cmaf.InitAAC(config, 48000)
	if err != nil || codecs != "mp4a.40.2" {
		t.Fatal(codecs, err)
	}
	p := cmaf.Part{}
	n := 0
	for len(b) > 0 {
		h, at, err := aac.DecodeADTSHeader(bytes.NewReader(b))
		if err != nil || at != 0 {
			t.Fatal(at, err)
		}
		frame := b[h.HeaderLength:]
		p.Samples = append(p.Samples[:0], cmaf.Sample{Data: frame[:h.PayloadLength], Duration: 1024, Key: true})
		if file, err = cmaf.AppendPart(file, &p); err != nil {
			t.Fatal(err)
		}
		p.Decode += 1024
		b = frame[h.PayloadLength:]
		n++
	}
	if got := probe(t, file); got.Packets != fmt.Sprint(n) || got.Name != "aac" || got.Channels != 2 {
		t.Errorf("ffprobe finds %+v of %d frames", got, n)
	}
}

// Configuration records hold what the encoder's own muxer wrote.
func TestConfigurationRecordsAreTheEncoders(t *testing.T) {
	c := clip.Make(t, media.H264, "-pix_fmt", "yuv422p10le", "-profile:v", "high422")
	file, codecs := film(t, c, 10)
	if want := fmt.Sprintf("avc1.%x", c.Sets[0][1:4]); codecs != want || c.Sets[0][1] != 122 {
		t.Errorf("codecs %q", codecs)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	record := f.Init.Moov.Trak.Mdia.Minf.Stbl.Stsd.AvcX.AvcC
	if !bytes.Equal(record.SPSnalus[0], c.Sets[0]) || !bytes.Equal(record.PPSnalus[0], c.Sets[1]) || record.ChromaFormat != 2 || record.BitDepthLumaMinus1 != 2 {
		t.Errorf("%+v", record)
	}
	if f.Init.Moov.Trak.Mdia.Mdhd.Timescale != 90000 {
		t.Errorf("timescale %d", f.Init.Moov.Trak.Mdia.Mdhd.Timescale)
	}
}
