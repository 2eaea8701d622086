package still

import (
	"encoding/binary"

	parser "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/sluice-live/sluice/media"
)

// Types of NAL units (H.264 table 7-1).
const (
	unitSlice = 1
	unitIDR   = 5
	unitSPS   = 7
	unitPPS   = 8
)

// h264 makes a picture of skipped macroblocks, which are where they were in the
// last reference (H.264 section 8.4.1.1: without neighbours that move they do not).
// It is none itself, so that numbers of later pictures stay right. Several in a row
// have the same picture order count, which section 8.2.1 does not foresee;
// decoders show them as they come.
func h264(f *media.Format, last []byte) ([]byte, bool) {
	var slice []byte
	for rest := last; len(rest) > 4; {
		size := int(binary.BigEndian.Uint32(rest))
		if size == 0 || size > len(rest)-4 {
			return nil, false
		}
		if kind := rest[4] & 0x1f; kind == unitSlice || kind == unitIDR {
			slice = rest[4 : 4+size]
			break
		}
		rest = rest[4+size:]
	}
	if len(slice) < 4 {
		return nil, false
	}
	kind, reference := slice[0]&0x1f, slice[0]&0x60 != 0
	r := reader{data: plain(slice[1:min(len(slice), 64)])}
	r.ue() // first_mb_in_slice
	r.ue() // slice_type
	id := r.ue()
	s, p, ok := sets(f, id)
	if !ok || r.short {
		return nil, false
	}
	frame := r.bits(int(s.Log2MaxFrameNumMinus4) + 4)
	if kind == unitIDR {
		r.ue() // idr_pic_id
	}
	count := uint32(0)
	if s.PicOrderCntType == 0 {
		count = r.bits(int(s.Log2MaxPicOrderCntLsbMinus4) + 4)
	}
	if r.short || !reference { // what refers to the last reference shows that one
		return nil, false
	}
	return skipped(s, p, frame+1, count+1), true // the next's number; half way to the next's count
}

// skipped writes the picture's only slice (section 7.3.3).
func skipped(s *parser.SPS, p pps, frame, count uint32) []byte {
	w := writer{}
	w.ue(0)                                       // first_mb_in_slice
	w.ue(5)                                       // slice_type: P, all of the picture
	w.ue(p.id)                                    //
	w.bits(frame, int(s.Log2MaxFrameNumMinus4)+4) // modulo its length
	if s.PicOrderCntType == 0 {
		w.bits(count, int(s.Log2MaxPicOrderCntLsbMinus4)+4)
		if p.bottom {
			w.ue(0)
		}
	}
	if p.redundant {
		w.ue(0)
	}
	w.bits(1, 1) // num_ref_idx_active_override_flag
	w.ue(0)      // one reference
	w.bits(0, 1) // ref_pic_list_modification_flag_l0
	if p.weighted {
		w.ue(0) // denominators, and no weights
		if s.ChromaFormatIdc != 0 {
			w.ue(0)
			w.bits(0, 1)
		}
		w.bits(0, 1)
	}
	w.ue(0) // slice_qp_delta
	if p.deblocking {
		w.ue(1) // none
	}
	w.ue((s.PicWidthInMbsMinus1 + 1) * (s.PicHeightInMapUnitsMinus1 + 1)) // mb_skip_run
	w.bits(1, 1)                                                          // rbsp_stop_one_bit
	out := append(make([]byte, 4, 32), unitSlice)
	zeros := 0
	for _, b := range w.data {
		if zeros >= 2 && b <= 3 { // emulation prevention (section 7.4.1)
			out, zeros = append(out, 3), 0
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, b)
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

// pps is what a picture parameter set tells of slice headers (section 7.3.2.2).
type pps struct {
	id                                      uint32
	bottom, weighted, deblocking, redundant bool
}

// sets finds the parameter sets of a slice. Not ok: arithmetic coding, fields,
// slice groups, order counts of type 1.
func sets(f *media.Format, id uint32) (*parser.SPS, pps, bool) {
	for _, set := range f.Parameters {
		if len(set) < 2 || set[0]&0x1f != unitPPS {
			continue
		}
		p, sps, ok := readPPS(set)
		if p.id != id {
			continue
		}
		if !ok {
			return nil, pps{}, false
		}
		for _, set := range f.Parameters {
			var s parser.SPS
			if len(set) > 3 && set[0]&0x1f == unitSPS && s.Unmarshal(set) == nil && s.ID == sps {
				if s.ProfileIdc < 100 {
					s.ChromaFormatIdc = 1
				}
				return &s, p, s.FrameMbsOnlyFlag && s.PicOrderCntType != 1 && !s.SeparateColourPlaneFlag && s.MaxNumRefFrames > 0
			}
		}
	}
	return nil, pps{}, false
}

func readPPS(set []byte) (p pps, sps uint32, ok bool) {
	r := reader{data: plain(set[1:])}
	p.id, sps = r.ue(), r.ue()
	arithmetic := r.flag()
	p.bottom = r.flag()
	groups := r.ue()
	r.ue() // num_ref_idx_l0_default_active_minus1
	r.ue()
	p.weighted = r.flag()
	r.bits(2) // weighted_bipred_idc
	r.ue()    // pic_init_qp_minus26, as the next two with a sign, which is of the same length
	r.ue()
	r.ue()
	p.deblocking = r.flag()
	r.bits(1) // constrained_intra_pred_flag
	p.redundant = r.flag()
	return p, sps, !arithmetic && groups == 0 && !r.short
}

// plain takes emulation prevention out.
func plain(b []byte) []byte {
	out := make([]byte, 0, len(b))
	zeros := 0
	for _, v := range b {
		if zeros >= 2 && v == 3 {
			zeros = 0
			continue
		}
		if v == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, v)
	}
	return out
}
