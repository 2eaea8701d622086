package conform_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
)

// path is what happens to packets between a publisher and the door, in percent.
type path struct{ loss, late, twice, padding int }

// stage is one run: a publisher of up to three encodings, the path, one viewer.
type stage struct {
	t        *rapid.T
	rng      *rand.Rand // of a drawn seed: drawing each number is too slow
	mode     mode
	path     path
	viewer   *viewer
	encoders []*encoder
	infos    []media.LayerInfo
	ids      uint64
	epoch    media.Epoch
	now      time.Time
	waiting  []pending
	asked    map[media.Layer]int // pictures until a wanted key frame comes
}

type pending struct {
	made
	at int // picture with which it arrives
}

func newStage(t *rapid.T, m mode, p path) *stage {
	s := &stage{t: t, rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), mode: m, path: p, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	s.viewer = newViewer(uint16(s.pick(1<<15)), s.rng.Uint32())
	s.viewer.checker.Holes = p.late > 0
	// Packets that overtook their structure have passed the door without their layers, which the marker goes by.
	s.viewer.checker.Unmarked = p.late > 0 && m.described
	s.publish(rapid.IntRange(1, 3).Draw(t, "encodings"))
	return s
}

// pick returns a number below n.
func (s *stage) pick(n int) int { return s.rng.IntN(n) }

func (s *stage) chance(percent int) bool { return s.pick(100) < percent }

// publish begins a new epoch; its numbers are near their ends.
func (s *stage) publish(encodings int) {
	s.epoch++
	for _, p := range s.waiting {
		s.viewer.checker.Lost(p.frame)
	}
	s.encoders, s.infos, s.waiting, s.asked = nil, nil, nil, map[media.Layer]int{}
	for i := range encodings {
		s.encoders = append(s.encoders, &encoder{mode: s.mode, layer: media.Layer(i), epoch: s.epoch, ids: &s.ids, pick: s.pick,
			seq: 1<<17 - 50 - uint64(s.pick(100)), ts: 1<<33 - 90000 + media.Ticks(s.pick(1<<20)), id: uint16(s.pick(1 << 16)), tl0: uint8(s.pick(256)),
			number: uint16(1<<16 - 1 - s.pick(100))})
		s.infos = append(s.infos, media.LayerInfo{ID: media.Layer(i), RID: string(rune('a' + i)), Width: 160 << i, Height: 90 << i, Active: true})
	}
	s.viewer.epoch()
	s.viewer.selector.Layers(s.infos)
}

// picture lets each encoding send its next one.
func (s *stage) picture(n int) {
	s.now = s.now.Add(time.Second / 30)
	for i, e := range s.encoders {
		if !s.infos[i].Active {
			e.ts += 3000
			continue
		}
		for _, m := range e.picture(s.due(e.layer)) {
			s.send(m, n)
		}
		for s.chance(s.path.padding) {
			s.waiting = append(s.waiting, pending{made{Packet: &media.Packet{Epoch: e.epoch, Track: media.VideoTrack, Layer: e.layer, Codec: e.codec, Seq: e.seq, TS: e.ts - 3000}}, n})
			e.seq++
		}
	}
	left := s.waiting[:0]
	for _, p := range s.waiting {
		if p.at > n {
			left = append(left, p)
			continue
		}
		s.viewer.receive(p.made, s.now)
	}
	s.waiting = left
	if l, key := s.viewer.selector.Wants(); key {
		s.ask(l)
	}
}

// send puts one packet on the path: it is lost, comes twice, or comes one or several pictures late.
func (s *stage) send(m made, n int) {
	if s.chance(s.path.loss) {
		s.viewer.checker.Lost(m.frame)
		return
	}
	at := n
	if s.chance(s.path.late) {
		at += s.pick(6)
	}
	s.waiting = append(s.waiting, pending{m, at})
	if s.chance(s.path.twice) {
		s.waiting = append(s.waiting, pending{m, at + s.pick(3)})
	}
	if k := len(s.waiting); s.chance(s.path.late) && k > 1 {
		s.waiting[k-1], s.waiting[k-2] = s.waiting[k-2], s.waiting[k-1]
	}
}

// ask wants a key frame; it takes some pictures to come.
func (s *stage) ask(l media.Layer) {
	for _, e := range s.encoders {
		if _, asked := s.asked[e.layer]; (l == media.AnyLayer || l == e.layer) && !asked {
			s.asked[e.layer] = 2 + s.pick(4)
		}
	}
}

func (s *stage) due(l media.Layer) bool {
	left, asked := s.asked[l]
	if asked && left > 0 {
		s.asked[l]--
		return false
	}
	delete(s.asked, l)
	return asked
}

// whim changes something that a viewer, an allocator or a publisher may change.
func (s *stage) whim() {
	sel := s.viewer.selector
	some := func(n int) uint8 {
		return []uint8{0, 1, 2, 255}[s.pick(n)]
	}
	switch s.pick(8) {
	case 0:
		c := media.AutomaticChoice()
		c.MaxSpatial, c.MaxTemporal, c.MaxHeight = s.pick(4)-1, s.pick(4)-1, []int{-1, 90, 180}[s.pick(3)]
		sel.Choose(c)
	case 1, 2, 3:
		sel.Limit(media.Layer(s.pick(len(s.encoders)+1)-1), some(4), some(4))
	case 4:
		s.infos[s.pick(len(s.infos))].Active = s.chance(50)
		sel.Layers(s.infos)
	case 5:
		if s.chance(20) {
			sel.Resync()
		}
	case 6:
		if s.chance(20) {
			s.publish(1 + s.pick(3))
		}
	default:
		sel.Limit(media.AnyLayer, 255, 255)
		sel.Choose(media.AutomaticChoice())
	}
}

func (s *stage) run(pictures int) {
	for n := range pictures {
		if s.chance(8) {
			s.whim()
		}
		s.picture(n)
	}
}

// judge lets all that is on its way arrive, and looks at what went out.
func (s *stage) judge() {
	for _, p := range s.waiting {
		s.viewer.receive(p.made, s.now)
	}
	s.waiting = nil
	faults := s.viewer.checker.Faults()
	for i, f := range faults {
		if s.t.Log(f); i == 5 {
			break
		}
	}
	if len(faults) > 0 {
		s.t.Fatalf("%d faults", len(faults))
	}
}

func forModes(t *testing.T, run func(t *rapid.T, m mode)) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { run(t, m) }) })
	}
}

// Whatever the schedule of layers, choices, limits, outages and publishers: the output has no faults.
func TestEveryScheduleConforms(t *testing.T) {
	forModes(t, func(t *rapid.T, m mode) {
		s := newStage(t, m, path{padding: 5})
		s.run(rapid.IntRange(1, 120).Draw(t, "pictures"))
		s.judge()
	})
}

// The same over a path that loses, delays, reorders and doubles packets.
func TestEveryScheduleConformsOnBadPaths(t *testing.T) {
	paths := []path{{late: 20, twice: 5, padding: 5}, {loss: 3}, {loss: 2, late: 10, twice: 5, padding: 5}}
	forModes(t, func(t *rapid.T, m mode) {
		s := newStage(t, m, rapid.SampledFrom(paths).Draw(t, "path"))
		s.run(rapid.IntRange(1, 120).Draw(t, "pictures"))
		s.judge()
	})
}

// When nothing limits any more and key frames come, all of the best encoding is forwarded.
func TestTheTopIsReached(t *testing.T) {
	forModes(t, func(t *rapid.T, m mode) {
		s := newStage(t, m, path{padding: 2})
		s.run(rapid.IntRange(1, 60).Draw(t, "pictures"))
		for i := range s.infos {
			s.infos[i].Active = true
		}
		sel := s.viewer.selector
		sel.Layers(s.infos)
		sel.Choose(media.AutomaticChoice())
		sel.Limit(media.AnyLayer, 255, 255)
		for n := range 60 {
			s.picture(1000 + n)
		}
		before := len(s.viewer.sent)
		for n := range 12 {
			s.picture(2000 + n)
		}
		var spatial, temporal uint8
		for _, p := range s.viewer.sent[before:] {
			spatial, temporal = max(spatial, p.Spatial), max(temporal, p.Temporal)
			if int(p.Layer) != len(s.encoders)-1 {
				t.Fatalf("encoding %d is forwarded", p.Layer)
			}
		}
		if int(spatial) != m.spatial-1 || int(temporal) != m.temporal-1 {
			t.Fatalf("layers up to %d, %d of %d, %d are forwarded", spatial, temporal, m.spatial, m.temporal)
		}
		if l, key := sel.Wants(); key {
			t.Fatalf("a key frame of %d is wanted", l)
		}
		s.judge()
	})
}
