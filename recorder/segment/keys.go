package segment

import (
	"math"
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// firstLead is how long before its time a key frame is asked for, until answers
	// tell: half a round trip and an encoder's next frame.
	firstLead = 150 * time.Millisecond
	leastLead = -200 * time.Millisecond
	mostLead  = 800 * time.Millisecond
	// remindTime is how long after a wish an encoder that never answered is asked again.
	remindTime = 500 * time.Millisecond
)

// keys is the key-frame clock of one encoding. An encoder with a beat of its own is
// asked like any: who passes the wish on knows those that are deaf, and others
// begin their beat anew with the key frame that they send.
type keys struct {
	lead  time.Duration // from asking to the time of the key frame that comes
	asked uint64        // the segment that one was asked for
	open  bool          // it has not come
	tried bool          // one was asked for only to learn how long it takes
	known bool          // one has come since
	goal  time.Duration // when it should be shown
	sent  time.Duration // when it was asked for
	step  time.Duration // by which the lead was changed last, where it is nearly right
	fore  time.Duration // when one came that was captured before it was asked for, from then; 0: none did
	ahead time.Duration // how long before it was asked for one may have been captured that answers
	fores int           // how many times in a row no other came
	soon  bool          // that was soon after the time before

	last  time.Duration // when the last one was shown
	gop   time.Duration // between the last two
	beats int           // how many in a row were as long
	heard int           // how many in a row came when they were asked for
	mine  bool          // gop is the encoder's own beat
	off   int           // grows where segments do not end where they were expected to
}

// rash is from which off on key frames are waited for: every fourth one is amiss.
const rash = 8

// amiss returns how far from its goal a key frame at t is. What was left out before it, from last on, does not count: it
// would have come with the first of those pictures.
func amiss(t, last, goal time.Duration) time.Duration {
	return max(min(goal, t), min(last, t)) - goal
}

// hit notes how far from where it was expected a segment ended.
func (k *keys) hit(miss, interval time.Duration) {
	if miss.Abs() > interval/2 {
		k.off = min(k.off+4, rash)
	} else {
		k.off = max(k.off-1, 0)
	}
}

func (k *keys) shaky() bool { return k.off >= rash }

// own returns the encoder's own beat, if it has one that is not ours.
func (k *keys) own() (time.Duration, bool) { return k.gop, k.mine }

// judge decides whether the encoder follows a beat of its own: key frames are as far
// apart as ever, and not where they were asked for.
func (k *keys) judge() {
	k.mine = k.gop > 0 && (k.beats > 0 && (k.mine || k.heard == 0) || !k.known)
}

// count notes the time between key frames.
func (k *keys) count(t, interval time.Duration) {
	gop := t - k.last
	if k.last == 0 {
		gop = 0
	}
	if k.gop > 0 && (gop-k.gop).Abs() <= interval*2/3 {
		k.beats++
		gop = k.gop + (gop-k.gop)/4
	} else {
		k.beats = 0
	}
	k.gop, k.last = gop, t
}

// came notes a key frame at t. The first tells how long they take, and so does one
// that is far off. Else the lead is let alone as long as key frames come at the very
// picture that is wanted: asking half a picture's time earlier or later after a miss,
// and a quarter after one to the other side, puts it into the middle of the time in
// which that is so. Pictures came up to last.
func (k *keys) came(t, last, interval time.Duration) {
	k.count(t, interval)
	defer k.judge()
	if !k.open {
		return
	}
	if t < k.sent-k.ahead { // of what was captured before nobody knew
		k.fore = t - k.sent
		return
	}
	k.open, k.fores = false, 0
	miss := amiss(t, last, k.goal)
	if miss.Abs() <= interval/2 {
		k.heard++
	} else {
		k.heard = 0
	}
	switch {
	case miss.Abs() <= interval/2 && k.known || miss.Abs() > time.Second:
		return
	case k.soon: // who passes wishes on holds back those that follow upon one another: it tells nothing of the next
		return
	}
	k.learn(miss, interval)
}

// learn makes the lead another after a miss.
func (k *keys) learn(miss, interval time.Duration) {
	if miss.Abs() < interval*3/2 && k.known {
		if miss /= 2; (miss < 0) != (k.step < 0) { // what is right lies between the two
			miss /= 2
		}
		k.step = miss
	}
	k.known = true
	k.lead = min(max(k.lead+miss, leastLead), mostLead)
}

// goal is where the segment after msn should begin.
func (c *Cutter) goal(msn uint64) time.Duration {
	b := c.grid.at(msn)
	if b.step == 0 {
		return b.at + c.cfg.Nominal
	}
	return b.until
}

// room is how long a part full of pictures is; 0 when none move.
func (c *Cutter) room() time.Duration {
	part := time.Duration(0)
	for _, l := range c.lanes {
		if l.placed && !l.audio && !l.derived && c.now.Sub(l.last) < alive {
			part = max(part, l.time(l.fullest()))
		}
	}
	return part
}

// pictures is how many make a part: as many as come nearest to what it shall last, and
// are long enough. It stays when the interval was only learned a little better: 12.5 may
// be 12 or 13, but not one after the other.
func (l *lane) pictures() int {
	n := float64(l.usual) / float64(max(l.interval, 1))
	if l.locked() || l.count == 0 || math.Abs(n-float64(l.count)) > 0.8 {
		l.count = max(int(n+0.5), 1)
		if media.Ticks(l.count)*l.interval < l.full {
			l.count++
		}
		if media.Ticks(l.count)*l.interval > l.part {
			l.count = max(int(l.part/l.interval), 1)
		}
	}
	return l.count
}

// fullest is how long a part of so many pictures is.
func (l *lane) fullest() media.Ticks {
	return min(media.Ticks(l.pictures())*l.interval, l.part)
}

// keyDue returns the media time at which a key frame has to be asked for.
func (c *Cutter) keyDue(l *lane) (time.Duration, bool) {
	k := &l.keys
	if l.audio || l.derived || l.format == nil || k.wish(l.msn) != unasked || c.now.Sub(l.last) > alive && c.moving() {
		return 0, false
	}
	if b, known := c.grid.next(l.msn); known {
		return b.at - k.lead, true
	}
	if at := c.grid.at(l.msn).at; !k.tried { // early in the segment, so that it does not end it
		return at + c.cfg.Nominal/4, true
	}
	return c.goal(l.msn) - k.lead, true
}

// askKeys asks for the key frames whose time has come.
func (c *Cutter) askKeys() {
	for _, l := range c.lanes {
		if !l.placed {
			continue
		}
		c.remind(l)
		if due, ok := c.keyDue(l); ok && c.media(c.now) >= due {
			c.ask(l)
		}
	}
}

// remind asks once more when an encoder that answers has not: who passes the wish on
// leaves out those that follow soon upon another.
func (c *Cutter) remind(l *lane) {
	b := c.grid.at(l.msn)
	if _, known := c.grid.next(l.msn); known || l.locked() || b.step == 0 || l.keys.wish(l.msn) != open {
		return
	}
	now := c.media(c.now)
	if l.keys.heard == 0 { // it may be deaf, or others' key frames hid what it answers
		if now > b.until+c.spread()+slack && now-l.keys.sent >= remindTime {
			l.keys.again()
		}
		return
	}
	if until := b.after(now + l.keys.lead + l.time(l.interval)); now > b.until+c.spread()+slack && until <= b.at+c.longest() {
		b.until, b.own = until, false
		c.grid.steer(b.course)
		l.keys.again()
	}
}

// foretold learns from key frames that were captured before they were asked for: where nothing else answers, twice in a
// row, encoders have pictures at hand whose way to us takes longer than their answers.
func (k *keys) foretold(interval time.Duration) {
	if k.open && k.fore < 0 {
		if k.fores++; k.fores > 1 {
			k.learn(k.fore-k.lead, interval)
			k.ahead, k.fores, k.mine, k.heard = interval-k.fore, 0, false, 1
		}
	}
	k.fore = 0
}

func (c *Cutter) ask(l *lane) {
	k := &l.keys
	if due, ok := c.keyDue(l); ok {
		if !k.tried {
			due = c.media(c.now)
		}
		k.foretold(l.time(l.interval))
		k.soon = k.sent > 0 && c.media(c.now)-k.sent < c.cfg.Nominal/2
		k.open, k.goal, k.sent = true, due+k.lead, c.media(c.now)
	}
	if !k.tried && !l.needKey {
		k.tried = true
	} else {
		k.asked = l.msn + 1
	}
	c.events = append(c.events, Event{Kind: KeyWanted, Rendition: l.index, MSN: l.msn + 1})
}
