package vod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/vod/ffmpeg"
)

// demuxers are what may be uploaded, with the one program part that may read it:
// what a file claims to be decides, not what is in it, so that none can be a
// playlist that names files of ours or of others.
var demuxers = map[string]string{
	"video/mp4": "mov", "video/quicktime": "mov", "audio/mp4": "mov", "audio/x-m4a": "mov", "video/x-m4v": "mov",
	"video/webm": "matroska", "audio/webm": "matroska", "video/x-matroska": "matroska",
	"video/mp2t": "mpegts", "video/x-msvideo": "avi",
	"audio/mpeg": "mp3", "audio/ogg": "ogg", "video/ogg": "ogg", "audio/wav": "wav", "audio/x-wav": "wav", "audio/flac": "flac",
}

// probe is what ffprobe tells of a file.
type probe struct {
	Streams []probeStream `json:"streams"`
	Format  struct {
		Duration string `json:"duration"`
	} `json:"format"`
}

type probeStream struct {
	Index       int    `json:"index"`
	Kind        string `json:"codec_type"`
	Codec       string `json:"codec_name"`
	Pixels      string `json:"pix_fmt"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Rate        string `json:"avg_frame_rate"`
	Channels    int    `json:"channels"`
	Disposition struct {
		Default  int `json:"default"`
		Attached int `json:"attached_pic"`
	} `json:"disposition"`
	Tags struct {
		Language string `json:"language"`
		Title    string `json:"title"`
	} `json:"tags"`
}

func (p probe) duration() time.Duration {
	s, err := strconv.ParseFloat(p.Format.Duration, 64)
	if err != nil || s < 0 || s > 1e7 {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// rate is the frames per second.
func (s probeStream) rate() float64 {
	num, den, _ := strings.Cut(s.Rate, "/")
	n, err1 := strconv.ParseFloat(num, 64)
	d, err2 := strconv.ParseFloat(den, 64)
	if err := errors.Join(err1, err2); err != nil || d == 0 {
		return 0
	}
	return n / d
}

// packable are the codecs that are taken as they are: CMAF has a place for them,
// and players decode them. Pixel formats beyond these are decoded by few.
func (s probeStream) packable() bool {
	switch s.Codec {
	case "h264":
		return s.Pixels == "yuv420p" || s.Pixels == "yuvj420p"
	case "hevc", "av1", "vp9":
		return s.Pixels == "yuv420p" || s.Pixels == "yuv420p10le" || s.Pixels == "yuvj420p"
	case "aac", "opus":
		return true
	}
	return false
}

// text reports whether subtitles are text: pictures are not.
func (s probeStream) text() bool {
	switch s.Codec {
	case "subrip", "ass", "ssa", "mov_text", "webvtt", "text":
		return true
	}
	return false
}

// probeLimit: the index of a large file on a slow disk.
const probeLimit = time.Minute

// maxProbe bounds what ffprobe may say.
const maxProbe = 1 << 20

// input are the arguments under which an uploaded file is opened.
func input(path, mediaType string) []string {
	return []string{"-protocol_whitelist", "file", "-f", demuxers[mediaType], "-i", "file:" + path}
}

func (v *Vod) probe(ctx context.Context, path, mediaType string) (probe, error) {
	var p probe
	err := v.ask(ctx, append([]string{"-show_format", "-show_streams"}, input(path, mediaType)...), &p)
	return p, err
}

// ask runs ffprobe and reads its JSON.
func (v *Vod) ask(ctx context.Context, args []string, into any) error {
	out := &bounded{most: maxProbe}
	err := ffmpeg.Run(ctx, ffmpeg.Job{
		Program: v.cfg.FFprobe, Args: append([]string{"-v", "error", "-of", "json"}, args...), Stdout: out, Limit: probeLimit,
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out.Bytes(), into); err != nil {
		return fmt.Errorf("read what ffprobe says: %w", err)
	}
	return nil
}

// first is when the first packet of a stream is shown, in the file's time.
func (v *Vod) first(ctx context.Context, path, mediaType string, index int) time.Duration {
	var said struct {
		Packets []struct {
			PTS string `json:"pts_time"`
			DTS string `json:"dts_time"`
		} `json:"packets"`
	}
	args := []string{"-select_streams", strconv.Itoa(index), "-read_intervals", "%+#1", "-show_entries", "packet=pts_time,dts_time"}
	if err := v.ask(ctx, append(args, input(path, mediaType)...), &said); err != nil || len(said.Packets) == 0 {
		return 0 // it only moves the beginning
	}
	for _, text := range []string{said.Packets[0].PTS, said.Packets[0].DTS} {
		if s, err := strconv.ParseFloat(text, 64); err == nil {
			return time.Duration(s * float64(time.Second))
		}
	}
	return 0
}

// bounded keeps the beginning of what is written.
type bounded struct {
	bytes.Buffer
	most int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:max(0, min(len(p), b.most-b.Len()))])
	return len(p), nil
}
