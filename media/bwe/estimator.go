package bwe

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config sets where an estimate begins and ends. Zero fields take the values of DefaultConfig.
type Config struct {
	// Initial is believed until the first report comes.
	Initial media.Bitrate
	// Min and Max bound the estimate.
	Min, Max media.Bitrate
	// Queue is the standing delay above the path's own that counts as too much.
	Queue time.Duration
	// Silence is how long reports may stay away, besides two round trips, until the link counts as dead.
	Silence time.Duration
}

// DefaultConfig begins at 1 Mbit/s, which a middle layer and sound fit in and a probe takes further in a round trip;
// 30 kbit/s is less than sound alone. 40 ms of standing queue is above what frames of a video cause by themselves on a
// link that carries them, and far below the 100 ms that a talk would notice. Chromium reports at least each 250 ms:
// 600 ms without are two reports lost.
func DefaultConfig() Config {
	return Config{Initial: 1_000_000, Min: 30_000, Max: 50_000_000, Queue: 40 * time.Millisecond, Silence: 600 * time.Millisecond}
}

// Why says what the estimate rests on.
type Why uint8

// What an estimate may rest on.
const (
	Start   Why = iota // nothing yet: the configured beginning
	Probed             // a probe came through at this rate
	Grown              // all of it was used, and more came through
	Delayed            // a queue grew: the link's rate was measured
	Lossy              // too much was lost
	Stalled            // no report has come for too long
	Told               // the viewer's own estimate (REMB)
	Guessed            // receiver reports only
)

var whyNames = [...]string{"start", "probe", "growth", "delay", "loss", "silence", "receiver's estimate", "receiver reports"}

// String names the reason.
func (w Why) String() string {
	if int(w) < len(whyNames) {
		return whyNames[w]
	}
	return "unknown"
}

// State is what people and the allocator may know of an estimate.
type State struct {
	// Estimate is what the link is believed to carry; choose layers by it.
	Estimate media.Bitrate
	// Target is what may be sent now: less than Estimate while a queue drains or the link is dead.
	Target media.Bitrate
	// Acked is the rate that came through; Sent the one that left, without padding, in the last half second.
	Acked, Sent media.Bitrate
	// Loss is the share of packets lost lately.
	Loss float64
	RTT  time.Duration
	// Queue is the standing delay above the path's own.
	Queue time.Duration
	Why   Why
	// Congested is set while the queue is too long; Stalled while no reports come.
	Congested, Stalled bool
	// Measured tells that arrival reports have come.
	Measured bool
}

// Estimator watches one viewer's link. It is not safe for concurrent use.
type Estimator struct {
	cfg   Config
	start time.Time
	clock int64 // the newest time seen, in microseconds since start

	log      []record // of sent packets, by sequence number; made for the first one
	crowded  bool     // the log was overwritten before reports came
	inFlight int      // packets sent since the last report
	silentAt int64    // when silence counts as death

	sent  meter
	acked meter
	loss  lossWindow
	delay delayWindow
	path  reader
	probe probe

	rtt       int64 // microseconds; 0 unknown
	estimate  float64
	why       Why
	over      bool  // the queue is too long
	cutAt     int64 // when the estimate was last lowered for delay
	cuts      int   // in a row without the queue getting shorter
	capacity  float64
	grownAt   int64
	freshFrom int64 // what was sent before is not judged: it went into a dead link
	lossFrom  int64 // what was sent before does not count for loss: the estimate was lowered for it already
	alarm     alarm
	trial     trial
	sentAll   int64   // bytes
	largest   float64 // of the packets that came lately, in bytes
	stalled   bool

	fallback fallback
}

// New makes an Estimator.
func New(cfg Config) *Estimator {
	d := DefaultConfig()
	if cfg.Initial <= 0 {
		cfg.Initial = d.Initial
	}
	if cfg.Min <= 0 {
		cfg.Min = d.Min
	}
	if cfg.Max <= 0 {
		cfg.Max = d.Max
	}
	if cfg.Queue <= 0 {
		cfg.Queue = d.Queue
	}
	if cfg.Silence <= 0 {
		cfg.Silence = d.Silence
	}
	cfg.Max = max(cfg.Max, cfg.Min)
	e := &Estimator{cfg: cfg}
	e.set(float64(cfg.Initial), Start)
	return e
}

// Target returns what may be sent now, sound and resends included.
func (e *Estimator) Target() media.Bitrate {
	if e.stalled {
		return e.cfg.Min
	}
	target := e.estimate
	if e.over {
		// Drain the queue within about 400 ms; below 70 % a greedy sender would starve.
		target *= max(0.7, 1-e.delay.queue/0.4e6)
	}
	return max(e.cfg.Min, media.Bitrate(target))
}

// State tells what is known.
func (e *Estimator) State() State {
	s := State{
		Estimate: media.Bitrate(e.estimate), Target: e.Target(), Acked: media.Bitrate(e.acked.rate(e.acked.newest(), usual)),
		Sent: media.Bitrate(e.sent.rate(e.clock, usual)), Loss: e.loss.ratio(), RTT: time.Duration(e.rtt) * time.Microsecond,
		Queue: time.Duration(e.delay.queue) * time.Microsecond, Why: e.why,
		Congested: e.over && max(e.delay.queue, e.delay.recent/2) > e.limit()/2, Stalled: e.stalled, Measured: e.path.heard,
	}
	if e.stalled {
		s.Why = Stalled
	}
	return s
}

// Sent notes a packet that left under a transport-wide sequence number; size is what it takes on the wire, UDP and IP
// headers included. What was sent only for a probe is marked as such: it does not count as use of the estimate.
//
// hot: once per packet and viewer.
func (e *Estimator) Sent(twcc uint16, size int, now time.Time, isProbe bool) {
	t := e.tick(now)
	e.fallback.packets++
	if e.log == nil {
		e.log = make([]record, firstLog)
	}
	r := &e.log[int(twcc)&(len(e.log)-1)]
	if r.state() == flying && t-e.since(r.at) < int64(time.Second/time.Microsecond) {
		e.crowded = true
	}
	*r = flight(t, twcc, size, e.probe.take(size, t))
	if !isProbe {
		e.sent.add(t, size)
	}
	e.sentAll += int64(size)
	if e.inFlight == 0 {
		e.silentAt = t + int64(e.cfg.Silence/time.Microsecond) + 2*e.rtt
	}
	e.inFlight++
	if t > e.silentAt && e.inFlight > silentPackets && e.path.heard {
		e.stalled = true
	}
}

// tick moves the clock on and returns the time in microseconds. A clock that steps back stands still.
//
// hot:
func (e *Estimator) tick(now time.Time) int64 {
	if e.start.IsZero() {
		// A second of room: windows that end now begin above zero.
		e.start = now.Add(-time.Second)
	}
	e.clock = max(e.clock, now.Sub(e.start).Microseconds())
	return e.clock
}

// since extends the time of a record, which is cut to 32 bits (71 minutes).
//
// hot:
func (e *Estimator) since(at uint32) int64 { return e.clock + int64(int32(at-uint32(e.clock))) }

// at turns the estimator's time back.
func (e *Estimator) at(t int64) time.Time { return e.start.Add(time.Duration(t) * time.Microsecond) }

// set bounds and takes an estimate.
func (e *Estimator) set(rate float64, why Why) {
	e.estimate = min(max(rate, float64(e.cfg.Min)), float64(e.cfg.Max))
	e.why = why
}

// silentPackets without a report are more than Chromium leaves unreported at any rate: it reports each 250 ms at least,
// and sound alone is 12 packets in that time.
const silentPackets = 10
