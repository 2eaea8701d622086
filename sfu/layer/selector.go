package layer

import (
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec/descriptor"
)

// Verdict is what to do with one packet.
type Verdict uint8

// A packet is dropped, forwarded, or forwarded as the first of a new source. After Switch, packets behind p that had come
// before it were dropped: take them from the history ring.
const (
	Drop Verdict = iota
	Forward
	Switch
)

// all means that no spatial or temporal layer is left out.
const all = 255

// Selector picks the packets of one viewer's video track. It is not safe for concurrent use.
type Selector struct {
	choice media.LayerChoice
	bound  bound
	infos  []media.LayerInfo // in ascending order of rank; n of them count
	n      int

	target  media.Layer // AnyLayer: whatever comes first
	current media.Layer // AnyLayer: a key frame must come first
	silent  bool        // the current layer has stopped
	below   uint8       // bit set of active layers that may stand in for the target; none: nothing is known to flow

	epoch media.Epoch
	start uint64      // sequence number of the first packet since the last switch
	frame media.Ticks // media time of the newest packet

	skipped media.Ticks // newest picture of which a spatial layer was dropped

	spatial, temporal caps

	handed *descriptor.Structure
	deps   *deps // of a source that tells its dependencies; nil until there is one
}

// bound is what the bandwidth allows: of one encoding, up to these layers of it.
type bound struct {
	layer             media.Layer
	spatial, temporal uint8
}

// New returns a Selector that takes the highest active layer, and waits for its first key frame.
func New() *Selector {
	s := &Selector{target: media.AnyLayer, current: media.AnyLayer, choice: media.AutomaticChoice(), bound: bound{media.AnyLayer, all, all}}
	s.spatial, s.temporal = newCaps(), newCaps()
	return s
}

// Layers tells what flows now. Call it about once a second, and when a key frame has told its size.
func (s *Selector) Layers(infos []media.LayerInfo) {
	s.n = 0
	if most := min(len(infos), media.MaxLayers); len(s.infos) < most {
		s.infos = make([]media.LayerInfo, most)
	}
	for _, l := range infos {
		if s.n == len(s.infos) || l.ID < 0 || int(l.ID) >= media.MaxLayers {
			continue
		}
		i := s.n
		for ; i > 0 && l.Less(s.infos[i-1]); i-- {
			s.infos[i] = s.infos[i-1]
		}
		s.infos[i] = l
		s.n++
	}
	s.retarget()
}

// Choose takes a viewer's choice. The zero value and media.AutomaticChoice mean the highest active layer. A chosen
// encoding that does not flow is stood in for by the best active one below it.
func (s *Selector) Choose(c media.LayerChoice) {
	plain := c
	plain.MID = ""
	if plain == (media.LayerChoice{}) {
		c = media.AutomaticChoice()
	}
	s.choice = c
	s.retarget()
}

// Limit takes what the viewer's link allows, from whoever allocates bandwidth: no encoding above l, and of l no spatial
// or temporal layer above these; media.AnyLayer and 255 limit nothing. Less is taken at the next place where the codec
// allows it, and so is more. While the key frame of a lower encoding is on its way, only the lowest temporal layer of
// the present one is forwarded.
func (s *Selector) Limit(l media.Layer, spatial, temporal uint8) {
	s.bound = bound{l, spatial, temporal}
	s.retarget()
}

// Structure hands over the dependency structure that holds in the source that comes next, for a start at a packet that
// does not bring one; st is not changed, and must not change. Nil takes it back.
func (s *Selector) Structure(st *descriptor.Structure) { s.handed = st }

// Reset begins a new epoch: what flowed is forgotten, and the next forwarded packet is one at which a decoder may start.
func (s *Selector) Reset() {
	s.n, s.target, s.handed = 0, media.AnyLayer, nil
	s.Resync()
	s.retarget()
}

// Resync makes the next forwarded packet one at which a decoder may start, in the layers known now (for viewers that
// fell behind).
func (s *Selector) Resync() { s.current = media.AnyLayer }

// Decide says what to do with p. A newer epoch begins at a key frame, even without Reset; packets of older ones are
// dropped.
//
// hot: once per packet and viewer.
func (s *Selector) Decide(p *media.Packet) Verdict {
	if p.Epoch != s.epoch {
		if p.Epoch < s.epoch {
			return Drop
		}
		s.Resync()
		s.epoch = p.Epoch
	}
	if p.Layer != s.current {
		if !p.Key || !s.enters(p.Layer) {
			return Drop
		}
		s.begin(p)
		return Switch
	}
	if p.Seq < s.start {
		return Drop
	}
	if s.deps.telling() {
		return s.depend(p)
	}
	if p.TS > s.frame {
		s.turn(p)
	}
	if p.Codec == media.AV1 { // without a descriptor not every packet tells its layers: all go
		return Forward
	}
	s.enterSpatial(p)
	s.spatial.seen = max(s.spatial.seen, p.Spatial)
	if s.spatial.drops(p.Spatial, p.TS) {
		s.skipped = max(s.skipped, p.TS)
		return Drop
	}
	if s.temporal.drops(p.Temporal, p.TS) {
		return Drop
	}
	return Forward
}

// Wants returns the layer whose key frame is needed now; key is false when none is. AnyLayer with key set means that
// any layer's will do.
func (s *Selector) Wants() (l media.Layer, key bool) {
	switch {
	case s.current == media.AnyLayer:
		return s.target, true
	case s.target != media.AnyLayer && s.target != s.current:
		return s.target, true
	case s.deps.telling():
		if s.deps.wantKey(s.spatial.want, s.temporal.want) {
			return s.current, true
		}
	case s.spatial.raised():
		return s.current, true
	}
	return media.AnyLayer, false
}

// Current returns the layer that is forwarded, AnyLayer if none is.
func (s *Selector) Current() media.Layer { return s.current }

// Target returns the layer that is wanted, AnyLayer if none in particular is.
func (s *Selector) Target() media.Layer { return s.target }

// Spatial returns the highest spatial layer that is forwarded now, 255 if none is left out (for munge.Munger.Top).
func (s *Selector) Spatial() uint8 {
	if s.deps.telling() {
		return s.deps.top()
	}
	return s.spatial.now
}

// Temporal returns the highest temporal layer that is forwarded now, 255 if none is left out.
func (s *Selector) Temporal() uint8 {
	if s.deps.telling() {
		return s.deps.topTemporal()
	}
	return s.temporal.now
}

// Targets returns the decode targets that are forwarded whole, and how many the source has; 0, 0 if the source has none
// (for munge.Munger.Targets).
func (s *Selector) Targets() (active uint32, n uint8) {
	if !s.deps.telling() {
		return 0, 0
	}
	return s.deps.forwarded()
}

// enters reports whether a key frame of l is a place to switch to: the target's always, another one's only to a viewer
// who has no picture.
func (s *Selector) enters(l media.Layer) bool {
	if l == s.target {
		return true
	}
	if s.current != media.AnyLayer && !s.silent {
		return false
	}
	return s.below == 0 || l >= 0 && l < media.MaxLayers && s.below&(1<<l) != 0
}

// begin makes the packet's layer the current one.
func (s *Selector) begin(p *media.Packet) {
	s.current, s.silent = p.Layer, false
	s.start, s.frame, s.skipped = p.Seq, p.TS, 0
	s.rewant()
	s.spatial.begin()
	s.temporal.begin()
	s.enterStructure(p)
}

// turn is called at the first packet of a new frame in order: caps change between frames only.
func (s *Selector) turn(p *media.Packet) {
	s.frame = p.TS
	if p.Key {
		s.spatial.restart(p.TS)
		s.temporal.restart(p.TS)
	} else {
		s.spatial.lower(p.TS)
		s.temporal.lower(p.TS)
	}
	if p.FrameStart && s.temporal.now < s.temporal.want {
		s.enterTemporal(p)
	}
}
