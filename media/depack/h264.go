package depack

import (
	"encoding/base64"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Types of H.264 NAL units (H.264 table 7-1, RFC 6184 table 1).
const (
	h264Slice     = 1
	h264IDR       = 5
	h264SEI       = 6
	h264SPS       = 7
	h264PPS       = 8
	h264AUD       = 9
	h264Filler    = 12
	h264SPSExt    = 13
	h264Prefix    = 14
	h264SubsetSPS = 15
	h264Aux       = 19
	h264LastPlain = 23
	h264StapA     = 24
	h264FuA       = 28
)

// maxParams bounds fmtp parameters in bytes.
const maxParams = 64 << 10

type h264Kind struct{}

func (h264Kind) header() int { return 1 }

func (h264Kind) role(unit []byte) role {
	switch kind := unit[0] & 0x1f; {
	case h264Slice <= kind && kind < h264IDR:
		return slice
	case kind == h264IDR:
		return keySlice
	case kind == h264SPS:
		return sps
	case kind == h264PPS:
		return pps
	case kind == h264SEI, kind == h264SPSExt, kind == h264Aux:
		return other
	}
	return useless // delimiters, filler, and layers of SVC and MVC
}

// open: what stands before the first slice, or a slice whose first_mb_in_slice is 0.
func (h264Kind) open(unit []byte) bool {
	switch kind := unit[0] & 0x1f; {
	case kind == h264SPS || kind == h264AUD || kind == h264SEI || kind == h264PPS || kind == h264Prefix:
		return true
	case h264Slice <= kind && kind <= h264IDR:
		return len(unit) > 1 && unit[1]&0x80 != 0
	}
	return false
}

func (h264Kind) id(r role, unit []byte) (int, error) {
	at := 1
	if r == sps {
		at = 4 // after profile, constraints and level
	}
	if len(unit) <= at {
		return 0, errShort
	}
	return expGolomb(unit[at:], 255)
}

func (h264Kind) carrier(payload []byte) carrier {
	switch kind := payload[0] & 0x1f; {
	case 1 <= kind && kind <= h264LastPlain:
		return single
	case kind == h264StapA:
		return aggregate
	case kind == h264FuA:
		return fragment
	}
	return unsupported
}

func (h264Kind) piece(payload []byte) (header [2]byte, body []byte, begin, end bool, err error) {
	if len(payload) < 3 {
		return header, nil, false, false, errShort
	}
	return [2]byte{payload[0]&0xe0 | payload[1]&0x1f}, payload[2:], payload[1]&0x80 != 0, payload[1]&0x40 != 0, nil
}

func (h264Kind) size(unit []byte) (width, height int, err error) {
	var s h264.SPS
	if err := s.Unmarshal(unit); err != nil {
		return 0, 0, err
	}
	return inBounds(s.Width(), s.Height())
}

func (h264Kind) needs() []role { return []role{sps, pps} }

// maxSide bounds pictures: the highest levels of H.265 and AV1 end at 16888 and
// 16384 a side.
const maxSide = 16888

func inBounds(width, height int) (int, int, error) {
	if width <= 0 || height <= 0 || width > maxSide || height > maxSide {
		return 0, 0, errUnknown
	}
	return width, height, nil
}

// expGolomb reads the unsigned Exp-Golomb number that b begins with (H.264 section
// 9.1). Small ones end before an emulation prevention byte may come.
func expGolomb(b []byte, most int) (int, error) {
	bit := func(i int) int {
		if i/8 >= len(b) {
			return 0
		}
		return int(b[i/8]>>(7-i%8)) & 1
	}
	zeros := 0
	for zeros < 16 && bit(zeros) == 0 {
		zeros++
	}
	v := 0
	for i := range zeros + 1 {
		v = v<<1 | bit(zeros+i)
	}
	if zeros >= 16 || (2*zeros)/8 >= len(b) || v-1 > most {
		return 0, errShort
	}
	return v - 1, nil
}

// spropH264 reads sprop-parameter-sets (RFC 6184 section 8.1).
func spropH264(params string) [][]byte { return sprop(params, "sprop-parameter-sets") }

// sprop decodes the sets of some fmtp parameters, in the order of their names.
func sprop(params string, names ...string) (out [][]byte) {
	if len(params) > maxParams {
		return nil
	}
	for _, name := range names {
		for _, p := range strings.Split(params, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			if !strings.EqualFold(key, name) {
				continue
			}
			for _, s := range strings.Split(value, ",") {
				if b, err := base64.StdEncoding.DecodeString(s); err == nil {
					out = append(out, b)
				}
			}
		}
	}
	return out
}
