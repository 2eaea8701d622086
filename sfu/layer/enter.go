package layer

import (
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

// enterTemporal raises the temporal cap where the codec allows it, at the first packet of a picture.
//
// VP9's U says that no higher picture to come needs one of before this picture that is above it (RFC 9628 section 4.2):
// if this one is forwarded, all above may be. Elsewhere the mark (VP8's Y, RFC 7741 section 4.2) speaks of the packet's
// own layer, which is entered one step at a time: what lies between has not been marked.
func (s *Selector) enterTemporal(p *media.Packet) {
	if p.Codec != media.VP9 {
		if p.SwitchUp && p.Temporal == s.temporal.now+1 {
			s.temporal.raise(p.Temporal, p.TS)
		}
		return
	}
	if p.Temporal > s.temporal.now {
		return
	}
	if d, err := codec.ParseVP9(p.Payload); err == nil && d.HasLayers && d.SwitchUp {
		s.temporal.raise(all, p.TS)
	}
}

// enterSpatial raises the spatial cap of VP9 by one without a key frame, at a frame that needs the layer below only: P is
// not set (RFC 9628 section 4.2). In an upper temporal layer such a frame proves nothing for those below, and a frame
// that was overtaken by a part of itself is lost.
func (s *Selector) enterSpatial(p *media.Packet) {
	if p.Codec != media.VP9 || s.spatial.now >= s.spatial.want || p.Spatial != s.spatial.now+1 || p.Temporal != 0 || p.TS != s.frame || p.TS == s.skipped {
		return
	}
	if d, err := codec.ParseVP9(p.Payload); err == nil && d.Begin && !d.Inter {
		s.spatial.raise(p.Spatial, p.TS)
	}
}
