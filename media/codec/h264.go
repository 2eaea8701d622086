package codec

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Types of H.264 NAL units (H.264 table 7-1, RFC 6184 table 1).
const (
	h264Slice     = 1
	h264PartA     = 2 // data partition A begins with a slice header too
	h264IDR       = 5
	h264SPS       = 7
	h264LastPlain = 23
	h264StapA     = 24
	h264FuA       = 28
)

// maxSide bounds pictures: the highest levels of H.265 and AV1 end at 16888 and
// 16384 a side. A larger number comes from a broken parameter set.
const maxSide = 16888

// h264 reads a payload of RFC 6184 with packetization-mode 0 or 1.
func (i *Info) h264(payload []byte) error {
	switch kind := payload[0] & 0x1f; {
	case kind >= 1 && kind <= h264LastPlain:
		i.h264Unit(kind, payload[1:], payload)
	case kind == h264FuA:
		if len(payload) < 2 {
			return ErrShort
		}
		if payload[1]&0x80 != 0 { // S: the unit begins here, its header is split over two bytes
			i.h264Unit(payload[1]&0x1f, payload[2:], nil)
		}
	case kind == h264StapA:
		return i.h264Aggregate(payload[1:])
	default:
		return ErrUnsupported
	}
	return nil
}

// h264Aggregate reads a STAP-A (RFC 6184 section 5.7.1).
func (i *Info) h264Aggregate(units []byte) error {
	for len(units) > 0 {
		if len(units) < 2 {
			return ErrShort
		}
		size := int(binary.BigEndian.Uint16(units))
		units = units[2:]
		if size == 0 || size > len(units) {
			return ErrShort
		}
		i.h264Unit(units[0]&0x1f, units[1:size], units[:size])
		units = units[size:]
	}
	return nil
}

// h264Unit reads the beginning of one NAL unit. Body follows its header; whole
// is the complete unit, or nil for a fragment.
func (i *Info) h264Unit(kind byte, body, whole []byte) {
	switch kind {
	case h264SPS:
		i.Start = true
		if len(body) >= 2 {
			i.Profile = h264Profile(body[0], body[1])
		}
		var sps h264.SPS
		if whole != nil && sps.Unmarshal(whole) == nil {
			i.size(sps.Width(), sps.Height())
		}
	case h264Slice, h264PartA, h264IDR:
		r := newBitReader(body)
		firstMacroblock, slice := r.ue(), r.ue()
		if r.short {
			return
		}
		// A B slice is 1, or 6 where all slices of the picture are alike (table
		// 7-6). What sends them also reorders.
		i.BFrame = i.BFrame || kind != h264IDR && (slice == 1 || slice == 6)
		i.Start = i.Start || kind == h264IDR && firstMacroblock == 0
	}
}

// size takes over what a parameter set says, if it can be.
func (i *Info) size(width, height int) {
	if 0 < width && width <= maxSide && 0 < height && height <= maxSide {
		i.Width, i.Height = width, height
	}
}

// h264Profile names a profile_idc with its constraint flags (H.264 annex A.2).
func h264Profile(idc, constraints byte) string {
	set := func(flag int) bool { return constraints&(0x80>>flag) != 0 }
	switch {
	case idc == 66 && set(1):
		return "Constrained Baseline"
	case idc == 66:
		return "Baseline"
	case idc == 77:
		return "Main"
	case idc == 88:
		return "Extended"
	case idc == 100 && set(4) && set(5):
		return "Constrained High"
	case idc == 100 && set(4):
		return "Progressive High"
	case idc == 100:
		return "High"
	case idc == 110:
		return "High 10"
	case idc == 122:
		return "High 4:2:2"
	case idc == 244:
		return "High 4:4:4 Predictive"
	case idc == 44:
		return "CAVLC 4:4:4 Intra"
	}
	return ""
}
