package fragment

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"
)

// Track is what an initialisation section says of its track.
type Track struct {
	Timescale     uint32
	Codec         string // codecs parameter (RFC 6381), or the sample entry's name
	Video         bool
	Width, Height int
	Channels      int

	duration, size, flags uint32 // defaults (trex)
}

// ParseInit reads an initialisation section: ftyp and moov, of one track.
func ParseInit(b []byte) (Track, error) {
	var t Track
	moov, ok := find(b, "moov")
	if !ok {
		return t, fmt.Errorf("%w: there is no moov box", ErrBad)
	}
	tracks := 0
	err := children(moov, func(kind string, _ []byte) error {
		if kind == "trak" {
			tracks++
		}
		return nil
	})
	if err != nil || tracks != 1 {
		return t, fmt.Errorf("%w: %d tracks", ErrBad, tracks)
	}
	if err := t.scale(moov); err != nil {
		return t, err
	}
	if trex, ok := find(moov, "mvex", "trex"); ok && len(trex) >= 24 {
		t.duration, t.size, t.flags = binary.BigEndian.Uint32(trex[12:]), binary.BigEndian.Uint32(trex[16:]), binary.BigEndian.Uint32(trex[20:])
	}
	stsd, ok := find(moov, "trak", "mdia", "minf", "stbl", "stsd")
	if !ok || len(stsd) < 8 {
		return t, fmt.Errorf("%w: nothing describes its samples", ErrBad)
	}
	entries := 0
	return t, children(stsd[8:], func(kind string, entry []byte) error {
		if entries++; entries > 1 {
			return nil
		}
		return t.entry(kind, entry)
	})
}

func (t *Track) scale(moov []byte) error {
	mdhd, ok := find(moov, "trak", "mdia", "mdhd")
	at := 12
	if ok && len(mdhd) > 0 && mdhd[0] == 1 {
		at = 20
	}
	if !ok || len(mdhd) < at+4 || binary.BigEndian.Uint32(mdhd[at:]) == 0 {
		return fmt.Errorf("%w: it has no timescale", ErrBad)
	}
	t.Timescale = binary.BigEndian.Uint32(mdhd[at:])
	return nil
}

// entry reads a sample entry (ISO/IEC 14496-12 section 12).
func (t *Track) entry(kind string, b []byte) error {
	t.Codec = strings.ToLower(kind)
	const video, audio = 78, 28 // bytes of VisualSampleEntry and AudioSampleEntry
	if _, ok := videoBoxes[kind]; ok {
		if len(b) < video {
			return ErrBad
		}
		t.Video, t.Width, t.Height = true, int(binary.BigEndian.Uint16(b[24:])), int(binary.BigEndian.Uint16(b[26:]))
		if conf, ok := find(b[video:], videoBoxes[kind]); ok {
			t.Codec = videoCodec(kind, conf)
		}
		return nil
	}
	if len(b) < audio {
		return ErrBad
	}
	t.Channels = int(binary.BigEndian.Uint16(b[16:]))
	if kind == "mp4a" {
		t.Codec = "mp4a.40.2" // AAC-LC, as good as all of them
		if esds, ok := find(b[audio:], "esds"); ok {
			t.Codec = aacCodec(esds)
		}
	}
	return nil
}

// videoBoxes are the sample entries of video, with their configuration.
var videoBoxes = map[string]string{
	"avc1": "avcC", "avc3": "avcC", "hvc1": "hvcC", "hev1": "hvcC", "av01": "av1C", "vp09": "vpcC", "vp08": "vpcC",
}

// videoCodec is RFC 6381's parameter, as ISO/IEC 14496-15 annex E and the ISOBMFF
// bindings of AV1 and VP9 write it.
func videoCodec(kind string, b []byte) string {
	switch {
	case strings.HasPrefix(kind, "avc") && len(b) >= 4:
		return kind + "." + hex.EncodeToString(b[1:4])
	case (kind == "hvc1" || kind == "hev1") && len(b) >= 13:
		return hevcCodec(kind, b)
	case kind == "av01" && len(b) >= 3:
		tier, depth := "M", 8
		if b[2]&0x80 != 0 {
			tier = "H"
		}
		if b[2]&0x40 != 0 {
			depth = 10
		}
		return fmt.Sprintf("av01.%d.%02d%s.%02d", b[1]>>5, b[1]&0x1f, tier, depth)
	case (kind == "vp09" || kind == "vp08") && len(b) >= 7:
		return fmt.Sprintf("%s.%02d.%02d.%02d", kind, b[4], b[5], b[6]>>4)
	}
	return kind
}

func hevcCodec(kind string, b []byte) string {
	space := []string{"", "A", "B", "C"}[b[1]>>6]
	tier := "L"
	if b[1]&0x20 != 0 {
		tier = "H"
	}
	s := fmt.Sprintf("%s.%s%d.%X.%s%d", kind, space, b[1]&0x1f, bits.Reverse32(binary.BigEndian.Uint32(b[2:])), tier, b[12])
	last := 11 // constraint bytes 6–11, without zeros at the end
	for last >= 6 && b[last] == 0 {
		last--
	}
	for _, c := range b[6 : last+1] {
		s += fmt.Sprintf(".%X", c)
	}
	return s
}

// aacCodec finds the audio object type in the decoder's configuration
// (ISO/IEC 14496-1 section 7.2.6: descriptors, each a tag and a length in up to
// four bytes).
func aacCodec(esds []byte) string {
	const decoderSpecific = 5
	for i := 4; i+2 < len(esds); i++ {
		if esds[i] != decoderSpecific {
			continue
		}
		at := i + 1
		for at < len(esds) && esds[at]&0x80 != 0 {
			at++
		}
		if at+1 < len(esds) && esds[at] >= 2 {
			return fmt.Sprintf("mp4a.40.%d", esds[at+1]>>3)
		}
	}
	return "mp4a.40.2"
}
