package source

import (
	"encoding/hex"

	"github.com/sluice-live/sluice/media"
)

// Real parameter sets of a 320x180 and a 1280x720 constrained baseline picture
// by x264, so that a server that reads them learns a size.
var parameterSets = [...]struct{ sps, pps string }{
	{"6742c00dda05067e7c0440000003004000000f03c50aa8", "68ce3c80"},
	{"6742c01fda014016ec0440000003004000000f03c60ca8", "68ce3c80"},
}

// syntheticGOP is short: tests wait for key frames.
const syntheticGOP = FPS

// Synthetic returns media that looks like H.264 and Opus to whoever forwards
// it, without ffmpeg: true parameter sets, slices full of noise. It is for
// tests; nobody can watch it.
func Synthetic(layers int, top media.Bitrate) *Media {
	m := &Media{}
	for _, s := range sizes[len(sizes)-layers:] {
		bitrate := top * media.Bitrate(s.percent) / 100
		l := Layer{Width: s.width, Height: s.height, Bitrate: bitrate, Profile: "42c01f"}
		set := parameterSets[len(parameterSets)-1]
		if s.height == sizes[0].height {
			set = parameterSets[0]
		}
		sps, _ := hex.DecodeString(set.sps) // a constant
		pps, _ := hex.DecodeString(set.pps) // a constant
		for i := range syntheticGOP {
			f := Frame{Display: i, Key: i == 0}
			size := int(bitrate) / 8 / FPS
			if f.Key {
				// A key frame has about five times the bytes of the others.
				f.NALs = append(f.NALs, sps, pps)
				size *= 5
			}
			f.NALs = append(f.NALs, slice(size, f.Key, byte(i)))
			l.Frames = append(l.Frames, f)
		}
		m.Layers = append(m.Layers, l)
	}
	// One 20 ms packet of silence in stereo (TOC: CELT, fullband, 20 ms).
	m.Audio = [][]byte{{0xfc, 0xff, 0xfe}}
	return m
}

// slice makes a slice NAL of that size: first_mb 0, slice type 7 (I) or 5 (P),
// then bytes that never need emulation prevention.
func slice(size int, key bool, seed byte) []byte {
	b := make([]byte, max(size, 16))
	b[0], b[1] = 0x41, 0x9a
	if key {
		b[0], b[1] = 0x65, 0x88
	}
	for i := 2; i < len(b); i++ {
		b[i] = byte(i*7) ^ seed | 0x40
	}
	return b
}
