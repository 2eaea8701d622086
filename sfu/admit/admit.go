// Package admit decides whether a node takes one more session now: refusing
// some at once, with the time to come again, serves more people than letting
// all of them time out together, and keeps what is running smooth. It promises
// that an idle node refuses nobody, that no more are let in per second than
// their measured cost allows, and that it recovers by itself.
//
// A Gate is a plain struct without clock or lock; whoever owns it asks.
package admit

import "time"

// Kind is who wants in.
type Kind uint8

// A publisher comes before viewers: without it they have nothing to see.
const (
	Viewer Kind = iota
	Publisher
)

// Reason says what the node lacks.
type Reason string

// The reasons of refusals, as metrics name them.
const (
	Handshakes Reason = "handshakes" // as many are connecting as may
	Rate       Reason = "rate"       // more come per second than the processor can greet
	Lag        Reason = "lag"        // media waits too long
)

// Config sets a Gate up. Zero fields take DefaultConfig's values.
type Config struct {
	// Cores is how many processors there are.
	Cores int
	// PerCore bounds the sessions of one core that have not connected yet.
	PerCore int
	// Lag is how long media may wait in the node, for Hold, before viewers are
	// refused; publishers are at twice as much. Below Calm all is well again.
	Lag, Calm time.Duration
	Hold      time.Duration
	// Cost is the processor time of one join until it has been measured.
	Cost time.Duration
}

// DefaultConfig is for one core.
func DefaultConfig() Config {
	return Config{
		Cores: 1,
		// At 600 joins a second and 1.5 s from offer to media over a slow path.
		PerCore: 1024,
		// Players hide 200 ms; a queue that long for a second does not empty by itself.
		Lag: 200 * time.Millisecond, Calm: 50 * time.Millisecond, Hold: time.Second,
		Cost: time.Millisecond,
	}
}

func (c Config) orDefault() Config {
	d := DefaultConfig()
	for _, f := range []struct{ at, usual *int }{{&c.Cores, &d.Cores}, {&c.PerCore, &d.PerCore}} {
		if *f.at <= 0 {
			*f.at = *f.usual
		}
	}
	for _, f := range []struct{ at, usual *time.Duration }{{&c.Lag, &d.Lag}, {&c.Calm, &d.Calm}, {&c.Hold, &d.Hold}, {&c.Cost, &d.Cost}} {
		if *f.at <= 0 {
			*f.at = *f.usual
		}
	}
	return c
}

const (
	// share of the processors may greet newcomers when nothing else runs.
	share = 0.8
	// least of them always may, so that a busy node is not a closed one.
	least = 0.05
	// burst is how many seconds' worth of joins may come at once: a class begins.
	burst = 0.5
	// full is the share of the processors from which on nothing can be learned.
	full = 0.9
	// reserve is how much further the bounds are for publishers.
	reserve = 1.25
	// stale is how old a measurement may be and still count.
	stale = 3 * time.Second
	// soonest and latest bound the time after which to come again.
	soonest, latest = time.Second, 10 * time.Second
)

// Load is what was measured at one moment.
type Load struct {
	// CPU is the processor time of the process since it began; zero is unknown.
	CPU time.Duration
	// Lag is the longest that media waited since the last measurement.
	Lag time.Duration
	// Missed tells that some was not taken at all.
	Missed bool
}

// Verdict is the answer to one who asks.
type Verdict struct {
	OK     bool
	Reason Reason        // when refused
	After  time.Duration // when to come again
}

// Gate lets sessions in. Not safe for concurrent use.
type Gate struct {
	c      Config
	tokens float64 // seconds of processor time that may be spent on joins
	filled time.Time

	cost   cost
	joined int     // since the last measurement
	busy   float64 // share of the processors that is used, joins apart
	cpu    time.Duration
	at     time.Time // of the last measurement
	lag    strain
	worst  strain // twice the lag
}

// New makes a gate whose first moment is now.
func New(c Config, now time.Time) *Gate {
	c = c.orDefault()
	g := &Gate{c: c, filled: now, cost: cost{prior: c.Cost.Seconds()}}
	g.tokens = g.most()
	return g
}

// Ask decides on one session, with underway of them not connected yet. One that
// is let in counts.
func (g *Gate) Ask(who Kind, underway int, now time.Time) Verdict {
	g.fill(now)
	bound, debt, strained := g.c.PerCore*g.c.Cores, 0.0, g.lag.on
	if who == Publisher {
		// Publishers are few: their debt is paid by the viewers after them.
		bound, debt, strained = int(float64(bound)*reserve), g.most(), g.worst.on
	}
	price := g.cost.seconds()
	switch {
	case strained && now.Sub(g.at) < stale:
		return Verdict{Reason: Lag, After: 2 * g.c.Hold}
	case underway >= bound:
		return Verdict{Reason: Handshakes, After: soonest}
	case g.tokens+debt < price:
		wait := time.Duration((price - g.tokens) / g.pace() * float64(time.Second))
		return Verdict{Reason: Rate, After: min(max(wait, soonest), latest)}
	}
	g.tokens -= price
	g.joined++
	return Verdict{OK: true}
}

// Measure takes what the node knows of itself; several times a second.
func (g *Gate) Measure(l Load, now time.Time) {
	if took := now.Sub(g.at).Seconds(); !g.at.IsZero() && took > 0 && l.CPU > g.cpu && g.cpu > 0 {
		spent := (l.CPU - g.cpu).Seconds()
		if spent < full*took*float64(g.c.Cores) {
			g.cost.learn(float64(g.joined)/took, spent/took)
		} else if g.joined > 0 { // work waits, and what one more join costs does not show
			g.cost.raise()
		}
		rest := spent - float64(g.joined)*g.cost.seconds()
		used := min(max(rest/took/float64(g.c.Cores), 0), 1)
		g.busy += (used - g.busy) * min(1, took) // forgets within about a second
	}
	g.joined, g.cpu = 0, l.CPU
	g.at = now
	if l.Missed {
		l.Lag = max(l.Lag, 2*g.c.Lag)
	}
	g.lag.see(l.Lag, g.c.Lag, g.c, now)
	g.worst.see(l.Lag, 2*g.c.Lag, g.c, now)
}

// PerSecond is how many joins a second the gate lets in now.
func (g *Gate) PerSecond() float64 { return g.pace() / g.cost.seconds() }

// pace is the processor time per second that joins may take.
func (g *Gate) pace() float64 {
	return float64(g.c.Cores) * max(least, share-g.busy)
}

// most is how much of it may be saved up; enough for one join always.
func (g *Gate) most() float64 { return max(burst*share*float64(g.c.Cores), 2*g.cost.seconds()) }

func (g *Gate) fill(now time.Time) {
	if passed := now.Sub(g.filled).Seconds(); passed > 0 {
		g.tokens = min(g.tokens+passed*g.pace(), g.most())
		g.filled = now
	}
}

// strain is a state with hysteresis: on when too much for Hold, off when calm
// for as long.
type strain struct {
	on    bool
	since time.Time // of the wish to change; zero is none
}

func (s *strain) see(lag, much time.Duration, c Config, now time.Time) {
	if change := !s.on && lag >= much || s.on && lag <= c.Calm; !change {
		s.since = time.Time{}
		return
	}
	if s.since.IsZero() {
		s.since = now
	}
	if now.Sub(s.since) >= c.Hold {
		s.on, s.since = !s.on, time.Time{}
	}
}
