package depack

import (
	"bytes"

	av1header "github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"

	"github.com/sluice-live/sluice/media"
)

// Types of AV1 OBUs (AV1 specification section 6.2.2).
const (
	obuSequence    = 1
	obuDelimiter   = 2
	obuFrameHeader = 3
	obuTileGroup   = 4
	obuFrame       = 6
	obuRedundant   = 7
	obuTileList    = 8
	obuPadding     = 15
)

// av1 puts AV1 together (RTP payload format for AV1, version 1.0).
type av1 struct {
	sequence []byte // the sequence header OBU that was told last

	// Of the temporal unit being put together.
	open   int // where the OBU that goes on in the next packet begins, or 0
	opened bool
	found  []byte // a sequence header, as its OBU with a size
	key    bool
	frames int
}

// opens: a temporal unit begins with a delimiter, which senders leave out, and a
// sequence header where it begins with a key frame.
func (v *av1) opens(payload []byte) bool {
	if len(payload) < 2 || payload[0]&0x80 != 0 {
		return false
	}
	element, _, err := obuElement(payload[1:], 0, int(payload[0]>>4&3))
	if err != nil || len(element) == 0 {
		return false
	}
	kind := element[0] >> 3 & 0xf
	return kind != obuTileGroup && kind != obuRedundant && kind != obuPadding && kind != obuTileList
}

func (v *av1) add(a *assembly, payload []byte) error {
	head := payload[0]
	continued, continues, count := head&0x80 != 0, head&0x40 != 0, int(head>>4&3)
	rest := payload[1:]
	if len(rest) == 0 {
		return errShort
	}
	if continued != v.opened {
		return errPiece
	}
	for n := 0; len(rest) > 0; n++ {
		element, after, err := obuElement(rest, n, count)
		if err != nil {
			return err
		}
		rest = after
		if !v.opened {
			v.open = len(a.data)
		}
		a.data = append(a.data, element...)
		if v.opened = len(rest) == 0 && continues; v.opened {
			break
		}
		if err := v.close(a); err != nil {
			return err
		}
	}
	return nil
}

// obuElement cuts off the n-th element. Each has its length before it, but for the
// last of a known count.
func obuElement(b []byte, n, count int) (element, rest []byte, err error) {
	if count != 0 && n == count-1 {
		return b, nil, nil
	}
	size, used := leb128(b)
	if used == 0 || size > len(b)-used || count != 0 && n >= count {
		return nil, nil, errShort
	}
	return b[used : used+size], b[used+size:], nil
}

// leb128 reads a little-endian base 128 number of at most 28 bits (AV1 specification
// section 4.10.5), which is more than a frame may have; used is 0 if there is none.
func leb128(b []byte) (v, used int) {
	for n := range min(len(b), 4) {
		v |= int(b[n]&0x7f) << (7 * n)
		if b[n]&0x80 == 0 {
			return v, n + 1
		}
	}
	return 0, 0
}

func appendLeb128(b []byte, v int) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// close ends the OBU that begins at v.open: it is given a size, or left out.
func (v *av1) close(a *assembly) error {
	obu := a.data[v.open:]
	if len(obu) == 0 {
		return nil // an empty element is allowed
	}
	header := 1
	if obu[0]&4 != 0 {
		header = 2
	}
	if len(obu) < header {
		return errShort
	}
	body := obu[header:]
	if obu[0]&2 != 0 { // RTP leaves the size out, but tolerates it
		size, used := leb128(body)
		if used == 0 || size > len(body)-used {
			return errShort
		}
		body = body[used : used+size]
	}
	kind := obu[0] >> 3 & 0xf
	if kind == obuDelimiter || kind == obuTileList || kind == obuPadding || kind == obuRedundant {
		a.data = a.data[:v.open]
		return nil
	}
	v.note(kind, body)
	var head [6]byte
	sized := append(head[:0], obu[0]|2)
	if header == 2 {
		sized = append(sized, obu[1])
	}
	sized = appendLeb128(sized, len(body))
	if kind == obuSequence && v.found == nil {
		// Without an extension: the record of ISO BMFF is of all layers.
		v.found = append(appendLeb128([]byte{obuSequence<<3 | 2}, len(body)), body...)
	}
	a.data = place(a.data, v.open, sized, body)
	return nil
}

// place puts head and body, which lies in data behind at, there.
func place(data []byte, at int, head, body []byte) []byte {
	length := len(head) + len(body)
	for len(data) < at+length {
		data = append(data, 0)
	}
	copy(data[at+len(head):], body)
	copy(data[at:], head)
	return data[:at+length]
}

// note reads what a frame header begins with (section 5.9.2): show_existing_frame,
// frame_type, show_frame. The first one tells whether decoding may begin here.
func (v *av1) note(kind byte, body []byte) {
	if kind != obuFrame && kind != obuFrameHeader || len(body) == 0 {
		return
	}
	if v.frames == 0 {
		v.key = body[0]&0xf0 == 0x10 && v.found != nil
	}
	v.frames++
}

func (v *av1) finish(a *assembly) (told, error) {
	found, key, frames, opened := v.found, v.key, v.frames, v.opened
	v.found, v.key, v.frames, v.opened = nil, false, 0, false
	switch {
	case a.broken || opened:
		return told{}, errPiece
	case frames == 0:
		return told{empty: true}, nil
	case found == nil || bytes.Equal(found, v.sequence):
		return told{key: key}, nil
	case len(found) > maxSet:
		return told{}, errForm
	}
	var h av1header.SequenceHeader
	_, used := leb128(found[1:])
	if err := h.Unmarshal(append([]byte{obuSequence << 3}, found[1+used:]...)); err != nil {
		return told{}, err
	}
	width, height, err := inBounds(h.Width(), h.Height())
	if err != nil {
		return told{}, err
	}
	v.sequence = found
	return told{key: key, format: &media.Format{Codec: media.AV1, Width: width, Height: height,
		Parameters: [][]byte{found}, Profile: h.SeqProfile, Depth: uint8(h.ColorConfig.BitDepth)}}, nil
}
