package bwe

import "time"

const (
	// keep is the share of a measured rate that is believed: the rest drains the queue. keepAgain is taken when the
	// first cut did not help.
	keep, keepAgain = 0.95, 0.9
	// floor is the share of what came through in the last half second that a slow rise does not put in question.
	floor = 0.85
	// react is how long after a cut, besides a round trip, its effect shows in a report.
	react = 200_000 // microseconds
	// falling is the trend of a queue that drains.
	falling = -0.03
	// growth per second while all of the estimate is used, as in libwebrtc.
	growth = 0.08
	// used is the share of the estimate that must be sent for growth without a probe.
	used = 0.8
	// ahead is how far the estimate may grow above what came through.
	ahead = 1.5
	// proven is the share of what came through within half a second that the link must carry: jitter may have moved the
	// rest into it.
	proven = 0.85
	// bearable is the loss that costs nothing: libwebrtc backs off above a tenth, too.
	bearable = 0.10
	// queued is the loss that is congestion where a queue stands as well: one that is too short to be seen by delay alone.
	queued = 0.05
	// helped is how much of a loss must be left after a cut for it to be the link's own.
	helped = 0.6
)

// decide turns what a report said into an estimate.
func (e *Estimator) decide(t int64) {
	e.judgeDelay(t)
	e.judgeLoss(t)
	if e.probe.complete() {
		e.finish(t)
	}
	e.raise(t)
}

// limit is the standing queue that is too much, in microseconds: the configured one, or what this path's own noise
// exceeds, or the time that one packet takes where that is longer.
func (e *Estimator) limit() float64 {
	least := max(float64(e.cfg.Queue.Microseconds()), 1.25*e.delay.noise, e.packetTime())
	if e.doubtful() {
		return max(least, doubt)
	}
	return least
}

// doubt is the delay, in microseconds, that is no queue of ours as long as less is sent than the link is known to
// carry: a path's delay may wander that far. A home router's queue is longer, so that little is lost by waiting.
const (
	doubt = 200_000
	// unfilled is the share of the estimate below which what is sent fills no link.
	unfilled = 0.92
)

// doubtful reports that a delay, if there is one, has hardly been caused by what was sent: that was less than the
// estimate, it does not pile up, and nothing is lost.
func (e *Estimator) doubtful() bool {
	return !e.delay.steep && e.sent.rate(e.clock, usual) < unfilled*e.estimate && e.loss.sure() <= queued+e.loss.own
}

// packetTime is how long the largest of the last packets takes on the link, in microseconds.
func (e *Estimator) packetTime() float64 { return min(e.largest*8e6/e.estimate, maxNoise) }

// alarm is a rise of the delay that may yet prove to be no queue.
type alarm struct {
	raised  bool
	before  float64 // the estimate before it was lowered for this; 0: it was not
	through float64 // what came through at the top of the rise
	surge   float64 // the most that came through since
}

// falseAlarm is how much faster than at its top a delay must go away to have been no queue. A queue on a full link goes
// away at the rate at which it grew, the link's; a path that adds delay and takes it away holds packets back, and then
// brings them faster. Two packets in 100 ms are left out, as either edge may be wrong by one.
const falseAlarm, edges = 1.15, 2 * 1200 * 8 * 10

// rise notes the top of a rise.
func (e *Estimator) rise() {
	e.alarm.raised, e.alarm.through, e.alarm.surge = true, e.through(), 0
}

// acquit looks back on a rise that goes away. If it was no queue, the estimate is what it was before.
func (e *Estimator) acquit() {
	a := &e.alarm
	if !a.raised {
		return
	}
	a.surge = max(a.surge, e.through())
	if e.delay.queue < e.limit()/2 && a.surge-edges > falseAlarm*a.through {
		e.delay.excuse()
		e.over = false
		if a.before > e.estimate {
			e.set(a.before, e.why)
		}
	} else if e.delay.queue >= calmQueue {
		return
	}
	*a = alarm{}
	e.delay.peak = 0
}

// judgeDelay lowers the estimate while a queue stands that does not drain.
func (e *Estimator) judgeDelay(t int64) {
	e.acquit()
	limit := e.limit()
	switch {
	case e.delay.queue > limit, e.delay.recent > 2*limit:
		e.over = true
	case e.delay.queue < max(limit/4, 0.7*e.packetTime()):
		e.over, e.cuts = false, 0
	}
	if e.over && e.helpless(t) {
		// It is the path that is longer now, or somebody else's queue.
		e.delay.rebase()
		e.over, e.cuts, e.alarm = false, 0, alarm{}
		return
	}
	if max(e.delay.queue, e.delay.recent/2) <= limit || e.delay.trend < falling || t-e.cutAt < react+e.rtt {
		return
	}
	through := e.through()
	if through <= 0 {
		return
	}
	share := keepAgain
	if e.cuts == 0 {
		share = keep
		e.trial = trial{at: t, through: through, sent: e.sentAll}
	}
	e.cuts++
	e.capacity = through
	if e.alarm.before == 0 {
		e.alarm.before = e.estimate
	}
	rate := share * through
	if !e.delay.steep { // what came through all the same, the link carries
		rate = max(rate, floor*e.acked.rate(e.acked.newest(), usual))
	}
	e.cut(rate, Delayed, t)
}

// trial is the first of a row of cuts, and what was then.
type trial struct {
	at      int64
	through float64 // bits per second
	sent    int64   // bytes in all
}

// helpless reports that the queue does not get shorter although we have long sent less than came through.
func (e *Estimator) helpless(t int64) bool {
	c := &e.trial
	// What was sent since comes behind the queue that stood, and is reported later.
	took := float64(t-c.at-e.rtt-react) - e.delay.peak
	if e.cuts == 0 || took < patience {
		return false
	}
	sent := float64(e.sentAll-c.sent) * 8e6 / float64(t-c.at)
	expected := (1 - sent/c.through) * took
	return expected > noticeable && e.delay.peak-e.delay.queue < 0.3*expected
}

// patience is how long cuts must have been in vain, noticeable the change of a queue that stands out from what a few
// packets cause.
const patience, noticeable = 1_000_000, 100_000 // microseconds

// through is the rate that a full link lets pass: of the time just now, when the queue was never empty, and of six full
// packets at least.
func (e *Estimator) through() float64 {
	t := e.acked.newest()
	mean := e.acked.rate(t, usual)
	if mean <= 0 {
		return 0
	}
	return e.acked.rate(t, min(max(int64(58e9/mean), brief), usual))
}

// cut lowers the estimate. If much is taken, a probe looks soon whether that was right; if little, it is the pendulum of
// a link in full use.
func (e *Estimator) cut(rate float64, why Why, t int64) {
	e.cutAt, e.grownAt = t, t
	if rate < 0.88*e.estimate {
		e.probe.retry(t)
	}
	if rate < e.estimate {
		e.set(rate, why)
	}
}

// judgeLoss lowers the estimate to what comes through when much is lost. If as much is lost at the lower rate, it is
// the link's own way: the estimate goes back, and that loss is borne. While a queue stands it is the queue that drops.
func (e *Estimator) judgeLoss(t int64) {
	l := &e.loss
	bear := bearable
	if e.delay.queue > highQueue {
		bear = queued
	}
	sure := l.sure()
	if _, total := l.counts(); total > 200 && l.ratio() < l.own/2 {
		l.own = l.ratio()
	}
	if sure <= bear+l.own || t-l.cutAt < lossSpan {
		return
	}
	sent := e.sent.rate(t, usual)
	if l.cutRatio > 0 && t-l.cutAt < 10*lossSpan && l.ratio() > helped*l.cutRatio && sent < 0.85*l.cutSent && !e.over {
		l.own, l.cutRatio = l.ratio(), 0
		e.set(max(e.estimate, l.before), e.why)
		return
	}
	l.before, l.cutRatio, l.cutSent, l.cutAt = e.estimate, l.ratio(), sent, t
	e.lossFrom = t // the next judgement is about what is sent from now on
	l.clear(t)
	e.cut(e.acked.rate(e.acked.newest(), usual), Lossy, t)
}

// raise lets the estimate grow while all of it is used and no queue stands. What came through in any case, it is.
func (e *Estimator) raise(t int64) {
	dt := float64(min(t-e.grownAt, 250_000)) / 1e6
	e.grownAt = t
	through := e.acked.rate(e.acked.newest(), usual)
	if r := proven * through; r > e.estimate && e.acked.covers(usual) && t-e.cutAt > usual+react+e.rtt {
		e.set(r, Grown)
	}
	if e.over || e.delay.queue > e.limit()/2 || t-e.cutAt < react+e.rtt || e.loss.ratio() > bearable+e.loss.own {
		return
	}
	if e.sent.rate(t, usual) < used*e.estimate {
		return
	}
	grown := e.estimate * (1 + growth*dt)
	if e.capacity > 0 && e.estimate > 0.8*e.capacity && e.estimate < 1.1*e.capacity {
		// Near where it was too much last: a packet per response, as TCP does in congestion avoidance, but on thin links,
		// where a packet is much, half of what is usual.
		grown = e.estimate + min(9600/(float64(e.rtt)/1e6+0.1), e.estimate*growth/2)*dt
	}
	if grown = min(grown, ahead*through); grown > e.estimate {
		e.set(grown, Grown)
	}
}

// revive begins anew after a silence: what went into the dead link says nothing of the living one.
func (e *Estimator) revive(t int64) {
	e.stalled, e.over = false, false
	e.freshFrom = t
	e.delay.forget()
	e.acked.clear()
	e.loss.clear(t)
	e.probe.abandon(t)
	e.probe.retry(t)
}

// wake does what time alone brings about.
func (e *Estimator) wake(t int64) {
	if e.path.heard && e.inFlight > silentPackets && t > e.silentAt {
		e.stalled = true
	}
	if e.probe.expired(t, e.rtt) {
		e.finish(t)
	}
}

// Next returns when Probe wants to be asked again.
func (e *Estimator) Next() time.Time {
	if e.start.IsZero() {
		return time.Time{}
	}
	return e.at(max(e.clock, e.probe.due(e.rtt)))
}
