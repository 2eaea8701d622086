package impair

import (
	"math"
	"math/rand/v2"
	"time"
)

// Cause says why a packet does not arrive.
type Cause uint8

// The causes.
const (
	Passed   Cause = iota
	Lost           // at random or in a burst
	Overflow       // the queue was full
	Cut            // the path was down
	TooLong        // longer than the MTU
	causes
)

// String names the cause as tables do.
func (c Cause) String() string {
	return [...]string{"passed", "lost", "overflow", "cut", "too long"}[c]
}

// Fate is what becomes of one packet.
type Fate struct {
	Cause  Cause
	At     time.Time     // when it arrives
	Again  time.Time     // when it arrives for the second time; zero: never
	Queued time.Duration // how long it waits before a thin path
}

// Link is one direction of a path. It decides at once what becomes of a packet,
// over all changes that its course holds. Not safe for concurrent use.
type Link struct {
	course Course
	start  time.Time
	dice   *rand.Rand
	seed   uint64
	bad    bool // the state of Burst

	waiting ring      // what is in the queue, by when it will have left
	free    time.Time // when the transmitter has sent all of that
	last    time.Time // the latest arrival that was in order
}

// New makes a link whose course begins at start.
func New(c Course, seed uint64, start time.Time) *Link {
	if len(c) == 0 {
		c = Always(Path{})
	}
	return &Link{course: c, start: start, dice: rand.New(rand.NewPCG(seed, 0)), seed: seed} //nolint:gosec // chance that repeats, not secrets
}

// Begin replaces the course and lets it start at now. What is under way stays so.
func (l *Link) Begin(c Course, now time.Time) {
	if len(c) == 0 {
		c = Always(Path{})
	}
	l.course, l.start = c, now
}

// Path returns what the link does at now.
func (l *Link) Path(now time.Time) Path { return l.course[l.step(now)].Path }

// Waiting returns how many bytes are in the queue at now.
func (l *Link) Waiting(now time.Time) int {
	l.waiting.until(now)
	return l.waiting.bytes
}

// Offer decides what becomes of a packet of that many bytes, headers included.
// Calls come in order of now.
//
// Each packet takes the same number of dice whatever becomes of it: with one
// seed, the n-th packet is lost in every run, be the link thin or wide.
//
// hot:
func (l *Link) Offer(size int, now time.Time) Fate {
	step := l.step(now)
	p := &l.course[step].Path
	lost := l.dice.Float64() < p.Loss
	burst := l.burst(&p.Burst)
	held := l.dice.Float64() < p.Reorder.Share
	twice := l.dice.Float64() < p.Duplicate
	switch {
	case p.Down:
		return Fate{Cause: Cut}
	case p.MTU > 0 && size > p.MTU:
		return Fate{Cause: TooLong}
	case lost || burst:
		return Fate{Cause: Lost}
	}
	f := l.pass(step, size, now, held)
	if twice && f.Cause == Passed {
		if g := l.pass(step, size, now, held); g.Cause == Passed {
			f.Again = g.At
		}
	}
	return f
}

// burst moves the state of Gilbert and Elliott by one packet. With r the chance
// to leave the bad state, the good one is left at r·share/(1−share): then the
// bad one lasts 1/r packets and takes its share of all.
func (l *Link) burst(b *Burst) bool {
	move, lose := l.dice.Float64(), l.dice.Float64()
	if b.Loss == 0 {
		l.bad = false
		return false
	}
	leave := 1 / b.Length
	if l.bad {
		l.bad = move >= leave
	} else {
		share := b.share()
		l.bad = move < leave*share/(1-share)
	}
	return l.bad && lose < b.bad()
}

// pass takes a packet through queue, transmitter and wire.
func (l *Link) pass(step, size int, now time.Time, held bool) Fate {
	sent, cause := l.transmit(step, size, now)
	if cause != Passed {
		return Fate{Cause: cause}
	}
	p := &l.course[l.step(sent)].Path
	at := sent.Add(p.Delay + l.wander(p.Jitter, sent))
	switch {
	case held:
		at = at.Add(p.Reorder.By)
	case at.Before(l.last):
		at = l.last
	default:
		l.last = at
	}
	return Fate{At: at, Queued: sent.Sub(now)}
}

// transmit returns when the last bit has left the queue. The queue is looked at
// when the packet comes and again at each change while it waits: when the rate
// falls, what no longer fits is dropped from the tail.
func (l *Link) transmit(step, size int, now time.Time) (time.Time, Cause) {
	l.waiting.until(now)
	if p := &l.course[step].Path; p.Rate > 0 && l.waiting.n > 0 && l.waiting.bytes+size > p.limit() {
		return now, Overflow
	}
	at := now
	if l.free.After(at) {
		at = l.free
	}
	for bits := float64(size) * 8; ; step++ {
		end, ends := l.end(step)
		if !ends || at.Before(end) {
			rate, done := float64(l.course[step].Path.Rate), at
			if rate > 0 {
				done = at.Add(time.Duration(math.Ceil(bits / rate * float64(time.Second)))) // up: never faster than asked
			}
			if !ends || !done.After(end) {
				l.free = done
				l.waiting.push(entry{done, size})
				return done, Passed
			}
			bits -= end.Sub(at).Seconds() * rate
			at = end
		}
		next := &l.course[step+1].Path
		if next.Down {
			return now, Cut // a link that goes down forgets its queue
		}
		if ahead := l.waiting.after(end); next.Rate > 0 && ahead > 0 && ahead+size > next.limit() {
			return now, Overflow
		}
	}
}

// wander is the jitter at a time: a line between values drawn for each stretch
// of four times the jitter, so that it changes by half a second per second at
// most. It depends on time alone, never on how many packets there were.
func (l *Link) wander(jitter time.Duration, at time.Time) time.Duration {
	if jitter == 0 {
		return 0
	}
	stretch := 4 * jitter
	since := max(at.Sub(l.start), 0)
	n, within := uint64(since/stretch), float64(since%stretch)/float64(stretch)
	a, b := l.draw(n), l.draw(n+1)
	return time.Duration((a + (b-a)*within) * 2 * float64(jitter))
}

// draw is the n-th of a row of numbers in 0–1 (splitmix64's mixing).
func (l *Link) draw(n uint64) float64 {
	z := l.seed + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}

// step is the index of the change that holds at a time.
func (l *Link) step(at time.Time) int {
	since := at.Sub(l.start)
	i := len(l.course) - 1
	for i > 0 && l.course[i].At > since {
		i--
	}
	return i
}

// end is when a step ends.
func (l *Link) end(step int) (time.Time, bool) {
	if step+1 >= len(l.course) {
		return time.Time{}, false
	}
	return l.start.Add(l.course[step+1].At), true
}
