package matrix

import (
	"time"

	"github.com/sluice-live/sluice/loadtest/view"
)

// player decides which frames a decoder could show, and when. Not safe for
// concurrent use.
type player struct {
	track    *view.Track
	lost     uint64
	broken   bool // what comes cannot be decoded until a key frame
	heights  map[uint32]int
	playout  playout
	pictures []Picture
}

func newPlayer() *player {
	return &player{track: view.NewTrack(view.VideoWindow), broken: true, heights: map[uint32]int{}}
}

// receive takes one packet; height is of its frame, 0 when it does not tell.
func (p *player) receive(a view.Arrived, height int, delay time.Duration) {
	p.playout.want(delay)
	if height > 0 {
		if len(p.heights) > 2*view.VideoWindow {
			clear(p.heights) // frames that never became whole
		}
		p.heights[a.TS] = height
	}
	p.show(p.track.Receive(a, nil))
}

// expire gives up what is too old, and reports whether a key frame is needed.
func (p *player) expire(now view.Instant) bool {
	frames, _ := p.track.Expire(now, nil)
	p.show(frames)
	return p.broken
}

// show takes whole frames in order. A frame after a lost one refers to what is
// not there: only a key frame begins anew.
func (p *player) show(frames []view.Frame) {
	for _, f := range frames {
		if p.track.Broken+p.track.Lost > p.lost {
			p.lost, p.broken = p.track.Broken+p.track.Lost, true
		}
		p.broken = p.broken && !f.Key
		height := p.heights[f.TS]
		delete(p.heights, f.TS)
		if p.broken {
			continue
		}
		if height == 0 && len(p.pictures) > 0 {
			height = p.pictures[len(p.pictures)-1].Height
		}
		at := p.playout.due(f)
		if n := len(p.pictures); n > 0 && at < p.pictures[n-1].At {
			at = p.pictures[n-1].At
		}
		p.pictures = append(p.pictures, Picture{At: at, Height: height, Sent: float64(f.Sent) / 1e6})
	}
}

// playout waits as the playout-delay extension asks: a picture is shown when it
// is there, but not before the fastest one's way and that delay have passed.
type playout struct {
	delay   float64 // milliseconds
	started bool
	base    float64 // milliseconds: shortest way from media time 0
	first   uint32
	last    uint32
	media   float64 // milliseconds of media since the first frame
}

func (p *playout) want(d time.Duration) {
	if d >= 0 {
		p.delay = float64(d) / float64(time.Millisecond)
	}
}

func (p *playout) due(f view.Frame) float64 {
	at := float64(f.At) / 1e6
	if !p.started {
		p.started, p.first, p.last, p.base = true, f.TS, f.TS, at
	}
	p.media += float64(int32(f.TS-p.last)) / 90
	p.last = f.TS
	p.base = min(p.base, at-p.media)
	return max(at, p.base+p.media+p.delay)
}

// sound counts packets that were not there in time. Numbers count from the first one.
type sound struct {
	started   bool
	extended  uint64 // the highest number
	first     uint64
	base      float64 // milliseconds: shortest way
	inTime    [soundWindow]uint64
	due       uint64 // how many had their deadline
	concealed uint64 // and were not there
}

const (
	// soundDeadline is how late a packet may be: what a jitter buffer grows to on
	// a bad link.
	soundDeadline = 200.0
	soundEvery    = 20.0 // milliseconds per packet
	soundTicks    = 960  // the same at 48 kHz
	soundWindow   = 1024 // 20 s
)

// receive takes a packet's number and time.
func (s *sound) receive(seq uint16, at float64) {
	if !s.started {
		s.started, s.extended = true, 1<<16|uint64(seq)
		s.first, s.base = s.extended, at
	}
	n := uint64(int64(s.extended) + int64(int16(seq-uint16(s.extended))))
	s.extended = max(s.extended, n)
	if n < s.first {
		return
	}
	way := at - float64(n-s.first)*soundEvery
	s.base = min(s.base, way)
	if way-s.base <= soundDeadline {
		s.inTime[n%soundWindow] = n
	}
}

// counts are the packets whose deadline has passed, and those of them that were
// not there. It is to be called more often than the window is long.
func (s *sound) counts(now float64) (due, concealed float64) {
	if s.started {
		for end := (now - s.base - soundDeadline) / soundEvery; float64(s.due) <= end; s.due++ {
			if n := s.first + s.due; s.inTime[n%soundWindow] != n {
				s.concealed++
			}
		}
	}
	return float64(s.due), float64(s.concealed)
}
