// Package layer decides which packets of a video track one viewer gets.
//
// It promises that a viewer's decoder never starts on anything but a key frame.
// A Selector belongs to the shard that owns its viewer; it is not safe for concurrent use.
package layer

import "github.com/sluice-live/sluice/media"

// Verdict is what to do with one packet.
type Verdict uint8

// A packet is dropped, forwarded, or forwarded as the first of a new source.
const (
	Drop Verdict = iota
	Forward
	Switch
)

// Selector picks the packets of one viewer's video track.
type Selector struct {
	current, target media.Layer
	epoch           media.Epoch
	choice          media.LayerChoice
	infos           []media.LayerInfo
}

// New returns a Selector that waits for its first key frame.
func New() *Selector {
	return &Selector{current: media.AnyLayer, target: media.AnyLayer, choice: media.AutomaticChoice()}
}

// Layers tells what flows now.
func (s *Selector) Layers(infos []media.LayerInfo) {
	s.infos = append(s.infos[:0], infos...)
	s.retarget()
}

// Choose takes a viewer's explicit choice; the automatic one means the highest active layer.
func (s *Selector) Choose(c media.LayerChoice) { s.choice = c; s.retarget() }

// Reset starts over: the next forwarded packet must be one at which a decoder may start.
func (s *Selector) Reset() {
	s.current, s.target = media.AnyLayer, media.AnyLayer
	s.infos = s.infos[:0]
}

// Decide says what to do with p.
// hot: once per packet and viewer.
func (s *Selector) Decide(p *media.Packet) Verdict {
	if p.Key && (s.target == media.AnyLayer || p.Layer == s.target) && (s.current != p.Layer || s.epoch != p.Epoch) {
		s.current, s.epoch = p.Layer, p.Epoch
		return Switch
	}
	if p.Layer == s.current && p.Epoch == s.epoch {
		return Forward
	}
	return Drop
}

// Wants returns the layer whose key frame is needed now; key is false when none is.
func (s *Selector) Wants() (l media.Layer, key bool) {
	if s.current == media.AnyLayer || s.current != s.target && s.target != media.AnyLayer {
		return s.target, true
	}
	return media.AnyLayer, false
}

// Current returns the layer that is being forwarded, AnyLayer if none.
func (s *Selector) Current() media.Layer { return s.current }

// Target returns the layer that is wanted, AnyLayer if none in particular.
func (s *Selector) Target() media.Layer { return s.target }

func (s *Selector) retarget() {
	best := -1
	for i := range s.infos {
		if s.infos[i].Active && (best < 0 || s.infos[best].Less(s.infos[i])) {
			best = i
		}
	}
	if best >= 0 {
		s.target = s.infos[best].ID
	}
}
