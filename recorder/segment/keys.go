package segment

import "time"

const (
	// firstLead is how long before its time a key frame is asked for, until answers
	// tell: half a round trip and an encoder's next frame.
	firstLead = 150 * time.Millisecond
	leastLead = 20 * time.Millisecond
	mostLead  = 800 * time.Millisecond
)

// keys is the key-frame clock of one encoding. An encoder with a beat of its own is
// asked like any: who passes the wish on knows those that are deaf, and others
// begin their beat anew with the key frame that they send.
type keys struct {
	lead  time.Duration // from asking to the time of the key frame that comes
	asked uint64        // the segment that one was asked for
	open  bool          // it has not come
	at    time.Duration // media time when it was asked for
}

// came notes a key frame.
func (k *keys) came(t time.Duration) {
	if !k.open {
		return
	}
	k.open = false
	if d := t - k.at; d > 0 && d < time.Second {
		k.lead = min(max(k.lead+(d-k.lead)/4, leastLead), mostLead)
	}
}

// keyDue returns the media time at which a key frame has to be asked for.
func (c *Cutter) keyDue(l *lane) (time.Duration, bool) {
	k := &l.keys
	if l.audio || l.format == nil || k.asked == l.msn+1 || c.now.Sub(l.last) > alive && c.moving() {
		return 0, false
	}
	goal := c.grid.at(l.msn).at + c.cfg.Nominal
	if b, known := c.grid.next(l.msn); known {
		goal = b.at
	}
	return goal - k.lead, true
}

// askKeys asks for the key frames whose time has come.
func (c *Cutter) askKeys() {
	for _, l := range c.lanes {
		if !l.placed {
			continue
		}
		if due, ok := c.keyDue(l); ok && c.media(c.now) >= due {
			c.ask(l)
		}
	}
}

func (c *Cutter) ask(l *lane) {
	l.keys.asked, l.keys.open, l.keys.at = l.msn+1, true, c.media(c.now)
	c.events = append(c.events, Event{Kind: KeyWanted, Rendition: l.index, MSN: l.msn + 1})
}
