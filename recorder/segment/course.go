package segment

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// The last part of a segment shall not be shorter than sliver: hls.js 1.7 holds a segment
// of which less than 200 ms are missing for whole (bufferPadding), and may never load
// those. Pictures' are planned not to be shorter than crumb, for sound ends some 20 ms
// beside them.
const (
	sliver = 220 * time.Millisecond
	crumb  = sliver + 20*time.Millisecond
)

// course divides a segment into parts, in all renditions alike: they end anchor and
// whole steps behind the beginning, and with the segment. The first part, which has a
// key frame, may be of any length (RFC 8216bis section 4.4.4.9); so the last is full
// whenever it is known beforehand where the segment ends.
type course struct {
	anchor, step time.Duration // an end of a part, and the time between two; step 0: none
	until        time.Duration // where the segment should end
	// sure tells that key frames come where they are expected: then the last part is
	// shown with its last picture. Else it waits for its end, with room to both sides.
	sure bool
	own  bool // until is the encoder's own beat
	// passed is when the key frame was shown that one rendition passed by; the others'
	// of that time are passed by, too. 0: there was none.
	passed time.Duration
}

// after returns the first end of a part behind t.
func (k course) after(t time.Duration) time.Duration {
	d := (t - k.anchor) % k.step
	if d < 0 {
		d += k.step
	}
	return t - d + k.step
}

// before returns the last end of a part up to t, a little behind it included.
func (k course) before(t time.Duration) time.Duration {
	return k.after(t+k.step/32) - k.step
}

// chart lays the course of the newest segment.
func (c *Cutter) chart() {
	b := c.grid.at(c.grid.newest())
	step := c.room()
	if c.cfg.Locked {
		return
	}
	lead := c.leader()
	if step < c.cfg.Part/2 || lead == nil { // no pictures move
		n := int((c.cfg.Nominal + c.cfg.Part/2) / c.cfg.Part)
		step = c.cfg.Nominal / time.Duration(n)
		if step > c.cfg.Limit || step*100 < c.cfg.Limit*86 {
			step = c.cfg.Part
		}
		c.grid.steer(course{anchor: b.at + step, step: step, until: b.at + time.Duration(n)*step, sure: true})
		return
	}
	sure := c.steady()
	tail := time.Duration(0) // how long the last part shall be, when it is not sure
	if !sure {
		tail = c.tail(lead)
	}
	if gop, known := lead.keys.own(); known {
		sure = sure && lead.keys.beats > 0
		if !sure {
			tail = c.tail(lead)
		}
		until := lead.keys.last + gop
		for until < b.at+c.cfg.Nominal*3/4+gop/32 {
			until += gop
		}
		if until <= b.at+c.longest() {
			c.grid.steer(lead.split(b.at, until, tail, sure))
			return
		}
		until = b.at + c.longest().Truncate(step)
		c.grid.steer(course{anchor: b.at + step, step: step, until: until, sure: true})
		return
	}
	n := max(int((c.cfg.Nominal-tail+step/2)/step), 1)
	c.grid.steer(course{anchor: b.at + step, step: step, until: b.at + time.Duration(n)*step + tail, sure: sure})
}

// longest is how long a segment may become when no key frame comes.
func (c *Cutter) longest() time.Duration { return c.cfg.Target - c.cfg.Limit }

// tail is how long a last part should be that leaves room for key frames before and
// behind.
func (c *Cutter) tail(l *lane) time.Duration {
	least, most := l.crumb(), l.part
	n := ((least+most)/2 + l.interval/2) / l.interval
	return l.time(n * l.interval)
}

// crumb is the shortest last part in ticks: where all parts are shorter, a full one.
func (l *lane) crumb() media.Ticks { return min(l.ticks(crumb), l.full) }

// sliver is what none may fall short of.
func (l *lane) sliver() media.Ticks { return min(l.ticks(sliver), l.full) }

// split divides what lies between from and until into a first part of any length, full
// ones and a last one of tail, as a lane's pictures allow.
func (l *lane) split(from, until, tail time.Duration, sure bool) course {
	n := (l.ticks(until-from-tail) + l.interval/2) / l.interval
	usual := media.Ticks(l.pictures())
	best, least := usual, media.Ticks(1<<40)
	for q := (l.full + l.interval - 1) / l.interval; q <= l.part/l.interval; q++ {
		first := (n-1)%q + 1
		cost := 2*max(q-usual, usual-q) + max(q/2-first, 0)
		if cost < least {
			best, least = q, cost
		}
	}
	first := (n-1)%best + 1
	return course{anchor: from + l.time(first*l.interval), step: l.time(best * l.interval), until: until, sure: sure, own: true}
}

// leader is the first of the renditions whose pictures move.
func (c *Cutter) leader() *lane {
	for _, l := range c.lanes {
		if l.leads() {
			return l
		}
	}
	return nil
}

func (l *lane) leads() bool {
	return l.placed && !l.audio && !l.derived && l.c.now.Sub(l.last) < alive
}

// steady reports whether the key frames of all that move come where they should.
func (c *Cutter) steady() bool {
	for _, l := range c.lanes {
		if l.leads() && l.keys.shaky() {
			return false
		}
	}
	return true
}

// align moves the course by as much as the leader's pictures are beside it: what is
// foretold of a hundred intervals is some milliseconds off.
func (c *Cutter) align(l *lane) {
	b := c.grid.at(l.msn)
	if b.step == 0 || l != c.leader() || l.msn != c.grid.newest() {
		return
	}
	at := l.time(l.partStart)
	d := at - b.after(at-b.step/2)
	if d.Abs() > l.time(l.interval)*3/4 {
		return
	}
	b.anchor += d
	if !b.own {
		b.until += d
	}
	c.grid.steer(b.course)
}

// edge returns where the open part of a lane shall end.
func (c *Cutter) edge(l *lane) media.Ticks {
	most := l.partStart + l.part
	b := c.grid.at(l.msn)
	if b.step == 0 || l.locked() {
		return most
	}
	e := most
	switch until, known := c.ending(l, b); {
	case l.ends(b, until):
		if b.sure || known && l.audio {
			e = l.ticks(until)
		}
	case l.number == 0:
		e = l.ticks(b.after(max(l.time(l.partStart), b.at) + min(l.time(l.interval), b.step)/2))
	default:
		e = max(l.ticks(b.after(l.time(l.partStart)+b.step/2)), l.partStart+l.full)
	}
	if len(l.samples) > 0 {
		e = max(e, l.tail+l.least)
	}
	return min(e, most)
}

// takes reports whether the open part has room for a picture behind one that was left out and should have been its last:
// with it the part is shown at once, without it only now, late. The segment's course goes on from there, unless the part
// is its last one; for that it is too late when a key frame is asked for already.
func (c *Cutter) takes(l *lane, at media.Ticks) bool {
	b := c.grid.at(l.msn)
	end := at + l.interval
	if l.locked() || b.step == 0 || b.own || end+l.interval/20 > l.partStart+l.part {
		return false
	}
	if l.ends(b, b.until) {
		return true
	}
	d := l.time(end - c.edge(l))
	if l.msn != c.grid.newest() || b.until+d > b.at+c.cfg.Nominal+c.cfg.Part || c.asked(l.msn) {
		return false
	}
	b.anchor, b.until = b.anchor+d, b.until+d
	c.grid.steer(b.course)
	return true
}

// asked reports whether a key frame was asked for that segment msn shall end with.
func (c *Cutter) asked(msn uint64) bool {
	for _, l := range c.lanes {
		if l.leads() && l.keys.wish(msn) != unasked {
			return true
		}
	}
	return false
}

// ends reports whether the open part of a lane is the last one of its segment, that should end at until.
func (l *lane) ends(b bound, until time.Duration) bool {
	return l.ticks(until)-l.partStart > max(l.ticks(b.step/2), l.sliver()-l.interval) && until <= l.time(l.partStart+l.part)
}

// ending returns where a lane's segment ends, or should.
func (c *Cutter) ending(l *lane, b bound) (at time.Duration, known bool) {
	if next, known := c.grid.next(l.msn); known {
		return next.at, true
	}
	return b.until, false
}

// judge notes whether a segment ends with a key frame where it was expected to.
func (c *Cutter) judge(l *lane, f Frame) {
	if b := c.grid.at(l.msn); b.step > 0 {
		l.keys.hit(amiss(l.time(l.level(f.Time)), l.time(l.unseen()), b.until), l.time(l.interval))
	}
}

// crumbles reports whether a key frame comes so soon behind a part that was shown as
// the last one that the segment goes on with it: another will come in time.
func (c *Cutter) crumbles(l *lane, f Frame) bool {
	b, t := c.grid.at(l.msn), l.time(f.Time)
	k := sight{at: t, interval: l.time(l.interval), late: b.at + c.cfg.Nominal*3/2, most: b.at + c.longest(),
		sliver: !l.locked() && l.number > 0 && !l.gapBefore && len(l.samples) > 0 && l.level(f.Time)-l.partStart < l.sliver()}
	if gop, own := l.keys.own(); own {
		k.next = t + gop
	}
	fate := b.meets(k)
	switch fate {
	case ends:
		return false
	case passes:
		l.keys.wasted(l.msn)
		return true
	case follows:
		b.course = l.split(l.time(l.partStart), k.next, 0, l.keys.beats > 0)
	case asks:
		if b.course = c.detour(l, b, t); b.until > k.most {
			return false
		}
	}
	b.passed = t
	c.grid.steer(b.course)
	for _, o := range c.lanes {
		if fate == expects {
			o.keys.wasted(o.msn) // this one may have answered for what is expected
		} else {
			o.keys.again() // even where a beat is followed: others' wishes may have looked like one
		}
	}
	return true
}

// detour is the course of a segment that goes on behind t to a key frame that is asked for
// now: that one shall do, a little early or late.
func (c *Cutter) detour(l *lane, b bound, t time.Duration) course {
	k := b.course
	if gop := l.keys.gop; l.keys.heard == 0 && gop > 0 && t+gop <= b.at+c.longest() { // it may be deaf
		own := l.split(l.time(l.partStart), t+gop, 0, false)
		k.anchor, k.step, k.own = own.anchor, own.step, false
	}
	k.sure = false
	k.until = k.after(t+l.keys.lead+l.time(l.interval)) + c.tail(l)
	return k
}
