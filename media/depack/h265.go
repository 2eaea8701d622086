package depack

import "github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

// Types of H.265 NAL units (H.265 table 7-1, RFC 7798 section 4.4).
const (
	h265RASLN       = 8
	h265RASLR       = 9
	h265FirstIRAP   = 16
	h265LastIRAP    = 23
	h265LastSlice   = 31
	h265VPS         = 32
	h265SPS         = 33
	h265PPS         = 34
	h265AUD         = 35
	h265PrefixSEI   = 39
	h265SuffixSEI   = 40
	h265LastPlain   = 47
	h265Aggregation = 48
	h265Fragment    = 49
)

// h265Kind is RFC 7798 without decoding order numbers (sprop-max-don-diff 0), which
// is all that WebRTC uses.
type h265Kind struct{}

func (h265Kind) header() int { return 2 }

func (h265Kind) role(unit []byte) role {
	if unit[0]&1 != 0 || unit[1]>>3 != 0 {
		return useless // nuh_layer_id: a layer above the base
	}
	switch kind := unit[0] >> 1 & 0x3f; {
	case kind == h265RASLN || kind == h265RASLR:
		return leading
	case h265FirstIRAP <= kind && kind <= h265LastIRAP:
		return keySlice
	case kind <= h265LastSlice:
		return slice
	case kind == h265VPS:
		return vps
	case kind == h265SPS:
		return sps
	case kind == h265PPS:
		return pps
	case kind == h265PrefixSEI || kind == h265SuffixSEI:
		return other
	}
	return useless
}

// open: what stands before the first slice, or a slice with
// first_slice_segment_in_pic_flag.
func (h265Kind) open(unit []byte) bool {
	if len(unit) < 2 {
		return false
	}
	switch kind := unit[0] >> 1 & 0x3f; {
	case kind <= h265LastSlice:
		return len(unit) > 2 && unit[2]&0x80 != 0
	case kind <= h265AUD || kind == h265PrefixSEI:
		return true
	}
	return false
}

func (h265Kind) id(r role, unit []byte) (int, error) {
	if len(unit) < 3 {
		return 0, errShort
	}
	switch r {
	case vps:
		return int(unit[2] >> 4), nil
	case pps:
		return expGolomb(unit[2:], 63)
	}
	var s h265.SPS
	if err := s.Unmarshal(unit); err != nil {
		return 0, err
	}
	return int(s.ID), nil
}

func (h265Kind) carrier(payload []byte) carrier {
	switch kind := payload[0] >> 1 & 0x3f; {
	case kind <= h265LastPlain:
		return single
	case kind == h265Aggregation:
		return aggregate
	case kind == h265Fragment:
		return fragment
	}
	return unsupported
}

func (h265Kind) piece(payload []byte) (header [2]byte, body []byte, begin, end bool, err error) {
	if len(payload) < 4 {
		return header, nil, false, false, errShort
	}
	header = [2]byte{payload[0]&0x81 | payload[2]&0x3f<<1, payload[1]}
	return header, payload[3:], payload[2]&0x80 != 0, payload[2]&0x40 != 0, nil
}

func (h265Kind) size(unit []byte) (width, height int, err error) {
	var s h265.SPS
	if err := s.Unmarshal(unit); err != nil {
		return 0, 0, err
	}
	return inBounds(s.Width(), s.Height())
}

func (h265Kind) needs() []role { return []role{vps, sps, pps} }

// spropH265 reads RFC 7798 section 7.1's parameters.
func spropH265(params string) [][]byte { return sprop(params, "sprop-vps", "sprop-sps", "sprop-pps") }
