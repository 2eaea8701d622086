package munge

import "github.com/sluice-live/sluice/media"

// allSpatial means that no spatial layer is left out.
const allSpatial = 255

// Top says which spatial layer is the highest that is forwarded: the last packet of that one must carry the marker bit,
// as the packets of higher ones are dropped. Without a call all are forwarded, and the marker is the publisher's. Where
// packets have dependency descriptors, p.Spatial must be what they tell (descriptor.Source.Apply).
func (m *Munger) Top(spatial uint8) { m.top.next = spatial }

// top is the highest spatial layer that is forwarded, and what it was before: the end of a late picture is where its
// top was.
type top struct {
	now, next uint8
	past      [4]pastTop // the newest first
}

// pastTop says that up to a time the top was another.
type pastTop struct {
	until  media.Ticks
	before uint8
}

// turn takes the top that was set with the first packet in order that follows.
func (t *top) turn(ts media.Ticks) {
	if t.next != t.now {
		copy(t.past[1:], t.past[:])
		t.past[0] = pastTop{ts, t.now}
		t.now = t.next
	}
}

// begin takes it at the first packet of a source.
func (t *top) begin() { t.now, t.past = t.next, [4]pastTop{} }

func (t *top) at(ts media.Ticks) uint8 {
	spatial := t.now
	for _, p := range t.past {
		if ts >= p.until {
			break
		}
		spatial = p.before
	}
	return spatial
}

// ends reports whether p is the last packet of its frame as the viewer gets it.
func (m *Munger) ends(p *media.Packet, inOrder bool) bool {
	if inOrder {
		m.top.turn(p.TS)
	}
	top := m.top.at(p.TS)
	if p.Marker || top == allSpatial || p.Spatial != top {
		return p.Marker
	}
	if p.Codec == media.VP9 { // E, end of a layer frame (RFC 9628 section 4.2)
		return len(p.Payload) > 0 && p.Payload[0]&0x04 != 0
	}
	// end_of_frame of the dependency descriptor (AV1 RTP specification, appendix A)
	return len(p.Descriptor) > 0 && p.Descriptor[0]&0x40 != 0
}
