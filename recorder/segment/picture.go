package segment

import (
	"bytes"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// picture lays one picture onto the line.
func (c *Cutter) picture(l *lane, f Frame) {
	if !f.Key && (l.format == nil || l.needKey || f.Lost || f.Epoch != l.epoch || c.differs(l, f)) {
		c.lose(l)
		return
	}
	if f.Key {
		l.keys.came(l.time(l.level(f.Time)), l.time(l.unseen()), l.time(l.interval))
	}
	blind, from := l.needKey && l.format != nil, l.unseen()
	c.turns(l, f)
	c.pass(l, f.Time, true)
	if !f.Key && c.fresh(l) { // a decoder begins anew at a discontinuity
		c.lose(l)
		return
	}
	c.cutAtPicture(l, f)
	switch {
	case f.Lost:
		c.missed(l, from, f.Time, f.why())
	case l.alone > 0:
		c.missed(l, l.alone, f.Time, PublisherGone)
	case blind:
		c.missed(l, from, f.Time, NoKeyFrame)
	}
	if l.format == nil || c.differs(l, f) {
		l.format = f.Format
	}
	l.needKey, l.alone, l.owes = false, 0, false
	c.lay(l, f)
}

// lay puts a picture into its part, and publishes the part as soon as no other
// picture has room in it: how long the last one is shown is foretold, and the first
// of the next part makes up for the error.
func (c *Cutter) lay(l *lane, f Frame) {
	at := l.begin(f.Time)
	edge := l.partStart + l.most
	if level := l.level(at); len(l.samples) > 0 && (at >= edge || c.filled(l, level) && !c.takes(l, level)) {
		l.close(min(level, edge))
		if at = max(at, l.partStart); len(l.samples) == 0 && at < l.partStart+l.interval {
			at = l.partStart
		}
	}
	if at-f.Time > l.scale { // more frames than the shortest samples have room for
		c.lose(l)
		return
	}
	s := Sample{Data: f.Data, Offset: f.Offset, Key: f.Key}
	l.reorders = l.reorders || f.Offset != 0
	if l.reorders {
		s.Offset += f.Time - at
	}
	l.add(s, at, f.Arrival)
	c.laid(l, s, at)
	l.still.keep(f)
	l.still.until = l.end()
	if end := l.end(); c.filled(l, end) && !c.awaits(l, end) {
		l.close(end)
	}
}

// filled reports whether the open part is as long as it shall be when it ends at end:
// another picture would be too much, unless the segment ends with it.
func (c *Cutter) filled(l *lane, end media.Ticks) bool {
	d := end - l.partStart
	if d+l.interval*9/10 > l.part {
		return d >= l.full
	}
	if d < l.full && (l.locked() || l.number > 0 || !l.samples[0].Key) {
		return false
	}
	if l.locked() {
		return d+l.interval/2 > l.fullest() && !c.endsSoon(l, end+l.interval*9/10)
	}
	return end+l.interval/2 >= c.edge(l)
}

// endsSoon reports whether the segment is known to end behind from and within what the
// open part may hold.
func (c *Cutter) endsSoon(l *lane, from media.Ticks) bool {
	b, known := c.grid.next(l.msn)
	t := l.ticks(b.at)
	return known && t > from && t <= l.partStart+l.part
}

// laid tells where a sample lies, if somebody wants to know.
func (c *Cutter) laid(l *lane, s Sample, at media.Ticks) {
	if l.tapped {
		c.events = append(c.events, Event{Kind: Laid, Rendition: l.index, MSN: l.msn, Start: at, Samples: []Sample{s}, Format: l.format, Epoch: l.epoch})
	}
}

// begin returns where a picture of time t is laid: there, if that can be. What lies
// before it is shown longer, or is a gap when it was one already or is too long.
func (l *lane) begin(t media.Ticks) media.Ticks {
	if t-l.partStart > 2*l.interval {
		l.c.hold(l, t)
	}
	if len(l.samples) > 0 {
		return max(t, l.tail+l.least)
	}
	if l.gapBefore && !l.near(t) || t-l.partStart > l.part/2 {
		l.close(t)
	}
	return l.partStart
}

// near reports whether a picture of time t may lie where the open part begins: clocks
// of tracks agree to a fraction of a picture, and that is no gap. Locked cutters would
// disagree about it.
func (l *lane) near(t media.Ticks) bool {
	return !l.locked() && t-l.partStart <= l.interval/4
}

// cutAtPicture ends the segment before a picture if it is one to begin the next
// with.
func (c *Cutter) cutAtPicture(l *lane, f Frame) {
	at := l.time(f.Time)
	b, known := c.grid.next(l.msn)
	switch {
	case f.Key && known && at >= b.at-c.cfg.Nominal/4:
		c.judge(l, f)
	case f.Key && !known && at >= c.grid.at(l.msn).at+c.cfg.Nominal*3/4:
		c.judge(l, f)
		if c.crumbles(l, f) {
			return
		}
	case max(f.Time, l.tail)+l.interval/2 > c.last(l) && max(f.Time, l.tail) > l.segStart:
		c.late(l, f.Key)
	default:
		if f.Key && !known {
			l.keys.wasted(l.msn)
		}
		return
	}
	start := l.begin(f.Time)
	if start <= l.segStart { // nothing lies in it yet
		return
	}
	c.decide(l, start)
	l.cut(start)
	l.open(b)
}

// stop returns where the lane's segment ends while no pictures move: where no rendition
// has gone beyond.
func (c *Cutter) stop(l *lane) time.Duration {
	b := c.grid.at(l.msn)
	at := b.at + c.cfg.Nominal
	if b.step > 0 && !l.locked() {
		at = b.before(at + b.step/2)
		for _, o := range c.lanes {
			if o.placed && o.msn == l.msn && o.number > 0 && !o.derived {
				at = max(at, o.time(o.partStart))
			}
		}
	}
	return at
}

// last returns where the lane's segment ends at the latest.
func (c *Cutter) last(l *lane) media.Ticks {
	b, at := c.grid.at(l.msn), l.segStart+l.ticks(c.longest())
	if b.step > 0 && !l.locked() {
		at = min(at, l.ticks(b.before(b.at+c.longest())))
	}
	return at
}

// late tells once that key frames do not come as they are asked for.
func (c *Cutter) late(l *lane, key bool) {
	if !key && !l.told {
		l.told = true
		c.events = append(c.events, Event{Kind: KeysLate, Rendition: l.index, MSN: l.msn, Start: l.partStart})
	}
}

// decide makes a boundary at at, if none is known that the lane's segment ends at.
func (c *Cutter) decide(l *lane, at media.Ticks) {
	if _, known := c.grid.next(l.msn); !known {
		c.grid.propose(l.time(at), false)
		c.chart()
	}
}

// cutAt returns where the lane's segment ends when no key frame comes. Flowing tells
// that frames do.
func (c *Cutter) cutAt(l *lane, flowing bool) media.Ticks {
	at := c.last(l)
	if b, known := c.grid.next(l.msn); known {
		bound := l.ticks(b.at)
		if !l.audio && (flowing || l.tail > bound) {
			bound = l.ticks(b.at + c.cfg.Nominal/2) // its own key frame is on the way
		}
		at = min(at, bound)
	} else if !c.moving() {
		at = min(at, l.ticks(c.stop(l)))
	}
	if len(l.samples) > 0 {
		at = max(at, l.tail+l.least)
	}
	return max(at, l.partStart)
}

// pass lets the line reach to without frames: what lies last is shown up to the end
// of its part, and held in the next ones, or else there are gaps.
func (c *Cutter) pass(l *lane, to media.Ticks, flowing bool) {
	for {
		cut, edge := c.cutAt(l, flowing), l.partStart+l.most
		if !flowing {
			edge = c.edge(l)
		}
		if min(cut, edge) > to || flowing && cut == to && edge >= to {
			return
		}
		if l.audio && len(l.samples) > 0 { // sound cannot last longer than it does
			l.close(l.tail)
			continue
		}
		c.hold(l, min(cut, edge))
		if min(cut, edge)-l.tail > 2*l.interval {
			l.arrival = time.Time{} // it is the clock that closes it, not a frame
		}
		if cut > edge {
			l.close(edge)
			continue
		}
		if flowing && !l.gapBefore && cut-l.tail <= 2*l.interval {
			c.late(l, false) // pictures came up to here, and none of them was a key frame
		}
		b, _ := c.grid.next(l.msn)
		c.decide(l, cut)
		l.cut(cut)
		if flowing {
			l.open(b)
		}
	}
}

// lose drops pictures until a key frame comes, and asks for one.
func (c *Cutter) lose(l *lane) {
	if !l.needKey {
		l.needKey = true
		c.ask(l)
	}
}

// unseen returns from where on pictures that are missing may be: behind the last one that
// came, whatever the clock has closed or held since.
func (l *lane) unseen() media.Ticks {
	if l.still.format == nil { // none came
		return l.end()
	}
	return min(l.end(), l.still.until)
}

// missed tells what is missing.
func (c *Cutter) missed(l *lane, from, to media.Ticks, why Why) {
	if to > from {
		c.events = append(c.events, Event{Kind: Hole, Rendition: l.index, MSN: l.msn, Start: from, Duration: to - from, Why: why})
	}
}

// Lost tells that pictures are dropped until a key frame comes.
func (c *Cutter) Lost(rendition int, now time.Time) {
	c.now = now
	if l := c.lanes[rendition]; l.placed && !l.audio {
		c.lose(l)
	}
}

// turns crosses into the segment that a discontinuity begins, if the frame is one's
// first.
func (c *Cutter) turns(l *lane, f Frame) {
	target := uint64(0)
	if f.Epoch > c.epoch {
		c.epoch = f.Epoch
		c.turn = c.breaks(l, f.Time)
	}
	switch {
	case l.epoch < f.Epoch:
		l.epoch, target = f.Epoch, c.turn
	case f.Step:
		target = c.breaks(l, f.Time)
	}
	c.cross(l, f.Time, target)
	if c.differs(l, f) && !c.fresh(l) {
		b, known := c.grid.next(l.msn)
		if known && b.hard && l.time(f.Time) >= b.at-c.cfg.Nominal/4 {
			target = l.msn + 1
		} else {
			target = c.breaks(l, f.Time)
		}
		c.cross(l, f.Time, target)
	}
	if c.differs(l, f) {
		l.format = f.Format // from here on, silence too
	}
}

// cross brings the lane into segment msn at t.
func (c *Cutter) cross(l *lane, t media.Ticks, msn uint64) {
	if l.msn >= msn {
		return
	}
	if l.hushed() { // silence behind the boundary may have another format
		t = min(t, l.ticks(c.grid.at(msn).at))
	}
	c.pass(l, t, true)
	if l.audio && len(l.samples) > 0 {
		l.close(l.tail)
	}
	if l.msn < msn {
		l.cutTo(msn, l.begin(t))
		l.muted = false
	}
}

// breaks makes a discontinuity for all at t, and returns the segment that it begins.
func (c *Cutter) breaks(l *lane, t media.Ticks) uint64 {
	for _, o := range c.lanes {
		if o != l && !o.audio && o.placed {
			o.keys.again() // each wants one to begin anew with
		}
	}
	n := c.grid.newest()
	clean := l.msn < n || len(l.samples) == 0
	for _, o := range c.lanes {
		clean = clean && (!o.placed || o.msn < n || o.number == 0 && len(o.samples) == 0)
	}
	if clean {
		c.grid.harden(n)
		return n
	}
	c.grid.propose(l.time(t), true)
	c.chart()
	return n + 1
}

// fresh reports whether the lane stands behind a discontinuity, and nothing came
// since.
func (c *Cutter) fresh(l *lane) bool {
	return !l.hasMedia && len(l.samples) == 0 && c.grid.at(l.msn).hard
}

// differs reports whether a decoder has to be told something new before the frame.
func (c *Cutter) differs(l *lane, f Frame) bool {
	return l.format != nil && !alike(l.format, f.Format)
}

// alike reports whether two formats tell a decoder the same.
func alike(a, b *media.Format) bool {
	return a == b || a.Codec == b.Codec && a.Width == b.Width && a.Height == b.Height && a.Profile == b.Profile && a.Depth == b.Depth &&
		a.Subsampling == b.Subsampling && a.Channels == b.Channels && slices.EqualFunc(a.Parameters, b.Parameters, bytes.Equal)
}
