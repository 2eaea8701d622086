package bwe

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// probeTime is how long a probe lasts: a probe of twice the estimate leaves as much queue behind on a full link, and
	// that much sound can bear. Noise makes it longer, up to maxProbeTime.
	probeTime, maxProbeTime = 40_000, 120_000 // microseconds
	// step is how far a probe goes above the estimate; farStep where less than a third of the estimate is sent, and the
	// link has room to take it.
	step, farStep = 2, 3
	// probePackets is the least number of packets that tell a rate.
	probePackets = 5
	// soon, often and seldom are the times between probes that found nothing: it doubles from soon, up to often where
	// most of the link is unused and a probe hurts nobody, else up to seldom.
	soon, often, seldom = 500_000, 1_000_000, 4_000_000
	// again is the time to a first probe's repetition.
	again = 50_000
	// modest is what a failed first probe leaves in any case, in bits per second: it is small, and a busy machine holds
	// it up easily. Thinner links show it by their queue.
	modest = 300_000
	// young is how long a viewer is new, and probes that jitter blurred come often: the first picture counts.
	young = 10_000_000
	// firstProbe is the size of the first one in bytes: on a link of 150 kbit/s it takes 160 ms.
	firstProbe = 3000
	// lateness is how long after its last packet and a round trip a probe's reports may come.
	lateness = 400_000
)

type phase uint8

const (
	idle     phase = iota
	asked          // Probe was answered, its first packet is yet to come
	running        // being sent
	awaiting       // sent, reports are to come
)

// probe is one cluster of packets at a rate above the estimate.
type probe struct {
	phase phase
	next  int64 // when another may begin
	pause int64 // before the next after one that found nothing

	begun, lastSent   int64
	left, packets     int
	lost, got, gotAll int
	fromSent, toSent  int64 // of the packets that arrived
	from, to          int64 // arrivals
	edgeIn, edgeOut   int   // sizes of the first to arrive and the last sent
}

// take enters a packet that leaves now, and reports whether it belongs to the cluster: all do from the first one after
// Probe on, media too, until the bytes are sent.
//
// hot:
func (p *probe) take(size int, t int64) bool {
	switch p.phase {
	case asked:
		p.phase, p.begun = running, t
	case running:
	default:
		return false
	}
	p.packets++
	p.left -= size
	p.lastSent = t
	if p.left <= 0 && p.packets >= probePackets {
		p.phase = awaiting
	}
	return true
}

// arrived enters a packet of the cluster that came through.
func (p *probe) arrived(sent, arrival int64, size int) {
	if p.phase == idle || p.phase == asked || sent < p.begun {
		return
	}
	if p.got == 0 || sent > p.toSent {
		p.toSent, p.edgeOut = sent, size
	}
	if p.got == 0 || arrival < p.from {
		p.from, p.edgeIn = arrival, size
	}
	if p.got == 0 || sent < p.fromSent {
		p.fromSent = sent
	}
	p.to = max(p.to, arrival)
	p.got++
	p.gotAll += size
}

// complete reports whether the fate of all its packets is known.
func (p *probe) complete() bool { return p.phase == awaiting && p.got+p.lost >= p.packets }

// due is when something is to be done: the end of a phase, or the next probe.
func (p *probe) due(rtt int64) int64 {
	switch p.phase {
	case asked, running:
		return p.begun + soon
	case awaiting:
		return p.lastSent + rtt + lateness
	}
	return p.next
}

// expired reports whether a phase has lasted too long.
func (p *probe) expired(t, rtt int64) bool { return p.phase != idle && t > p.due(rtt) }

// retry lets the next probe come soon.
func (p *probe) retry(t int64) { p.pause, p.next = soon, max(t+soon, min(p.next, t+soon)) }

// abandon gives up the cluster that is under way.
func (p *probe) abandon(t int64) { *p = probe{next: t, pause: soon} }

// rates returns what was sent and received per second, in bits, without the packet at each edge; ok is false when too
// little came.
func (p *probe) rates() (sent, received float64, ok bool) {
	out, in := p.toSent-p.fromSent, p.to-p.from
	if p.got < probePackets-1 || 10*p.got < 6*p.packets || out <= 0 {
		return 0, 0, false
	}
	sent = float64(p.gotAll-p.edgeOut) * 8e6 / float64(out)
	return sent, float64(p.gotAll-p.edgeIn) * 8e6 / float64(max(in, 1)), true
}

// Probe says whether to send a probe now: bytes of padding or resends at rate, media that is due counted in, in at
// least five packets. Wanted is what the caller would send if it might; nothing is looked for above it. Call it each
// 20–100 ms or at Next: it also notices silence.
func (e *Estimator) Probe(now time.Time, wanted media.Bitrate) (rate media.Bitrate, bytes int, ok bool) {
	t := e.tick(now)
	e.wake(t)
	p := &e.probe
	if p.phase != idle || t < p.next || float64(wanted) <= e.estimate || media.Bitrate(e.estimate) >= e.cfg.Max ||
		e.stalled || max(e.delay.queue, e.delay.recent/2) > e.limit()/2 {
		return 0, 0, false
	}
	times := float64(step)
	if e.path.heard && e.sent.rate(t, usual) < e.estimate/3 {
		times = farStep
	}
	// A fifth more than wanted, as a probe finds less than it sends: its last burst takes time on the link, too.
	r := min(times*e.estimate, 1.2*float64(wanted), float64(e.cfg.Max))
	length := min(probeTime+e.delay.noise, maxProbeTime)
	bytes = max(int(r*length/8e6), probePackets*200)
	if e.why == Start {
		// Nothing is known yet: what is guessed is tried first, by what leaves in any case. A small key frame is enough.
		r = min(r, e.estimate)
		bytes = min(bytes, firstProbe)
	}
	*p = probe{phase: asked, begun: t, left: bytes, pause: p.pause}
	return media.Bitrate(r), bytes, true
}

// finish takes the result of a probe.
func (e *Estimator) finish(t int64) {
	p := &e.probe
	sent, got, ok := p.rates()
	pause := max(p.pause, soon)
	if ok && got >= 0.9*sent {
		next := t
		r := min(sent, got)
		if r <= e.estimate && e.why != Start {
			next += soon // once more finds no more
		}
		if r > e.estimate || e.why == Start {
			e.set(max(r, e.estimate), Probed)
		}
		*p = probe{next: next, pause: soon}
		return
	}
	// Where nothing else is known, a probe that did not come through tells what the link carries, too.
	r := keep * got
	if e.why == Start {
		r = max(r, modest)
	}
	if ok && (r > e.estimate || e.why == Start) {
		e.capacity = got
		e.set(r, Probed)
	}
	if !ok && t < young && e.why == Start { // too little of it was reported: it says nothing
		*p = probe{next: t + again, pause: pause}
		return
	}
	longest := int64(seldom)
	if e.sent.rate(t, usual) < e.estimate/2 || t < young {
		longest = often
	}
	*p = probe{next: t + min(pause, longest), pause: min(2*pause, longest)}
}
