package munge

import (
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

// lateDrops is how many dropped pictures are remembered for packets that come late: at 30 pictures/s with every other
// one dropped, two seconds.
const lateDrops = 32

// vp8 keeps a viewer's picture ids, TL0PICIDX and KEYIDX (RFC 7741 section 4.2) going without jumps over switches and
// dropped pictures. A receiver takes a missing picture id for a picture that is still to come, and waits for it.
type vp8 struct {
	fresh bool // the next packet begins a source
	sent  bool // the values below are known

	newest  int64   // newest picture of the source, its id unwrapped
	shift   int64   // output id of the newest picture less its source id
	tl0     uint8   // to be added to the source's TL0PICIDX
	keyIdx  uint8   // to be added to the source's KEYIDX
	dropped []int64 // made for the first one
	drops   int     // pictures dropped in this source

	lastPicture uint16 // of the newest sent picture, as the viewer sees it
	lastTL0     uint8
	lastKeyIdx  uint8
}

// read returns the descriptor of a VP8 packet; false when it cannot be read or has no numbers, and is left alone.
func (v *vp8) read(p *media.Packet) (codec.VP8, bool) {
	if p.Codec != media.VP8 {
		return codec.VP8{}, false
	}
	d, err := codec.ParseVP8(p.Payload)
	return d, err == nil && (d.HasPictureID || d.HasTL0 || d.HasKeyIdx)
}

// gone reports whether the picture was dropped: its numbers are given to others.
func (v *vp8) gone(d codec.VP8) bool {
	if v.fresh || !d.HasPictureID {
		return false
	}
	id := v.unwrap(d)
	if id > v.newest {
		return false
	}
	for _, dropped := range v.remembered() {
		if dropped == id {
			return true
		}
	}
	return false
}

// write puts the viewer's values for this descriptor into in.
func (v *vp8) write(d codec.VP8, in *inside) {
	if v.fresh {
		v.enter(d)
	}
	id := v.unwrap(d)
	in.picture = uint16(id+v.shift+v.skipped(id)) & 0x7fff
	in.tl0 = d.TL0 + v.tl0
	in.keyIdx = patched | (d.KeyIdx+v.keyIdx)&0x1f
	ahead := (in.picture-v.lastPicture)&0x7fff < 0x4000 // of what was sent; what was dropped may be ahead of it
	if id >= v.newest || d.HasPictureID && ahead {
		v.newest, v.sent = max(id, v.newest), true
		v.note(d, in)
	}
}

// drop takes the picture of a packet that is not forwarded out of the numbering.
func (v *vp8) drop(d codec.VP8) {
	if v.fresh || !d.HasPictureID {
		return
	}
	id := v.unwrap(d)
	if id <= v.newest {
		return
	}
	v.newest = id
	if v.dropped == nil {
		v.dropped = make([]int64, lateDrops)
	}
	v.dropped[v.drops%lateDrops] = id
	v.drops++
	v.shift--
}

// enter lets the source that begins with d follow the newest sent picture.
func (v *vp8) enter(d codec.VP8) {
	v.fresh, v.drops = false, 0
	v.newest = int64(d.PictureID)
	v.shift, v.tl0, v.keyIdx = 0, 0, 0
	if v.sent {
		v.shift = int64(v.lastPicture) + 1 - v.newest
		v.tl0 = v.lastTL0 + 1 - d.TL0
		v.keyIdx = v.lastKeyIdx + 1 - d.KeyIdx
	}
}

// note remembers what the newest picture's packet was given. What its descriptor lacks keeps its last value.
func (v *vp8) note(d codec.VP8, in *inside) {
	if d.HasPictureID {
		v.lastPicture = in.picture
	}
	if d.HasTL0 {
		v.lastTL0 = in.tl0
	}
	if d.HasKeyIdx {
		v.lastKeyIdx = in.keyIdx & 0x1f
	}
}

// unwrap extends the 7 or 15 bits of a picture id next to the newest one.
func (v *vp8) unwrap(d codec.VP8) int64 {
	if !d.HasPictureID {
		return v.newest
	}
	bits := 7
	if d.LongID {
		bits = 15
	}
	diff := (int64(d.PictureID) - v.newest) << (64 - bits) >> (64 - bits)
	return v.newest + diff
}

// skipped counts the dropped pictures that are newer than id.
func (v *vp8) skipped(id int64) (newer int64) {
	if id >= v.newest {
		return 0
	}
	for _, dropped := range v.remembered() {
		if dropped > id {
			newer++
		}
	}
	return newer
}

func (v *vp8) remembered() []int64 { return v.dropped[:min(v.drops, lateDrops)] }
