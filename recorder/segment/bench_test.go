package segment_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/segment"
)

// One frame of each of three layers and sound, with the clock that goes with it.
func BenchmarkCutter(b *testing.B) {
	s := newStage(b, config())
	for range 3 {
		s.add(media.VideoRendition)
	}
	a := s.add(media.AudioRendition)
	b.ReportAllocs()
	at := time.Duration(0)
	for i := 0; b.Loop(); i++ {
		s.now = start.Add(at + 30*ms)
		for _, r := range s.tracks {
			f := segment.Frame{Frame: &media.Frame{Key: r == a || i%60 == 0, Epoch: 1, Format: r.formats[0], Data: frameData, Arrival: s.now},
				Time: r.ticks(at), Duration: 960}
			s.c.Push(r.index, f, s.now)
		}
		s.c.Tick(s.now)
		s.c.Next()
		s.c.Events()
		at += 33333 * time.Microsecond
	}
}
