package segment

import (
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// silence is 20 ms of Opus in which nothing sounds: CELT, full band, mono, one frame
// (RFC 6716 section 3.1). Decoders of any number of channels take it.
var silence = []byte{0xf8, 0xff, 0xfe}

// maxHeld bounds the sound that waits for a key frame: a second in the shortest
// frames.
const maxHeld = 400

// sound takes a frame of sound. Where a segment may end soon it waits until it is
// known where: pictures are on their way longer.
func (c *Cutter) sound(l *lane, f Frame) {
	if len(l.held) < maxHeld && (len(l.held) > 0 || c.waits(l, f)) {
		l.held = append(l.held, f)
		return
	}
	c.sounds(l, f)
}

// waits reports whether it is not known yet to which segment a frame belongs.
func (c *Cutter) waits(l *lane, f Frame) bool {
	if _, known := c.grid.next(l.msn); known || f.Epoch != c.epoch || !c.moving() {
		return false
	}
	at, end := l.time(max(f.Time, l.end())), c.goal(l.msn)
	if b := c.grid.at(l.msn); b.step > 0 && !b.sure {
		end -= slack
	}
	return l.time(f.Time) > c.newest && at+l.time(f.Duration/2) > end && c.media(c.now) < l.time(f.Time)+c.spread()
}

// release lets sound go on that needs to wait no longer.
func (c *Cutter) release() {
	for _, l := range c.lanes {
		n := 0
		for n < len(l.held) && !c.waits(l, l.held[n]) {
			c.sounds(l, l.held[n])
			n++
		}
		if n > 0 {
			l.held = append(l.held[:0], l.held[n:]...)
		}
	}
}

// sounds lays a frame of sound onto the line. Sound is as long as it is: when it
// has drifted by a frame, one is left out or silence put in.
func (c *Cutter) sounds(l *lane, f Frame) {
	if f.Epoch < c.epoch || f.Duration <= 0 {
		return
	}
	c.turns(l, f)
	if len(l.samples) == 0 && l.gapBefore {
		l.align(&f)
		c.pass(l, f.Time, false)
		l.close(f.Time)
	}
	tolerance := max(f.Duration, l.scale/50)
	if l.derived { // it has no clock of its own to drift by: what is elsewhere belongs there
		tolerance = 1
	}
	if f.Time-l.end() >= tolerance && l.format != nil {
		c.fill(l, f.Time)
	}
	c.speaks(l, f)
	if l.end()-f.Time >= tolerance {
		return
	}
	if l.format == nil || c.differs(l, f) {
		l.format = f.Format
	}
	c.put(l, Sample{Data: f.Data, Duration: f.Duration, Key: true}, f)
}

// put lays a sample behind the last.
func (c *Cutter) put(l *lane, s Sample, f Frame) {
	at := l.end()
	end := c.cutAt(l, true)
	last := s.Duration / 2
	if len(l.samples) == 0 && !l.locked() { // no part for a few frames
		last = l.crumb() / 2
	}
	if broken := c.broken(l, at); at+last >= end && broken && at-l.partStart < l.sliver()/2 {
		l.cut(l.partStart) // what is in the open part comes along
	} else if at+last >= end && !broken || at+s.Duration > l.segStart+l.ticks(c.longest()) {
		if at > l.segStart {
			c.decide(l, at)
			l.cut(at)
			l.muted = false
		}
	}
	if at+s.Duration > l.partStart+l.part {
		l.close(at)
	}
	l.add(s, at, f.Arrival)
	c.laid(l, s, at)
	half := s.Duration / 2
	if l.tail+half > c.beside(l) && !c.endsSoon(l, l.tail+half) || l.tail+s.Duration > l.partStart+l.part {
		l.close(l.tail)
	}
}

// broken reports whether the segment would end with a part that is too short when its
// boundary was told late: then it ends a little before, or behind.
func (c *Cutter) broken(l *lane, at media.Ticks) bool {
	b, known := c.grid.next(l.msn)
	return !l.locked() && l.number > 0 && len(l.samples) > 0 && at-l.partStart < l.sliver() && known && !b.hard
}

// beside returns where the open part of sound shall end: where the pictures' does, if
// that is long enough, so that its last one in a segment is full when theirs is.
func (c *Cutter) beside(l *lane) media.Ticks {
	if !l.locked() {
		return c.edge(l)
	}
	room, begin := l.usual, l.segStart
	edge := begin + ((l.partStart-begin+room/2)/room+1)*room
	return max(edge, l.partStart+l.full)
}

// fill reaches to where sound goes on: with silence, or a gap where there is none.
func (c *Cutter) fill(l *lane, to media.Ticks) {
	if l.format.Codec == media.Opus {
		c.hush(l, to)
		return
	}
	c.pass(l, to, false)
	if len(l.samples) > 0 {
		l.close(l.tail)
	}
	l.close(to)
}

// hushed reports whether silence stands in for sound that does not come, as long as
// pictures are held too: players may not go on behind a gap (hls.js 1.7), nor where there is
// sound alone for a while (Shaka Player 5.2 in DASH). Where there are no pictures there is no
// gap behind the first sound that came to this Cutter.
func (l *lane) hushed() bool {
	if !l.audio || l.format == nil || l.format.Codec != media.Opus || l.gapBefore && l.locked() {
		return false
	}
	return !l.c.gone(l.partStart, l, away) || !slices.ContainsFunc(l.c.lanes, func(o *lane) bool { return !o.audio && o.format != nil })
}

// hush fills the line with silence up to to.
func (c *Cutter) hush(l *lane, to media.Ticks) {
	c.falls(l, l.end(), to)
	frame := l.scale / 50
	for l.end()+frame <= to {
		c.put(l, Sample{Data: silence, Duration: frame, Key: true}, Frame{Frame: &media.Frame{}})
	}
}

// quiet fills the open part with silence up to end, be that in the midst of a frame.
func (c *Cutter) quiet(l *lane, end media.Ticks) {
	c.falls(l, l.partStart, end)
	for at := l.partStart; at < end; at = l.tail {
		s := Sample{Data: silence, Duration: min(l.scale/50, end-at), Key: true}
		l.add(s, at, time.Time{})
		c.laid(l, s, at)
	}
}

// falls notes since when there is silence, and since when as nothing at all comes.
func (c *Cutter) falls(l *lane, from, to media.Ticks) {
	if l.silent == 0 {
		l.silent = from
	}
	c.leaves(l, l.silent, to)
}

// speaks tells of the silence that ends, when something is missing.
func (c *Cutter) speaks(l *lane, f Frame) {
	why := NoFrames
	if f.Lost {
		why = f.why()
	}
	c.quieted(l, l.end(), why, f.Lost)
	l.silent, l.alone, l.owes = 0, 0, false
}

// quieted lists the silence up to to: why it was, but for the time in which nothing at all
// came. A short one is none unless something was lost.
func (c *Cutter) quieted(l *lane, to media.Ticks, why Why, lost bool) {
	if l.silent == 0 || l.hidden() || !lost && !l.owes && to-l.silent < l.scale {
		return
	}
	until := to
	if l.alone > 0 && !lost {
		until = l.alone
		c.missed(l, l.alone, to, PublisherGone)
		l.alone = max(l.alone, to)
	}
	c.missed(l, l.silent, until, why)
	l.silent, l.owes = max(l.silent, to), true
}

// lack declares what did not come up to to.
func (c *Cutter) lack(l *lane, to media.Ticks) {
	if len(l.held) > 0 {
		to = min(to, l.held[0].Time)
	}
	for l.hushed() { // a part's time at once: it may end in between
		at := l.end()
		if at+l.part > to && l.partStart+l.part > to {
			return
		}
		if c.hush(l, min(to, at+l.part)); l.end() == at {
			return
		}
	}
	c.pass(l, to, false)
}
