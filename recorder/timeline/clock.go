package timeline

import (
	"math"
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// slew is how fast media time may follow: a viewer hears no half per cent, and
	// 100 ms of delay that are found out late are gone within 20 s. A step there would be a
	// step back, onto what is laid already: docs/adr/0007-packaging.md, 10.
	slew = 0.005
	// outlier is how far a captured time may be off before it is doubted: senders'
	// reports were seen 300 ms wrong, alone and for good.
	outlier = 250 * time.Millisecond
	// A doubted time is believed when it stays: for patience, over proof frames that
	// agree within agree.
	patience = 3 * time.Second
	proof    = 8
	agree    = 50 * time.Millisecond
	// early is how far before its arrival a frame's capture may lie in the future
	// (clocks are followed, not known), stale how long a network may hold a frame.
	early = 500 * time.Millisecond
	stale = 10 * time.Second
	// window is half of how long the least late arrival counts while nothing better is
	// known: 100 ppm drift 1 ms in it.
	window = 10 * time.Second
)

// Stamp is what is known of a frame's time.
type Stamp struct {
	// TS is in ticks of the encoding's clock rate, extended to 64 bits.
	TS media.Ticks
	// Capture is when it was captured, in the node's clock; zero is unknown. Arrival
	// is when the node read it.
	Capture, Arrival time.Time
	// Guessed tells that Capture rests on arrivals.
	Guessed bool
}

// Told reports whether the publisher said when the frame was captured.
func (s Stamp) Told() bool { return !s.Guessed && plausible(s) }

// Clock maps one encoding's RTP time in one epoch to media time.
type Clock struct {
	rate  int64
	start time.Time

	begun  bool
	known  bool    // the publisher told when it captures
	base   int64   // media time less RTP time, where it began; ticks
	slewed float64 // what was added since; ticks
	newest media.Ticks
	primed primed
	least  arrivals
	doubt  doubt
}

// primed is what stamps before the first question told.
type primed struct {
	arrival, capture             int64
	hasArrival, hasCapture, told bool
}

// arrivals is the least late arrival of this window and the one before; ticks
// beyond base.
type arrivals struct {
	until     time.Time
	now, last float64
}

func newArrivals(at time.Time) arrivals { return arrivals{until: at.Add(window), now: math.Inf(1)} }

// doubt is a captured time far from where the clock stands.
type doubt struct {
	since  time.Time
	at     float64 // ticks beyond base
	frames int
}

// New returns a clock of rate ticks per second, whose media time is 0 at start.
func New(rate uint32, start time.Time) *Clock { return &Clock{rate: int64(max(rate, 1)), start: start} }

// Prime tells the clock of a frame before the first call of At: where it begins
// rests on all of them, so that one that was held up on its way does not decide. Nobody
// has seen a time yet: what was guessed is forgotten as soon as the publisher tells.
func (c *Clock) Prime(s Stamp) {
	if c.begun {
		return
	}
	p := &c.primed
	if off := c.ticks(s.Arrival) - int64(s.TS); !p.hasArrival || off < p.arrival {
		p.arrival, p.hasArrival = off, true
	}
	if told := s.Told(); told || !p.told && plausible(s) {
		p.capture, p.hasCapture, p.told = c.ticks(s.Capture)-int64(s.TS), true, told
	}
	c.base = p.arrival
	if p.hasCapture {
		c.base = p.capture
	}
}

// At returns the media time of a frame; frames come in the order of decoding.
// Stepped tells that media time was set anew at this frame: a discontinuity.
//
// hot: once per frame.
func (c *Clock) At(s Stamp) (t media.Ticks, stepped bool) {
	if !c.begun {
		c.Prime(s)
		c.begin(s)
	}
	if gone := c.ticks(s.Arrival) - int64(c.Extrapolate(s.TS)); gone < -c.span(early) || gone > c.span(stale) {
		c.rebase(s)
		return c.Extrapolate(s.TS), true
	}
	target, stepped := c.target(s)
	if stepped {
		c.rebase(s)
		return c.Extrapolate(s.TS), true
	}
	if ahead := s.TS - c.newest; ahead > 0 {
		reach := slew * float64(ahead)
		c.slewed += min(max(target-c.slewed, -reach), reach)
		c.newest = s.TS
	}
	return c.Extrapolate(s.TS), false
}

// Extrapolate returns the media time of an RTP time and learns nothing from it.
func (c *Clock) Extrapolate(ts media.Ticks) media.Ticks {
	return media.Ticks(int64(ts) + c.base + int64(math.Round(c.slewed)))
}

// begin starts at what was told so far.
func (c *Clock) begin(s Stamp) {
	c.begun, c.newest, c.known = true, s.TS, c.primed.told
	c.least = newArrivals(s.Arrival)
}

// rebase sets media time anew at a frame, by its captured time if that can be, else
// by its arrival.
func (c *Clock) rebase(s Stamp) {
	at := s.Arrival
	if plausible(s) {
		at = s.Capture
	}
	c.base, c.slewed, c.newest = c.ticks(at)-int64(s.TS), 0, s.TS
	c.least = newArrivals(s.Arrival)
	c.doubt = doubt{}
}

// target returns where the clock should stand, in ticks beyond base, and whether it
// has to step there.
func (c *Clock) target(s Stamp) (float64, bool) {
	if !plausible(s) || c.known && s.Guessed {
		return c.arrived(s), false
	}
	c.known = !s.Guessed
	at := float64(c.ticks(s.Capture) - int64(s.TS) - c.base)
	if math.Abs(at-c.slewed) <= float64(c.span(outlier)) {
		c.doubt.frames = 0
		return at, false
	}
	d := &c.doubt
	if d.frames == 0 || math.Abs(at-d.at) > float64(c.span(agree)) {
		*d = doubt{since: s.Arrival, at: at}
	}
	d.frames++
	return c.slewed, d.frames >= proof && s.Arrival.Sub(d.since) >= patience
}

// arrived follows the least late arrivals until captured times are told. After
// that nothing better than standing still is known of frames without one.
func (c *Clock) arrived(s Stamp) float64 {
	if c.known {
		return c.slewed
	}
	l := &c.least
	if s.Arrival.After(l.until) {
		l.last, l.now, l.until = l.now, math.Inf(1), s.Arrival.Add(window)
	}
	l.now = min(l.now, float64(c.ticks(s.Arrival)-int64(s.TS)-c.base))
	return min(l.now, l.last)
}

// plausible reports whether a captured time can be true.
func plausible(s Stamp) bool {
	if s.Capture.IsZero() {
		return false
	}
	age := s.Arrival.Sub(s.Capture)
	return -early <= age && age <= stale
}

// ticks returns when t is in media time.
func (c *Clock) ticks(t time.Time) int64 { return c.span(t.Sub(c.start)) }

// span turns a duration into ticks, without overflow.
func (c *Clock) span(d time.Duration) int64 {
	return int64(d/time.Second)*c.rate + int64(d%time.Second)*c.rate/int64(time.Second)
}
