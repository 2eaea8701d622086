package conform

import (
	"github.com/pion/rtp/codecs"
)

// idMask returns the bits of a picture id that begins here: 15 where the first bit says so, else 7.
func idMask(id []byte) uint16 {
	if len(id) > 0 && id[0]&0x80 != 0 {
		return 0x7fff
	}
	return 0x7f
}

// vp8 follows picture ids, TL0PICIDX and KEYIDX (RFC 7741 section 4.2).
type vp8 struct {
	begun bool
	mask  uint16
	last  codecs.VP8Packet
	tl0   uint8
}

func (v *vp8) judge(c *Checker, p *picture) {
	var d codecs.VP8Packet
	first := p.first()
	if _, err := d.Unmarshal(first.Payload); err != nil {
		c.fault(first, "its VP8 descriptor cannot be read: %v", err)
		return
	}
	for i := range p.packets {
		var o codecs.VP8Packet
		if _, err := o.Unmarshal(p.packets[i].Payload); err != nil || o.PictureID != d.PictureID || o.TL0PICIDX != d.TL0PICIDX || o.TID != d.TID {
			c.fault(&p.packets[i], "it says picture %d, TL0PICIDX %d; its picture says %d, %d", o.PictureID, o.TL0PICIDX, d.PictureID, d.TL0PICIDX)
		}
	}
	if v.begun && !p.gapBefore && len(first.Payload) > 2 {
		v.follow(c, p, &d)
	}
	if !v.begun || d.TID == 0 || p.gapBefore {
		v.tl0 = d.TL0PICIDX
	}
	v.begun, v.last = true, d
}

// follow judges the numbers of a picture against the one before it. Where padding fills the place of a picture that came
// too late to be wanted, its id stays free.
func (v *vp8) follow(c *Checker, p *picture, d *codecs.VP8Packet) {
	r := p.first()
	mask := idMask(r.Payload[2:])
	same := mask == v.mask // an encoder that changes the width of its ids begins anew
	v.mask = mask
	if same && d.I == 1 && v.last.I == 1 && (d.PictureID-v.last.PictureID)&mask != 1 && !p.filled {
		c.fault(r, "picture %d after %d", d.PictureID, v.last.PictureID)
	}
	want := v.tl0
	if d.TID == 0 {
		want++
	}
	if d.L == 1 && v.last.L == 1 && d.TL0PICIDX != want && !c.givenUp(p) {
		c.fault(r, "TL0PICIDX %d in temporal layer %d, want %d", d.TL0PICIDX, d.TID, want)
	}
	if d.K == 1 && v.last.K == 1 && (d.KEYIDX-v.last.KEYIDX)&0x1f > 1 {
		c.fault(r, "KEYIDX %d after %d", d.KEYIDX, v.last.KEYIDX)
	}
}

// vp9 follows picture ids, TL0PICIDX and references (RFC 9628 section 4.2).
type vp9 struct {
	begun   bool
	mask    uint16
	id      uint16
	tl0     uint8
	sent    map[uint32]bool // picture id and spatial layer of what may be referred to
	gof     codecs.VP9Packet
	gofBase uint16
	hasGOF  bool
	hasTL0  bool
}

func (v *vp9) judge(c *Checker, p *picture) {
	if v.sent == nil {
		v.sent = map[uint32]bool{}
	}
	below := -1
	for i := range p.packets {
		r := &p.packets[i]
		d, _, ok := readVP9(r.Payload)
		if !ok {
			c.fault(r, "its VP9 descriptor cannot be read")
			return
		}
		if i == 0 {
			v.enter(c, p, &d)
		} else if d.I && d.PictureID != v.id {
			c.fault(r, "it says picture %d inside picture %d", d.PictureID, v.id)
		}
		if !d.B {
			continue
		}
		if int(d.SID) <= below {
			c.fault(r, "spatial layer %d after %d", d.SID, below)
		}
		v.references(c, p, r, &d, below)
		below = int(d.SID)
		v.sent[uint32(d.PictureID)<<3|uint32(d.SID)] = true
	}
}

// enter judges the numbers of a picture against the one before it.
func (v *vp9) enter(c *Checker, p *picture, d *codecs.VP9Packet) {
	mask := idMask(p.first().Payload[1:])
	step := (d.PictureID - v.id) & mask
	same := mask == v.mask
	v.mask = mask
	if d.I && v.begun && same && (step == 0 || step > mask/2) {
		c.fault(p.first(), "picture %d after %d", d.PictureID, v.id)
	}
	for n := range min(step, mask/2) { // numbers come again after a turn
		for s := range uint32(8) {
			delete(v.sent, uint32((v.id+1+n)&mask)<<3|s)
		}
	}
	base := starts(p.first())
	if base && d.V {
		v.gof, v.gofBase, v.hasGOF = *d, d.PictureID, d.G && d.NG > 0
	}
	if d.L && !d.F {
		want := v.tl0
		if d.TID == 0 {
			want++
		}
		if v.hasTL0 && !c.damaged && d.TL0PICIDX != want && !p.gapBefore {
			c.fault(p.first(), "TL0PICIDX %d in temporal layer %d, want %d", d.TL0PICIDX, d.TID, want)
		}
		v.tl0, v.hasTL0 = d.TL0PICIDX, true
	}
	v.begun, v.id = true, d.PictureID
}

// references judges one layer frame: all that it needs must have come.
func (v *vp9) references(c *Checker, p *picture, r *received, d *codecs.VP9Packet, below int) {
	if c.damaged || !d.I {
		return
	}
	if d.D && below != int(d.SID)-1 {
		c.fault(r, "spatial layer %d needs the one below, which is not there", d.SID)
	}
	diffs := d.PDiff
	if !d.F && v.hasGOF && d.P {
		at := int(d.PictureID-v.gofBase) & 0x7fff % int(v.gof.NG)
		diffs = v.gof.PGPDiff[at]
		if v.gof.PGTID[at] != d.TID {
			c.fault(r, "temporal layer %d where the group of pictures has %d", d.TID, v.gof.PGTID[at])
		}
	}
	mask := idMask(r.Payload[1:])
	for _, by := range diffs {
		if ref := (d.PictureID - uint16(by)) & mask; !v.sent[uint32(ref)<<3|uint32(d.SID)] {
			c.fault(r, "picture %d, spatial layer %d, needs picture %d, which is not there", d.PictureID, d.SID, ref)
		}
	}
}
