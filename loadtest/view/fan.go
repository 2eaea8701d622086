package view

import "time"

// The fan keeps frames by their send time: one slot each 4 ms, four seconds long.
const (
	fanStep  = Instant(4 * time.Millisecond)
	fanSlots = 1024
	fanWait  = Instant(time.Second) // after which no viewer is waited for
)

// fan measures how long one frame takes from the first viewer that has it
// whole to the last.
type fan struct {
	slots  [fanSlots]fanned
	spread *histogram
}

type fanned struct {
	sent, first, last Instant
	n                 int
}

// add takes one viewer's frame; viewers is how many there are.
func (f *fan) add(sent, at Instant, viewers int) {
	s := &f.slots[int(sent/fanStep)&(fanSlots-1)]
	if s.sent != sent {
		f.close(s, viewers)
		*s = fanned{sent: sent, first: at, last: at}
	}
	s.first, s.last = min(s.first, at), max(s.last, at)
	if s.n++; s.n == viewers {
		f.close(s, viewers)
	}
}

// close counts a frame that nine of ten viewers have got: what a few lost says
// nothing of the rest.
func (f *fan) close(s *fanned, viewers int) {
	if s.n > 1 && s.n >= viewers-viewers/10 {
		f.spread.add(s.last.Sub(s.first))
	}
	*s = fanned{}
}

// settle closes what was sent before now minus a second.
func (f *fan) settle(now Instant, viewers int) {
	for i := range f.slots {
		if s := &f.slots[i]; s.sent != 0 && now-s.sent > fanWait {
			f.close(s, viewers)
		}
	}
}

func (f *fan) reset() {
	clear(f.slots[:])
	f.spread.reset()
}
