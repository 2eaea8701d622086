package view

import "time"

// How far a stream may run ahead of a hole, in packets: for video three times
// what 2.5 Mbit/s sends in a second, for fast starts; for audio two seconds.
const (
	VideoWindow = 1024
	AudioWindow = 128
)

// Instant is a time in Unix nanoseconds, a third of a time.Time: a viewer keeps
// a thousand packets. Zero means unknown.
type Instant int64

// InstantOf turns a time into an Instant; the zero time stays unknown.
func InstantOf(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixNano())
}

// Sub returns the time from o to i.
func (i Instant) Sub(o Instant) time.Duration { return time.Duration(i - o) }

// giveUp is how long a hole may stay: a browser's jitter buffer waits about
// that long before it asks for a key frame.
const giveUp = time.Second

// Arrived is one packet of a stream as far as a light viewer looks at it.
type Arrived struct {
	Seq    uint16
	TS     uint32
	Marker bool
	At     Instant // the kernel's receive time
	Starts bool    // begins a key frame (known only where the payload was read)
	Sent   Instant // of its frame, zero when this packet does not tell
}

// Frame is one complete access unit.
type Frame struct {
	TS   uint32
	At   Instant // when its last packet came
	Sent Instant // zero when unknown
	Key  bool
}

// Track puts one received stream in order: frames, holes, what to ask for. It
// is pure and not safe for concurrent use.
type Track struct {
	Packets, Duplicates, Lost, Repaired, Broken uint64

	window  int
	slots   []slot // window of them, a power of two, from the first hole on
	next    uint64 // the first packet that is not consumed
	highest uint64
	missing int // holes between next and highest
	started bool

	open   Frame // the frame that is being put together
	within bool  // a packet of it was consumed
	broken bool  // a packet of it is missing
	gap    bool  // what came before the next packet is not known
	ended  bool  // the packet before next ended its frame
}

type slot struct {
	seq  uint64  // 0: empty
	hole Instant // when the packet was first missed; 0: it is here
	last Instant // when it was last asked for
	asks uint8
	a    Arrived
}

// NewTrack makes a track with a window of that many packets, a power of two.
func NewTrack(window int) *Track { return &Track{window: window} }

func (t *Track) slot(seq uint64) *slot { return &t.slots[seq%uint64(len(t.slots))] }

// Begins tells whether a packet that arrives now may begin a frame: its
// predecessor ended one, or is not known.
func (t *Track) Begins(seq uint16) bool {
	if !t.started {
		return true
	}
	prev := t.extend(seq) - 1
	if prev+1 == t.next {
		return t.ended
	}
	if t.slots == nil {
		return true
	}
	s := t.slot(prev)
	if s.seq == prev && s.hole == 0 {
		return s.a.Marker
	}
	return true
}

// Highest returns the extended highest sequence number (RFC 3550 section 6.4.1).
func (t *Track) Highest() uint32 { return uint32(t.highest - 1<<16) }

// Holes tells how many packets are missed now.
func (t *Track) Holes() int { return t.missing }

// Receive takes a packet and appends the frames that it completes to dst. A
// packet in its place costs no memory: only holes make the track keep packets.
//
// hot: once per packet.
func (t *Track) Receive(a Arrived, dst []Frame) []Frame {
	if !t.started {
		t.started = true
		t.next = 1<<16 | uint64(a.Seq)
		t.highest = t.next - 1
		t.gap = true // joining in the middle of a frame: it can never be complete
	}
	seq := t.extend(a.Seq)
	if seq < t.next {
		t.Duplicates++
		return dst
	}
	if seq == t.next && t.missing == 0 {
		t.highest = seq
		t.next++
		t.Packets++
		return t.consume(&a, dst)
	}
	if t.slots == nil {
		t.slots = make([]slot, t.window)
	}
	if seq >= t.next+uint64(t.window) {
		dst = t.skip(seq-uint64(t.window)+1, dst)
	}
	t.holes(seq, a.At)
	s := t.slot(seq)
	if s.seq == seq && s.hole == 0 {
		t.Duplicates++
		return dst
	}
	if s.seq == seq { // fills a hole
		t.missing--
		if s.asks > 0 {
			t.Repaired++
		}
	}
	*s = slot{seq: seq, a: a}
	t.highest = max(t.highest, seq)
	t.Packets++
	return t.advance(dst)
}

// Expire gives holes up that are older than giveUp at now, and appends the
// frames that come free. It returns whether anything was lost.
func (t *Track) Expire(now Instant, dst []Frame) ([]Frame, bool) {
	if t.missing == 0 {
		return dst, false
	}
	lost := t.Lost
	for t.missing > 0 {
		s := t.slot(t.next)
		if s.hole == 0 || now.Sub(s.hole) < giveUp {
			break
		}
		dst = t.skip(t.next+1, dst)
	}
	return dst, t.Lost > lost
}

// Missing appends the sequence numbers to ask for now: after wait, then each
// gap, five times at most.
func (t *Track) Missing(now Instant, wait, gap time.Duration, dst []uint16) []uint16 {
	if t.missing == 0 {
		return dst
	}
	for seq := t.next; seq <= t.highest; seq++ {
		s := t.slot(seq)
		if s.hole == 0 || s.asks >= 5 || now.Sub(s.hole) < wait || (s.asks > 0 && now.Sub(s.last) < gap) {
			continue
		}
		s.asks++
		s.last = now
		dst = append(dst, uint16(seq))
	}
	return dst
}

// extend finds the 64-bit number nearest to the highest one.
func (t *Track) extend(seq uint16) uint64 {
	d := int16(seq - uint16(t.highest))
	return uint64(int64(t.highest) + int64(d))
}

// holes marks what is missing below seq.
func (t *Track) holes(seq uint64, at Instant) {
	for n := t.highest + 1; n < seq; n++ {
		if n < t.next {
			continue
		}
		*t.slot(n) = slot{seq: n, hole: at}
		t.missing++
	}
}

// skip gives everything below seq up that is not there, and consumes the rest.
func (t *Track) skip(seq uint64, dst []Frame) []Frame {
	for t.next < seq {
		s := t.slot(t.next)
		if s.seq == t.next && s.hole == 0 {
			dst = t.advance(dst)
			continue
		}
		if s.seq == t.next {
			t.missing--
		}
		t.Lost++
		t.lose()
		t.next++
	}
	t.highest = max(t.highest, t.next-1)
	return t.advance(dst)
}

// lose breaks the open frame, and leaves open whether the next packet begins one.
func (t *Track) lose() { t.broken, t.gap, t.ended = true, true, true }

// advance consumes packets in order.
func (t *Track) advance(dst []Frame) []Frame {
	for {
		s := t.slot(t.next)
		if s.seq != t.next || s.hole != 0 {
			return dst
		}
		dst = t.consume(&s.a, dst)
		t.next++
	}
}

func (t *Track) consume(a *Arrived, dst []Frame) []Frame {
	if !t.within || a.TS != t.open.TS {
		// A frame that ends without a marker is padding or no frame at all: it counts only if it was broken.
		if t.within && t.broken {
			t.Broken++
		}
		t.open = Frame{TS: a.TS, At: a.At}
		t.within, t.broken = true, t.gap && !a.Starts && a.Sent == 0
	}
	t.gap, t.ended = false, a.Marker
	if a.At > t.open.At {
		t.open.At = a.At
	}
	t.open.Key = t.open.Key || a.Starts
	if t.open.Sent == 0 {
		t.open.Sent = a.Sent
	}
	if a.Marker {
		if t.broken {
			t.Broken++
		} else {
			dst = append(dst, t.open)
		}
		t.within, t.broken = false, false
	}
	return dst
}
