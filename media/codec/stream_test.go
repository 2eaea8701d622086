package codec_test

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

// The streams in testdata are 30 frames of 160×96, a key frame each 10, in
// packets of at most 300 bytes, as FFmpeg 5.1 sends them with x264, x265 and
// libvpx; AV1 comes from libaom and is packetized here.
type stream struct {
	name    string
	codec   media.Codec
	profile string
	bframes bool
}

var streams = []stream{
	{"h264", media.H264, "Constrained Baseline", false},
	{"h264-bframes", media.H264, "Main", true},
	{"h265", media.H265, "Main", false},
	{"h265-bframes", media.H265, "Main", true}, // with open groups of pictures
	{"vp8", media.VP8, "", false},
	{"vp9", media.VP9, "Profile 0", false}, // FFmpeg never sets the descriptor's P bit
	{"av1", media.AV1, "Main", false},
}

func (s stream) packets(t testing.TB) []*rtp.Packet {
	t.Helper()
	if s.codec == media.AV1 {
		return av1Packets(t)
	}
	data, err := os.ReadFile("testdata/" + s.name + ".rtp")
	if err != nil {
		t.Fatal(err)
	}
	var out []*rtp.Packet
	for len(data) > 2 {
		size := int(binary.BigEndian.Uint16(data))
		p := &rtp.Packet{}
		if err := p.Unmarshal(data[2 : 2+size]); err != nil {
			t.Fatal(err)
		}
		out, data = append(out, p), data[2+size:]
	}
	return out
}

// av1Packets cuts the temporal units of an IVF file into packets.
func av1Packets(t testing.TB) []*rtp.Packet {
	t.Helper()
	data, err := os.ReadFile("testdata/av1.ivf")
	if err != nil {
		t.Fatal(err)
	}
	var out []*rtp.Packet
	payloader := &codecs.AV1Payloader{}
	for data = data[32:]; len(data) > 12; {
		size := int(binary.LittleEndian.Uint32(data))
		payloads := payloader.Payload(300, data[12:12+size])
		for i, p := range payloads {
			out = append(out, &rtp.Packet{Header: rtp.Header{Marker: i == len(payloads)-1}, Payload: p})
		}
		data = data[12+size:]
	}
	return out
}

func TestRealStreams(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			frame, began, bframes := 0, true, false
			for n, p := range s.packets(t) {
				info, err := codec.Parse(s.codec, p.Payload, p.Marker)
				if err != nil {
					t.Fatalf("packet %d: %v", n, err)
				}
				if first := began; first {
					s.checkFirst(t, frame, info)
				} else if info.Begins {
					t.Errorf("packet %d inside frame %d begins a frame", n, frame)
				}
				if info.Start && frame%10 != 0 {
					t.Errorf("packet %d: a decoder may not start at frame %d", n, frame)
				}
				if info.Width != 0 && (info.Width != 160 || info.Height != 96) {
					t.Errorf("packet %d: the picture is %d×%d", n, info.Width, info.Height)
				}
				bframes = bframes || info.BFrame
				if began = p.Marker; began {
					frame++
				}
				if info.Ends != p.Marker || !info.SwitchUp || info.Spatial != 0 || info.Temporal != 0 {
					t.Errorf("packet %d: %+v", n, info)
				}
			}
			if frame != 30 || bframes != s.bframes {
				t.Errorf("%d frames, B-frames %v", frame, bframes)
			}
		})
	}
}

// checkFirst holds the first packet of a frame against what the encoder was
// told to do.
func (s stream) checkFirst(t *testing.T, frame int, info codec.Info) {
	t.Helper()
	if info.Start != (frame%10 == 0) {
		t.Errorf("frame %d: start %v", frame, info.Start)
	}
	if info.Start && (info.Width != 160 || info.Height != 96 || info.Profile != s.profile) {
		t.Errorf("frame %d is %d×%d, profile %q", frame, info.Width, info.Height, info.Profile)
	}
	if s.codec != media.H264 && s.codec != media.H265 && !info.Begins {
		t.Errorf("the first packet of frame %d does not begin it", frame)
	}
}

// Everything but parameter sets and key frames is read without allocation, and
// so is what is broken.
func TestParseDoesNotAllocate(t *testing.T) {
	for _, s := range streams {
		for n, p := range s.packets(t) {
			info, _ := codec.Parse(s.codec, p.Payload, p.Marker)
			if info.Profile != "" || info.Width != 0 {
				continue
			}
			for cut := range min(len(p.Payload), 12) {
				if got := testing.AllocsPerRun(3, func() { _, _ = codec.Parse(s.codec, p.Payload[:len(p.Payload)-cut], p.Marker) }); got != 0 {
					t.Fatalf("%s: packet %d cut by %d: %v allocations", s.name, n, cut, got)
				}
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, s := range streams {
		packets := s.packets(b)
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				p := packets[n%len(packets)]
				_, _ = codec.Parse(s.codec, p.Payload, p.Marker)
			}
		})
	}
}
