package segment

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config says how a presentation is cut; it never changes while it lives.
type Config struct {
	// Start is media time 0.
	Start time.Time
	// Nominal and Part are how long segments and parts shall be, Target and Limit how
	// long they are at most (EXT-X-TARGETDURATION, PART-TARGET). The room between Part
	// and Limit lets sound's parts end beside the pictures', and parts be whole pictures.
	Nominal, Part, Target, Limit time.Duration
	// Patience is how much later than usual a frame may come before its absence is
	// declared, while others flow; while nothing does, a part's time.
	Patience time.Duration
	// First is the number of the first segment. Resumed tells that there were others
	// before, up to From: it begins there, with a discontinuity and a gap.
	First   uint64
	Resumed bool
	From    time.Duration
	// Locked numbers segments by the clock, so that Cutters of the same frames agree
	// whenever each of them began: see locked.go. First counts only when Resumed.
	Locked bool
}

const (
	// alive is how long after its last frame a picture still moves: then sound no
	// longer waits for its key frames.
	alive = 2 * time.Second
	// future is how far ahead of now media time may be.
	future = 500 * time.Millisecond
	// slack is how much later than usual a key frame may come before sound that waits
	// to be cut with it goes on.
	slack = 100 * time.Millisecond
)

// Cutter cuts the renditions of one presentation.
type Cutter struct {
	cfg    Config
	grid   grid
	lanes  []*lane
	epoch  media.Epoch
	turn   uint64 // number of the segment that begins the epoch
	now    time.Time
	newest time.Duration                    // newest picture, media time
	heard  time.Duration                    // newest of all that came, media time
	void   struct{ from, to time.Duration } // the last time in which nothing came
	events []Event
}

// New returns a cutter without renditions.
func New(cfg Config) *Cutter {
	c := &Cutter{cfg: cfg}
	if cfg.Locked {
		c.grid.step = cfg.Nominal
	}
	return c
}

// Add begins a rendition and returns its index. One that comes late has a gap in
// the segment that is open.
func (c *Cutter) Add(r Rendition) int {
	l := newLane(c, len(c.lanes), r)
	c.lanes = append(c.lanes, l)
	if l.derived && c.grid.begun {
		l.place(c.grid.at(c.grid.newest()).at, c.epoch)
	}
	return l.index
}

// Tap tells of each sample of a rendition as soon as it has its place.
func (c *Cutter) Tap(rendition int) { c.lanes[rendition].tapped = true }

// Push takes a frame; frames of a rendition come in the order of decoding. What it
// led to is told by Events.
func (c *Cutter) Push(rendition int, f Frame, now time.Time) {
	c.now = now
	l := c.lanes[rendition]
	if f.Epoch < c.epoch || f.Format == nil || len(f.Data) == 0 {
		return
	}
	f.Time = max(min(f.Time, l.ticks(c.media(now)+future)), 0) // media time is told without a sign
	if l.heard == 0 {
		l.heard = l.time(f.Time)
	}
	if !l.audio && !f.Key && !l.placed {
		c.lose(l) // nothing can be decoded yet
		return
	}
	if !c.grid.begun {
		c.begin(l, f)
	}
	if !l.placed {
		l.place(l.time(f.Time), f.Epoch)
	}
	l.came(f, now)
	if l.audio {
		c.sound(l, f)
	} else {
		c.picture(l, f)
		if !l.derived {
			c.newest = max(c.newest, l.time(f.Time))
		}
	}
	if !l.derived {
		c.hears(l.time(f.Time))
	}
	c.release()
}

// begin starts the grid with the first frame of all.
func (c *Cutter) begin(l *lane, f Frame) {
	from := l.time(f.Time)
	if c.cfg.Resumed {
		from = min(from, c.cfg.From)
	}
	c.grid.begin(c.cfg.First, from, c.cfg.Resumed)
	c.epoch, c.turn = f.Epoch, c.grid.newest()
	c.chart()
	for _, o := range c.lanes { // those that were there before have a gap until they come back
		if o.begins > 0 || o.derived {
			o.place(l.time(f.Time), f.Epoch)
		}
	}
}

// Tick lets time pass without frames: it declares what is missing.
func (c *Cutter) Tick(now time.Time) {
	c.now = now
	if !c.grid.begun {
		return
	}
	c.release()
	for _, l := range c.lanes {
		if l.placed {
			c.lack(l, l.ticks(min(c.horizon(l), c.reach(l))))
		}
	}
	c.askKeys()
	c.forget()
}

// Next returns when Tick has something to do; zero is never.
func (c *Cutter) Next() time.Time {
	var next time.Time
	soonest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, l := range c.lanes {
		if !l.placed || l.derived { // what is derived follows
			continue
		}
		wait := c.now.Sub(c.cfg.Start) - c.horizon(l)
		edge := min(c.cutAt(l, false), c.edge(l))
		soonest(c.cfg.Start.Add(l.time(edge) + wait + time.Millisecond))
		if len(l.held) > 0 {
			soonest(c.cfg.Start.Add(l.time(l.held[0].Time) + c.spread() + time.Millisecond))
		}
		if at, ok := c.keyDue(l); ok {
			soonest(c.cfg.Start.Add(at))
		}
	}
	return next
}

// End closes what is open: nothing follows. All renditions end with the same
// segment.
func (c *Cutter) End(now time.Time) {
	c.now = now
	if !c.grid.begun {
		return
	}
	next := c.cfg.First
	for _, l := range c.lanes {
		for _, f := range l.held {
			c.sounds(l, f)
		}
		l.held = nil
		if !l.placed || l.hidden() {
			continue
		}
		if l.derived {
			c.lack(l, l.ticks(c.reach(l)))
		}
		c.tell(l, l.end())
		l.close(l.end())
		next = max(next, l.msn)
		if l.number > 0 {
			next = max(next, l.msn+1)
		}
	}
	for _, l := range c.lanes {
		for l.placed && !l.hidden() && l.msn < next {
			c.decide(l, l.partStart)
			l.cut(l.partStart)
		}
	}
}

// Events returns what happened since the last call. The list is valid until the
// next call of the Cutter, what is in it for ever.
func (c *Cutter) Events() []Event {
	out := c.events
	c.events = c.events[:0]
	return out
}

// media returns the media time of a moment.
func (c *Cutter) media(t time.Time) time.Duration { return t.Sub(c.cfg.Start) }

// horizon is the media time before which nothing will come any more for a lane.
func (c *Cutter) horizon(l *lane) time.Duration {
	patience := max(c.cfg.Patience, c.cfg.Part)
	for _, o := range c.lanes {
		if o != l && o.placed && !o.derived && c.now.Sub(o.last) < c.cfg.Patience {
			patience = c.cfg.Patience
		}
	}
	return c.media(c.now) - l.delay - patience
}

// reach is how far a lane may be: what is derived, as far as any other.
func (c *Cutter) reach(l *lane) time.Duration {
	if !l.derived {
		return 1<<63 - 1
	}
	most := time.Duration(0)
	for _, o := range c.lanes {
		if o.placed && !o.derived {
			most = max(most, o.time(o.end()))
		}
	}
	return most
}

// flows reports whether anything at all came lately.
func (c *Cutter) flows() bool {
	for _, l := range c.lanes {
		if l.placed && !l.derived && c.now.Sub(l.last) < alive {
			return true
		}
	}
	return false
}

// moving reports whether a picture moves: then its key frames decide on segments.
func (c *Cutter) moving() bool {
	for _, l := range c.lanes {
		if l.placed && !l.audio && !l.derived && c.now.Sub(l.last) < alive {
			return true
		}
	}
	return false
}

// spread is how late pictures usually are, and some more.
func (c *Cutter) spread() time.Duration {
	d := time.Duration(0)
	for _, l := range c.lanes {
		if l.placed && !l.audio && !l.derived {
			d = max(d, l.delay)
		}
	}
	return d + slack
}

func (c *Cutter) forget() {
	oldest := c.grid.newest()
	for _, l := range c.lanes {
		if l.placed {
			oldest = min(oldest, l.msn)
		}
	}
	c.grid.forget(oldest)
}
