package depack

import "github.com/sluice-live/sluice/media"

// Config says what is depacketized.
type Config struct {
	Codec media.Codec
	// Params are the fmtp parameters, as in media.TrackInfo: parameter sets that are
	// not in the stream (sprop-…), and whether Opus is stereo.
	Params string
	// MaxFrame bounds a frame in bytes; 0 means 8 MiB. Larger ones are lost.
	MaxFrame int
	// Broken hands out frames that follow a loss before the next key frame, too.
	Broken bool
}

// Depacketizer makes the frames of one epoch, track and layer.
type Depacketizer struct{ config Config }

// New returns a depacketizer that waits for a key frame.
func New(codec media.Codec, params string) *Depacketizer {
	return NewConfig(Config{Codec: codec, Params: params})
}

// NewConfig is New with all that can be chosen.
func NewConfig(c Config) *Depacketizer { return &Depacketizer{config: c} }

// Push takes the next packet in order; lost tells that some before it are missing.
// It returns a frame that this packet completed, or nil. Rarely a packet completes
// two, its own and the one before, which had no marker: Next returns the second.
//
//	for f := d.Push(p, lost); f != nil; f = d.Next() { … }
func (d *Depacketizer) Push(p *media.Packet, lost bool) *media.Frame { return nil }

// Next returns a further frame that the last packet completed, or nil.
func (d *Depacketizer) Next() *media.Frame { return nil }

// Waiting reports whether frames are dropped until a key frame comes: the owner
// asks for one.
func (d *Depacketizer) Waiting() bool { return true }

// Order tells decoding times of frames that may be shown in another order than
// they are sent in (B-frames).
type Order struct{}

// DTS returns when a frame is to be decoded, in the scale of Frame.TS: TS itself as
// long as the encoder does not reorder. An error says that the frame cannot be
// placed, and is best dropped.
func (o *Order) DTS(f *media.Frame) (media.Ticks, error) { return f.TS, nil }

// OpusDuration returns how long an Opus packet sounds, in ticks of 48 kHz (RFC 6716
// section 3.1); 0 for what is no Opus packet.
func OpusDuration(packet []byte) media.Ticks { return 0 }
