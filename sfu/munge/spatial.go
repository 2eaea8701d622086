package munge

import "github.com/sluice-live/sluice/media"

// allSpatial means that no spatial layer is left out.
const allSpatial = 255

// Top says which spatial layer is the highest that is forwarded: the last packet of that one must carry the marker bit,
// as the packets of higher ones are dropped. Without a call all are forwarded, and the marker is the publisher's. Where
// packets have dependency descriptors, p.Spatial must be what they tell (descriptor.Source.Apply).
func (m *Munger) Top(spatial uint8) { m.top = spatial }

// ends reports whether p is the last packet of its frame as the viewer gets it.
func (m *Munger) ends(p *media.Packet) bool {
	if p.Marker || m.top == allSpatial || p.Spatial != m.top {
		return p.Marker
	}
	if p.Codec == media.VP9 { // E, end of a layer frame (RFC 9628 section 4.2)
		return len(p.Payload) > 0 && p.Payload[0]&0x04 != 0
	}
	// end_of_frame of the dependency descriptor (AV1 RTP specification, appendix A)
	return len(p.Descriptor) > 0 && p.Descriptor[0]&0x40 != 0
}
