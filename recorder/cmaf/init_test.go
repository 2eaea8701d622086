package cmaf_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/cmaf"
)

func opus(channels int) *media.Format { return &media.Format{Codec: media.Opus, Channels: channels} }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestInitOfOpus(t *testing.T) {
	for channels := 1; channels <= 2; channels++ {
		b, codecs, err := cmaf.Init(opus(channels), 48000)
		if err != nil || codecs != "opus" {
			t.Fatalf("%q, %v", codecs, err)
		}
		f, err := mp4.DecodeFile(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		entry := f.Init.Moov.Trak.Mdia.Minf.Stbl.Stsd.Children[0].(*mp4.AudioSampleEntryBox)
		d := entry.Children[0].(*mp4.DopsBox)
		if int(d.OutputChannelCount) != channels || d.PreSkip != 312 || d.InputSampleRate != 48000 || f.Init.Moov.Trak.Mdia.Mdhd.Timescale != 48000 {
			t.Errorf("%+v", d)
		}
	}
}

func TestInitOfAAC(t *testing.T) {
	for config, want := range map[string]string{
		"1190":     "mp4a.40.2",  // LC, 48 kHz, stereo
		"1210":     "mp4a.40.2",  // LC, 44.1 kHz, stereo
		"2b118800": "mp4a.40.5",  // HE-AAC, 24 kHz extended to 48
		"eb098800": "mp4a.40.29", // HE-AAC v2
	} {
		b, codecs, err := cmaf.InitAAC(unhex(config), 48000)
		if err != nil || codecs != want || len(b) == 0 {
			t.Errorf("%s: %q, %v, expected %q", config, codecs, err, want)
		}
	}
	if _, _, err := cmaf.InitAAC([]byte{0x11}, 48000); err == nil {
		t.Error("a torn AudioSpecificConfig was taken")
	}
}

func TestWhatHasNoInitIsRefused(t *testing.T) {
	if _, _, err := cmaf.Init(&media.Format{Codec: media.VP8, Width: 640, Height: 360}, 90000); !errors.Is(err, media.ErrUnsupported) {
		t.Errorf("VP8: %v", err)
	}
	for name, f := range map[string]*media.Format{
		"H.264 without parameter sets": {Codec: media.H264, Width: 640, Height: 360},
		"H.264 with an empty one":      {Codec: media.H264, Width: 640, Height: 360, Parameters: [][]byte{{}, {0x68}}},
		"AV1 without sequence header":  {Codec: media.AV1, Width: 640, Height: 360, Parameters: [][]byte{{0x12, 0}}},
		"VP9 without size":             {Codec: media.VP9},
		"VP9 too large":                {Codec: media.VP9, Width: 1 << 17, Height: 360},
		"Opus without channels":        {Codec: media.Opus},
	} {
		if _, _, err := cmaf.Init(f, 90000); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, _, err := cmaf.Init(opus(1), 0); err == nil {
		t.Error("a timescale of 0 was taken")
	}
}

// Parameter sets come from outside: none may break the writer.
func FuzzInit(f *testing.F) {
	f.Add(uint8(media.H264), unhex("6742c01fd9005005bb0110000003001000000303c0f1832480"), unhex("68ce3c80"), []byte{})
	f.Add(uint8(media.H265), unhex("40010c01ffff01600000030090000003000003005d959809"), unhex("42010101600000030090000003000003005da00280802d165950"), unhex("4401c172b46240"))
	f.Add(uint8(media.AV1), unhex("0a0b00000042abbfc370080a40"), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, kind uint8, a, b, c []byte) {
		format := &media.Format{Codec: media.Codec(kind), Width: 640, Height: 360, Channels: 2, Parameters: [][]byte{a, b, c}}
		if len(c) == 0 {
			format.Parameters = format.Parameters[:2]
		}
		if len(b) == 0 {
			format.Parameters = format.Parameters[:1]
		}
		section, codecs, err := cmaf.Init(format, 90000)
		if err == nil && (len(section) == 0 || codecs == "") {
			t.Fatal("nothing was written")
		}
	})
}
