package codec

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// Types of H.265 NAL units (H.265 table 7-1, RFC 7798 section 4.4).
const (
	h265TrailN      = 0
	h265TSAN        = 2 // the first of four types at which a temporal layer may be entered
	h265STSAR       = 5
	h265RADLN       = 6 // the first of four types of leading pictures
	h265RASLR       = 9
	h265FirstIRAP   = 16
	h265LastIRAP    = 21
	h265LastSlice   = 31
	h265VPS         = 32
	h265SPS         = 33
	h265LastPlain   = 47
	h265Aggregation = 48
	h265Fragment    = 49
)

// h265 reads a payload of RFC 7798 without decoding order numbers
// (sprop-max-don-diff 0, which is all that WebRTC uses).
func (i *Info) h265(payload []byte) error {
	if len(payload) < 2 {
		return ErrShort
	}
	kind := payload[0] >> 1 & 0x3f
	if tid := payload[1] & 7; tid > 0 {
		i.Temporal = tid - 1
	}
	switch {
	case kind <= h265LastPlain:
		i.h265Unit(kind, payload[2:], payload)
	case kind == h265Fragment:
		if len(payload) < 3 {
			return ErrShort
		}
		if payload[2]&0x80 != 0 {
			i.h265Unit(payload[2]&0x3f, payload[3:], nil)
		}
	case kind == h265Aggregation:
		return i.h265Aggregate(payload[2:])
	default:
		return ErrUnsupported
	}
	return nil
}

// h265Aggregate reads an AP (RFC 7798 section 4.4.2).
func (i *Info) h265Aggregate(units []byte) error {
	for len(units) > 0 {
		if len(units) < 2 {
			return ErrShort
		}
		size := int(binary.BigEndian.Uint16(units))
		units = units[2:]
		if size < 2 || size > len(units) {
			return ErrShort
		}
		i.h265Unit(units[0]>>1&0x3f, units[2:size], units[:size])
		units = units[size:]
	}
	return nil
}

// h265Unit reads the beginning of one NAL unit. Body follows its header; whole
// is the complete unit, or nil for a fragment.
func (i *Info) h265Unit(kind byte, body, whole []byte) {
	switch {
	case kind == h265VPS:
		i.Start = true
	case kind == h265SPS:
		i.Start = true
		i.h265SPS(whole)
	case kind <= h265LastSlice:
		i.h265Slice(kind, body)
	}
}

func (i *Info) h265SPS(whole []byte) {
	var sps h265.SPS
	if whole == nil || sps.Unmarshal(whole) != nil {
		return
	}
	i.size(sps.Width(), sps.Height())
	i.Profile = h265Profile(&sps.ProfileTierLevel)
	if n := len(sps.MaxNumReorderPics); n > 0 && sps.MaxNumReorderPics[n-1] > 0 {
		i.BFrame = true
	}
}

// h265Slice reads the beginning of a slice segment header (H.265 section
// 7.3.6.1).
//
// A B slice alone says nothing: encoders use them for low delay, with earlier
// pictures only. Reordering is told by leading pictures, and by B slices in
// pictures of the lowest layer that nothing refers to.
func (i *Info) h265Slice(kind byte, body []byte) {
	i.SwitchUp = i.SwitchUp || h265TSAN <= kind && kind <= h265STSAR
	i.BFrame = i.BFrame || h265RADLN <= kind && kind <= h265RASLR
	irap := h265FirstIRAP <= kind && kind <= h265LastIRAP
	r := newBitReader(body)
	if first := r.bit() == 1; !first || r.short {
		return
	}
	i.Start = i.Start || irap
	if kind != h265TrailN || i.Temporal != 0 {
		return
	}
	r.ue() // slice_pic_parameter_set_id
	// Slice_type follows at once unless the PPS announces extra bits, which no
	// encoder is known to do.
	const sliceB = 0
	if slice := r.ue(); !r.short && slice == sliceB {
		i.BFrame = true
	}
}

// h265Profile names the general profile (H.265 annex A.3).
func h265Profile(p *h265.SPS_ProfileTierLevel) string {
	switch p.GeneralProfileIdc {
	case 1:
		return "Main"
	case 2:
		return "Main 10"
	case 3:
		return "Main Still Picture"
	case 4:
		return "Range Extensions"
	}
	return ""
}
