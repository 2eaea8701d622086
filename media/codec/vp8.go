package codec

import "encoding/binary"

// VP8 is the payload descriptor of RFC 7741 section 4.2.
type VP8 struct {
	NonReference bool  // N: no later frame needs this one
	PartStart    bool  // S: first packet of a partition
	Partition    uint8 // PID
	HasPictureID bool  // I
	LongID       bool  // M: the picture id has 15 bits, else 7
	PictureID    uint16
	HasTL0       bool // L
	TL0          uint8
	HasTemporal  bool // T
	Temporal     uint8
	Sync         bool // Y: depends on the base layer only
	HasKeyIdx    bool // K
	KeyIdx       uint8
	// Size is the descriptor's length in bytes.
	Size int
}

// ParseVP8 reads the descriptor at the front of a payload.
func ParseVP8(payload []byte) (VP8, error) {
	if len(payload) == 0 {
		return VP8{}, ErrEmpty
	}
	b := payload[0]
	d := VP8{NonReference: b&0x20 != 0, PartStart: b&0x10 != 0, Partition: b & 0x07, Size: 1}
	if b&0x80 == 0 {
		return d, nil
	}
	if len(payload) < 2 {
		return VP8{}, ErrShort
	}
	x := payload[1]
	d.Size = 2
	d.HasPictureID, d.HasTL0 = x&0x80 != 0, x&0x40 != 0
	d.HasTemporal, d.HasKeyIdx = x&0x20 != 0, x&0x10 != 0
	return d, d.extension(payload)
}

// extension reads the optional fields in the order of RFC 7741 figure 2.
func (d *VP8) extension(payload []byte) error {
	if d.HasPictureID {
		if len(payload) < d.Size+2 && (len(payload) == d.Size || payload[d.Size]&0x80 != 0) {
			return ErrShort
		}
		d.PictureID = uint16(payload[d.Size] & 0x7f)
		if payload[d.Size]&0x80 != 0 {
			d.LongID = true
			d.PictureID = binary.BigEndian.Uint16(payload[d.Size:]) & 0x7fff
			d.Size++
		}
		d.Size++
	}
	if d.HasTL0 {
		if len(payload) <= d.Size {
			return ErrShort
		}
		d.TL0 = payload[d.Size]
		d.Size++
	}
	if d.HasTemporal || d.HasKeyIdx {
		if len(payload) <= d.Size {
			return ErrShort
		}
		b := payload[d.Size]
		if d.HasTemporal {
			d.Temporal, d.Sync = b>>6, b&0x20 != 0
		}
		if d.HasKeyIdx {
			d.KeyIdx = b & 0x1f
		}
		d.Size++
	}
	return nil
}

// Patch writes other numbers into dst, a copy of the payload that d was read
// from, in place: fields that the descriptor does not have stay absent, and a
// 7-bit picture id stays 7 bits long.
//
// hot: once per viewer and packet of a VP8 track.
func (d VP8) Patch(dst []byte, pictureID uint16, tl0 uint8, keyIdx uint8) {
	at := 2
	switch {
	case d.HasPictureID && d.LongID:
		dst[at], dst[at+1] = 0x80|byte(pictureID>>8), byte(pictureID)
		at += 2
	case d.HasPictureID:
		dst[at] = byte(pictureID) & 0x7f
		at++
	}
	if d.HasTL0 {
		dst[at] = tl0
		at++
	}
	if d.HasKeyIdx {
		dst[at] = dst[at]&0xe0 | keyIdx&0x1f
	}
}

// vp8 reads a descriptor and, in the first packet of a frame, the frame tag
// (RFC 6386 section 9.1).
func (i *Info) vp8(payload []byte) error {
	d, err := ParseVP8(payload)
	if err != nil {
		return err
	}
	i.Begins = d.PartStart && d.Partition == 0
	i.Temporal, i.SwitchUp = d.Temporal, d.Sync
	frame := payload[d.Size:]
	if !i.Begins {
		return nil
	}
	if len(frame) == 0 {
		return ErrShort
	}
	i.Start = frame[0]&1 == 0
	if i.Start && len(frame) >= 10 {
		i.Width = int(binary.LittleEndian.Uint16(frame[6:])) & 0x3fff
		i.Height = int(binary.LittleEndian.Uint16(frame[8:])) & 0x3fff
	}
	return nil
}
