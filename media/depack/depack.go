package depack

import (
	"errors"
	"time"

	"github.com/sluice-live/sluice/media"
)

// DefaultMaxFrame is a key frame of more than half a second at 100 Mbit/s.
const DefaultMaxFrame = 8 << 20

var (
	errShort   = errors.New("read payload: it ends too early")
	errForm    = errors.New("read payload: its form is not supported")
	errPiece   = errors.New("read payload: a piece of a unit is missing")
	errUnknown = errors.New("read payload: a decoder has not been told enough")
)

// Config says what is depacketized.
type Config struct {
	Codec media.Codec
	// Params are the fmtp parameters, as in media.TrackInfo: parameter sets that are
	// not in the stream (sprop-…).
	Params string
	// MaxFrame bounds a frame in bytes; 0 means DefaultMaxFrame. Larger ones are lost.
	MaxFrame int
	// Broken hands out the frames between a loss and the next key frame, too, as far as
	// they are whole themselves.
	Broken bool
}

// Depacketizer makes the frames of one epoch, track and layer.
type Depacketizer struct {
	config  Config
	codec   format
	frame   assembly
	format  *media.Format
	ready   [2]*media.Frame
	waiting bool // for a key frame
	lost    bool // since the last frame that was handed out
	begun   bool // a frame was handed out
	unsure  bool // the next packet may not be the first of its frame
}

// format is one codec's packetization.
type format interface {
	// opens reports whether a frame may begin with this payload.
	opens(payload []byte) bool
	// add appends what a payload holds to the frame.
	add(a *assembly, payload []byte) error
	// finish tells of a whole frame. Empty frames hold nothing for a decoder. The
	// format is nil where it is the same as before.
	finish(a *assembly) (told, error)
}

// told is what a codec tells of a whole frame.
type told struct {
	empty  bool
	skip   bool // nobody can decode it, and nothing depends on it
	key    bool
	format *media.Format // nil: as before
}

// assembly is the frame that is being put together.
type assembly struct {
	first  *media.Packet
	last   time.Time
	data   []byte
	broken bool
	unsure bool // packets before the first one are missing
	fresh  bool // nothing was handed out since the last loss
}

// New returns a depacketizer that waits for a key frame.
func New(codec media.Codec, params string) *Depacketizer {
	return NewConfig(Config{Codec: codec, Params: params})
}

// NewConfig is New with all that can be chosen.
func NewConfig(c Config) *Depacketizer {
	if c.MaxFrame <= 0 {
		c.MaxFrame = DefaultMaxFrame
	}
	d := &Depacketizer{config: c, waiting: true, unsure: true}
	switch c.Codec {
	case media.H264:
		d.codec = newUnits(h264Kind{}, spropH264(c.Params))
	case media.H265:
		d.codec = newUnits(h265Kind{}, spropH265(c.Params))
	case media.VP8:
		d.codec = &vp8{}
	case media.VP9:
		d.codec = &vp9{}
	case media.AV1:
		d.codec = &av1{}
	case media.Opus:
		d.codec = opus{stereo: &media.Format{Codec: media.Opus, Channels: 2}}
	}
	return d
}

// Push takes the next packet in order; lost tells that some before it are missing.
// It returns a frame that this packet completed, or nil. Rarely a packet completes
// two, its own and the one before, which had no marker: Next returns the second.
// What is not asked for before the next Push is forgotten.
//
//	for f := d.Push(p, lost); f != nil; f = d.Next() { … }
func (d *Depacketizer) Push(p *media.Packet, lost bool) *media.Frame {
	d.ready = [2]*media.Frame{}
	if lost {
		d.hole()
	}
	if len(p.Payload) == 0 {
		return nil
	}
	if p.Codec != d.config.Codec || d.codec == nil {
		d.hole()
		return nil
	}
	a := &d.frame
	if a.first != nil && a.first.TS != p.TS {
		d.finish()
	}
	if a.first == nil {
		*a = assembly{first: p, data: a.data[:0], unsure: d.unsure, fresh: d.waiting}
		a.broken = d.unsure && !d.codec.opens(p.Payload)
		d.unsure = false
	}
	a.last = p.Arrival
	if !a.broken {
		err := d.codec.add(a, p.Payload)
		a.broken = err != nil || len(a.data) > d.config.MaxFrame
	}
	if p.Marker || p.FrameEnd {
		d.finish()
	}
	return d.Next()
}

// Next returns a further frame that the last packet completed, or nil.
func (d *Depacketizer) Next() *media.Frame {
	f := d.ready[0]
	d.ready[0], d.ready[1] = d.ready[1], nil
	return f
}

// Waiting reports whether frames are dropped until a key frame comes: the owner
// asks for one.
func (d *Depacketizer) Waiting() bool { return d.waiting && d.config.Codec.Kind() == media.Video }

// hole notes that packets are missing: the frame that they may belong to is broken,
// and so may be the one that comes next.
func (d *Depacketizer) hole() {
	if d.frame.first != nil {
		d.frame.broken = true
		d.finish()
	}
	d.miss()
	d.unsure = true
}

// miss notes that a frame is missing.
func (d *Depacketizer) miss() {
	d.lost = d.begun
	d.waiting = true
}

// finish ends the frame that is being put together.
func (d *Depacketizer) finish() {
	a := &d.frame
	first := a.first
	a.first = nil
	if a.broken {
		d.codec.finish(a) //nolint:errcheck // it forgets what it had begun
		d.miss()
		return
	}
	t, err := d.codec.finish(a)
	if t.format != nil {
		d.format = t.format
	}
	switch {
	case err != nil || !t.empty && d.format == nil:
		d.miss()
		return
	case t.empty || t.skip:
		return
	case t.key:
		d.waiting = false
	case d.waiting && !(d.config.Broken && d.begun):
		d.lost = d.begun
		return
	}
	f := &media.Frame{Epoch: first.Epoch, Track: first.Track, Layer: first.Layer, TS: first.TS,
		Arrival: a.last, Capture: first.Capture, Guessed: first.Guessed, Key: t.key, Lost: d.lost, Format: d.format,
		Data: append(make([]byte, 0, len(a.data)), a.data...)}
	d.lost, d.begun = false, true
	if d.ready[0] == nil {
		d.ready[0] = f
	} else {
		d.ready[1] = f
	}
}
