package layer_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/layer"
)

// three is a publisher with three layers whose numbers are not in the order of their sizes.
func three() []media.LayerInfo {
	return []media.LayerInfo{
		{ID: 0, RID: "h", Width: 640, Height: 360, Active: true},
		{ID: 1, RID: "q", Width: 320, Height: 180, Active: true},
		{ID: 2, RID: "f", Width: 1280, Height: 720, Active: true},
	}
}

const (
	half    = media.Layer(0)
	quarter = media.Layer(1)
	full    = media.Layer(2)
)

// feed makes packets of three layers, one packet per frame.
type feed struct{ n [3]uint64 }

func (f *feed) packet(l media.Layer, key bool) *media.Packet {
	f.n[l]++
	return &media.Packet{Epoch: 1, Layer: l, Seq: 1<<16 + f.n[l], TS: media.Ticks(f.n[l] * 3000), Key: key, FrameStart: true, FrameEnd: true}
}

func expect(t *testing.T, s *layer.Selector, p *media.Packet, want layer.Verdict) {
	t.Helper()
	if got := s.Decide(p); got != want {
		t.Fatalf("epoch %d layer %d seq %d key %v: verdict %d, want %d", p.Epoch, p.Layer, p.Seq, p.Key, got, want)
	}
}

func wants(t *testing.T, s *layer.Selector, l media.Layer, key bool) {
	t.Helper()
	if gotLayer, gotKey := s.Wants(); gotLayer != l || gotKey != key {
		t.Fatalf("wants layer %d, key %v; want %d, %v", gotLayer, gotKey, l, key)
	}
}

func TestNothingFlowsBeforeAKeyFrame(t *testing.T) {
	s, f := layer.New(), feed{}
	wants(t, s, media.AnyLayer, true)
	expect(t, s, f.packet(half, false), layer.Drop)
	expect(t, s, f.packet(half, true), layer.Switch)
	expect(t, s, f.packet(half, false), layer.Forward)
	wants(t, s, media.AnyLayer, false)
}

func TestHighestActiveLayerIsWanted(t *testing.T) {
	s, f := layer.New(), feed{}
	s.Layers(three())
	wants(t, s, full, true)
	expect(t, s, f.packet(quarter, true), layer.Switch) // better than nothing
	wants(t, s, full, true)
	expect(t, s, f.packet(half, true), layer.Drop) // a key frame more would only cost
	expect(t, s, f.packet(full, false), layer.Drop)
	expect(t, s, f.packet(quarter, false), layer.Forward) // the picture is held meanwhile
	expect(t, s, f.packet(full, true), layer.Switch)
	expect(t, s, f.packet(quarter, true), layer.Drop)
	s.Layers(three())
	expect(t, s, f.packet(quarter, true), layer.Drop)
	if s.Current() != full || s.Target() != full {
		t.Errorf("current %d, target %d", s.Current(), s.Target())
	}
}

func TestChoices(t *testing.T) {
	auto := media.AutomaticChoice()
	with := func(change func(*media.LayerChoice)) media.LayerChoice {
		c := auto
		change(&c)
		return c
	}
	fullGone := three()
	fullGone[2].Active = false
	onlyFull := three()
	onlyFull[0].Active, onlyFull[1].Active = false, false
	unknown := []media.LayerInfo{{ID: 0, Active: true, Bitrate: 9}, {ID: 1, Active: true, Bitrate: 5}}
	for name, c := range map[string]struct {
		infos  []media.LayerInfo
		choice media.LayerChoice
		want   media.Layer
	}{
		"automatic":              {three(), auto, full},
		"zero value":             {three(), media.LayerChoice{}, full},
		"zero value with a mid":  {three(), media.LayerChoice{MID: "1"}, full},
		"by name":                {three(), with(func(c *media.LayerChoice) { c.RID = "h" }), half},
		"by name, unknown":       {three(), with(func(c *media.LayerChoice) { c.RID = "x" }), full},
		"by name, gone":          {fullGone, with(func(c *media.LayerChoice) { c.RID = "f" }), half},
		"by name, only above":    {onlyFull, with(func(c *media.LayerChoice) { c.RID = "q" }), full},
		"by height":              {three(), with(func(c *media.LayerChoice) { c.MaxHeight = 400 }), half},
		"by width":               {three(), with(func(c *media.LayerChoice) { c.MaxWidth = 320 }), quarter},
		"smaller than all":       {three(), with(func(c *media.LayerChoice) { c.MaxHeight = 90 }), quarter},
		"size not known yet":     {unknown, with(func(c *media.LayerChoice) { c.MaxHeight = 400 }), 1},
		"automatic without size": {unknown, auto, 0},
		"nothing flows":          {nil, auto, media.AnyLayer},
	} {
		s := layer.New()
		s.Choose(c.choice)
		s.Layers(c.infos)
		if s.Target() != c.want {
			t.Errorf("%s: target %d, want %d", name, s.Target(), c.want)
		}
	}
}

func TestPacketsFromBeforeTheSwitchAreDropped(t *testing.T) {
	s, f := layer.New(), feed{}
	late := f.packet(half, false)
	expect(t, s, f.packet(half, true), layer.Switch)
	expect(t, s, late, layer.Drop)
}

func TestNewEpochBeginsAtAKeyFrame(t *testing.T) {
	s, f := layer.New(), feed{}
	s.Layers(three())
	expect(t, s, f.packet(full, true), layer.Switch)
	old := f.packet(full, true)
	s.Reset()
	wants(t, s, media.AnyLayer, true)
	s.Layers([]media.LayerInfo{{ID: 0, Active: true}}) // the layers of the new one, before its first packet
	p := f.packet(0, false)
	p.Epoch = 2
	expect(t, s, p, layer.Drop)
	p.Key = true
	expect(t, s, p, layer.Switch)
	expect(t, s, old, layer.Drop)
	wants(t, s, media.AnyLayer, false)
}

func TestResyncWaitsForTheTargetsKeyFrame(t *testing.T) {
	s, f := layer.New(), feed{}
	s.Layers(three())
	expect(t, s, f.packet(full, true), layer.Switch)
	s.Resync()
	wants(t, s, full, true)
	expect(t, s, f.packet(full, false), layer.Drop)
	expect(t, s, f.packet(full, true), layer.Switch)
}

func svc(seq uint64, spatial, temporal uint8, key, up bool) *media.Packet {
	return &media.Packet{
		Epoch: 1, Seq: 1<<16 + seq, TS: media.Ticks(seq / 2 * 3000), Spatial: spatial, Temporal: temporal,
		Key: key, SwitchUp: up, FrameStart: seq%2 == 0,
	}
}

func TestTemporalLayersChangeBetweenFrames(t *testing.T) {
	s := layer.New()
	low := media.AutomaticChoice()
	low.MaxTemporal = 0
	expect(t, s, svc(0, 0, 0, true, false), layer.Switch)
	expect(t, s, svc(2, 0, 1, false, false), layer.Forward)
	s.Choose(low)
	expect(t, s, svc(3, 0, 1, false, false), layer.Forward) // the frame that has begun is finished
	expect(t, s, svc(4, 0, 0, false, false), layer.Forward)
	expect(t, s, svc(6, 0, 1, false, true), layer.Drop)
	s.Choose(media.AutomaticChoice())
	expect(t, s, svc(8, 0, 1, false, false), layer.Drop) // no place to enter
	expect(t, s, svc(10, 0, 1, false, true), layer.Forward)
	expect(t, s, svc(7, 0, 1, false, true), layer.Drop) // late rest of a dropped frame
	expect(t, s, svc(12, 0, 2, false, false), layer.Drop)
	expect(t, s, svc(14, 0, 0, true, false), layer.Forward)
	expect(t, s, svc(16, 0, 2, false, false), layer.Forward) // a key frame opens all
	wants(t, s, media.AnyLayer, false)
}

func TestSpatialLayersRiseAtKeyFrames(t *testing.T) {
	s := layer.New()
	low := media.AutomaticChoice()
	low.Spatial = 0
	s.Choose(low)
	expect(t, s, svc(0, 0, 0, true, false), layer.Switch)
	expect(t, s, svc(1, 1, 0, false, false), layer.Drop)
	if s.Spatial() != 0 {
		t.Errorf("forwards up to spatial layer %d", s.Spatial())
	}
	wants(t, s, media.AnyLayer, false)
	s.Choose(media.AutomaticChoice())
	wants(t, s, 0, true)
	expect(t, s, svc(2, 0, 0, false, false), layer.Forward)
	expect(t, s, svc(3, 1, 0, false, false), layer.Drop)
	expect(t, s, svc(4, 0, 0, true, false), layer.Forward)
	expect(t, s, svc(5, 1, 0, false, false), layer.Forward)
	wants(t, s, media.AnyLayer, false)
	s.Choose(low)
	expect(t, s, svc(6, 0, 0, false, false), layer.Forward)
	expect(t, s, svc(7, 1, 0, false, false), layer.Drop)
}

// Who wants all spatial layers of a publisher that has one needs no key frame for it.
func TestNoKeyFrameForLayersThatAreNotThere(t *testing.T) {
	s := layer.New()
	low := media.AutomaticChoice()
	low.Spatial = 0
	s.Choose(low)
	expect(t, s, svc(0, 0, 0, true, false), layer.Switch)
	s.Choose(media.AutomaticChoice())
	wants(t, s, media.AnyLayer, false)
}

// The zero value is automatic even if it names the m-line: it caps nothing.
func TestZeroChoiceCapsNothing(t *testing.T) {
	s := layer.New()
	s.Choose(media.LayerChoice{MID: "1"})
	expect(t, s, svc(0, 0, 0, true, false), layer.Switch)
	expect(t, s, svc(1, 1, 0, false, false), layer.Forward)
	expect(t, s, svc(2, 0, 2, false, false), layer.Forward)
}

func TestDecideAllocatesNothing(t *testing.T) {
	s, f := layer.New(), feed{}
	s.Layers(three())
	p := f.packet(full, true)
	if n := testing.AllocsPerRun(1000, func() {
		p.Seq++
		p.TS += 3000
		p.Layer = media.Layer(p.Seq % 3)
		p.Key = p.Seq%7 == 0
		s.Decide(p)
		s.Wants()
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	s, f := layer.New(), feed{}
	s.Layers(three())
	p := f.packet(full, true)
	for range b.N {
		s.Decide(p)
		p.Seq++
		p.TS += 3000
		p.Key = false
	}
}

func TestTrap11_TopLayerDisappears(t *testing.T) {
	s, f := layer.New(), feed{}
	s.Layers(three())
	expect(t, s, f.packet(full, true), layer.Switch)
	gone := three()
	gone[2].Active = false
	s.Layers(gone) // within a second of the last packet
	wants(t, s, half, true)
	expect(t, s, f.packet(quarter, true), layer.Switch) // even the least picture is better than a frozen one
	wants(t, s, half, true)
	expect(t, s, f.packet(half, true), layer.Switch)
	wants(t, s, media.AnyLayer, false)
	s.Layers(three()) // it comes back
	wants(t, s, full, true)
	expect(t, s, f.packet(half, false), layer.Forward)
	expect(t, s, f.packet(full, true), layer.Switch)
}

// Whatever the schedule of layers, choices, outages and reordering: each source begins with a key frame, nothing from
// before it or from a layer that is not current follows, and the target is reached by its key frame.
func TestTrap09_SwitchOnlyAtKeyFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, f := layer.New(), feed{}
		infos := three()
		var current media.Layer = media.AnyLayer
		var since uint64
		epoch := media.Epoch(1)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 12).Draw(t, "what") {
			case 0:
				infos[rapid.IntRange(0, 2).Draw(t, "layer")].Active = rapid.Bool().Draw(t, "active")
				s.Layers(infos)
			case 1:
				c := media.AutomaticChoice()
				c.RID = rapid.SampledFrom([]string{"", "f", "h", "q", "x"}).Draw(t, "rid")
				c.MaxHeight = rapid.SampledFrom([]int{-1, 0, 200, 400, 800}).Draw(t, "height")
				s.Choose(c)
			case 2:
				s.Resync()
				current = media.AnyLayer
			case 3:
				epoch++
				s.Reset()
				s.Layers(infos)
				current = media.AnyLayer
			}
			p := f.packet(media.Layer(rapid.IntRange(0, 2).Draw(t, "of")), rapid.IntRange(0, 4).Draw(t, "key") == 0)
			p.Epoch = epoch
			p.Seq -= uint64(rapid.SampledFrom([]int{0, 0, 0, 1, 30}).Draw(t, "late"))
			target := s.Target()
			switch v := s.Decide(p); {
			case v == layer.Switch && !p.Key:
				t.Fatalf("switched to layer %d without a key frame", p.Layer)
			case v == layer.Switch:
				current, since = p.Layer, p.Seq
			case v == layer.Forward && (p.Layer != current || p.Seq < since):
				t.Fatalf("forwarded layer %d seq %d, current is %d since %d", p.Layer, p.Seq, current, since)
			case v == layer.Drop && p.Key && p.Layer == target && p.Layer != current:
				t.Fatalf("dropped the key frame of the target")
			}
			if s.Current() != current {
				t.Fatalf("current is %d, should be %d", s.Current(), current)
			}
			if _, key := s.Wants(); current != s.Target() && s.Target() != media.AnyLayer && !key {
				t.Fatalf("nobody asks for the key frame of %d", s.Target())
			}
		}
	})
}

// The choice bounds what is switched to, as long as anything within the bound flows.
func TestChoiceIsNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, f := layer.New(), feed{}
		heights := map[media.Layer]int{half: 360, quarter: 180, full: 720}
		c := media.AutomaticChoice()
		c.MaxHeight = rapid.SampledFrom([]int{200, 400, 800}).Draw(t, "height")
		s.Choose(c)
		infos := three()
		s.Layers(infos)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			l := media.Layer(rapid.IntRange(0, 2).Draw(t, "of"))
			if l != quarter && rapid.IntRange(0, 5).Draw(t, "outage") == 0 {
				infos[l].Active = !infos[l].Active
				s.Layers(infos)
			}
			if s.Decide(f.packet(l, rapid.Bool().Draw(t, "key"))) != layer.Drop && heights[l] > c.MaxHeight {
				t.Fatalf("forwarded %d lines, at most %d were chosen", heights[l], c.MaxHeight)
			}
		}
	})
}
