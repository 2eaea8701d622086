package munge

import "github.com/sluice-live/sluice/media"

// allSpatial means that no spatial layer is left out.
const allSpatial = 255

// Top says which spatial layer is the highest that is forwarded: the last packet of that one must carry the marker bit,
// as the packets of higher ones are dropped. Without a call all are forwarded, and the marker is the publisher's. Where
// packets have dependency descriptors, p.Spatial must be what they tell (descriptor.Source.Apply).
func (m *Munger) Top(spatial uint8) {
	if spatial != m.top.now {
		m.top.before, m.top.now, m.top.turned = m.top.now, spatial, true
	}
}

// top is the highest spatial layer that is forwarded.
type top struct {
	now, before uint8
	turned      bool        // now has been set, and no packet in order has come since
	from        media.Ticks // the first picture of now
}

// at returns the top for a picture.
func (t *top) at(ts media.Ticks, inOrder bool) uint8 {
	if t.turned && inOrder {
		t.from, t.turned = ts, false
	}
	if ts < t.from || t.turned {
		return t.before
	}
	return t.now
}

// ends reports whether p is the last packet of its frame as the viewer gets it.
func (m *Munger) ends(p *media.Packet, inOrder bool) bool {
	top := m.top.at(p.TS, inOrder)
	if p.Marker || top == allSpatial || p.Spatial != top {
		return p.Marker
	}
	if p.Codec == media.VP9 { // E, end of a layer frame (RFC 9628 section 4.2)
		return len(p.Payload) > 0 && p.Payload[0]&0x04 != 0
	}
	// end_of_frame of the dependency descriptor (AV1 RTP specification, appendix A)
	return len(p.Descriptor) > 0 && p.Descriptor[0]&0x40 != 0
}
