package sfu

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/egress"
	"github.com/sluice-live/sluice/sfu/transport"
)

const (
	// shardQueue is how many bursts a shard may lag: at a burst per millisecond,
	// half a second. Then bursts are dropped, and viewers catch up from the ring.
	shardQueue = 512
	// orderQueue holds joins, ends and choices; who orders waits when it is full.
	orderQueue = 1024
	// rtcpQueue holds viewers' RTCP; more is dropped.
	rtcpQueue = 4096
	// replayTick paces fast start: 5 ms are a sixth of a frame at 30 fps.
	replayTick = 5 * time.Millisecond
	// houseTick is how often a shard looks at its viewers' reports and wishes.
	houseTick = 100 * time.Millisecond
	// maxTurns bounds the sources that are served before reports and orders are
	// looked at again.
	maxTurns = 16
)

// delivery is one burst of one stream. Nobody writes to it.
type delivery struct {
	st    *stream
	src   *source
	burst []*media.Packet
}

// order is something else for a shard to do.
type order struct {
	kind   orderKind
	viewer *viewer
	keys   transport.Keys
	choice media.LayerChoice
}

type orderKind uint8

const (
	orderJoin orderKind = iota
	orderLeave
	orderChoose
	orderTune
)

type control struct {
	viewer *viewer
	batch  []transport.Datagram
}

// group is the viewers of one stream in one shard.
type group struct {
	viewers []*viewer
	first   int // who is served first rotates, so that nobody is always last
}

// shard owns some of the viewers: all that is theirs is touched by its goroutine only.
type shard struct {
	sfu     *SFU
	index   int
	media   chan delivery
	orders  chan order
	rtcp    chan control
	reports atomic.Int64 // datagrams in it
	viewers atomic.Int64
	dropped atomic.Uint64
	lag     atomic.Int64 // nanoseconds, the longest wait of a burst since it was last asked

	groups    map[*stream]*group
	replaying int       // viewers in a fast start
	pacing    int       // viewers with something queued
	busy      []*viewer // these two kinds, and some that were until a moment ago
	engine    *egress.Engine
	spare     [][]outgoing    // memory of queues that are empty
	merged    []*media.Packet // bursts that are served together
	plain     []byte          // the control packet that is looked at
	// the dependency descriptor of one packet; a rewritten one grows by up to five bytes
	descriptor [maxExtension + 8]byte
}

func newShard(s *SFU, index int) *shard {
	return &shard{sfu: s, index: index, media: make(chan delivery, shardQueue), orders: make(chan order, orderQueue),
		rtcp: make(chan control, rtcpQueue), groups: map[*stream]*group{}, engine: egress.NewEngine(egress.DefaultConfig())}
}

// offer hands a burst over; a shard that lags misses it.
//
// hot:
func (sh *shard) offer(d delivery) bool {
	select {
	case sh.media <- d:
		return true
	default:
		sh.dropped.Add(1)
		return false
	}
}

// report hands viewers' RTCP over. What is too much is dropped: by number, as
// one batch may hold many, and the next report says the same.
func (sh *shard) report(c control) bool {
	n := int64(len(c.batch))
	if sh.reports.Add(n) > rtcpQueue {
		sh.reports.Add(-n)
		return false
	}
	sh.rtcp <- c // has room for as many batches as datagrams
	return true
}

// order hands an order over, unless the house is closing.
func (sh *shard) order(o order) {
	select {
	case sh.orders <- o:
	case <-sh.sfu.base.Done():
	}
}

func (sh *shard) run(ctx context.Context) {
	house := time.NewTicker(houseTick)
	defer house.Stop()
	replay := time.NewTicker(replayTick)
	replay.Stop()
	pacing := false
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-sh.media:
			sh.serve(d)
		case o := <-sh.orders:
			sh.obey(o, time.Now())
		case c := <-sh.rtcp:
			sh.reports.Add(-int64(len(c.batch)))
			for _, d := range c.batch {
				c.viewer.control(d)
			}
		case now := <-replay.C:
			sh.hurry(now)
		case now := <-house.C:
			sh.each(func(v *viewer) { v.house(now) })
		}
		sh.engine.Flush()
		if wants := sh.replaying+sh.pacing > 0; wants != pacing {
			pacing = wants
			if pacing {
				replay.Reset(replayTick)
			} else {
				replay.Stop()
			}
		}
	}
}

// serve forwards a delivery, with what else waits of the same source. It never
// waits for more: the further a shard lags, the longer its bursts are, and the
// less each packet costs.
//
// hot:
func (sh *shard) serve(d delivery) {
	sh.waits(d.burst[0].Arrival, time.Now())
	for range maxTurns {
		next := sh.merge(&d)
		sh.forward(d, time.Now())
		clear(sh.merged) // let the packets go
		if next.st == nil {
			return
		}
		d = next
	}
	sh.forward(d, time.Now())
}

// merge adds to d what waits behind it of the same source, and returns the first
// delivery of another one, if it met one.
//
// hot:
func (sh *shard) merge(d *delivery) (next delivery) {
	sh.merged = sh.merged[:0]
	for len(d.burst) < burstSize {
		select {
		case next = <-sh.media:
		default:
			return delivery{}
		}
		if next.src != d.src || next.st != d.st {
			return next
		}
		if len(sh.merged) == 0 {
			sh.merged = append(sh.merged, d.burst...)
		}
		sh.merged = append(sh.merged, next.burst...)
		d.burst = sh.merged
	}
	return delivery{}
}

// forward serves one burst to the stream's viewers.
//
// hot:
func (sh *shard) forward(d delivery, now time.Time) {
	g := sh.groups[d.st]
	if g == nil || len(g.viewers) == 0 {
		return
	}
	if d.st.missed[sh.index].Load() && d.st.missed[sh.index].Swap(false) {
		for _, v := range g.viewers {
			v.fillIn(now)
		}
	}
	g.first++
	n := len(g.viewers)
	for i := range n {
		g.viewers[(g.first+i)%n].forward(d.src, d.burst, now)
	}
}

// hasten has a viewer looked at with each tick of the fast start, until it has
// nothing more to hurry for. Most have not: thousands need not be touched for one.
//
// hot:
func (sh *shard) hasten(v *viewer) {
	if !v.busy {
		v.busy = true
		sh.busy = append(sh.busy, v)
	}
}

// hurry does what cannot wait for the next burst.
func (sh *shard) hurry(now time.Time) {
	kept := sh.busy[:0]
	for i := 0; i < len(sh.busy); i++ {
		v := sh.busy[i]
		if v.hurry(now); v.hurries() {
			kept = append(kept, v)
		} else {
			v.busy = false
		}
	}
	clear(sh.busy[len(kept):])
	sh.busy = kept
}

func (sh *shard) each(f func(*viewer)) {
	for _, g := range sh.groups {
		for _, v := range g.viewers {
			f(v)
		}
	}
}

func (sh *shard) obey(o order, now time.Time) {
	v := o.viewer
	switch o.kind {
	case orderJoin:
		if v.joined || v.gone.Load() {
			return
		}
		if err := v.establish(o.keys); err != nil {
			sh.sfu.running.Go(func() { v.close(err) }) // not from here: closing orders a leave
			return
		}
		g := sh.groups[v.st]
		if g == nil {
			g = &group{}
			sh.groups[v.st] = g
		}
		g.viewers = append(g.viewers, v)
		v.joined = true
		v.st.present[sh.index].Add(1)
		v.begin(now)
	case orderLeave:
		sh.remove(v)
	case orderChoose:
		v.applyChoice(o.choice, now)
	case orderTune:
		v.tune()
	}
}

func (sh *shard) remove(v *viewer) {
	sh.viewers.Add(-1)
	if !v.joined {
		return
	}
	v.joined = false
	v.want(0)
	v.stopReplay()
	v.clear()
	if v.busy {
		v.busy = false
		i := slices.Index(sh.busy, v)
		sh.busy = slices.Delete(sh.busy, i, i+1)
	}
	g := sh.groups[v.st]
	for i, o := range g.viewers {
		if o == v {
			last := len(g.viewers) - 1
			g.viewers[i] = g.viewers[last]
			g.viewers[last] = nil
			g.viewers = g.viewers[:last]
			break
		}
	}
	v.st.present[sh.index].Add(-1)
	if len(g.viewers) == 0 {
		delete(sh.groups, v.st)
	}
}

// quietest returns the shard with the fewest viewers.
func (s *SFU) quietest() *shard {
	best := s.shards[0]
	for _, sh := range s.shards[1:] {
		if sh.viewers.Load() < best.viewers.Load() {
			best = sh
		}
	}
	return best
}
