package codec

import (
	"errors"

	"github.com/sluice-live/sluice/media"
)

// Why a payload cannot be read. Errors are fixed values: a flood of broken
// packets must not allocate.
var (
	ErrEmpty       = errors.New("read payload: it is empty")
	ErrShort       = errors.New("read payload: it ends too early")
	ErrUnsupported = errors.New("read payload: its packetization is not supported")
	ErrCodec       = errors.New("read payload: the codec is not known")
)

// Info is what one RTP payload tells.
type Info struct {
	// Start: a decoder may start at this packet. H264 and H265: a parameter set
	// (SPS, VPS) or the first slice of a random access picture, so it may be true
	// for several packets of one frame; keep the first. VP8, VP9, AV1: the first
	// packet of a key frame. Opus: always.
	Start bool
	// Begins and Ends: this packet begins or ends a frame as far as it tells
	// alone. VP8 S and PID 0; VP9 B, so with SVC each spatial layer's frame; AV1
	// not Z and not a further tile group; H264 and H265 cannot tell: false. Ends
	// is the marker, and true for audio.
	Begins, Ends bool
	// Spatial and Temporal are layer numbers inside the encoding; 0 where the
	// payload tells none.
	Spatial, Temporal uint8
	// SwitchUp: the temporal layer of this packet may be entered here.
	SwitchUp bool
	// Width and Height of the picture, when this packet tells, else 0.
	Width, Height int
	// Profile as the bitstream names it, when this packet tells: "Constrained
	// Baseline", "Main 10", "Profile 0" …
	Profile string
	// BFrame: pictures are sent in another order than they are shown, which
	// browsers do not expect of WebRTC. H264: a B slice begins in this packet.
	// H265: an SPS with sps_max_num_reorder_pics, a leading picture (RADL, RASL),
	// or a B slice in an unreferenced picture of the lowest temporal layer; other
	// B slices may be there for low delay.
	BFrame bool
}

// Parse reads one RTP payload of codec c.
//
// hot: once per received packet; no allocation without parameter sets.
func Parse(c media.Codec, payload []byte, marker bool) (Info, error) {
	if len(payload) == 0 {
		return Info{}, ErrEmpty
	}
	info := Info{Ends: marker}
	var err error
	switch c {
	case media.Opus, media.RED:
		info = Info{Start: true, Begins: true, Ends: true}
	case media.VP8:
		err = info.vp8(payload)
	case media.H264:
		err = info.h264(payload)
	case media.H265:
		err = info.h265(payload)
	case media.VP9:
		err = info.vp9(payload)
	case media.AV1:
		err = info.av1(payload)
	default:
		return Info{}, ErrCodec
	}
	if err != nil {
		return Info{}, err
	}
	info.SwitchUp = info.SwitchUp || info.Temporal == 0 || info.Start
	return info, nil
}
