package bwe

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// fallback is what is known of viewers without arrival reports.
type fallback struct {
	packets int // sent since the last receiver report
	at      int64

	rttLeast, rttLeastWas int64 // of this epoch and of the last
	rttEpoch              int64
	told                  float64 // the viewer's own estimate; 0: none
}

const (
	// lateRTT is how much longer than its least a round trip may be: it holds the queue both ways and the viewer's own
	// delay.
	lateRTT = 100_000 // microseconds
	// clean is the loss below which the estimate may grow without arrival reports.
	clean = 0.05
	// reportGap is the least time between reports that count.
	reportGap = 200_000
)

// Report takes what a receiver report says of this viewer: the share of packets lost since the last report, and the
// round trip (0: unknown). It decides only where no arrival reports come.
func (e *Estimator) Report(lossFraction float64, rtt time.Duration, now time.Time) {
	t := e.tick(now)
	if rtt > 0 {
		e.rtt = rtt.Microseconds()
	}
	if e.path.heard {
		return
	}
	f := &e.fallback
	if t-f.at < reportGap {
		return
	}
	dt := float64(min(t-f.at, 2_000_000)) / 1e6
	f.at = t
	e.loss.add(t, int(lossFraction*float64(f.packets)+0.5), f.packets)
	f.packets = 0
	e.delay.queue = f.late(e.rtt, t)
	sent := e.sent.rate(t, usual)
	// There is no rate that came through: it is what was sent, without what was lost.
	e.acked.clear()
	e.acked.add(t, int(sent/8*(1-lossFraction)*usual/1e6))
	switch {
	case e.delay.queue > lateRTT:
		e.over = true
		if t-e.cutAt > react+2*e.rtt {
			e.cut(0.85*sent*(1-lossFraction), Guessed, t)
		}
		return
	case e.delay.queue < lateRTT/2:
		e.over = false
	}
	e.judgeLoss(t)
	if lossFraction < clean+e.loss.own && t-e.cutAt > lossSpan && !e.over {
		e.guess(e.estimate*(1+growth*dt), sent)
	}
}

// REMB takes the viewer's own estimate (draft-alvestrand-rmcat-remb-03). It decides only where no arrival reports come.
func (e *Estimator) REMB(b media.Bitrate, now time.Time) {
	t := e.tick(now)
	if e.path.heard || b <= 0 {
		return
	}
	sent := e.sent.rate(t, usual)
	e.fallback.told = float64(b)
	// A receiver knows only what it was sent: an estimate well above that is no limit, but the lack of a reason to know
	// more.
	if e.fallback.told < 1.25*sent && e.fallback.told < e.estimate {
		e.set(e.fallback.told, Told)
		e.cutAt = t
		return
	}
	if e.fallback.told > e.estimate {
		e.set(e.fallback.told, Told)
	}
}

// guess grows without proof: nothing else would ever find out, as there is no answer to a probe. Who tried and failed
// is lowered, and the allocator does not try again soon.
func (e *Estimator) guess(rate, sent float64) {
	if told := e.fallback.told; told > 0 && told < 1.25*sent {
		rate = min(rate, told)
	}
	if rate > e.estimate {
		e.set(rate, Guessed)
	}
}

// late is how much longer than its least the round trip is.
func (f *fallback) late(rtt, t int64) float64 {
	if rtt == 0 {
		return 0
	}
	if f.rttLeast == 0 || t-f.rttEpoch > 2*epoch {
		if f.rttLeast == 0 {
			f.rttLeast = rtt
		}
		f.rttLeastWas, f.rttLeast, f.rttEpoch = f.rttLeast, rtt, t
	}
	f.rttLeast = min(f.rttLeast, rtt)
	return float64(rtt - min(f.rttLeast, f.rttLeastWas))
}
