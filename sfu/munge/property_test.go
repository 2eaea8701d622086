package munge_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/munge"
)

// name tells the bytes of a packet apart; together with Out it is what would be sealed.
type name struct {
	epoch media.Epoch
	layer media.Layer
	seq   uint64
}

// storm drives a Munger through random sources, loss, reordering, duplicates, drops and switches, and holds what it
// gives against what it gave before.
type storm struct {
	t       *rapid.T
	m       *munge.Munger
	sources []*source
	cur     int
	held    []*media.Packet // packets that come late, of any source
	sealed  map[uint64]name
	out     map[uint64]munge.Out
	newest  uint64
	history uint64
	epoch   media.Epoch
	changes int            // of epoch; four are remembered
	change  map[uint64]int // by index
}

func TestNoIndexIsGivenTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := rapid.SampledFrom([]int{1, 16, 100, 512}).Draw(t, "history")
		s := &storm{t: t, sealed: map[uint64]name{}, out: map[uint64]munge.Out{}, change: map[uint64]int{}, history: uint64(history)}
		s.m = munge.New(munge.Config{History: history, FirstSeq: rapid.Uint16().Draw(t, "first"), FirstTS: rapid.Uint32().Draw(t, "firstTS")})
		s.newSource()
		s.next(s.sources[0].next(), true)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			s.step()
		}
	})
}

func (s *storm) newSource() {
	s.sources = append(s.sources, &source{
		epoch:   media.Epoch(len(s.sources) / 3),
		layer:   media.Layer(len(s.sources) % 3),
		codec:   rapid.SampledFrom([]media.Codec{media.H264, media.VP8}).Draw(s.t, "codec"),
		seq:     rapid.Uint64Range(1<<16, 1<<17).Draw(s.t, "seq"),
		ts:      media.Ticks(rapid.Int64Range(1<<32, 1<<33).Draw(s.t, "ts")),
		at:      start.Add(time.Duration(rapid.IntRange(-2000, 2000).Draw(s.t, "at")) * time.Millisecond),
		capture: rapid.Bool().Draw(s.t, "capture"),
	})
	s.cur = len(s.sources) - 1
}

func (s *storm) step() {
	src := s.sources[s.cur]
	switch rapid.IntRange(0, 9).Draw(s.t, "what") {
	case 0: // lost, or late
		s.held = append(s.held, src.next())
	case 1:
		before := s.edge()
		s.m.Drop(src.next())
		if set := s.edge() - before; set >= 2*s.history { // the history, rounded up; one hole stands for more than that
			s.t.Fatalf("%d places were set aside at once with a history of %d", set, s.history)
		}
	case 2:
		if len(s.held) > 0 {
			i := rapid.IntRange(0, len(s.held)-1).Draw(s.t, "late")
			s.next(s.held[i], false) // and maybe once more later: a duplicate
		}
	case 3:
		src.n += rapid.IntRange(0, 700).Draw(s.t, "outage")
	case 4:
		s.cur = rapid.IntRange(0, len(s.sources)-1).Draw(s.t, "back")
		s.next(s.sources[s.cur].next(), true)
	case 5:
		s.newSource()
		s.next(s.sources[s.cur].next(), true)
	default:
		s.next(src.next(), false)
	}
}

func (s *storm) next(p *media.Packet, switched bool) {
	if p.Codec == media.VP8 {
		p.Payload = vp8Payload(uint16(p.Seq/3), uint8(p.Seq/6), uint8(p.Seq/90), 0)
	}
	o, ok := s.m.Next(p, switched, p.Arrival)
	if !ok {
		return
	}
	if was, again := s.sealed[o.Index]; again {
		s.t.Fatalf("index %d was given to %+v and to %+v", o.Index, was, p)
	}
	if o.Seq != uint16(o.Index) {
		s.t.Fatalf("index %d and sequence number %d do not fit", o.Index, o.Seq)
	}
	if p.Epoch != s.epoch {
		s.epoch = p.Epoch
		s.changes++
	}
	s.change[o.Index] = s.changes
	if s.newest = max(s.newest, o.Index); s.edge() < s.newest {
		s.t.Fatalf("index %d was given, the newest is said to be %d", o.Index, s.edge())
	}
	s.sealed[o.Index] = name{p.Epoch, p.Layer, p.Seq}
	s.out[o.Index] = o
	s.lookup(o.Index)
	s.lookup(s.newest - min(s.newest, uint64(rapid.IntRange(0, 600).Draw(s.t, "nack"))))
}

// edge is the newest place, given or set aside for what is late: a drop moves it past what is missing before it.
func (s *storm) edge() uint64 {
	newest, _ := s.m.Newest()
	return newest
}

// lookup holds the memory against what was sent: the very packet and numbers, or nothing, and nothing only for a good
// reason.
func (s *storm) lookup(index uint64) {
	ref, ok := s.m.Lookup(uint16(index))
	was, known := s.sealed[index]
	if !ok {
		if known && s.edge()-index < s.history && s.changes-s.change[index] < 4 {
			s.t.Fatalf("index %d is forgotten after %d places", index, s.edge()-index)
		}
		return
	}
	if !known || s.out[index] != ref.Out || was != (name{ref.Epoch, ref.Layer, ref.Seq}) {
		s.t.Fatalf("index %d was %+v %+v, Lookup says %+v", index, was, s.out[index], ref)
	}
}

// Every packet that comes while its place is remembered gets exactly the place left for it.
func TestLatePacketsFindTheirPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const history = 64
		m := munge.New(munge.Config{History: history, FirstSeq: rapid.Uint16().Draw(t, "first")})
		s := source{seq: 1<<16 + uint64(rapid.Uint16().Draw(t, "seq")), ts: 1 << 32, at: start}
		p := s.next()
		first, _ := m.Next(p, true, p.Arrival)
		want := first.Index
		type late struct {
			p    *media.Packet
			want uint64
		}
		var held []late
		check := func(p *media.Packet, want uint64) {
			if o, ok := m.Next(p, false, p.Arrival); !ok || o.Index != want || o.TS != m.Map(p.TS) {
				t.Fatalf("packet %d: %v %+v, want index %d", p.Seq, ok, o, want)
			}
		}
		for range rapid.IntRange(1, 500).Draw(t, "packets") {
			p := s.next()
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				m.Drop(p)
				continue
			case 1:
				want++
				held = append(held, late{p, want})
			default:
				want++
				check(p, want)
			}
			// Within the history of the newest that may have been sent: all that are about to leave it go now, as each
			// pass of this loop moves the newest on.
			for len(held) > 0 && (want-held[0].want >= history-4 || rapid.Bool().Draw(t, "release")) {
				p = s.next()
				want++
				check(p, want)
				if !m.Left(held[0].p) {
					t.Fatalf("no place was left for %d", held[0].p.Seq)
				}
				check(held[0].p, held[0].want)
				held = held[1:]
			}
		}
	})
}
