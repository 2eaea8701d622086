package segment

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// Kind says what an Event tells.
type Kind uint8

// What a Cutter tells.
const (
	// PartReady: a part with its Samples, or a Gap, may be published. Part 0 begins
	// its segment.
	PartReady Kind = iota + 1
	// SegmentEnded: its last part was told before.
	SegmentEnded
	// Hole: media is missing from Start on although parts go on; for the gap index.
	Hole
	// KeyWanted: ask for a key frame of the rendition now.
	KeyWanted
	// KeysLate: a segment had to be cut without a key frame. It is told once for
	// each rendition.
	KeysLate
	// Laid: the sample was laid at Start; of renditions that are tapped.
	Laid
)

// Why media is missing.
type Why string

// Why media is missing.
const (
	NoFrames      Why = "no-frames"      // a still screen, a layer that pauses
	PublisherGone Why = "publisher-gone" // nothing comes at all
	Loss          Why = "loss"
	Overflow      Why = "overflow"     // it was dropped here
	NoKeyFrame    Why = "no-key-frame" // nothing can be decoded until one comes
)

// Event is one thing that happened to a rendition.
type Event struct {
	Kind      Kind
	Rendition int // as Add returned it
	MSN       uint64
	Part      int // number in its segment
	Start     media.Ticks
	Duration  media.Ticks
	// Samples of a part are the receiver's. A Gap has none, and Why.
	Samples []Sample
	Gap     bool
	Why     Why
	// Independent: the part, or the segment, begins with a key frame. Players begin with
	// what is said to be independent, so a key frame in the midst does not count.
	Independent bool
	Epoch       media.Epoch // of what was Laid
	// Discontinuity: EXT-X-DISCONTINUITY stands before this segment, in all
	// renditions.
	Discontinuity bool
	// Format of the samples: the same pointer as long as the initialisation section
	// is.
	Format *media.Format
	// Arrival is when the newest of its packets came; zero for a part of none.
	Arrival time.Time
}

// Sample is one frame of a part.
type Sample struct {
	Data     []byte
	Duration media.Ticks
	Offset   media.Ticks // presentation time less decoding time
	Key      bool
}

// Frame is a frame in media time.
type Frame struct {
	*media.Frame
	// Time is the media time of decoding, Offset that of presentation less Time.
	Time, Offset media.Ticks
	// Duration of sound; pictures last until the next.
	Duration media.Ticks
	// Step tells that media time was set anew at this frame: a discontinuity.
	Step bool
	// Why a Lost frame's predecessors are missing; empty is Loss.
	Why Why
}

// why says why what is missing before the frame is.
func (f *Frame) why() Why {
	if f.Why == "" {
		return Loss
	}
	return f.Why
}

// Rendition is what is cut.
type Rendition struct {
	Kind      media.RenditionKind
	Timescale uint32
	// Begin is where it ended before it was resumed; 0: at the boundary.
	Begin media.Ticks
	// Derived tells that it is made of another, later than that, and sometimes not at
	// all: it has gaps from the beginning on as far as the others have something, and
	// decides nothing.
	Derived bool
}
