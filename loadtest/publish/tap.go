package publish

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
)

// tap counts what comes back from the server and passes wishes for key frames
// on to the player. Safe for concurrent use.
type tap struct {
	keys   chan int // layers whose key frame is wanted; full means one is on its way
	ignore bool

	mu    sync.Mutex
	stats Stats
}

func newTap(shape Shape, layers int, ignore bool) *tap {
	return &tap{keys: make(chan int, layers), ignore: ignore, stats: Stats{Shape: shape, PLIs: make([]uint64, layers)}}
}

func (t *tap) with(f func(s *Stats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.stats)
}

func (t *tap) answered(d time.Duration)  { t.with(func(s *Stats) { s.Answered = d }) }
func (t *tap) connected(d time.Duration) { t.with(func(s *Stats) { s.Connected = d }) }

// key counts a wish for a key frame. A wish for an unknown source counts for
// the top layer: servers name odd SSRCs.
func (t *tap) key(layer int) {
	t.with(func(s *Stats) {
		if layer < 0 || layer >= len(s.PLIs) {
			layer = len(s.PLIs) - 1
		}
		s.PLIs[layer]++
	})
	if t.ignore {
		return
	}
	select {
	case t.keys <- layer:
	default:
	}
}

func (t *tap) nacked(resent bool) {
	t.with(func(s *Stats) {
		s.NACKed++
		if resent {
			s.Resent++
		}
	})
}

func (t *tap) other(p rtcp.Packet) {
	t.with(func(s *Stats) {
		switch p := p.(type) {
		case *rtcp.ReceiverReport:
			s.Reports++
		case *rtcp.TransportLayerCC:
			s.Congestion++
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			s.Congestion++
			s.Estimate = uint64(p.Bitrate)
		}
	})
}

func (t *tap) snapshot() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.PLIs = append([]uint64(nil), s.PLIs...)
	return s
}
