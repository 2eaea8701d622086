package media

import "time"

// Frame is one access unit of one encoding of a track: whole, in decoding order,
// and immutable.
type Frame struct {
	Epoch Epoch
	Track TrackID
	Layer Layer
	// TS is the RTP timestamp in the codec's clock rate: when the frame is shown.
	TS Ticks
	// Arrival is when its last packet came, Capture when it was captured in the
	// node's clock (UTC); a zero Capture means unknown, a Guessed one rests on arrivals.
	Arrival time.Time
	Capture time.Time
	Guessed bool
	// Key tells that a decoder may start here.
	Key bool
	// Lost tells that frames between the one before and this one are missing.
	Lost bool
	// Format is what a decoder has to be told before this frame. It is the same
	// pointer as long as nothing changed.
	Format *Format
	// Data is the frame as ISO BMFF stores a sample: H264 and H265 as NAL units
	// behind lengths of four bytes, without parameter sets, delimiters and filler
	// (ISO/IEC 14496-15); AV1 as OBUs with sizes, without temporal delimiters; VP8,
	// VP9 and Opus as they are.
	Data []byte
}

// Format is what a decoder has to know of an encoding before its first frame.
type Format struct {
	Codec Codec
	// Width and Height of the picture in pixels, after cropping; 0 for audio.
	Width, Height int
	// Parameters are the parameter sets in the order in which a decoder wants them:
	// SPS and PPS (H264), VPS, SPS and PPS (H265), the sequence header OBU with its
	// size (AV1), AudioSpecificConfig (AAC); none for the others.
	Parameters [][]byte
	// Profile, Depth (bits of a sample) and Subsampling (VP9: ISO BMFF's
	// chromaSubsampling) are what VP9's configuration record wants.
	Profile, Depth, Subsampling uint8
	// Channels of audio, 1 or 2; 0 for video. Opus always has 2: decoders make them of
	// mono, and encoders change between packets.
	Channels int
}
