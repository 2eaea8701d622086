package munge

import (
	"math/bits"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
	"github.com/sluice-live/sluice/media/codec/descriptor"
)

// counter lets numbers that the codec refers to by distance go on over switches. Within a source distances stay as they
// are, so that a reference still points to its frame: what is dropped leaves its number free.
type counter struct {
	fresh bool   // the next number begins a source
	sent  bool   // last is known
	shift uint16 // to be added to the source's numbers
	last  uint16 // the newest number that was sent
}

// next returns the viewer's number, of which as many bits count as mask has.
func (c *counter) next(n, mask uint16) uint16 {
	fresh := c.fresh
	if fresh {
		c.fresh, c.shift = false, 0
		if c.sent {
			c.shift = c.last + 1 - n
		}
	}
	out := (n + c.shift) & mask
	if fresh || (out-c.last)&mask <= mask/2 {
		c.last, c.sent = out, true
	}
	return out
}

// vp9 keeps picture ids and TL0PICIDX (RFC 9628 section 4.2) going. References, told (P_DIFF) or by the group of
// pictures, count picture ids, so that those of dropped pictures are not given to others.
type vp9 struct{ picture, tl0 counter }

func (v *vp9) write(p *media.Packet, s *places, index uint64) {
	if p.Codec != media.VP9 {
		return
	}
	d, err := codec.ParseVP9(p.Payload)
	if err != nil || !d.HasPictureID && !d.HasTL0 {
		return
	}
	in := s.within(index)
	in.keyIdx |= patchedVP9
	if d.HasPictureID {
		mask := uint16(0x7f)
		if d.LongID {
			mask = 0x7fff
		}
		in.picture = v.picture.next(d.PictureID, mask)
	}
	if d.HasTL0 {
		in.tl0 = uint8(v.tl0.next(uint16(d.TL0), 0xff))
	}
}

// set is a set of decode targets and, by its highest bit, how many there are: at most 15, as three spatial and five
// temporal layers have. With more, the publisher's set is left alone.
type set uint16

func (s set) targets() (active uint32, n uint8) {
	if s == 0 {
		return 0, 0
	}
	n = uint8(bits.Len16(uint16(s)) - 1)
	return uint32(s) &^ (1 << n), n
}

// all reports whether the set leaves no target out.
func (s set) all() bool { return bits.OnesCount16(uint16(s)) == bits.Len16(uint16(s)) }

// Targets says which of n decode targets are forwarded; the dependency descriptors tell the viewer so. That all are is
// told only to one who has heard otherwise since the last structure. 0, 0 leaves to the publisher what they say.
func (m *Munger) Targets(active uint32, n uint8) {
	m.sets = 0
	if n > 0 && n < 16 {
		m.sets = set(1<<n | active&(1<<n-1))
	}
}

// telling is what a viewer has been told by dependency descriptors.
type telling struct {
	on    bool // the structure: descriptors without it cannot be read, and are left out
	fewer bool // since then, that not all targets are sent
}

// describe numbers the frame of a dependency descriptor. The set of targets goes with the first packet of each frame,
// as a receiver may have lost any of them; not with a late one, whose frame had another set.
func (m *Munger) describe(p *media.Packet, index uint64, inOrder bool) {
	n, ok := descriptor.Number(p.Descriptor)
	structure := descriptor.HasStructure(p.Descriptor)
	if structure { // which says that all targets are sent
		m.told = telling{on: true}
	}
	if !ok || !m.told.on {
		return
	}
	in := m.places.within(index)
	in.keyIdx |= described
	in.frame = m.frames.next(n, 0xffff)
	if inOrder && p.Descriptor[0]&0x80 != 0 && m.sets != 0 {
		if m.told.fewer = m.told.fewer || !m.sets.all(); m.told.fewer {
			in.targets = m.sets
		}
	}
}

// Payload writes the viewer's numbers into b, a copy of the payload.
//
// hot: once per packet and viewer.
func (o Out) Payload(b []byte) {
	switch {
	case o.Patch:
		if d, err := codec.ParseVP8(b); err == nil {
			d.Patch(b, o.PictureID, o.TL0, o.KeyIdx)
		}
	case o.PatchVP9:
		if d, err := codec.ParseVP9(b); err == nil {
			d.Patch(b, o.PictureID, o.TL0)
		}
	}
}

// Descriptor appends the dependency descriptor raw to dst as the viewer gets it; it grows by five bytes at most.
//
// hot: once per packet and viewer.
func (o Out) Descriptor(dst, raw []byte) []byte {
	if !o.Described {
		return append(dst, raw...)
	}
	return descriptor.Rewrite(dst, raw, o.Frame, o.Active, o.Targets)
}
