package depack

import (
	"encoding/binary"

	vp9header "github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

// vp8 puts VP8 together (RFC 7741).
type vp8 struct{ width, height int }

func (*vp8) opens(payload []byte) bool {
	d, err := codec.ParseVP8(payload)
	return err == nil && d.PartStart && d.Partition == 0
}

func (v *vp8) add(a *assembly, payload []byte) error {
	d, err := codec.ParseVP8(payload)
	switch {
	case err != nil:
		return err
	case d.Size == len(payload):
		return errShort
	case len(a.data) == 0 && !(d.PartStart && d.Partition == 0):
		return errPiece
	}
	a.data = append(a.data, payload[d.Size:]...)
	return nil
}

// finish reads the frame tag and a key frame's header (RFC 6386 section 9.1).
func (v *vp8) finish(a *assembly) (told, error) {
	b := a.data
	if len(b) == 0 || b[0]&1 != 0 {
		return told{empty: len(b) == 0}, nil
	}
	if len(b) < 10 || b[3] != 0x9d || b[4] != 0x01 || b[5] != 0x2a {
		return told{}, errShort
	}
	width, height, err := inBounds(int(binary.LittleEndian.Uint16(b[6:])&0x3fff), int(binary.LittleEndian.Uint16(b[8:])&0x3fff))
	if err != nil || a.broken {
		return told{}, err
	}
	t := told{key: true}
	if width != v.width || height != v.height {
		v.width, v.height = width, height
		t.format = &media.Format{Codec: media.VP8, Width: width, Height: height}
	}
	return t, nil
}

// maxSpatial bounds the spatial layers of a picture (RFC 9628: SID has 3 bits).
const maxSpatial = 8

// vp9 puts VP9 together (RFC 9628).
type vp9 struct {
	last media.Format // what was told last

	// Of the picture being put together.
	pieces        [maxSpatial]piece
	layers        int
	open          bool
	width, height int // of the largest spatial layer
}

// piece is the frame of one spatial layer.
type piece struct {
	start, end int
	expendable bool // the layers above do not need it
	key        bool
}

func (*vp9) opens(payload []byte) bool {
	d, err := codec.ParseVP9(payload)
	return err == nil && d.Begin && !d.InterLayer
}

func (v *vp9) add(a *assembly, payload []byte) error {
	d, err := codec.ParseVP9(payload)
	switch {
	case err != nil:
		return err
	case d.Size == len(payload):
		return errShort
	case d.Begin == v.open:
		return errPiece
	case d.Begin && v.layers == maxSpatial:
		return errForm
	case d.Begin:
		v.pieces[v.layers] = piece{start: len(a.data), expendable: d.NonReference && d.HasLayers, key: !d.Inter}
		v.layers++
		v.open = true
	}
	if d.Layers > 1 && d.Width > 0 {
		v.width, v.height = d.Width, d.Height
	}
	a.data = append(a.data, payload[d.Size:]...)
	v.pieces[v.layers-1].end = len(a.data)
	v.open = !d.End
	return nil
}

// finish makes one frame of a picture's spatial layers: the highest, and those below
// that it needs, as a superframe (VP9 bitstream specification annex B).
func (v *vp9) finish(a *assembly) (told, error) {
	pieces, open, width, height := v.pieces[:v.layers], v.open, v.width, v.height
	v.layers, v.open, v.width, v.height = 0, false, 0, 0
	if a.broken || open || len(pieces) == 0 {
		return told{}, errPiece
	}
	first := a.data[pieces[0].start:pieces[0].end]
	key := pieces[0].key && vp9Key(first)
	t := told{key: key}
	if key {
		f, err := v.format(first, width, height)
		if err != nil {
			return told{}, err
		}
		t.format = f
	}
	if len(pieces) > 1 {
		a.data = superframe(a.data, pieces)
	}
	return t, nil
}

// vp9Key reads the uncompressed header's beginning (section 6.2): no frame that was
// there before is shown again, and frame_type is 0.
func vp9Key(frame []byte) bool {
	if len(frame) == 0 || frame[0]>>6 != 2 {
		return false
	}
	b := frame[0] << 4
	if frame[0]&0x30 == 0x30 {
		b <<= 1 // profile 3 has a reserved bit before them
	}
	return b&0xc0 == 0
}

// format reads a key frame's header; the size is that of the largest layer, if the
// descriptor told it.
func (v *vp9) format(frame []byte, width, height int) (*media.Format, error) {
	var h vp9header.Header
	if err := h.Unmarshal(frame); err != nil {
		return nil, err
	}
	if width == 0 {
		width, height = h.Width(), h.Height()
	}
	width, height, err := inBounds(width, height)
	if err != nil {
		return nil, err
	}
	f := media.Format{Codec: media.VP9, Width: width, Height: height, Profile: h.Profile, Depth: 8, Subsampling: h.ChromaSubsampling()}
	if h.ColorConfig != nil {
		f.Depth = h.ColorConfig.BitDepth
	}
	if l := &v.last; l.Width == f.Width && l.Height == f.Height && l.Profile == f.Profile && l.Depth == f.Depth && l.Subsampling == f.Subsampling {
		return nil, nil
	}
	v.last = f
	return &f, nil
}

// superframe leaves out what no layer above needs, and appends the index.
func superframe(data []byte, pieces []piece) []byte {
	var sizes [maxSpatial]int
	n, at, most := 0, 0, 0
	for i, p := range pieces {
		if p.expendable && i < len(pieces)-1 {
			continue
		}
		sizes[n] = copy(data[at:], data[p.start:p.end])
		at += sizes[n]
		most = max(most, sizes[n])
		n++
	}
	data = data[:at]
	if n == 1 {
		return data
	}
	width := 1
	for most>>(8*width) != 0 {
		width++
	}
	marker := byte(0xc0 | (width-1)<<3 | (n - 1))
	data = append(data, marker)
	for _, size := range sizes[:n] {
		for i := range width {
			data = append(data, byte(size>>(8*i)))
		}
	}
	return append(data, marker)
}
