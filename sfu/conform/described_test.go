package conform_test

import "github.com/sluice-live/sluice/media/codec/descriptor"

// kind is one template of a made-up structure.
type kind struct {
	s, t int
	key  bool
}

// templates lists them in the order that a structure wants: by spatial, then temporal layer.
func templates(m mode) (all []kind) {
	for s := range m.spatial {
		for t := range m.temporal {
			if t == 0 {
				all = append(all, kind{s, t, true})
			}
			all = append(all, kind{s, t, false})
		}
	}
	return all
}

// indication is what a frame is for the target of layers (S, T).
func (e *encoder) indication(k kind, S, T int, tied bool) descriptor.Indication {
	switch {
	case k.t > T || k.s > S, e.keyOnly && !k.key && k.s != S:
		return descriptor.NotPresent
	case k.key:
		return descriptor.Switch
	case k.s < S:
		return descriptor.Required
	case tied || k.t == 0 && e.tiedNext():
		if k.t == T && k.t == 0 {
			return descriptor.Switch
		}
		return descriptor.Required
	case k.t == e.temporal-1 && k.t > 0:
		return e.top()
	}
	return descriptor.Switch
}

// top is the indication of the uppermost temporal layer: it can be done without unless its own frames refer to it.
func (e *encoder) top() descriptor.Indication {
	if e.tiedNext() {
		return descriptor.Required
	}
	return descriptor.Discardable
}

// tiedNext: a group to come before all references are loose again is tied.
func (e *encoder) tiedNext() bool { return e.groups%3 == 1 || e.groups%3 == 2 }

func (e *encoder) describe() descriptor.Structure {
	st := descriptor.Structure{First: e.offset & 63, Targets: uint8(e.spatial * e.temporal), Chains: uint8(e.spatial), HasSizes: true}
	for s := range e.spatial {
		for t := range e.temporal {
			target := s*e.temporal + t
			st.Protects[target] = uint8(s)
			st.Layers[target] = descriptor.Layers{Spatial: uint8(s), Temporal: uint8(t)}
		}
		st.Sizes[s] = descriptor.Resolution{Width: 160 << s, Height: 90 << s}
	}
	for _, k := range templates(e.mode) {
		m := &st.Templates[st.Count]
		m.Spatial, m.Temporal = uint8(k.s), uint8(k.t)
		m.Indications = e.indications(k, false)
		st.Count++
	}
	return st
}

func (e *encoder) indications(k kind, tied bool) (all descriptor.Indications) {
	for s := range e.spatial {
		for t := range e.temporal {
			all |= descriptor.Indications(e.indication(k, s, t, tied)) << (2 * (s*e.temporal + t))
		}
	}
	return all
}

// descriptors writes those of all packets of one frame; nil in modes without.
func (e *encoder) descriptors(s, t int, key bool, refs []ref, n int) (raws [][]byte) {
	if !e.described {
		return nil
	}
	template := 0
	for i, k := range templates(e.mode) {
		if k == (kind{s, t, key}) {
			template = i
		}
	}
	f := descriptor.Frame{Template: (e.structure.First + uint8(template)) & 63, Number: e.number, HasStructure: key && s == 0}
	f.Indications = e.indications(kind{s, t, key}, e.tied() && t > 0)
	f.OwnIndications, f.OwnDiffs, f.OwnChains = true, true, true
	for _, r := range refs {
		f.Diffs.By[f.Diffs.N] = e.number - r.number
		f.Diffs.N++
	}
	for c := range e.spatial {
		if e.chain[c].ok {
			f.Chains[c] = uint8(e.number - e.chain[c].number)
		}
	}
	for i := range n {
		f.Start, f.End = i == 0, i == n-1
		if i > 0 {
			f.HasStructure = false
		}
		raws = append(raws, e.structure.Append(nil, &f))
	}
	return raws
}

// chains notes a frame in those that it belongs to: base pictures of its spatial layer, and of those above that need it.
func (e *encoder) chains(s, t int, key bool, self ref) {
	if t > 0 {
		return
	}
	for c := s; c < e.spatial; c++ {
		if c == s || key || !e.keyOnly {
			e.chain[c] = self
		}
	}
}
