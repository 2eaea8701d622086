package codec_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

// sei is a NAL unit of H.264 with captions, written as an encoder does: triples of type
// and two bytes behind the header of ATSC A/53.
func sei(triples ...[3]byte) []byte {
	body := []byte("\xb5\x00\x31GA94\x03")
	body = append(body, 0xc0|byte(len(triples)), 0xff)
	for _, t := range triples {
		body = append(body, 0xf8|t[0], t[1], t[2])
	}
	body = append(body, 0xff)
	raw := append([]byte{1, 1, 0, 4, byte(len(body))}, body...) // a picture's timing before it
	raw = append(raw, 0x80)
	unit, zeros := []byte{6}, 0
	for _, c := range raw {
		if zeros == 2 && c <= 3 {
			unit, zeros = append(unit, 3), 0
		}
		unit = append(unit, c)
		if zeros++; c != 0 {
			zeros = 0
		}
	}
	return unit
}

// frame is what recorders get: units behind their lengths.
func frame(units ...[]byte) (b []byte) {
	for _, u := range units {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(u))), u...)
	}
	return b
}

// h265 is the same unit for H.265.
func h265(unit []byte) []byte { return append([]byte{39 << 1, 1}, unit[1:]...) }

var idr = []byte{0x65, 1, 2, 3}

const valid = 4

func TestCaptionsInPictures(t *testing.T) {
	rollUp, clear := [3]byte{valid, 0x94, 0x25}, [3]byte{valid, 0x94, 0x2c}
	for name, c := range map[string]struct {
		frame []byte
		codec media.Codec
		want  []string
	}{
		"roll up":                         {frame(sei(rollUp), idr), media.H264, []string{"CC1"}},
		"in H.265":                        {frame(h265(sei(rollUp)), []byte{19 << 1, 1, 0}), media.H265, []string{"CC1"}},
		"behind others":                   {frame([]byte{6, 5, 1, 0xff, 0x80}, sei([3]byte{valid, 0x80, 0x80}, [3]byte{valid, 0x1c, 0x20}), idr), media.H264, []string{"CC2"}},
		"field 2":                         {frame(sei([3]byte{valid | 1, 0x15, 0x29}, [3]byte{valid | 1, 0x9d, 0xa7}), idr), media.H264, []string{"CC3", "CC4"}},
		"nothing is said":                 {frame(sei([3]byte{valid, 0x80, 0x80}, clear, [3]byte{valid | 1, 0x80, 0x80}), idr), media.H264, nil},
		"not valid":                       {frame(sei([3]byte{0, 0x94, 0x25}), idr), media.H264, nil},
		"extended data service":           {frame(sei([3]byte{valid | 1, 0x01, 0x03}), idr), media.H264, nil},
		"text mode":                       {frame(sei([3]byte{valid, 0x14, 0x2a}), idr), media.H264, nil},
		"CEA-708 alone":                   {frame(sei([3]byte{valid | 3, 0xc2, 0x22}, [3]byte{valid | 2, 0x41, 0x42}), idr), media.H264, []string{"SERVICE1"}},
		"CEA-708 with nothing in it":      {frame(sei([3]byte{valid | 3, 0xc2, 0x20}), idr), media.H264, nil},
		"CEA-608 is told and CEA-708 not": {frame(sei(rollUp, [3]byte{valid | 3, 0xc2, 0x22}), idr), media.H264, []string{"CC1"}},
		"emulation prevention":            {frame(sei([3]byte{valid, 0, 0}, [3]byte{valid, 0, 0}, rollUp), idr), media.H264, []string{"CC1"}},
		"behind the slice":                {frame(idr, sei(rollUp)), media.H264, nil},
		"no codec that has them":          {frame(sei(rollUp), idr), media.VP9, nil},
		"no unit":                         {nil, media.H264, nil},
	} {
		if got := codec.ClosedCaptions(c.codec, c.frame).Names(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestLookingForCaptionsAllocatesNothing(t *testing.T) {
	picture := frame(sei([3]byte{valid, 0x94, 0x25}, [3]byte{valid, 0, 0}), idr)
	if n := testing.AllocsPerRun(100, func() { codec.ClosedCaptions(media.H264, picture) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzClosedCaptions(f *testing.F) {
	f.Add(frame(sei([3]byte{valid, 0x94, 0x25}), idr))
	f.Add(frame(h265(sei([3]byte{valid | 3, 0xc2, 0x22})), idr))
	f.Add([]byte{0, 0, 0, 9, 6, 4, 255, 255, 255, 0xb5, 0, 0, 3})
	f.Fuzz(func(_ *testing.T, b []byte) {
		codec.ClosedCaptions(media.H264, b)
		codec.ClosedCaptions(media.H265, b)
	})
}

func BenchmarkClosedCaptions(b *testing.B) {
	picture := frame(sei([3]byte{valid, 0x94, 0x25}), append([]byte{0x41}, make([]byte, 20000)...))
	b.ReportAllocs()
	for b.Loop() {
		codec.ClosedCaptions(media.H264, picture)
	}
}
