package recorder

import (
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/depack"
	"github.com/sluice-live/sluice/media/reorder"
	"github.com/sluice-live/sluice/recorder/segment"
	"github.com/sluice-live/sluice/recorder/timeline"
)

// encoding names one encoding of one publisher session.
type encoding struct {
	epoch media.Epoch
	track media.TrackID
	layer media.Layer
	codec media.Codec
}

// strand makes frames in media time of the packets of one encoding.
type strand struct {
	encoding
	packets *reorder.Buffer
	frames  *depack.Depacketizer
	order   depack.Order
	clock   *timeline.Clock // nil until the presentation has begun
	to      *rendition      // nil before its first frame
	// waiting is zero, or frames are dropped until a key frame comes: when to remind of
	// the first one.
	waiting time.Time
	// Until overflowed, what is missing was dropped on its way to us.
	overflowed time.Time
}

func newStrand(e encoding, params string, budget time.Duration) *strand {
	return &strand{encoding: e, packets: reorder.New(reorder.Config{Budget: budget}), frames: depack.New(e.codec, params)}
}

// stamp is what the clock has to know of a frame.
func stamp(f *media.Frame) timeline.Stamp {
	return timeline.Stamp{TS: f.TS, Capture: f.Capture, Arrival: f.Arrival, Guessed: f.Guessed}
}

// place puts a frame into media time. False means that it has no place.
func (s *strand) place(f *media.Frame) (segment.Frame, bool) {
	dts, err := s.order.DTS(f)
	if err != nil {
		return segment.Frame{}, false
	}
	shown, stepped := s.clock.At(stamp(f))
	if stepped {
		s.order = depack.Order{}
	}
	out := segment.Frame{Frame: f, Time: shown, Step: stepped}
	if f.Lost && f.Arrival.Before(s.overflowed) {
		out.Why, s.overflowed = segment.Overflow, time.Time{}
	}
	if s.order.Reorders() && !stepped {
		out.Time = s.clock.Extrapolate(dts)
		out.Offset = shown - out.Time
	}
	if f.Format.Codec.Kind() == media.Audio {
		out.Duration = depack.OpusDuration(f.Data)
	}
	return out, true
}
