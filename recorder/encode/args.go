package encode

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/Eyevinn/mp4ff/av1"
	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"

	"github.com/sluice-live/sluice/media"
)

// private is a format's configuration record as Matroska wants it.
func private(f *media.Format) ([]byte, error) {
	var b bytes.Buffer
	switch f.Codec {
	case media.Opus:
		// RFC 7845 section 5.1, without a pre-skip: what a decoder would leave out has a
		// place on the timeline.
		head := append([]byte("OpusHead"), 1, byte(f.Channels), 0, 0)
		head = binary.LittleEndian.AppendUint32(head, f.Codec.ClockRate())
		return append(head, 0, 0, 0), nil
	case media.H264:
		var sps, pps [][]byte
		for _, p := range f.Parameters {
			switch avc.GetNaluType(p[0]) {
			case avc.NALU_SPS:
				sps = append(sps, p)
			case avc.NALU_PPS:
				pps = append(pps, p)
			}
		}
		if len(sps) == 0 || len(pps) == 0 {
			return nil, fmt.Errorf("describe H264: %w: parameter sets are missing", media.ErrUnsupported)
		}
		c, err := avc.CreateAVCDecConfRec(sps, pps, true)
		if err != nil {
			return nil, fmt.Errorf("describe H264: %w", err)
		}
		err = c.Encode(&b)
		return b.Bytes(), err
	case media.H265:
		var sets [3][][]byte
		for _, p := range f.Parameters {
			if i := int(hevc.GetNaluType(p[0])) - int(hevc.NALU_VPS); i >= 0 && i < len(sets) {
				sets[i] = append(sets[i], p)
			}
		}
		c, err := hevc.CreateHEVCDecConfRec(sets[0], sets[1], sets[2], true, true, true, true)
		if err != nil {
			return nil, fmt.Errorf("describe H265: %w", err)
		}
		err = c.Encode(&b)
		return b.Bytes(), err
	case media.AV1:
		units, err := av1.SplitOBUs(f.Parameters[0])
		if err != nil || len(units) != 1 {
			return nil, fmt.Errorf("describe AV1: %w: no sequence header", media.ErrUnsupported)
		}
		h, err := av1.ParseSequenceHeader(units[0].Payload)
		if err != nil {
			return nil, fmt.Errorf("describe AV1: %w", err)
		}
		c := av1.CodecConfRecFromSequenceHeader(h, f.Parameters[0])
		err = c.Encode(&b)
		return b.Bytes(), err
	}
	return nil, nil
}

const (
	pictureRate = 90000 // the clock rate of all pictures
	usualFPS    = 30
)

// arguments are ffmpeg's. Skip is how much of what it is given is decoded only, in
// ticks.
func arguments(c Config, skip media.Ticks) []string {
	args := []string{"-hide_banner", "-loglevel", "error", "-nostdin", "-threads", "1",
		// What a stream is stands in the head: nothing needs to be guessed from frames.
		"-probesize", "32", "-fpsprobesize", "0", "-f", "matroska", "-i", "pipe:0", "-copyts"}
	p := c.Profile
	if p.Kind == media.Audio {
		args = append(args, "-map", "0:a:0", "-af", "atrim=start_sample="+strconv.FormatInt(int64(skip), 10), "-c:a", "aac", "-b:a", bits(p.Bitrate), "-ar", "48000", "-ac", "2")
	} else {
		args = append(args, "-map", "0:v:0", "-vf", filters(p, skip))
		args = append(args, codec(c)...)
	}
	return append(args, container()...)
}

// codec are the arguments for pictures.
func codec(c Config) []string {
	p := c.Profile
	return []string{"-vsync", "passthrough",
		"-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-profile:v", "high", "-threads", strconv.Itoa(max(c.Threads, 1)),
		"-b:v", bits(p.Bitrate), "-maxrate", bits(p.Bitrate), "-bufsize", bits(p.Bitrate),
		// Key frames stand where those of the source do, and nowhere else: segments of
		// all renditions begin with the same picture.
		"-force_key_frames", "source_no_drop", "-forced-idr", "1", "-g", "100000", "-sc_threshold", "0",
		// Matroska tells no frame rate, and a guess from timestamps in microseconds is
		// far too high for the rate control.
		"-enc_time_base", "1:90000", "-x264-params", "fps=" + strconv.Itoa(cmp.Or(p.FPS, usualFPS))}
}

// container are the arguments for what is written.
func container() []string {
	return []string{"-flush_packets", "1", "-flvflags", "no_duration_filesize+no_metadata+no_sequence_end", "-f", "flv", "pipe:1"}
}

func bits(b media.Bitrate) string { return strconv.FormatInt(int64(b), 10) }

// filters scale, and leave out pictures that are too many; never a key frame.
func filters(p Profile, skip media.Ticks) string {
	f := "trim=start=" + strconv.FormatFloat(lead.Seconds()+(float64(skip)-0.5)/pictureRate, 'f', 6, 64)
	if p.FPS > 0 {
		// A tenth less than the interval: pictures of a camera are not quite regular.
		f += fmt.Sprintf(",select=key+isnan(prev_selected_t)+gte(t-prev_selected_t\\,%.4f)", 0.9/float64(p.FPS))
	}
	return f + fmt.Sprintf(",scale=%d:%d:force_original_aspect_ratio=decrease:flags=bilinear,pad=%d:%d:-1:-1,setsar=1,format=yuv420p", p.Width, p.Height, p.Width, p.Height)
}
