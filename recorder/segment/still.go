package segment

import (
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/still"
)

const (
	// What is remembered of the pictures since the last key frame, to begin a segment
	// with: more would be a burst of bytes, and a hurry for decoders.
	maxMemory = 128
	maxWeight = 2 << 20 // bytes
	// maxHeavy bounds a key frame that stands in for repeats, in bytes: two parts a
	// second of it are a megabit per second.
	maxHeavy = 64 << 10
	// flash is how long those are shown that only lead to the last picture, in ticks:
	// no screen shows them.
	flash = 1
	// away is how long nothing at all came when a publisher counts as gone: from then on
	// there are gaps.
	away = 10 * time.Second
)

// memory is what a lane needs to show its last picture once more.
type memory struct {
	since  []Sample // the last key frame and what came after it; empty: too much
	weight int      // bytes of since
	last   []byte
	again  []byte // shows last again; nil: nothing does
	looked bool   // for again
	format *media.Format
	epoch  media.Epoch
	until  media.Ticks // where the last one that came ends, as far as was foretold
	gone   bool        // the publisher was away for so long that it is not shown again
}

// keep remembers a picture.
func (m *memory) keep(f Frame) {
	m.last, m.looked, m.again, m.gone = f.Data, false, nil, false
	if f.Key {
		m.forget()
		m.format, m.epoch = f.Format, f.Epoch
	} else if len(m.since) == 0 {
		return
	}
	m.weight += len(f.Data)
	if len(m.since) == maxMemory || m.weight > maxWeight {
		m.forget()
		return
	}
	m.since = append(m.since, Sample{Data: f.Data, Key: f.Key})
}

func (m *memory) forget() {
	clear(m.since)
	m.since, m.weight = m.since[:0], 0
}

// repeat is a sample that shows the last picture to who has seen it.
func (m *memory) repeat() (Sample, bool) {
	if !m.looked {
		m.again, m.looked = nil, true
		if b, ok := still.Repeat(m.format, m.last); ok {
			m.again = b
		}
	}
	if m.again != nil {
		return Sample{Data: m.again}, true
	}
	if len(m.since) == 1 && m.weight <= maxHeavy {
		return m.since[0], true
	}
	return Sample{}, false
}

// hold begins the open part with the last picture once more, if nothing is in it,
// so that a screen that does not change plays on up to end. Where a segment begins,
// all comes along that leads to the picture: who joins there sees it.
func (c *Cutter) hold(l *lane, end media.Ticks) {
	if len(l.samples) > 0 || end <= l.partStart || !c.stands(l) {
		return
	}
	at := l.partStart
	c.leaves(l, l.unseen(), end)
	for _, s := range l.still.shows(l.hasMedia, end-at-l.least) {
		l.add(s, at, l.arrival)
		at += flash
	}
}

// shows returns what shows the last picture again within d: to who has seen it, or
// to who begins here.
func (m *memory) shows(seen bool, d media.Ticks) []Sample {
	if seen {
		if s, ok := m.repeat(); ok {
			return []Sample{s}
		}
		return nil
	}
	if media.Ticks(len(m.since))*flash > d {
		return nil
	}
	return m.since
}

// stands reports whether a lane's picture is the best there is to see: the publisher
// is here or was a moment ago, and no other layer has gone on without it.
func (c *Cutter) stands(l *lane) bool {
	m := &l.still
	if m.format == nil || l.reorders || !alike(m.format, l.format) || m.epoch != c.epoch && l.msn >= c.turn || c.fresh(l) || m.gone || c.gone(l.partStart, l, away) {
		return false
	}
	for _, o := range c.lanes {
		if o != l && !o.audio && o.placed && o.time(o.lastTime)-l.time(l.lastTime) > c.cfg.Part {
			return false
		}
	}
	return true
}

// gone reports whether, at a place of a lane, nothing at all has come for that long: who is
// away for a moment is soon back, and players that were told of a gap (hls.js 1.7) may not go
// on behind it. Media time tells, so that redundant recorders agree.
func (c *Cutter) gone(at media.Ticks, l *lane, long time.Duration) bool {
	return l.time(at)-c.since(l.time(at)) >= long
}

// since returns the newest media time up to at of which anything came.
func (c *Cutter) since(at time.Duration) time.Duration {
	if at <= c.void.to {
		return c.void.from
	}
	return c.heard
}

// hears notes that something of a media time came.
func (c *Cutter) hears(at time.Duration) {
	if at-c.heard >= alive {
		c.void.from, c.void.to = c.heard, at
	}
	c.heard = max(c.heard, at)
}

// leaves notes since when nothing at all comes, where something has stood in since from: a
// picture that stood before, or sound that was silent, was all there was.
func (c *Cutter) leaves(l *lane, from, to media.Ticks) {
	if l.alone > 0 || !c.gone(to, l, alive) {
		return
	}
	if l.alone = max(from, l.ticks(c.since(l.time(to)))); l.alone-from < l.scale {
		l.alone = from
	}
}

// tell lists what stood in for what did not come, up to to.
func (c *Cutter) tell(l *lane, to media.Ticks) {
	if l.audio {
		c.quieted(l, to, NoFrames, false)
		return
	}
	if l.alone > 0 && !l.hidden() {
		c.missed(l, l.alone, to, PublisherGone)
		l.alone, l.owes = max(l.alone, to), true
	}
}
