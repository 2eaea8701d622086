package sfu

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/admit"
)

// gateTick is how often the node's load is measured: a queue that grows is seen
// before it is full.
const gateTick = 250 * time.Millisecond

// gate shares one admit.Gate among the requests that ask it.
type gate struct {
	mu   sync.Mutex // guards all below; held for arithmetic only
	gate *admit.Gate
	half *atomic.Int64
	// missed is how many bursts had been dropped at the last measurement.
	missed  uint64
	refused func(admit.Reason)
}

// words tell a person what the node lacks.
var words = map[admit.Reason]string{
	admit.Handshakes: "too many have not connected yet",
	admit.Rate:       "too many come at once",
	admit.Lag:        "it is behind with what it serves",
}

// ask lets a session in, or says when to come again.
func (g *gate) ask(who admit.Kind, now time.Time) error {
	g.mu.Lock()
	v := g.gate.Ask(who, int(g.half.Load()), now)
	g.mu.Unlock()
	if v.OK {
		return nil
	}
	g.refused(v.Reason)
	return &media.BusyError{Why: words[v.Reason], After: v.After}
}

// measure tells the gate how the node is doing.
func (g *gate) measure(shards []*shard, now time.Time) {
	load := admit.Load{CPU: processTime()}
	dropped := uint64(0)
	for _, sh := range shards {
		load.Lag = max(load.Lag, time.Duration(sh.lag.Swap(0)))
		dropped += sh.dropped.Load()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	load.Missed, g.missed = dropped > g.missed, dropped
	g.gate.Measure(load, now)
}

// perSecond is how many joins a second would be let in now.
func (g *gate) perSecond() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.gate.PerSecond()
}

// waits notes how long a burst has waited for its shard.
//
// hot:
func (sh *shard) waits(since time.Time, now time.Time) {
	if lag := int64(now.Sub(since)); lag > sh.lag.Load() { // the only writer but for the reset
		sh.lag.Store(lag)
	}
}
