package codec

import "github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"

// VP9 is the payload descriptor of RFC 9628 section 4.2.
type VP9 struct {
	HasPictureID bool // I
	LongID       bool // M: the picture id has 15 bits, else 7
	PictureID    uint16
	Inter        bool // P: needs earlier pictures
	Begin, End   bool // B, E: first and last packet of a layer frame
	Flexible     bool // F: references are told by each picture
	NonReference bool // Z: no higher spatial layer needs this one
	HasLayers    bool // L
	Temporal     uint8
	SwitchUp     bool // U
	Spatial      uint8
	InterLayer   bool // D: needs the spatial layer below
	HasTL0       bool // with layers, where F is not set
	TL0          uint8
	// Diffs are, in flexible mode, how many pictures back the references are
	// (P_DIFF); References is their number.
	References uint8
	Diffs      [3]uint8
	// Layers is the number of spatial layers that a scalability structure
	// announces, 0 without one; Width and Height are those of the largest.
	Layers        uint8
	Width, Height int
	// Size is the descriptor's length in bytes.
	Size int
}

// ParseVP9 reads the descriptor at the front of a payload.
func ParseVP9(payload []byte) (VP9, error) {
	if len(payload) == 0 {
		return VP9{}, ErrEmpty
	}
	b := payload[0]
	d := VP9{
		HasPictureID: b&0x80 != 0, Inter: b&0x40 != 0, HasLayers: b&0x20 != 0, Flexible: b&0x10 != 0,
		Begin: b&0x08 != 0, End: b&0x04 != 0, NonReference: b&0x01 != 0,
	}
	c := cursor{data: payload, at: 1}
	if d.HasPictureID {
		d.PictureID = uint16(c.byte())
		if d.LongID = d.PictureID&0x80 != 0; d.LongID {
			d.PictureID = d.PictureID&0x7f<<8 | uint16(c.byte())
		}
	}
	if d.HasLayers {
		l := c.byte()
		d.Temporal, d.SwitchUp, d.Spatial, d.InterLayer = l>>5, l&0x10 != 0, l>>1&7, l&1 != 0
		if d.HasTL0 = !d.Flexible; d.HasTL0 {
			d.TL0 = c.byte()
		}
	}
	if d.Flexible && d.Inter {
		d.references(&c)
	}
	if b&0x02 != 0 {
		d.structure(&c)
	}
	d.Size = c.at
	if c.short {
		return VP9{}, ErrShort
	}
	return d, nil
}

// references reads at most three P_DIFF, each with a bit that says whether
// another follows.
func (d *VP9) references(c *cursor) {
	for more := true; more && int(d.References) < len(d.Diffs); {
		b := c.byte()
		d.Diffs[d.References] = b >> 1
		d.References++
		more = b&1 != 0
	}
}

// Patch writes other numbers into dst, a copy of the payload that d was read
// from, in place: fields that the descriptor does not have stay absent, and a
// 7-bit picture id stays 7 bits long. References are told by distance (P_DIFF)
// and stay as they are.
//
// hot: once per viewer and packet of a VP9 track.
func (d VP9) Patch(dst []byte, pictureID uint16, tl0 uint8) {
	at := 1
	switch {
	case d.HasPictureID && d.LongID:
		dst[at], dst[at+1] = 0x80|byte(pictureID>>8), byte(pictureID)
		at += 2
	case d.HasPictureID:
		dst[at] = byte(pictureID) & 0x7f
		at++
	}
	if d.HasTL0 {
		dst[at+1] = tl0 // after the layer byte
	}
}

// structure reads a scalability structure (RFC 9628 section 4.2.1).
func (d *VP9) structure(c *cursor) {
	b := c.byte()
	d.Layers = b>>5 + 1
	if b&0x10 != 0 { // Y: sizes
		for range d.Layers {
			width := int(c.byte())<<8 | int(c.byte())
			height := int(c.byte())<<8 | int(c.byte())
			if width*height > d.Width*d.Height {
				d.Width, d.Height = width, height
			}
		}
	}
	if b&0x08 != 0 { // G: a group of pictures, each with up to three references
		for range c.byte() {
			c.skip(int(c.byte() >> 2 & 3))
		}
	}
}

// cursor reads bytes; beyond the end it gives 0 and remembers.
type cursor struct {
	data  []byte
	at    int
	short bool
}

func (c *cursor) byte() byte {
	if c.at >= len(c.data) {
		c.short = true
		return 0
	}
	c.at++
	return c.data[c.at-1]
}

func (c *cursor) skip(n int) {
	if n > len(c.data)-c.at {
		c.short = true
		return
	}
	c.at += n
}

// vp9 reads a descriptor and, in the first packet of a key frame, the
// uncompressed header (VP9 bitstream specification section 6.2).
func (i *Info) vp9(payload []byte) error {
	d, err := ParseVP9(payload)
	if err != nil {
		return err
	}
	i.Begins, i.Spatial, i.Temporal, i.SwitchUp = d.Begin, d.Spatial, d.Temporal, d.SwitchUp
	i.Width, i.Height = d.Width, d.Height
	frame := payload[d.Size:]
	i.Start = d.Begin && !d.Inter && d.Spatial == 0 && !vp9NotKey(frame)
	if !i.Start {
		return nil
	}
	var h vp9.Header
	if h.Unmarshal(frame) == nil {
		i.Profile = vp9Profiles[h.Profile&3]
		if i.Width == 0 {
			i.size(h.Width(), h.Height())
		}
	}
	return nil
}

var vp9Profiles = [...]string{"Profile 0", "Profile 1", "Profile 2", "Profile 3"}

// vp9NotKey reports that the frame is readable and not a key frame. The
// descriptor's P bit alone does not tell: intra-only frames have it clear, and
// FFmpeg's packetizer never sets it.
func vp9NotKey(frame []byte) bool {
	if len(frame) == 0 || frame[0]>>6 != 2 {
		return false
	}
	b := frame[0] << 4 // show_existing_frame and frame_type on top
	if frame[0]&0x30 == 0x30 {
		b <<= 1 // profile 3 has a reserved bit before them
	}
	return b&0xc0 != 0
}
