package cmaf

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/av1"
	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"
	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/Eyevinn/mp4ff/vp9"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/sluice-live/sluice/media"
)

var (
	errParameters = errors.New("write initialisation section: parameter sets are missing")
	errTimescale  = errors.New("write initialisation section: the timescale is 0")
	errSize       = errors.New("write initialisation section: the picture has no size")
)

const (
	// preSkip is what a decoder drops of Opus at the beginning, in ticks of 48 kHz:
	// the look-ahead of libopus at 48 kHz (RFC 7845 section 5.1).
	preSkip = 312
	// assumedFPS finds VP9's level, which its bitstream does not tell.
	assumedFPS = 30
	sampleBits = 16
	maxSide    = 1<<16 - 1
	// maxParameter bounds a parameter set in bytes; avcC and hvcC have 16 bits for it.
	maxParameter = 1<<16 - 1
)

// Init returns the initialisation section of a format, and its codecs parameter
// (RFC 6381). Timescale is in ticks per second. VP8 has none: media.ErrUnsupported.
func Init(f *media.Format, timescale uint32) (section []byte, codecs string, err error) {
	if f.Codec.Kind() == media.Video && (f.Width <= 0 || f.Height <= 0 || f.Width > maxSide || f.Height > maxSide) {
		return nil, "", errSize
	}
	for _, set := range f.Parameters {
		if len(set) == 0 || len(set) > maxParameter {
			return nil, "", errParameters
		}
	}
	if f.Codec == media.AAC && len(f.Parameters) == 1 {
		return InitAAC(f.Parameters[0], timescale)
	}
	t, err := newTrack(f.Codec.Kind(), timescale)
	if err != nil {
		return nil, "", err
	}
	switch f.Codec {
	case media.H264:
		codecs, err = t.avc(f)
	case media.H265:
		codecs, err = t.hevc(f)
	case media.AV1:
		codecs, err = t.av1(f)
	case media.VP9:
		codecs, err = t.vp9(f)
	case media.Opus:
		codecs, err = t.opus(f)
	default:
		err = fmt.Errorf("%w: %v has no place in CMAF", media.ErrUnsupported, f.Codec)
	}
	if err != nil {
		return nil, "", err
	}
	section, err = t.bytes()
	return section, codecs, err
}

// InitAAC is Init for AAC, from its AudioSpecificConfig (ISO/IEC 14496-3).
func InitAAC(config []byte, timescale uint32) (section []byte, codecs string, err error) {
	var c mpeg4audio.AudioSpecificConfig
	if err := c.Unmarshal(config); err != nil {
		return nil, "", fmt.Errorf("read AudioSpecificConfig: %w", err)
	}
	t, err := newTrack(media.Audio, timescale)
	if err != nil {
		return nil, "", err
	}
	kind := c.Type
	if c.ExtensionType != 0 {
		kind = c.ExtensionType // HE-AAC is told by its outermost tool: mp4a.40.5, mp4a.40.29
	}
	channels := c.ChannelConfig
	if channels == 7 { // 7.1
		channels = 8
	}
	t.entry(mp4.CreateAudioSampleEntryBox("mp4a", uint16(channels), sampleBits, rate16(c.SampleRate), mp4.CreateEsdsBox(config)))
	section, err = t.bytes()
	return section, fmt.Sprintf("mp4a.40.%d", kind), err
}

// rate16 is the whole part of a 16.16 number; what does not fit is told by the
// codec's own box.
func rate16(rate int) uint16 {
	if rate < 0 || rate > 1<<16-1 {
		return 0
	}
	return uint16(rate)
}

// track is an initialisation section of one track in the making.
type track struct {
	whole *mp4.InitSegment
	trak  *mp4.TrakBox
}

func newTrack(kind media.Kind, timescale uint32) (*track, error) {
	if timescale == 0 {
		return nil, errTimescale
	}
	name := "video"
	if kind == media.Audio {
		name = "audio"
	}
	t := &track{whole: mp4.CreateEmptyInit()}
	t.trak = t.whole.AddEmptyTrack(timescale, name, "und")
	return t, nil
}

func (t *track) entry(b mp4.Box) { t.trak.Mdia.Minf.Stbl.Stsd.AddChild(b) }

func (t *track) bytes() ([]byte, error) {
	var b bytes.Buffer
	if err := t.whole.Encode(&b); err != nil {
		return nil, fmt.Errorf("write initialisation section: %w", err)
	}
	return b.Bytes(), nil
}

// sorted divides parameter sets by their types.
func sorted(sets [][]byte, kind func([]byte) int, kinds ...int) ([][][]byte, error) {
	out := make([][][]byte, len(kinds))
	for _, set := range sets {
		for i, k := range kinds {
			if kind(set) == k {
				out[i] = append(out[i], set)
			}
		}
	}
	for _, some := range out {
		if len(some) == 0 {
			return nil, errParameters
		}
	}
	return out, nil
}

func (t *track) avc(f *media.Format) (string, error) {
	sets, err := sorted(f.Parameters, func(b []byte) int { return int(b[0] & 0x1f) }, int(avc.NALU_SPS), int(avc.NALU_PPS))
	if err != nil {
		return "", err
	}
	sps, err := avc.ParseSPSNALUnit(sets[0][0], false)
	if err != nil {
		return "", fmt.Errorf("read SPS: %w", err)
	}
	if err := t.trak.SetAVCDescriptor("avc1", sets[0], sets[1], true); err != nil {
		return "", fmt.Errorf("write initialisation section: %w", err)
	}
	switch sps.Profile {
	case 66, 77, 88: // neither their SPS nor their record tells of chroma and depth
	default:
		c := t.trak.Mdia.Minf.Stbl.Stsd.AvcX.AvcC
		c.ChromaFormat, c.BitDepthLumaMinus1, c.BitDepthChromaMinus1 = sps.ChromaFormatIDC, byte(sps.BitDepthLumaMinus8), byte(sps.BitDepthChromaMinus8)
	}
	return fmt.Sprintf("avc1.%02x%02x%02x", sps.Profile, sps.ProfileCompatibility, sps.Level), nil
}

func (t *track) hevc(f *media.Format) (string, error) {
	sets, err := sorted(f.Parameters, func(b []byte) int { return int(b[0] >> 1 & 0x3f) }, int(hevc.NALU_VPS), int(hevc.NALU_SPS), int(hevc.NALU_PPS))
	if err != nil {
		return "", err
	}
	sps, err := hevc.ParseSPSNALUnit(sets[1][0])
	if err != nil {
		return "", fmt.Errorf("read SPS: %w", err)
	}
	if err := t.trak.SetHEVCDescriptor("hvc1", sets[0], sets[1], sets[2], nil, true); err != nil {
		return "", fmt.Errorf("write initialisation section: %w", err)
	}
	return hevc.CodecString("hvc1", sps), nil
}

func (t *track) av1(f *media.Format) (string, error) {
	if len(f.Parameters) == 0 {
		return "", errParameters
	}
	units, err := av1.SplitOBUs(f.Parameters[0])
	if err != nil || len(units) != 1 || units[0].Header.Type != av1.OBUSequenceHeader {
		return "", errParameters
	}
	h, err := av1.ParseSequenceHeader(units[0].Payload)
	if err != nil {
		return "", fmt.Errorf("read AV1 sequence header: %w", err)
	}
	box := &mp4.Av1CBox{CodecConfRec: av1.CodecConfRecFromSequenceHeader(h, f.Parameters[0])}
	if err := t.trak.SetAV1Descriptor("av01", box, uint16(f.Width), uint16(f.Height)); err != nil {
		return "", fmt.Errorf("write initialisation section: %w", err)
	}
	return box.CodecString("av01"), nil
}

func (t *track) vp9(f *media.Format) (string, error) {
	const unspecified = 2 // colours (ISO/IEC 23091-2)
	level := vp9.Level(uint32(f.Width), uint32(f.Height), assumedFPS)
	depth := max(f.Depth, 8)
	box := &mp4.VppCBox{Version: 1, Profile: f.Profile, Level: level, BitDepth: depth, ChromaSubsampling: f.Subsampling,
		ColourPrimaries: unspecified, TransferCharacteristics: unspecified, MatrixCoefficients: unspecified}
	if err := t.trak.SetVPxDescriptor("vp09", box, uint16(f.Width), uint16(f.Height)); err != nil {
		return "", fmt.Errorf("write initialisation section: %w", err)
	}
	return fmt.Sprintf("vp09.%02d.%02d.%02d", f.Profile, level, depth), nil
}

// opus writes dOps with channel mapping family 0 (Encapsulation of Opus in ISO Base
// Media File Format, section 4.3.2).
func (t *track) opus(f *media.Format) (string, error) {
	if f.Channels < 1 || f.Channels > 2 {
		return "", fmt.Errorf("write initialisation section: Opus with %d channels", f.Channels)
	}
	const rate = 48000
	box := &mp4.DopsBox{OutputChannelCount: byte(f.Channels), PreSkip: preSkip, InputSampleRate: rate}
	t.entry(mp4.CreateAudioSampleEntryBox("Opus", uint16(f.Channels), sampleBits, rate, box))
	return "opus", nil
}
