package depack_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/depack"
)

// depacketize pushes packets; those that lose returns true for are missing.
func depacketize(d *depack.Depacketizer, packets []*media.Packet, lose func(i int) bool) (out []*media.Frame) {
	lost := false
	for i, p := range packets {
		if lose != nil && lose(i) {
			lost = true
			continue
		}
		for f := d.Push(p, lost); f != nil; f = d.Next() {
			out = append(out, f)
		}
		lost = false
	}
	return out
}

var films = []struct {
	name  string
	codec media.Codec
	args  []string
}{
	{"H264", media.H264, nil},
	{"H264 in slices", media.H264, []string{"-x264-params", "slices=4:aud=1"}},
	{"H264 with B-frames", media.H264, []string{"-bf", "2", "-preset", "fast"}},
	{"H265", media.H265, nil},
	{"H265 with B-frames", media.H265, []string{"-x265-params", "log-level=none:keyint=20:bframes=2:aud=1"}},
	{"VP8", media.VP8, nil},
	{"VP9", media.VP9, nil},
	{"VP9 with hidden frames", media.VP9, []string{"-deadline", "good", "-auto-alt-ref", "1", "-lag-in-frames", "10"}},
	{"AV1", media.AV1, nil},
	{"AV1 with hidden frames", media.AV1, []string{"-c:v", "libsvtav1", "-preset", "12"}},
	{"Opus", media.Opus, nil},
}

// What an encoder made comes out bit for bit, however it was cut.
func TestFramesAreWhatTheEncoderMade(t *testing.T) {
	for _, film := range films {
		t.Run(film.name, func(t *testing.T) {
			t.Parallel()
			c := clip.Make(t, film.codec, film.args...)
			for _, mtu := range []uint16{100, 1200} {
				if film.codec == media.Opus && mtu == 100 {
					continue
				}
				d := depack.New(film.codec, "")
				check(t, c, depacketize(d, c.Packets(mtu), nil), fmt.Sprintf("in packets of %d bytes", mtu))
			}
			unmarked := c.Packets(1200)
			if film.codec != media.Opus {
				for _, p := range unmarked {
					p.Marker, p.FrameEnd = false, false
				}
				frames := depacketize(depack.New(film.codec, ""), unmarked, nil)
				c.Frames = c.Frames[:len(c.Frames)-1] // nothing tells that the last one is whole
				check(t, c, frames, "without markers")
			}
		})
	}
}

func check(t *testing.T, c *clip.Clip, frames []*media.Frame, how string) {
	t.Helper()
	if len(frames) != len(c.Frames) {
		t.Fatalf("%s: %d frames of %d", how, len(frames), len(c.Frames))
	}
	for i, f := range frames {
		want := c.Frames[i]
		if !bytes.Equal(f.Data, want.Data) {
			t.Fatalf("%s: frame %d has %d bytes, the encoder's %d", how, i, len(f.Data), len(want.Data))
		}
		if f.Key != want.Key || f.TS != want.TS() || f.Lost || f.Format != frames[0].Format || f.Capture.IsZero() {
			t.Errorf("%s: frame %d: key %v, time %d, lost %v", how, i, f.Key, f.TS-want.TS(), f.Lost)
		}
	}
	format := frames[0].Format
	if c.Codec.Kind() == media.Video && (format.Width != 160 || format.Height != 96) {
		t.Errorf("%s: %d×%d", how, format.Width, format.Height)
	}
	if len(format.Parameters) != len(c.Sets) {
		t.Fatalf("%s: %d parameter sets of %d", how, len(format.Parameters), len(c.Sets))
	}
	for i, b := range format.Parameters {
		// SVT-AV1 tells FFmpeg of other colours than it writes into its stream.
		if !bytes.Equal(b, c.Sets[i]) && c.Codec != media.AV1 {
			t.Errorf("%s: parameter set %d is %x, the encoder's %x", how, i, b, c.Sets[i])
		}
	}
}

// What FFmpeg's own packetizer sends (media/codec/testdata): 30 frames of 160×96, a
// key frame each 10; H.265 with B-frames has open groups of pictures.
func TestFFmpegsPackets(t *testing.T) {
	for _, film := range []struct {
		name  string
		codec media.Codec
	}{{"h264", media.H264}, {"h264-bframes", media.H264}, {"h265", media.H265}, {"h265-bframes", media.H265}, {"vp8", media.VP8}, {"vp9", media.VP9}} {
		frames := depacketize(depack.New(film.codec, ""), recorded(t, film.name, film.codec), nil)
		keys := 0
		for _, f := range frames {
			if f.Key {
				keys++
			}
			if f.Format != frames[0].Format || f.Lost {
				t.Errorf("%s: lost %v, format %+v", film.name, f.Lost, f.Format)
			}
		}
		if f := frames[0].Format; len(frames) != 30 || keys != 3 || f.Width != 160 || f.Height != 96 {
			t.Errorf("%s: %d frames, %d of them keys, %+v", film.name, len(frames), keys, f)
		}
	}
}

// recorded reads packets, each behind its length of two bytes.
func recorded(t *testing.T, name string, c media.Codec) (out []*media.Packet) {
	t.Helper()
	b, err := os.ReadFile("../codec/testdata/" + name + ".rtp")
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 2 {
		size := int(binary.BigEndian.Uint16(b))
		var p rtp.Packet
		if err := p.Unmarshal(b[2 : 2+size]); err != nil {
			t.Fatal(err)
		}
		out = append(out, &media.Packet{Codec: c, Seq: uint64(p.SequenceNumber), TS: media.Ticks(p.Timestamp), Marker: p.Marker, FrameEnd: p.Marker, Payload: p.Payload})
		b = b[2+size:]
	}
	return out
}

// Pictures that refer to what is before the key frame where decoding begins cannot
// be decoded: they are left out, and are no loss.
func TestLeadingPicturesOfAnOpenGroupAreLeftOut(t *testing.T) {
	packets := clip.Make(t, media.H265, "-x265-params", "log-level=none:keyint=20:min-keyint=20:scenecut=0:bframes=2:b-adapt=0:open-gop=1").Packets(1200)
	all := depacketize(depack.New(media.H265, ""), packets, nil)
	second, seen := 0, 0
	for i, f := range all {
		if f.Key {
			if seen++; seen == 2 {
				second = i
			}
		}
	}
	from := 0
	for packets[from].TS != all[second].TS {
		from++
	}
	frames := depacketize(depack.New(media.H265, ""), packets[from:], nil)
	if !frames[0].Key || frames[1].TS < frames[0].TS {
		t.Errorf("begins with %d, then %d", frames[0].TS, frames[1].TS)
	}
	if left := len(all) - second - len(frames); left == 0 || left > 3 {
		t.Errorf("%d leading pictures were left out", left)
	}
	for i, f := range frames {
		if f.Lost {
			t.Errorf("frame %d tells of a loss", i)
		}
	}
}

// A frame costs its own bytes and its words.
func TestAFrameCostsTwoAllocations(t *testing.T) {
	for _, c := range codecs {
		film := clip.Make(t, c)
		packets := film.Packets(200)
		d := depack.New(c, "")
		depacketize(d, packets, nil)
		var frame []*media.Packet
		for _, p := range packets {
			if p.TS == film.Frames[7].TS() {
				frame = append(frame, p)
			}
		}
		if n := testing.AllocsPerRun(100, func() {
			for _, p := range frame {
				d.Push(p, false)
			}
		}); n > 2 {
			t.Errorf("%v: %v allocations in %d packets", c, n, len(frame))
		}
	}
}
