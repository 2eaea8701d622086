package media

import "time"

// Packet is one RTP packet of a publisher, read once at the door and immutable
// from then on: anyone may keep it, nobody may write to it or to its slices.
type Packet struct {
	Epoch Epoch
	Track TrackID
	Layer Layer
	Codec Codec

	// Seq is the RTP sequence number extended to 64 bits per (Epoch, Track,
	// Layer). The first one is at least 1<<16, so that late packets stay positive.
	Seq uint64
	// TS is the RTP timestamp extended to 64 bits, likewise.
	TS Ticks
	// Arrival is when the node read the packet.
	Arrival time.Time
	// Capture is when the frame was captured, in the node's clock (UTC); zero
	// means unknown.
	Capture time.Time
	// Guessed tells that Capture rests on arrivals alone: the publisher has not told
	// when it captures yet, by a sender report or abs-capture-time.
	Guessed bool

	Marker     bool
	Key        bool  // a decoder may start at this packet; one packet per key frame has it
	FrameStart bool  // first packet of its frame
	FrameEnd   bool  // last packet of its frame
	Spatial    uint8 // spatial layer inside the encoding (SVC)
	Temporal   uint8 // temporal layer
	SwitchUp   bool  // the temporal layer may be entered here (VP8 Y, VP9 U, TL0)

	// Orientation is the coordination of video orientation byte (3GPP TS 26.114);
	// HasOrientation tells whether the publisher sent one.
	Orientation    uint8
	HasOrientation bool
	// AudioLevel is -dBov, 0–127 (RFC 6464); HasAudioLevel tells whether it came.
	AudioLevel    uint8
	Voice         bool
	HasAudioLevel bool
	// Descriptor is the raw AV1 dependency descriptor extension, or nil.
	Descriptor []byte

	// Payload is the RTP payload without padding. It is empty for padding-only
	// packets (bandwidth probes) and for what nobody can read: they hold their place
	// in the numbering, so that it has no holes but for loss, and are not sent on.
	Payload []byte
}
