package layer_test

import (
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/layer"
)

func TestDemand(t *testing.T) {
	rated := func() []media.LayerInfo {
		all := three()
		for i := range all {
			all[i].Mean = media.Bitrate(all[i].Width * all[i].Height * 3)
		}
		return all
	}
	bound := func(l media.Layer) func(*layer.Selector) { return func(s *layer.Selector) { s.Limit(l, 255, 255) } }
	for _, row := range []struct {
		name  string
		do    func(s *layer.Selector)
		room  media.Bitrate
		infos func([]media.LayerInfo)
		want  media.LayerSet
	}{
		{name: "automatic, no limit known", want: 1 << full},
		{name: "the link carries half", do: bound(half), room: 1_000_000, want: 1 << half},
		{name: "and nearly the whole", do: bound(half), room: 2_300_000, want: 1<<half | 1<<full},
		{name: "pinned, whatever the link", room: 9_000_000, want: 1 << quarter,
			do: func(s *layer.Selector) {
				c := media.AutomaticChoice()
				c.RID = "q"
				s.Choose(c)
				s.Limit(quarter, 255, 255)
			}},
		{name: "a small window", room: 9_000_000, want: 1 << half,
			do: func(s *layer.Selector) {
				c := media.AutomaticChoice()
				c.MaxWidth = 700
				s.Choose(c)
				s.Limit(half, 255, 255)
			}},
		{name: "the best rests: it will come, others need not", want: 1<<full | 1<<half, // half is got meanwhile
			infos: func(all []media.LayerInfo) { all[full].Active, all[full].Paused = false, true }},
		{name: "the best has gone: what stands in", want: 1<<full | 1<<half,
			infos: func(all []media.LayerInfo) { all[full].Active = false }},
		{name: "and its stand-in rests", want: 1<<full | 1<<half | 1<<quarter,
			infos: func(all []media.LayerInfo) {
				all[full].Active, all[half].Active, all[half].Paused = false, false, true
			}},
	} {
		s, infos := layer.New(), rated()
		if row.infos != nil {
			row.infos(infos)
		}
		s.Layers(infos)
		if row.do != nil {
			row.do(s)
		}
		if got := s.Demand(row.room); got != row.want {
			t.Errorf("%s: %03b, want %03b", row.name, got, row.want)
		}
	}
}

// What flows to a viewer is wanted until something else does.
func TestDemandKeepsWhatIsSent(t *testing.T) {
	s, f := layer.New(), feed{}
	if s.Demand(0) != 0 {
		t.Error("before anything is known, nothing is wanted in particular")
	}
	s.Layers(three())
	expect(t, s, f.packet(full, true), layer.Switch)
	c := media.AutomaticChoice()
	c.RID = "q"
	s.Choose(c)
	if got := s.Demand(0); got != 1<<full|1<<quarter {
		t.Errorf("on the way down: %03b", got)
	}
	expect(t, s, f.packet(quarter, true), layer.Switch)
	if got := s.Demand(0); got != 1<<quarter {
		t.Errorf("there: %03b", got)
	}
}
