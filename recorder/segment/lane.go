package segment

import (
	"math"
	"time"

	"github.com/sluice-live/sluice/media"
)

// forgotten is how long it takes to forget that a frame was late.
const forgotten = 10 * time.Second

// lane is one rendition: a line of media time without a jump, along which samples
// and gaps lie in parts and segments.
type lane struct {
	c         *Cutter
	index     int
	audio     bool
	scale     media.Ticks
	part      media.Ticks // the longest part
	most      media.Ticks // what one may last whose end was foretold too early
	usual     media.Ticks // how long parts shall be
	full      media.Ticks // a part that is long enough: 85 % (RFC 8216bis section 4.4.4.9)
	least     media.Ticks // the shortest sample, for those that come too late: 1 ms
	placed    bool
	begins    media.Ticks // Rendition.Begin
	needKey   bool
	format    *media.Format
	epoch     media.Epoch
	msn       uint64
	segStart  media.Ticks
	partStart media.Ticks
	number    int // of the part that is open
	samples   []Sample
	tail      media.Ticks // where the last sample begins (pictures) or ends (sound)
	arrival   time.Time   // of the newest sample of the open part
	hasMedia  bool        // one of the segment's parts has
	opensKey  bool        // the segment begins with a key frame
	gapBefore bool        // the last part was a gap

	interval media.Ticks   // between pictures
	pace     float64       // interval, to fractions of a tick
	beats    int           // how many intervals it rests on
	odd      int           // intervals in a row that were others
	count    int           // of the pictures in a part
	lastTime media.Ticks   // of the last frame, as it came
	last     time.Time     // when it came
	delay    time.Duration // how much later than captured frames come, at most
	row      media.Ticks   // where the newest picture is in a row of equal steps
	stood    media.Ticks   // where the last sample is
	reorders bool          // pictures are shown in another order than they are sent in
	silent   media.Ticks   // since when silence stands in for sound; 0 is not
	alone    media.Ticks   // since when what stands in does so as nothing at all comes; 0 is not
	owes     bool          // that was told of up to there
	held     []Frame       // sound that waits for the pictures' key frame
	keys     keys
	told     bool // KeysLate
	derived  bool
	tapped   bool
	muted    bool          // of a locked grid: it has not come to a boundary yet
	heard    time.Duration // of a locked grid: when its first frame was, whether it could be decoded or not
	young    bool          // of a locked grid: the interval is not known in this segment
	still    memory
}

func newLane(c *Cutter, index int, r Rendition) *lane {
	l := &lane{c: c, index: index, begins: r.Begin, derived: r.Derived, audio: r.Kind == media.AudioRendition, scale: media.Ticks(max(r.Timescale, 1))}
	l.part, l.usual = l.ticks(c.cfg.Limit), l.ticks(c.cfg.Part)
	l.most, l.full = l.part, (l.part*85+99)/100
	if l.locked() && !l.audio {
		l.part -= l.scale / spare
		l.usual = l.part
	}
	l.least = max(l.scale/1000, 1)
	l.interval = l.scale / 30
	l.keys.lead = firstLead
	return l
}

// place puts a lane onto the grid, whose first frame is at at.
func (l *lane) place(at time.Duration, e media.Epoch) {
	l.placed, l.epoch = true, e
	l.msn = max(l.c.grid.latest(at), l.c.oldest())
	if l.begins > 0 {
		l.msn = l.c.cfg.First
	}
	l.c.grid.entered(l.msn)
	l.muted = l.locked()
	l.segStart = l.ticks(l.c.grid.at(l.msn).at)
	if l.begins > 0 {
		l.segStart = l.begins
	}
	l.partStart, l.tail = l.segStart, l.segStart
	l.gapBefore = true // it begins where its first frame does
	l.keys.again()
}

// oldest is the number that the lane which is farthest behind has.
func (c *Cutter) oldest() uint64 {
	oldest := c.grid.newest()
	for _, l := range c.lanes {
		if l.placed && l.format != nil {
			oldest = min(oldest, l.msn)
		}
	}
	return oldest
}

// came notes that a frame came.
func (l *lane) came(f Frame, now time.Time) {
	delay := l.c.media(now) - l.time(f.Time)
	gone := min(now.Sub(l.last), forgotten)
	l.delay -= time.Duration(float64(l.delay-delay) * gone.Seconds() / forgotten.Seconds())
	l.delay = min(max(l.delay, delay, 0), forgotten)
	if d := f.Time - l.lastTime; l.format != nil && d > 0 && d < 4*l.interval+l.scale/10 {
		if l.locked() {
			l.learn(d)
		} else {
			l.paced(d)
		}
	}
	l.follow(f.Time)
	l.last, l.lastTime = now, f.Time
}

const (
	// many is how many intervals a first guess of their length rests on, tracked how many
	// pictures the place of their row does, and steady how many the length of its steps
	// does from then on: a loop that is critically damped.
	many    = 32
	tracked = 16
	steady  = 4 * tracked * tracked
)

// paced learns the interval between pictures. Cameras jitter and networks lose: what
// is about as long as ever counts little, and what is not only when it stays so. An
// error of less than a per cent decides how many pictures a part has room for.
func (l *lane) paced(d media.Ticks) {
	if far := d - l.interval; max(far, -far) > l.interval/2 && l.beats >= 4 {
		if l.odd++; l.odd < 4 {
			return
		}
		l.odd, l.beats = 0, 0
	} else {
		l.odd = 0
	}
	l.beats = min(l.beats+1, many)
	if l.beats < many || math.Abs(float64(d)-l.pace) > l.pace/2 {
		l.pace += (float64(d) - l.pace) / float64(l.beats)
	}
	l.interval = max(media.Ticks(l.pace+.5), l.least)
}

// ticks and time turn durations of media time into ticks of the lane and back.
func (l *lane) ticks(d time.Duration) media.Ticks {
	return media.Ticks(d/time.Second)*l.scale + (media.Ticks(d%time.Second)*l.scale+media.Ticks(time.Second)/2)/media.Ticks(time.Second)
}

func (l *lane) time(t media.Ticks) time.Duration {
	return time.Duration(t/l.scale)*time.Second + time.Duration(t%l.scale)*time.Second/time.Duration(l.scale)
}

// end returns where the line ends as far as can be foretold.
func (l *lane) end() media.Ticks {
	switch {
	case len(l.samples) == 0:
		return l.partStart
	case l.audio:
		return l.tail
	}
	end := l.tail + l.interval
	if d := l.stood - l.tail; !l.locked() && max(d, -d) < l.interval*3/4 {
		end = max(l.stood+l.interval, l.tail+l.least)
	}
	return min(end, l.partStart+l.part)
}

// follow learns where a picture at t is in the row: cameras jitter.
func (l *lane) follow(t media.Ticks) {
	steps := (t - l.row + l.interval/4) / l.interval
	miss := t - l.row - max(steps, 1)*l.interval
	if max(miss, -miss) > l.interval {
		l.row = t
		return
	}
	l.row = t - miss + miss/media.Ticks(min(l.beats+1, tracked))
	if l.beats == many {
		l.pace += float64(miss) / steady
		l.interval = max(media.Ticks(l.pace+.5), l.least)
	}
}

// level returns the place in the row of the newest picture, if that is at at.
func (l *lane) level(at media.Ticks) media.Ticks {
	if d := l.row - at; l.audio || l.locked() || max(d, -d) > l.interval*3/4 {
		return at
	}
	return max(l.row, l.tail+l.least)
}

// add puts a sample at the end of the open part: a picture begins at at.
func (l *lane) add(s Sample, at media.Ticks, arrival time.Time) {
	if l.audio {
		l.tail = at + s.Duration
	} else {
		l.settle(at)
		l.tail, l.stood = at, l.row
	}
	if arrival.After(l.arrival) {
		l.arrival = arrival
	}
	l.samples = append(l.samples, s)
}

// settle makes the last picture last until end.
func (l *lane) settle(end media.Ticks) {
	if n := len(l.samples); n > 0 && !l.audio {
		l.samples[n-1].Duration = end - l.tail
	}
}

// close publishes the open part up to end, if there is anything: samples, or else a
// gap.
func (l *lane) close(end media.Ticks) {
	if end <= l.partStart {
		return
	}
	l.settle(end)
	if len(l.samples) == 0 && l.hushed() && !l.c.fresh(l) { // what comes there may have another format
		l.c.quiet(l, end)
	}
	unheard := l.muted && len(l.samples) > 0
	if unheard {
		l.samples, l.arrival = nil, time.Time{}
	}
	e := Event{Kind: PartReady, Rendition: l.index, MSN: l.msn, Part: l.number,
		Start: l.partStart, Duration: end - l.partStart, Discontinuity: l.c.grid.at(l.msn).hard, Format: l.format}
	if len(l.samples) == 0 {
		e.Gap, e.Why = true, l.why()
		l.c.tell(l, l.partStart)
		l.silent, l.alone, l.owes, l.still.gone = 0, 0, false, l.still.gone || l.c.gone(l.partStart, l, away)
	} else {
		e.Samples, e.Arrival = l.samples, l.arrival
		if !l.hasMedia {
			l.hasMedia, l.opensKey = true, l.samples[0].Key
		}
		e.Independent = l.samples[0].Key
	}
	l.gapBefore = e.Gap && !unheard
	if !l.hidden() {
		l.c.events = append(l.c.events, e)
	}
	l.samples, l.arrival = nil, time.Time{}
	l.partStart, l.tail = end, end
	l.number++
	l.c.align(l)
}

// why says why nothing is there.
func (l *lane) why() Why {
	switch {
	case !l.c.flows() || l.c.gone(l.partStart, l, alive):
		return PublisherGone
	case l.needKey:
		return NoKeyFrame
	}
	return NoFrames
}

// cut ends the segment at at. A segment is never empty: one of which nothing was
// published yet becomes a short gap.
func (l *lane) cut(at media.Ticks) {
	if at <= l.segStart {
		at = l.segStart + l.least
	}
	l.close(at)
	l.c.tell(l, l.partStart)
	if !l.hidden() {
		l.c.events = append(l.c.events, Event{Kind: SegmentEnded, Rendition: l.index, MSN: l.msn, Part: l.number,
			Start: l.segStart, Duration: l.partStart - l.segStart, Gap: !l.hasMedia, Independent: l.opensKey,
			Discontinuity: l.c.grid.at(l.msn).hard, Format: l.format})
	}
	l.msn++
	l.c.grid.entered(l.msn)
	l.segStart, l.number = l.partStart, 0
	l.hasMedia, l.opensKey = false, false
	l.renew()
}

// cutTo ends segments until msn begins at at. Where several end at once, what lies
// in the open part becomes a segment of its own.
func (l *lane) cutTo(msn uint64, at media.Ticks) {
	for l.msn+1 < msn {
		if l.number > 0 {
			l.cut(l.partStart)
		} else {
			l.cut(max(at, l.partStart))
		}
	}
	if l.msn < msn {
		l.cut(max(at, l.partStart))
	}
}
