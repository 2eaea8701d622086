// Package clip makes short films with FFmpeg's encoders, and packets of them, for
// tests of what stands between packets and files.
//
// It promises frames as FFmpeg's own muxer stores them: what is made of the packets
// is held against them. Owner: the test that asks; each call makes a new film.
package clip

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/hevc"
	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"github.com/sluice-live/sluice/media"
)

// Clip is a film of one track.
type Clip struct {
	Codec media.Codec
	// Sets are the parameter sets, in the order in which a decoder wants them.
	Sets   [][]byte
	Frames []Frame // in decoding order
	Width  int     // pixels
	Height int     // pixels
}

// Frame is one sample.
type Frame struct {
	// Data is the sample without delimiters, which FFmpeg leaves in.
	Data     []byte
	whole    []byte
	DTS, PTS int64 // ticks of the codec's clock rate
	Duration uint32
	Key      bool
}

// FPS is the frame rate of all films.
const FPS = 30

// first is the RTP time of the first frame.
const first = 1 << 33

// Start is when the first packet arrives.
func Start() time.Time { return time.Unix(1_700_000_000, 0) }

var encoders = map[media.Codec][]string{
	media.H264: {"-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "main"},
	media.H265: {"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=20:bframes=0"},
	media.VP8:  {"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k"},
	media.VP9:  {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k"},
	media.AV1:  {"-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-b:v", "300k"},
	media.Opus: {"-c:a", "libopus", "-b:a", "64k"},
}

// Make encodes two seconds, a key frame each 20 frames; args are further arguments
// for the encoder.
func Make(t testing.TB, c media.Codec, args ...string) *Clip {
	t.Helper()
	source := []string{"-f", "lavfi", "-i", "testsrc2=size=160x96:rate=30,format=yuv420p", "-g", "20", "-bf", "0"}
	if c.Kind() == media.Audio {
		source = []string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-ac", "2"}
	}
	name := "clip.mp4"
	if c == media.VP8 { // FFmpeg does not write it into MP4
		name = "clip.ivf"
	}
	path := filepath.Join(t.TempDir(), name)
	all := append([]string{"-v", "error", "-y"}, source...)
	all = append(append(all, encoders[c]...), args...)
	all = append(all, "-t", "2")
	if c != media.VP8 {
		all = append(all, "-video_track_timescale", "90000", "-movflags", "delay_moov+default_base_moof", "-frag_duration", "100000000")
	}
	all = append(all, path)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", all...).CombinedOutput(); err != nil { //nolint:gosec // the arguments are the tests'
		t.Fatalf("ffmpeg (scripts/bring ffmpeg installs it): %v\n%s", err, out)
	}
	out := read
	if c == media.VP8 {
		out = readIVF
	}
	film := out(t, c, path)
	if len(film.Frames) < 30 {
		t.Fatalf("ffmpeg made %d frames", len(film.Frames))
	}
	return film
}

func read(t testing.TB, c media.Codec, path string) *Clip {
	t.Helper()
	f, err := mp4.ReadMP4File(path)
	if err != nil {
		t.Fatal(err)
	}
	out := &Clip{Codec: c}
	trak := f.Moov.Trak
	switch stsd := trak.Mdia.Minf.Stbl.Stsd; c {
	case media.H264:
		out.Sets = append(append(out.Sets, stsd.AvcX.AvcC.SPSnalus...), stsd.AvcX.AvcC.PPSnalus...)
	case media.H265:
		for _, kind := range []hevc.NaluType{hevc.NALU_VPS, hevc.NALU_SPS, hevc.NALU_PPS} {
			out.Sets = append(out.Sets, stsd.HvcX.HvcC.GetNalusForType(kind)...)
		}
	case media.AV1:
		out.Sets = [][]byte{stsd.Av01.Av1C.ConfigOBUs}
	}
	out.Width, out.Height = int(trak.Tkhd.Width>>16), int(trak.Tkhd.Height>>16)
	for _, segment := range f.Segments {
		for _, fragment := range segment.Fragments {
			samples, err := fragment.GetFullSamples(f.Moov.Mvex.Trex)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range samples {
				out.Frames = append(out.Frames, Frame{Data: undelimited(c, s.Data), whole: s.Data, DTS: int64(s.DecodeTime), PTS: s.PresentationTime(),
					Duration: s.Dur, Key: s.IsSync() || c.Kind() == media.Audio})
			}
		}
	}
	return out
}

// readIVF reads libvpx's file format: a header of 32 bytes, then frames of 12 bytes
// of header each.
func readIVF(t testing.TB, c media.Codec, path string) *Clip {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || len(b) < 32 {
		t.Fatal(err, len(b))
	}
	out := &Clip{Codec: c, Width: int(binary.LittleEndian.Uint16(b[12:])), Height: int(binary.LittleEndian.Uint16(b[14:]))}
	for b = b[32:]; len(b) > 12; {
		size := int(binary.LittleEndian.Uint32(b))
		data, at := b[12:12+size], int64(len(out.Frames)*90000/FPS)
		out.Frames = append(out.Frames, Frame{Data: data, whole: data, DTS: at, PTS: at, Duration: 90000 / FPS, Key: data[0]&1 == 0})
		b = b[12+size:]
	}
	return out
}

// undelimited leaves access unit delimiters out.
func undelimited(c media.Codec, sample []byte) (out []byte) {
	if c != media.H264 && c != media.H265 {
		return sample
	}
	for b := sample; len(b) > 4; {
		size := 4 + int(binary.BigEndian.Uint32(b))
		if c == media.H264 && b[4]&0x1f != 9 || c == media.H265 && b[4]>>1 != 35 {
			out = append(out, b[:size]...)
		}
		b = b[size:]
	}
	return out
}

// Packets cuts the film into packets as a browser sends them, of at most mtu bytes;
// key frames of H264 and H265 have their parameter sets before them.
func (c *Clip) Packets(mtu uint16) []*media.Packet {
	var payloader rtp.Payloader
	switch c.Codec {
	case media.H264:
		payloader = &codecs.H264Payloader{}
	case media.H265:
		payloader = &codecs.H265Payloader{}
	case media.VP8:
		payloader = &codecs.VP8Payloader{EnablePictureID: true}
	case media.VP9:
		payloader = &codecs.VP9Payloader{}
	case media.AV1:
		payloader = &codecs.AV1Payloader{}
	default:
		payloader = &codecs.OpusPayloader{}
	}
	var out []*media.Packet
	for i, f := range c.Frames {
		at := Start().Add(time.Duration(i) * time.Second / FPS)
		payloads := payloader.Payload(mtu, c.stream(f))
		for k, payload := range payloads {
			last := k == len(payloads)-1
			out = append(out, &media.Packet{Track: media.VideoTrack, Codec: c.Codec, Seq: 1<<16 + uint64(len(out)), TS: media.Ticks(first + f.PTS),
				Arrival: at, Capture: at.Add(-50 * time.Millisecond), Marker: last, FrameEnd: last, FrameStart: k == 0, Payload: payload})
		}
	}
	return out
}

// TS returns the RTP time of a frame.
func (f Frame) TS() media.Ticks { return media.Ticks(first + f.PTS) }

// stream returns a frame as its encoder wrote it.
func (c *Clip) stream(f Frame) []byte {
	if c.Codec != media.H264 && c.Codec != media.H265 {
		return f.whole
	}
	var out bytes.Buffer
	unit := func(b []byte) {
		out.Write([]byte{0, 0, 0, 1})
		out.Write(b)
	}
	if f.Key {
		for _, b := range c.Sets {
			unit(b)
		}
	}
	for b := f.whole; len(b) > 4; {
		size := int(binary.BigEndian.Uint32(b))
		unit(b[4 : 4+size])
		b = b[4+size:]
	}
	return out.Bytes()
}
