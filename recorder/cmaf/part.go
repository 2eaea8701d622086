package cmaf

import (
	"errors"
	"time"
)

// Why a part cannot be written or read.
var (
	ErrNoSamples = errors.New("write part: it has no samples")
	ErrSample    = errors.New("write part: a sample is empty or too large")
	ErrTorn      = errors.New("read CMAF: what follows is torn or no CMAF")
)

// Sample is one frame of a part.
type Sample struct {
	Data     []byte
	Duration uint32 // ticks
	Offset   int32  // composition time less decoding time, ticks
	Key      bool   // a decoder may start here; true for all audio
}

// Part is one CMAF chunk of one track, whose ID is 1.
type Part struct {
	Sequence uint32 // of the chunk in its track (mfhd)
	Decode   uint64 // decoding time of the first sample (tfdt), ticks
	Samples  []Sample
	// Segment writes a styp box: the part is the first of its segment.
	Segment bool
	// Captured writes a prft box: when the first sample was captured; zero writes none.
	Captured time.Time
	// Events are written as emsg boxes, version 1.
	Events []Event
}

// Event is a timed event beside the media (DASH emsg version 1), e.g. SCTE-35.
type Event struct {
	Scheme, Value string
	ID            uint32
	Timescale     uint32
	Time          uint64 // presentation time in Timescale
	Duration      uint32 // 0xffffffff when unknown
	Message       []byte
}

// AppendPart appends a part's bytes to dst. On an error dst is returned as it was.
//
// hot: once per part and rendition; no allocation when dst is large enough.
func AppendPart(dst []byte, p *Part) ([]byte, error) { return dst, ErrNoSamples }

// ParsePart reads a part; the samples' data are slices of b.
func ParsePart(b []byte) (Part, error) { return Part{}, ErrTorn }
