package icelite

import "time"

// A client whose address changes without its knowledge (a NAT gave it another
// port) goes on sending as before, and checks only each few seconds. Its packets
// tell sooner: they make us check the address that they come from, and ask on the
// selected path whether it is alive. The stream moves when the one has answered and
// the other has not. Both are fresh transactions: packets that somebody repeats
// from elsewhere cost two small questions, and decide nothing.

const (
	// patience is how much longer than a round trip the selected path may take to
	// show that it is alive, once the client was seen on another one.
	patience = 250 * time.Millisecond
	// longestRTT bounds the round trip in it: an answer may have been late.
	longestRTT = time.Second
	// askInterval is the pace of our questions: two fit, so that the loss of one
	// decides nothing, and none is needed where reports come each 100 ms.
	askInterval = 100 * time.Millisecond
	// doubtTime is how long unanswered questions count.
	doubtTime = 5 * time.Second
	// maxStrays bounds the paths that are known by packets only.
	maxStrays = 4
	// strayInterval is the least time between checks of all these paths together,
	// checkPace between two of one path (RFC 8445 section 14.2).
	strayInterval, checkPace = 20 * time.Millisecond, 50 * time.Millisecond
	// freshness is how long ago a path may have shown itself for a check from it to
	// count at once: an older one may be a repeated check from a forged address.
	freshness = 2 * time.Second
)

// doubt is the question whether the selected path is alive while another one is used.
type doubt struct {
	rival Path
	since time.Time // zero: there is none
	ask   time.Time // when the next question is due
}

// Stray handles an authentic packet of this session, size bytes long, that came over
// a path which has not answered yet. It returns a check for that path, or nil while
// one is under way or the path's byte budget is used up.
func (a *Agent) Stray(from Path, size int, now time.Time) []byte {
	p := a.find(from)
	if p == nil {
		p = a.admitStray(from, now)
	}
	if p.validated {
		return nil
	}
	p.received += size
	p.seen = now
	if now.Sub(p.checked) < checkPace || now.Sub(a.strayed) < strayInterval {
		return nil
	}
	b := a.check(p, now)
	if b != nil {
		a.strayed = now
		a.suspect(p, now, now)
	}
	return b
}

// admitStray makes an entry for a path that only packets tell of. Whoever repeats
// packets from many addresses displaces such entries, and hardly any others.
func (a *Agent) admitStray(at Path, now time.Time) *path {
	var oldest *path
	n := 0
	for i := range a.paths {
		if p := &a.paths[i]; p.stray {
			if n++; oldest == nil || p.seen.Before(oldest.seen) {
				oldest = p
			}
		}
	}
	if n < maxStrays {
		oldest = a.admit(at)
	}
	*oldest = path{Path: at, stray: true, seen: now, generation: a.chosenIn}
	return oldest
}

// Media says that authentic media or reports, not repeated ones, came over a path at
// this time, and tells whether another path was selected by that.
func (a *Agent) Media(from Path, at, now time.Time) (selected bool) {
	p := a.find(from)
	if p == nil || !p.validated {
		return false
	}
	if at.After(p.seen) {
		p.seen = at
	}
	a.prove(p, at)
	return a.suspect(p, at, now)
}

// Touch says that media or reports came over the selected path: it is not silent.
func (a *Agent) Touch(at time.Time) {
	if a.chosen {
		a.Media(a.selected, at, at)
	}
}

// prove notes a sign of life that nobody can repeat.
func (a *Agent) prove(p *path, at time.Time) {
	if at.After(p.proved) {
		p.proved = at
	}
	if a.chosen && p.Path == a.selected && at.After(a.doubt.since) {
		a.doubt = doubt{}
	}
}

// stale tells of a path that was left whether it has not shown itself for a while:
// then it must answer before what it says counts.
func (a *Agent) stale(p *path, now time.Time) bool {
	return a.chosen && p.Path != a.selected && now.Sub(p.proved) > freshness
}

// suspect doubts the selected path, as the client was seen on another one at this
// time; true if that one has proved to be the better one already.
func (a *Agent) suspect(p *path, at, now time.Time) bool {
	if !a.chosen || p.Path == a.selected {
		return false
	}
	old := a.find(a.selected)
	if old != nil && old.proved.After(at) {
		return false
	}
	if a.doubt.since.IsZero() || now.Sub(a.doubt.since) > doubtTime {
		a.doubt = doubt{rival: p.Path, since: now, ask: now.Add(askInterval)}
		return false
	}
	if rival := a.find(a.doubt.rival); rival == nil || p.validated || !rival.validated {
		a.doubt.rival = p.Path
	}
	return a.dethrone(now)
}

// dethrone selects the rival if it may be used and the selected path is dead.
func (a *Agent) dethrone(now time.Time) bool {
	rival := a.find(a.doubt.rival)
	if rival == nil || !rival.validated || a.stale(rival, now) || now.Before(a.verdict()) {
		return false
	}
	for i := range a.paths { // what was nominated is gone; a newer nomination holds again
		a.paths[i].nominated = false
		if p := &a.paths[i]; p.Path == a.selected {
			p.proved = time.Time{}
		}
	}
	rival.nominated = true
	a.take(rival, now)
	return true
}

// verdict returns when the selected path, which is in doubt, counts as dead.
func (a *Agent) verdict() time.Time { return a.doubt.since.Add(patience + min(a.rtt, longestRTT)) }

// Rival is the path that takes over if the selected one is dead.
func (a *Agent) Rival() (Path, bool) { return a.doubt.rival, !a.doubt.since.IsZero() }

// Next returns when Wake is due; zero is never.
func (a *Agent) Next() time.Time {
	switch {
	case a.doubt.since.IsZero():
		return time.Time{}
	case a.doubt.ask.Before(a.verdict()):
		return a.doubt.ask
	case a.Validated(a.doubt.rival):
		return a.verdict()
	}
	return time.Time{} // the rival's answer decides
}

// Wake does what is due: it returns a check for the selected path, which is in
// doubt, or tells that another one was selected instead.
func (a *Agent) Wake(now time.Time) (ask []byte, selected bool) {
	if a.doubt.since.IsZero() {
		return nil, false
	}
	if !now.Before(a.verdict()) {
		if selected = a.dethrone(now); !selected && a.Validated(a.doubt.rival) {
			a.doubt = doubt{} // it has been silent since
		}
		return nil, selected
	}
	old := a.find(a.selected)
	if now.Before(a.doubt.ask) || old == nil {
		return nil, false
	}
	a.doubt.ask = now.Add(askInterval)
	return a.check(old, now), false
}
