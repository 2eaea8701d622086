package munge

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// state is what became of an output number.
type state uint8

const (
	dead state = iota // never sent, and never will be
	left              // kept free for a packet that has not come yet
	sent
	padded // sent without payload
)

// place is one output number and the packet that has it, packed into 12 bytes as every viewer has hundreds of them.
type place struct {
	low   uint32 // of the source's number, which has 48 bits
	ts    uint32
	high  uint16
	epoch uint8 // number of the epoch, see places.epochs
	is    uint8 // state, marker and layer
}

// What a place's byte holds: two bits of state, one of the marker, the rest is the layer.
const (
	stateBits = 0x03
	markerBit = 0x04
	layerBit  = 0x08
)

func (pl *place) seq() uint64        { return uint64(pl.high)<<32 | uint64(pl.low) }
func (pl *place) state() state       { return state(pl.is & stateBits) }
func (pl *place) turn(st state)      { pl.is = pl.is&^stateBits | uint8(st) }
func (pl *place) marker() bool       { return pl.is&markerBit != 0 }
func (pl *place) layer() media.Layer { return media.Layer(pl.is / layerBit) }

// sets what a packet is sent as.
func (pl *place) set(ts uint32, l media.Layer, marker bool) {
	pl.ts, pl.is = ts, pl.is&stateBits|uint8(l)*layerBit
	if marker {
		pl.is |= markerBit
	}
}

// inside are the numbers that some codecs and dependency descriptors have inside of a packet.
type inside struct {
	picture uint16
	frame   uint16 // number of the dependency descriptor
	targets set
	tl0     uint8
	keyIdx  uint8 // 5 bits, and what follows
}

const (
	defaultHistory = 512
	// shortLap is the least time of what was sent that a ring which may grow holds:
	// shortLaps are more than a fast start makes.
	shortLaps = 4
	// two tries of a NACK at 250 ms of round trip.
	shortLap   = 600 * time.Millisecond
	maxHistory = 1 << 15
	// These are set in keyIdx, above its 5 bits, when the VP8 or VP9 values or those of the dependency descriptor are to
	// be written.
	patched    = 0x80
	patchedVP9 = 0x40
	described  = 0x20
	// epochs that are remembered; more than four within one history do not happen with publishers that send media.
	epochs = 4
)

// places maps the current source's sequence numbers to output indexes, and remembers the newest of them. From the
// first packet of a source on, source numbers rise with output numbers, so that a late packet's place is found by
// binary search.
type places struct {
	ring  []place   // made for the first packet, as a viewer may wait for long
	other []inside  // by the same index; made for the first packet that has such numbers
	size  int       // of the rings
	most  int       // what they may grow to
	lap   uint64    // output index at which the ring's present lap ends
	lapAt time.Time // when that lap began
	short int       // how many laps in a row were too short
	next  uint64    // output index of the next packet in order
	first uint64    // output index of the current source's first packet
	high  uint64    // the current source's newest packet, sent or dropped
	fresh bool      // the current source has not had a packet yet

	epoch  uint8 // number of the current epoch
	epochs [epochs]media.Epoch
}

func newPlaces(history, most int, firstSeq uint16) places {
	if history <= 0 {
		history = defaultHistory
	}
	n := 1
	for n < history && n < maxHistory {
		n <<= 1
	}
	return places{size: n, most: min(most, maxHistory), lap: uint64(firstSeq) + uint64(n), next: uint64(firstSeq), first: uint64(firstSeq), fresh: true}
}

// fit makes the ring larger when its last laps were too short a time.
func (s *places) fit(now time.Time) {
	if s.lapAt.IsZero() {
		s.lapAt = now
	}
	if s.next < s.lap {
		return
	}
	if now.Sub(s.lapAt) >= shortLap {
		s.short = 0
	} else if s.short++; s.short >= shortLaps && 2*s.size <= s.most {
		s.grow()
		s.short = 0
	}
	s.lap, s.lapAt = s.next+uint64(s.size), now
}

// grow doubles the ring; all that is remembered stays.
func (s *places) grow() {
	old, other, size := s.ring, s.other, uint64(s.size)
	s.size *= 2
	s.ring, s.other = make([]place, s.size), nil
	if other != nil {
		s.other = make([]inside, s.size)
	}
	for index := s.next - min(s.next, size); index < s.next; index++ {
		*s.at(index) = old[index&(size-1)]
		if other != nil {
			*s.within(index) = other[index&(size-1)]
		}
	}
}

// ahead reports whether seq is newer than all that the current source has brought.
func (s *places) ahead(seq uint64) bool { return s.fresh || seq > s.high }

// claim returns the output index for seq, its place marked as sent; false if there is none.
func (s *places) claim(seq uint64) (index uint64, ok bool) {
	if s.ahead(seq) {
		s.leave(seq)
		s.put(seq, sent)
		return s.next - 1, true
	}
	index, ok = s.find(seq)
	if !ok || s.at(index).state() != left {
		return 0, false
	}
	s.at(index).turn(sent)
	return index, true
}

// drop closes the gap of seq and reports true, if seq is in order; else it gives the place left for it up.
func (s *places) drop(seq uint64) bool {
	if s.ahead(seq) {
		s.leave(seq)
		return true
	}
	if index, ok := s.find(seq); ok && s.at(index).state() == left {
		s.at(index).turn(dead)
	}
	return false
}

// leave keeps places free for the packets missing before seq. If more are missing than the history holds, nobody could
// fill them in any more: then one hole tells the decoder, and the viewer does not ask for thousands.
func (s *places) leave(seq uint64) {
	if s.fresh {
		s.fresh, s.high = false, seq
		return
	}
	missing := seq - s.high - 1
	if missing >= uint64(s.size) {
		s.put(seq-1, dead)
	} else {
		for i := s.high + 1; i < seq; i++ {
			s.put(i, left)
		}
	}
	s.high = seq
}

func (s *places) put(seq uint64, st state) {
	if s.ring == nil {
		s.ring = make([]place, s.size)
	}
	*s.at(s.next) = place{low: uint32(seq), high: uint16(seq >> 32), epoch: s.epoch, is: uint8(st)}
	if s.other != nil {
		*s.within(s.next) = inside{}
	}
	s.next++
}

// hole leaves one output number out.
func (s *places) hole() { s.put(s.high+1, dead) }

// enter begins a new source.
func (s *places) enter() { s.first, s.fresh = s.next, true }

// newEpoch gives the epoch a number. When the numbers are used up, what has them is forgotten.
func (s *places) newEpoch(e media.Epoch) {
	s.epoch++
	if s.epoch == 0 {
		clear(s.ring)
	}
	s.epochs[s.epoch%epochs] = e
}

// find returns the output index of the current source's packet seq; false if it has none or it is forgotten.
func (s *places) find(seq uint64) (index uint64, ok bool) {
	lo, hi := s.first, s.next
	if n := uint64(s.size); hi-lo > n {
		lo = hi - n
	}
	for lo < hi {
		mid := lo + (hi-lo)/2
		if s.at(mid).seq() < seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < s.next && s.at(lo).seq() == seq
}

// sentAs returns the output index that was last sent as out; false if none was.
func (s *places) sentAs(out uint16) (index uint64, ok bool) {
	back := uint64(uint16(s.next) - out) // 1 is the newest
	if back == 0 || back > uint64(len(s.ring)) {
		return 0, false
	}
	index = s.next - back
	pl := s.at(index)
	return index, pl.state() >= sent && s.epoch-pl.epoch < epochs
}

func (s *places) at(index uint64) *place { return &s.ring[index&uint64(len(s.ring)-1)] }

func (s *places) epochOf(pl *place) media.Epoch { return s.epochs[pl.epoch%epochs] }

// within returns the numbers inside of a packet, to be written.
func (s *places) within(index uint64) *inside {
	if s.other == nil {
		s.other = make([]inside, s.size)
	}
	return &s.other[index&uint64(len(s.other)-1)]
}

// out returns the numbering that is kept for index.
func (s *places) out(index uint64) Out {
	pl := s.at(index)
	o := Out{Seq: uint16(index), Index: index, TS: pl.ts, Marker: pl.marker(), Padding: pl.state() == padded}
	if s.other == nil {
		return o
	}
	in := s.within(index)
	if in.keyIdx&(patched|patchedVP9) != 0 {
		o.Patch, o.PatchVP9 = in.keyIdx&patched != 0, in.keyIdx&patchedVP9 != 0
		o.PictureID, o.TL0, o.KeyIdx = in.picture, in.tl0, in.keyIdx&0x1f
	}
	if in.keyIdx&described != 0 {
		o.Described, o.Frame = true, in.frame
		o.Active, o.Targets = in.targets.targets()
	}
	return o
}
