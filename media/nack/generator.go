package nack

import (
	"slices"
	"time"
)

const (
	// maxGap is the largest gap that is loss; behind a larger one the sender
	// restarted (media/unwrap draws the line at the same place).
	maxGap = 3000
	// unknownRTT stands in until a round-trip time is known; libwebrtc assumes
	// the same.
	unknownRTT = 100 * time.Millisecond
	// minSpacing keeps two requests for one packet apart on fast links: a
	// publisher's encoder and pacer need some time to answer.
	minSpacing = 20 * time.Millisecond
	// maxReorder and maxReorderWait bound what is learnt from reordered packets;
	// beyond, a spurious request costs less than the delay.
	maxReorder     = 64
	maxReorderWait = 50 * time.Millisecond
	// easing is how often half of it is forgotten: once in a while a path that
	// goes on reordering costs a request or two.
	easing = 5 * time.Second
)

// Config tunes a Generator. Zero fields take the default.
type Config struct {
	// A missing packet is asked for when Reorder newer ones have come or
	// ReorderWait has passed. Both grow, up to 64 packets and 50 ms, where a path
	// is seen to reorder more than that, and fall back within half a minute.
	Reorder     int
	ReorderWait time.Duration
	// MaxTries is how often one packet is asked for.
	MaxTries int
	// MaxAge is when a packet is given up, however often it was asked for.
	MaxAge time.Duration
	// KeyGrace is when a packet before a key frame is given up, or two round-trip
	// times where those are longer.
	KeyGrace time.Duration
	// MaxPending bounds the missing packets; the oldest are given up.
	MaxPending int
}

// DefaultConfig suits a publisher on the Internet. Three packets is the
// reordering that TCP tolerates too (RFC 5681 section 3.2); 10 ms is less than a
// frame. Ten tries reach 1 s at 67 ms of round-trip time, and after 1 s viewers
// have gone on. Pictures before a key frame are still to be shown when it comes,
// and recorded, but not for long: 200 ms are two tries at 100 ms. A thousand packets are 0.5 s at 20 Mbit/s; who loses more needs
// a key frame.
func DefaultConfig() Config {
	return Config{Reorder: 3, ReorderWait: 10 * time.Millisecond, MaxTries: 10, MaxAge: time.Second, KeyGrace: 200 * time.Millisecond, MaxPending: 1000}
}

// loss is one missing packet.
type loss struct {
	seq   uint64
	since time.Time // when the gap was seen
	asked time.Time // the last time
	tries int
}

// Generator finds the gaps in one received RTP stream and says when to ask for
// what.
type Generator struct {
	cfg      Config
	newest   uint64 // 0 before the first packet
	key      uint64 // the newest key frame
	losses   []loss // rising numbers
	gaveUp   uint64
	repaired uint64
	rtt      time.Duration

	reorder int // what the path needs, as learnt
	wait    time.Duration
	eased   time.Time // when the two were last taken back
}

// New makes a Generator.
func New(cfg Config) *Generator {
	d := DefaultConfig()
	fill(&cfg.Reorder, d.Reorder)
	fill(&cfg.ReorderWait, d.ReorderWait)
	fill(&cfg.MaxTries, d.MaxTries)
	fill(&cfg.MaxAge, d.MaxAge)
	fill(&cfg.KeyGrace, d.KeyGrace)
	fill(&cfg.MaxPending, d.MaxPending)
	return &Generator{cfg: cfg, reorder: cfg.Reorder, wait: cfg.ReorderWait}
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Receive notes that a packet arrived, be it sent first or again; padding-only
// packets count too, as they have numbers. Key says that a decoder may start
// here: what is older is not needed for long, and given up after KeyGrace. Leave
// it false for audio, where every packet is a start and every loss is heard.
// Behind a gap of more than 3000 the sender is taken to have restarted: nothing
// before it is asked for.
//
// hot: once per received packet; allocates only while the list of losses grows.
func (g *Generator) Receive(seq uint64, key bool, now time.Time) { g.receive(seq, key, false, now) }

// Resent is Receive for a packet that says itself that it was sent again, as
// RTX does: however soon it comes, it was lost and not reordered.
//
// hot: once per repaired packet.
func (g *Generator) Resent(seq uint64, key bool, now time.Time) { g.receive(seq, key, true, now) }

func (g *Generator) receive(seq uint64, key, again bool, now time.Time) {
	switch {
	case g.newest == 0:
		g.newest = seq
	case seq > g.newest && seq-g.newest-1 > maxGap:
		g.giveUpBefore(seq)
		g.newest = seq
	case seq > g.newest:
		g.miss(seq, now)
		g.newest = seq
	default:
		g.arrived(seq, again, now)
	}
	if key {
		g.key = max(g.key, seq)
	}
}

// miss notes everything between the newest packet and seq.
func (g *Generator) miss(seq uint64, now time.Time) {
	first := g.newest + 1
	if over := len(g.losses) + int(seq-first) - g.cfg.MaxPending; over > 0 {
		old := min(over, len(g.losses))
		g.losses = slices.Delete(g.losses, 0, old)
		first += uint64(over - old)
		g.gaveUp += uint64(over)
	}
	for ; first < seq; first++ {
		g.losses = append(g.losses, loss{seq: first, since: now})
	}
}

// arrived takes a late packet off the list.
func (g *Generator) arrived(seq uint64, again bool, now time.Time) {
	at, ok := g.find(seq)
	if !ok {
		return
	}
	l := g.losses[at]
	g.losses = slices.Delete(g.losses, at, at+1)
	// What comes unasked, or sooner than an answer can, was only reordered.
	if !again && (l.tries == 0 || l.tries == 1 && now.Sub(l.asked) < g.rtt/2) {
		g.reorder = min(max(g.reorder, int(g.newest-seq)+1), max(maxReorder, g.cfg.Reorder))
		g.wait = min(max(g.wait, now.Sub(l.since)*5/4), max(maxReorderWait, g.cfg.ReorderWait))
		return
	}
	g.repaired++
}

// find returns where seq is in the list, or would be.
func (g *Generator) find(seq uint64) (at int, ok bool) {
	return slices.BinarySearchFunc(g.losses, seq, func(l loss, seq uint64) int {
		switch {
		case l.seq < seq:
			return -1
		case l.seq > seq:
			return 1
		}
		return 0
	})
}

func (g *Generator) giveUpBefore(seq uint64) {
	if len(g.losses) == 0 {
		return
	}
	n, _ := g.find(seq)
	g.losses = slices.Delete(g.losses, 0, n)
	g.gaveUp += uint64(n)
}

// Pending appends the numbers to ask for now, in rising order: each at most
// MaxTries times, 1.5 round-trip times and at least 20 ms apart. Rtt may be 0
// while unknown. It also gives up what is too old or was asked for too often.
//
// hot: some fifty times per second and stream; allocates only to grow dst.
func (g *Generator) Pending(dst []uint64, rtt time.Duration, now time.Time) []uint64 {
	g.rtt = rtt
	g.ease(now)
	spacing, kept := g.spacing(), g.losses[:0]
	for _, l := range g.losses {
		waited := l.tries == 0 || now.Sub(l.asked) >= spacing
		if now.Sub(l.since) >= g.life(l) || l.tries >= g.cfg.MaxTries && waited {
			g.gaveUp++
			continue
		}
		if waited && (l.tries > 0 || g.ripe(l, now)) {
			l.tries++
			l.asked = now
			dst = append(dst, l.seq)
		}
		kept = append(kept, l)
	}
	g.losses = kept
	return dst
}

// life is how long a packet is waited for.
func (g *Generator) life(l loss) time.Duration {
	if l.seq < g.key {
		return min(max(g.cfg.KeyGrace, 2*g.rtt), g.cfg.MaxAge)
	}
	return g.cfg.MaxAge
}

// ripe reports whether a packet is late enough to be lost.
func (g *Generator) ripe(l loss, now time.Time) bool {
	return g.newest-l.seq >= uint64(g.reorder) || now.Sub(l.since) >= g.wait
}

func (g *Generator) spacing() time.Duration {
	rtt := g.rtt
	if rtt <= 0 {
		rtt = unknownRTT
	}
	return max(rtt*3/2, minSpacing)
}

// ease takes back half of what was learnt of reordering.
func (g *Generator) ease(now time.Time) {
	if now.Sub(g.eased) < easing {
		return
	}
	g.eased = now
	g.reorder -= (g.reorder - g.cfg.Reorder + 1) / 2
	g.wait -= (g.wait - g.cfg.ReorderWait + 1) / 2
}

// Next returns when Pending will next have something to do; zero when nothing
// is missing. A later Receive may bring it forward.
func (g *Generator) Next() time.Time {
	var next time.Time
	for _, l := range g.losses {
		due := l.since.Add(g.life(l))
		switch {
		case l.tries > 0:
			due = earlier(due, l.asked.Add(g.spacing()))
		case g.newest-l.seq >= uint64(g.reorder):
			due = l.since
		default:
			due = earlier(due, l.since.Add(g.wait))
		}
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Lost returns how many packets were given up: they are missing for good, or
// for all that the Generator knows.
func (g *Generator) Lost() (gaveUp uint64) { return g.gaveUp }

// Missing returns how many packets are being waited for.
func (g *Generator) Missing() int { return len(g.losses) }

// Repaired returns how many packets came again after they were lost.
func (g *Generator) Repaired() uint64 { return g.repaired }
