package layer_test

import (
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec/descriptor"
	"github.com/sluice-live/sluice/sfu/layer"
)

// told makes packets with dependency descriptors, one per frame: two spatial layers with two temporal ones each.
type told struct {
	structure descriptor.Structure
	number    uint16
	seq       uint64
	ts        media.Ticks
}

const (
	sw = descriptor.Switch
	rq = descriptor.Required
	di = descriptor.Discardable
	np = descriptor.NotPresent
)

// Templates of L2T2_KEY: the targets are (0,0) (0,1) (1,0) (1,1).
var kinds = []struct {
	spatial, temporal uint8
	dtis              [4]descriptor.Indication
	diffs             []uint16
	chains            [2]uint8
}{
	0: {0, 0, [4]descriptor.Indication{sw, sw, sw, sw}, nil, [2]uint8{}},                // key
	1: {0, 0, [4]descriptor.Indication{sw, sw, np, np}, []uint16{4}, [2]uint8{4, 3}},    // base picture
	2: {0, 1, [4]descriptor.Indication{np, di, np, np}, []uint16{2}, [2]uint8{2, 1}},    //
	3: {1, 0, [4]descriptor.Indication{np, np, sw, sw}, []uint16{1}, [2]uint8{1, 1}},    // key, upper layer
	4: {1, 0, [4]descriptor.Indication{np, np, sw, sw}, []uint16{4}, [2]uint8{1, 4}},    //
	5: {1, 0, [4]descriptor.Indication{np, np, rq, rq}, []uint16{1, 4}, [2]uint8{1, 4}}, // needs the layer below, as without _KEY
	6: {1, 1, [4]descriptor.Indication{np, np, np, di}, []uint16{2}, [2]uint8{3, 2}},
}

func newTold() *told {
	x := &told{number: 65530, seq: 1 << 17, ts: 1 << 32}
	x.structure = descriptor.Structure{First: 60, Count: uint8(len(kinds)), Targets: 4, Chains: 2, Protects: [32]uint8{0, 0, 1, 1}}
	for i, k := range kinds {
		m := &x.structure.Templates[i]
		m.Spatial, m.Temporal = k.spatial, k.temporal
		for t, v := range k.dtis {
			m.Indications |= descriptor.Indications(v) << (2 * t)
		}
		m.Diffs.N = uint8(copy(m.Diffs.By[:], k.diffs))
		copy(m.Chains[:], k.chains[:])
	}
	for t := range 4 {
		x.structure.Layers[t] = descriptor.Layers{Spatial: uint8(t / 2), Temporal: uint8(t % 2)}
	}
	return x
}

// frame makes the next frame; one of the base layer begins a picture.
func (x *told) frame(kind int) *media.Packet {
	m := x.structure.Templates[kind]
	f := descriptor.Frame{Start: true, End: true, Template: (60 + uint8(kind)) & 63, Number: x.number, HasStructure: kind == 0,
		Spatial: m.Spatial, Temporal: m.Temporal, Indications: m.Indications, Diffs: m.Diffs, Chains: m.Chains}
	if m.Spatial == 0 {
		x.ts += 3000
	}
	x.number++
	x.seq++
	return &media.Packet{Epoch: 1, Codec: media.AV1, Seq: x.seq, TS: x.ts, Key: kind == 0, FrameStart: true,
		Spatial: m.Spatial, Temporal: m.Temporal, Descriptor: x.structure.Append(nil, &f), Payload: []byte{0}}
}

// play lets frames of these kinds come, and expects the verdicts.
func (x *told) play(t *testing.T, s *layer.Selector, kinds []int, want ...layer.Verdict) {
	t.Helper()
	for i, k := range kinds {
		if got := s.Decide(x.frame(k)); got != want[i] {
			t.Fatalf("frame %d, of kind %d: verdict %d, want %d", i, k, got, want[i])
		}
	}
}

const (
	no  = layer.Drop
	yes = layer.Forward
	now = layer.Switch
)

func TestOnlyFramesOfTheTargetAreForwarded(t *testing.T) {
	s, x := layer.New(), newTold()
	x.play(t, s, []int{0, 3, 2, 6, 1, 4, 2, 6}, now, yes, no, yes, no, yes, no, yes)
	wants(t, s, media.AnyLayer, false)
	if active, n := s.Targets(); active != 0b1100 || n != 4 || s.Spatial() != 255 || s.Temporal() != 255 {
		t.Errorf("targets %04b of %d, up to %d, %d", active, n, s.Spatial(), s.Temporal())
	}
}

// In the _KEY modes the lower layer went out with the key picture only: a key frame is needed to go down, and meanwhile
// as little as can be is sent.
func TestDownInKSVCWantsAKeyFrame(t *testing.T) {
	s, x := layer.New(), newTold()
	x.play(t, s, []int{0, 3, 2, 6, 1, 4}, now, yes, no, yes, no, yes)
	s.Limit(media.AnyLayer, 0, 255)
	wants(t, s, 0, true)
	x.play(t, s, []int{2, 6, 1, 4, 2, 6}, no, no, no, yes, no, no) // no upper temporal layer meanwhile
	x.play(t, s, []int{0, 3, 2, 6}, yes, no, yes, no)
	wants(t, s, media.AnyLayer, false)
	if s.Spatial() != 0 {
		t.Errorf("up to spatial layer %d", s.Spatial())
	}
	s.Limit(media.AnyLayer, 255, 255)
	wants(t, s, 0, true)
	x.play(t, s, []int{1, 4, 0, 3, 2, 6}, yes, no, yes, yes, no, yes)
}

// below lets the upper targets need the lower layer in all pictures, as without _KEY.
func (x *told) below() {
	for i := range x.structure.Templates[:len(kinds)] {
		if m := &x.structure.Templates[i]; m.Spatial == 0 {
			m.Indications |= m.Indications & 0xf << 4
		}
	}
}

// A picture that has begun with its upper layer is finished with it.
func TestNoHalfPictures(t *testing.T) {
	s, x := layer.New(), newTold()
	x.below()
	x.play(t, s, []int{0, 3, 2, 6, 1}, now, yes, yes, yes, yes)
	s.Limit(media.AnyLayer, 0, 255)
	x.play(t, s, []int{5, 2, 6}, yes, yes, no)
}

// A frame that comes late is judged by the target of its time.
func TestLateFramesFollowTheirTarget(t *testing.T) {
	s, x := layer.New(), newTold()
	x.play(t, s, []int{0, 3, 2}, now, yes, no)
	late := x.frame(6)
	x.play(t, s, []int{1, 4}, no, yes)
	s.Limit(media.AnyLayer, 255, 0)
	x.play(t, s, []int{2, 6}, no, no)
	expect(t, s, late, layer.Forward)
}

// Where the lower layers go out as well, down needs nothing.
func TestDownAtOnceWhereTheLowerLayerWentOut(t *testing.T) {
	s, x := layer.New(), newTold()
	x.below()
	x.play(t, s, []int{0, 3, 2, 6, 1, 5}, now, yes, yes, yes, yes, yes)
	s.Limit(media.AnyLayer, 0, 255)
	wants(t, s, media.AnyLayer, false)
	x.play(t, s, []int{2, 6, 1, 5}, yes, no, yes, no)
}

func TestTemporalLayersOfDescriptorsNeedNoKeyFrame(t *testing.T) {
	s, x := layer.New(), newTold()
	s.Limit(media.AnyLayer, 255, 0)
	x.play(t, s, []int{0, 3, 2, 6, 1, 4}, now, yes, no, no, no, yes)
	s.Limit(media.AnyLayer, 255, 255)
	wants(t, s, media.AnyLayer, false)
	x.play(t, s, []int{2, 6}, no, yes)
	s.Limit(media.AnyLayer, 255, 0)
	x.play(t, s, []int{1, 4, 2, 6}, no, yes, no, no)
}

// A lost base frame of the upper layer: it may be repaired for a while, then the chain is broken for good and a key
// frame is needed.
func TestBrokenChainWantsAKeyFrame(t *testing.T) {
	s, x := layer.New(), newTold()
	x.play(t, s, []int{0, 3, 2, 6}, now, yes, no, yes)
	x.play(t, s, []int{1}, no)
	x.frame(4) // lost
	for range 3 {
		x.play(t, s, []int{2, 6, 1, 4}, no, yes, no, yes)
	}
	wants(t, s, media.AnyLayer, false)
	x.ts += 30000
	x.play(t, s, []int{2, 6}, no, yes)
	wants(t, s, 0, true)
	x.play(t, s, []int{0, 3}, yes, yes)
	wants(t, s, media.AnyLayer, false)
}

func TestRepairedChainWantsNone(t *testing.T) {
	s, x := layer.New(), newTold()
	x.play(t, s, []int{0, 3, 2, 6, 1}, now, yes, no, yes, no)
	late := x.frame(4)
	x.play(t, s, []int{2, 6, 1, 4}, no, yes, no, yes)
	expect(t, s, late, layer.Forward)
	x.ts += 30000
	x.play(t, s, []int{2, 6, 1, 4}, no, yes, no, yes)
	wants(t, s, media.AnyLayer, false)
}

// The publisher stops its upper layer (its own bandwidth): the target is not there any more.
func TestTargetThatThePublisherStopsWantsAKeyFrame(t *testing.T) {
	s, x := layer.New(), newTold()
	x.play(t, s, []int{0, 3, 2, 6, 1, 4, 2, 6}, now, yes, no, yes, no, yes, no, yes)
	p := x.frame(1)
	p.Descriptor = descriptor.Rewrite(nil, p.Descriptor, x.number-1, 0b0011, 4)
	s.Decide(p)
	wants(t, s, 0, true)
	x.play(t, s, []int{0}, yes)
}

// A joiner that starts where no structure comes is handed the one that holds.
func TestStructureIsHandedToJoiners(t *testing.T) {
	for _, handed := range []bool{false, true} {
		s, x := layer.New(), newTold()
		if handed {
			known := x.structure
			s.Structure(&known)
		}
		s.Limit(media.AnyLayer, 0, 0)
		p := x.frame(0)
		f := descriptor.Frame{Start: true, End: true, Template: 60, Number: x.number - 1, Indications: x.structure.Templates[0].Indications}
		p.Descriptor = x.structure.Append(nil, &f)
		expect(t, s, p, layer.Switch)
		want := layer.Forward // without it nothing is known, and all goes
		if handed {
			want = layer.Drop
		}
		expect(t, s, x.frame(3), want)
	}
}

func TestAV1WithoutDescriptorsGoesWhole(t *testing.T) {
	s := layer.New()
	s.Limit(media.AnyLayer, 0, 0)
	for i, want := range []layer.Verdict{now, yes, yes, yes} {
		p := svc(uint64(i), uint8(i&1), uint8(i), i == 0, false)
		p.Codec = media.AV1
		expect(t, s, p, want)
	}
	wants(t, s, media.AnyLayer, false)
}

func TestDescriptorsAreFollowedWithoutAllocation(t *testing.T) {
	s, x := layer.New(), newTold()
	s.Decide(x.frame(0))
	s.Decide(x.frame(3))
	ps := []*media.Packet{}
	for range 2000 {
		for _, k := range []int{2, 6, 1, 4} {
			ps = append(ps, x.frame(k))
		}
	}
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		s.Limit(media.AnyLayer, uint8(i%2), uint8(i%3))
		s.Decide(ps[i])
		s.Wants()
		s.Targets()
		i++
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkDecideByDescriptors(b *testing.B) {
	s, x := layer.New(), newTold()
	s.Decide(x.frame(0))
	s.Decide(x.frame(3))
	ps := []*media.Packet{x.frame(2), x.frame(5), x.frame(1), x.frame(4)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := ps[i&3]
		p.Seq, p.TS = p.Seq+4, p.TS+6000
		n, _ := descriptor.Number(p.Descriptor)
		p.Descriptor[1], p.Descriptor[2] = byte((n+4)>>8), byte(n+4)
		s.Decide(p)
	}
}

// Whatever stands in descriptors, nothing panics, and a source still begins at a key frame.
func FuzzDescriptors(f *testing.F) {
	x := newTold()
	f.Add(x.frame(0).Descriptor, x.frame(3).Descriptor, x.frame(4).Descriptor, uint8(3))
	f.Add(x.frame(0).Descriptor, []byte{1, 2}, []byte{0xff, 0, 0, 0x80, 0}, uint8(0))
	f.Fuzz(func(t *testing.T, a, b, c []byte, limits uint8) {
		s := layer.New()
		begun := false
		for i := range 12 {
			p := &media.Packet{Epoch: 1, Codec: media.AV1, Seq: 1<<16 + uint64(i), TS: media.Ticks(i/2) * 9000, Key: i == 1, Payload: []byte{0}}
			p.Descriptor = [][]byte{b, a, b, c, a, c, b, b, c, a, c, b}[i]
			s.Limit(media.AnyLayer, limits>>uint(i%4)&3, limits>>uint(i%5)&3)
			v := s.Decide(p)
			if v != layer.Drop && !begun && (v != layer.Switch || !p.Key) {
				t.Fatal("it does not begin at the key frame")
			}
			begun = begun || v == layer.Switch
			s.Wants()
			s.Targets()
			s.Spatial()
			s.Temporal()
		}
	})
}
