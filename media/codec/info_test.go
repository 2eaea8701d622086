package codec_test

import (
	"errors"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

var allCodecs = []media.Codec{media.Opus, media.RED, media.H264, media.H265, media.AV1, media.VP8, media.VP9}

func TestAudioPacketsAreFrames(t *testing.T) {
	want := codec.Info{Start: true, Begins: true, Ends: true, SwitchUp: true}
	for _, c := range []media.Codec{media.Opus, media.RED} {
		// One byte is a frame of discontinuous transmission (RFC 6716 section 3.1).
		if got, err := codec.Parse(c, []byte{0xf8}, false); got != want || err != nil {
			t.Errorf("%v: %+v, %v", c, got, err)
		}
	}
}

func TestUnknownCodec(t *testing.T) {
	if _, err := codec.Parse(0, []byte{1}, false); !errors.Is(err, codec.ErrCodec) {
		t.Error(err)
	}
}

// Padding-only packets, with which browsers probe for bandwidth, carry nothing:
// they are told from media, so nobody can take one for the start of a frame.
func TestTrap08_PaddingOnlyPacketsAreNoMedia(t *testing.T) {
	for _, c := range allCodecs {
		if info, err := codec.Parse(c, []byte{}, true); !errors.Is(err, codec.ErrEmpty) || info != (codec.Info{}) {
			t.Errorf("%v: %+v, %v", c, info, err)
		}
	}
}

// Whatever comes from the network: no panic, an error leaves no half-read
// Info, and what is told makes sense.
func FuzzParse(f *testing.F) {
	for _, s := range streams {
		for n, p := range s.packets(f) {
			if n < 12 {
				f.Add(byte(s.codec), p.Payload, p.Marker)
			}
		}
	}
	f.Add(byte(media.H264), aggregate([]byte{0x18}, spsHigh, []byte{0x65, 0x88}), false)
	f.Add(byte(media.H265), aggregate([]byte{0x60, 1}, spsMain10), true)
	f.Add(byte(media.VP9), vp9Payload([]byte{0xaa, 0x92, 0x34, 0x00, 0x07, 0x38, 2, 0x80, 1, 0x68, 5, 0, 2, 0xd0, 2, 0x04, 0x01, 0x44, 0x01}, vp9Key), true)
	f.Fuzz(func(t *testing.T, c byte, payload []byte, marker bool) {
		info, err := codec.Parse(media.Codec(c), payload, marker)
		if err != nil {
			if info != (codec.Info{}) {
				t.Fatalf("%v with %+v", err, info)
			}
			return
		}
		if media.Codec(c).Kind() == media.Video && info.Ends != marker {
			t.Fatal("the marker was not handed on")
		}
		if info.Width < 0 || info.Height < 0 || info.Width > 65535 || info.Height > 65535 || info.Spatial > 7 || info.Temporal > 7 {
			t.Fatalf("%+v", info)
		}
		if info.Start && !info.SwitchUp {
			t.Fatal("a start that may not be entered")
		}
	})
}
