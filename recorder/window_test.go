package recorder_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
)

// sieve is a shelf that keeps no bytes: what is on disk is not in memory.
type sieve struct{ *shelf }

func (s sieve) Create(st recorder.Start) (recorder.Log, error) {
	l, err := s.shelf.Create(st)
	return &strainer{Log: l}, err
}

type strainer struct {
	recorder.Log
	at int64
}

func (l *strainer) Part(_ string, p recorder.Part, data []byte) (media.Extent, error) {
	if p.Gap {
		return media.Extent{}, nil
	}
	l.at += int64(len(data))
	return media.Extent{Offset: l.at, Size: int64(len(data))}, nil
}

// heap is what is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A window to rewind costs memory for what each segment is, and nothing for what is in
// it; what is out of the window costs nothing. In the guide: hls.md, "What the window costs".
func TestAWindowCostsAFewHundredBytesASegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 40 * time.Minute
		s := newStudio(t, func(c *recorder.Config, p *recorder.Parts) {
			c.Window, p.Logs = window, sieve{&shelf{}}
		})
		defer s.stop()
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		v.every = 100 * ms
		shoot(5*time.Minute, v, a)
		count := func() (n int) {
			for _, r := range s.show().Renditions {
				n += len(r.Segments)
			}
			return n
		}
		before, few := heap(), count()
		shoot(window, v, a)
		full, many := heap(), count()
		each := (full - before) / int64(many-few)
		t.Logf("%d segments more take %d KB: %d bytes each", many-few, (full-before)>>10, each)
		if each > 500 || many-few < 1500 {
			t.Errorf("%d segments more take %d bytes each", many-few, each)
		}
		shoot(10*time.Minute, v, a)
		if grown := heap() - full; count() > many+4 || grown > 100<<10 {
			t.Errorf("when the window is full %d KB more are taken, by %d segments", grown>>10, count()-many)
		}
	})
}
