package conform

import (
	"github.com/pion/rtp/codecs"

	"github.com/sluice-live/sluice/media"
)

// H264 NAL unit types (RFC 6184 section 5.2).
const (
	nalIDR   = 5
	nalSPS   = 7
	nalSTAPA = 24
	nalFUA   = 28
)

// starts reports whether a decoder may start with this packet.
func starts(r *received) bool {
	b := r.Payload
	switch r.Codec {
	case media.VP8:
		var d codecs.VP8Packet
		frame, err := d.Unmarshal(b)
		return err == nil && d.S == 1 && d.PID == 0 && len(frame) > 0 && frame[0]&1 == 0
	case media.VP9:
		d, frame, ok := readVP9(b)
		// frame_marker 2, then of profiles 0 to 2: show_existing_frame and frame_type are 0 in a key frame.
		return ok && d.B && d.SID == 0 && (len(frame) == 0 || frame[0]>>6 != 2 || frame[0]>>2&3 == 0)
	case media.AV1:
		return b[0]&0x80 == 0 && (b[0]&0x08 != 0 || sequenceHeader(b))
	case media.H264:
		switch b[0] & 0x1f {
		case nalSTAPA:
			return len(b) > 3 && keyNAL(b[3])
		case nalFUA:
			return len(b) > 1 && b[1]&0x80 != 0 && keyNAL(b[1])
		}
		return keyNAL(b[0])
	}
	return true
}

func keyNAL(b byte) bool { return b&0x1f == nalIDR || b&0x1f == nalSPS }

// sequenceHeader reports whether the first OBU of an AV1 payload is one: FFmpeg and Pion leave N unset.
func sequenceHeader(b []byte) bool {
	at := 1
	if b[0]>>4&3 != 1 {
		for at < len(b) && b[at]&0x80 != 0 {
			at++
		}
		at++
	}
	return at < len(b) && b[at]>>3&0xf == 1
}

// begins reports whether a frame may begin with this packet; H264 tells only that one does not.
func begins(r *received) bool {
	b := r.Payload
	switch r.Codec {
	case media.VP8:
		return b[0]&0x10 != 0 && b[0]&7 == 0
	case media.VP9:
		return b[0]&0x08 != 0
	case media.AV1:
		if len(r.Descriptor) > 0 {
			return r.Descriptor[0]&0x80 != 0
		}
		return b[0]&0x80 == 0
	case media.H264:
		return b[0]&0x1f != nalFUA || len(b) > 1 && b[1]&0x80 != 0
	}
	return true
}

// ends reports whether a frame may end with this packet.
func ends(r *received) bool {
	b := r.Payload
	switch r.Codec {
	case media.VP9:
		return b[0]&0x04 != 0
	case media.AV1:
		if len(r.Descriptor) > 0 {
			return r.Descriptor[0]&0x40 != 0
		}
		return b[0]&0x40 == 0
	case media.H264:
		return b[0]&0x1f != nalFUA || len(b) > 1 && b[1]&0x40 != 0
	}
	return true
}

// tells reports whether each packet tells if a frame begins or ends there.
func tells(r *received) bool {
	return r.Codec == media.VP9 || r.Codec == media.AV1 && len(r.Descriptor) > 0
}

// entersSpatial reports whether an upper layer of VP9 is entered inside a picture, by a frame without references to
// other pictures: the layer below it was already marked as the last.
func entersSpatial(r *received) bool {
	if r.Codec != media.VP9 {
		return false
	}
	d, _, ok := readVP9(r.Payload)
	return ok && d.B && !d.P && d.SID > 0
}

func readVP9(b []byte) (codecs.VP9Packet, []byte, bool) {
	var d codecs.VP9Packet
	frame, err := d.Unmarshal(b)
	return d, frame, err == nil
}
