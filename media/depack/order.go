package depack

import (
	"encoding/binary"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/sluice-live/sluice/media"
)

// Order tells decoding times of frames that may be shown in another order than
// they are sent in (B-frames). Owner: whoever owns the Depacketizer; the zero value
// is ready.
type Order struct {
	format   *media.Format
	reorders bool
	extract  func(au [][]byte, pts int64) (int64, error)
	failed   bool
	last     media.Ticks
	begun    bool
	units    [][]byte
}

// DTS returns when a frame is to be decoded, in the scale of Frame.TS: TS itself as
// long as the encoder does not reorder. It rises from frame to frame. An error says
// that the frame cannot be placed, and is best dropped.
func (o *Order) DTS(f *media.Frame) (media.Ticks, error) {
	if f.Format != o.format {
		o.format = f.Format
		o.look(f.Format)
	}
	dts := f.TS
	if o.reorders {
		if o.failed && f.Key {
			o.look(f.Format)
		}
		o.units = o.units[:0]
		if f.Key {
			o.units = append(o.units, f.Format.Parameters...)
		}
		o.units = Units(o.units, f.Data)
		at, err := o.extract(o.units, int64(f.TS))
		if err != nil {
			o.failed = true
			return 0, fmt.Errorf("find decoding time: %w", err)
		}
		dts = media.Ticks(at)
	}
	if o.begun && dts <= o.last {
		dts = o.last + 1
	}
	o.begun, o.last = true, dts
	return dts, nil
}

// Reorders reports whether frames of the last format may be shown in another order
// than they are decoded in.
func (o *Order) Reorders() bool { return o.reorders }

// look finds out whether a format reorders.
func (o *Order) look(f *media.Format) {
	o.failed, o.reorders = false, false
	switch f.Codec {
	case media.H264:
		x := &h264.DTSExtractor{}
		x.Initialize()
		o.extract, o.reorders = x.Extract, h264Reorders(f.Parameters)
	case media.H265:
		x := &h265.DTSExtractor{}
		x.Initialize()
		o.extract, o.reorders = x.Extract, h265Reorders(f.Parameters)
	}
}

// h264Reorders: not with pic_order_cnt_type 2, nor in the baseline profile, nor where
// the SPS says that no frame is shown before one that was decoded earlier.
func h264Reorders(sets [][]byte) bool {
	const baseline = 66
	var s h264.SPS
	for _, b := range sets {
		if b[0]&0x1f != h264SPS || s.Unmarshal(b) != nil {
			continue
		}
		restricted := s.VUI != nil && s.VUI.BitstreamRestriction != nil && s.VUI.BitstreamRestriction.MaxNumReorderFrames == 0
		return s.PicOrderCntType != 2 && s.ProfileIdc != baseline && !restricted
	}
	return false
}

func h265Reorders(sets [][]byte) bool {
	var s h265.SPS
	for _, b := range sets {
		if b[0]>>1&0x3f != h265SPS || s.Unmarshal(b) != nil {
			continue
		}
		for _, n := range s.MaxNumReorderPics {
			if n > 0 {
				return true
			}
		}
		return false
	}
	return false
}

// Units appends the NAL units of a frame of H264 or H265 to dst: slices of data. What
// is torn at the end is left out.
func Units(dst [][]byte, data []byte) [][]byte {
	for len(data) >= 4 {
		size := binary.BigEndian.Uint32(data)
		if size == 0 || uint64(size) > uint64(len(data)-4) {
			break
		}
		dst = append(dst, data[4:4+size])
		data = data[4+size:]
	}
	return dst
}
