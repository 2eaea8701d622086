package still

import (
	"math/bits"

	parser "github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"

	"github.com/sluice-live/sluice/media"
)

// Types of OBUs (AV1 specification section 6.2.2).
const (
	obuFrameHeader = 3
	obuFrame       = 6
)

// av1 shows the reference again into which the picture went: a frame header with
// show_existing_frame (AV1 specification section 5.9.2).
func av1(f *media.Format, last []byte) ([]byte, bool) {
	header := lastFrame(last)
	var h parser.SequenceHeader
	if header == nil || len(f.Parameters) != 1 || h.Unmarshal(f.Parameters[0]) != nil || h.ReducedStillPictureHeader || h.FrameIDNumbersPresentFlag {
		return nil, false
	}
	slot, ok := slotOf(&h, header)
	if !ok {
		return nil, false
	}
	const sized, trailing = 2, 8
	return []byte{obuFrameHeader<<3 | sized, 1, 0x80 | slot<<4 | trailing}, true
}

// lastFrame returns the frame header of a temporal unit's last frame.
func lastFrame(unit []byte) (header []byte) {
	for len(unit) > 1 {
		kind, at := unit[0]>>3&15, 1+int(unit[0]>>2&1)
		size, shift := 0, 0
		for more := true; more; shift += 7 { // leb128
			if at >= len(unit) || shift > 21 {
				return nil
			}
			size |= int(unit[at]&0x7f) << shift
			more = unit[at]&0x80 != 0
			at++
		}
		if size > len(unit)-at {
			return nil
		}
		if kind == obuFrame || kind == obuFrameHeader {
			header = unit[at : at+size]
		}
		unit = unit[at+size:]
	}
	return header
}

// slotOf reads which reference a picture that is shown went into. A key frame was
// shown, and may not be again (section 6.8.2).
func slotOf(h *parser.SequenceHeader, header []byte) (slot byte, ok bool) {
	const (
		key, intraOnly, change = 0, 2, 3 // frame_type
		choose                 = 2       // by each frame
	)
	r := reader{data: header}
	if r.flag() {
		return byte(r.bits(3)), !r.short
	}
	kind, show := r.bits(2), r.flag()
	if !show || kind == key || kind == change {
		return 0, false
	}
	resilient := r.flag()
	r.bits(1) // disable_cdf_update
	tools := uint32(h.SeqForceScreenContentTools)
	if tools == choose {
		tools = r.bits(1)
	}
	if tools == 1 && h.SeqForceIntegerMv == choose {
		r.bits(1)
	}
	r.bits(1) // frame_size_override_flag
	if h.EnableOrderHint {
		r.bits(int(h.OrderHintBitsMinus1) + 1)
	}
	if kind != intraOnly && !resilient {
		r.bits(3) // primary_ref_frame
	}
	refresh := r.bits(8)
	if r.short || refresh == 0 {
		return 0, false
	}
	return byte(bits.TrailingZeros32(refresh)), true
}
