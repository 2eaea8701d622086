package vod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/webvtt"
	"github.com/sluice-live/sluice/vod/ffmpeg"
	"github.com/sluice-live/sluice/vod/fragment"
)

const (
	// ahead is added to all times, so that none is negative: encoders begin up to a
	// second before 0. It is taken off again.
	ahead = 10 * time.Second
	// ingestLimit: a film that is encoded anew at a quarter of real time.
	ingestLimit = 24 * time.Hour
	// maxTracks of sound, and of subtitles, are taken.
	maxTracks = 8
	// frames of AAC that an encoder puts before the first sample.
	aacPriming = 1024 * time.Second / 44100
)

// ingest makes an asset of a complete upload: the streams are repackaged as they
// are, and encoded anew only if CMAF has no place for them.
func (v *Vod) ingest(ctx context.Context, a media.Asset) error {
	info, _, done, err := v.uploads.Upload(a.ID)
	if err != nil || !done {
		return &badMedia{"the uploaded file is not there"}
	}
	path := v.uploads.Path(a.ID)
	p, err := v.probe(ctx, path, info.Type)
	if err == nil {
		var l *loading
		if l, err = v.plan(ctx, a, path, info.Type, p); err == nil {
			err = l.run(ctx)
		}
		if err == nil {
			err = v.keepOriginal(ctx, a, info)
		}
		if err == nil {
			err = v.publishUpload(ctx, a, l)
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ffmpeg.ErrMissing):
		return &badMedia{"uploads need ffmpeg, which is not installed on the server"}
	case err == nil:
		return v.uploads.Remove(a.ID)
	}
	var failed *ffmpeg.ExitError
	if errors.As(err, &failed) || errors.Is(err, fragment.ErrBad) { // the file's fault: it will not become better
		v.log.Warn("an upload cannot be read", "asset", a.ID, "err", err)
		err = &badMedia{"the file cannot be read as " + info.Type}
	}
	return err
}

// loading is an upload on its way to an asset.
type loading struct {
	vod    *Vod
	asset  media.Asset
	tracks []*packer
	subs   []string // languages
	args   []string
	total  time.Duration
	dir    string // of sidecars
}

// plan chooses the streams and says what becomes of each.
func (v *Vod) plan(ctx context.Context, a media.Asset, path, mediaType string, p probe) (*loading, error) {
	l := &loading{vod: v, asset: a, total: p.duration(), dir: filepath.Join(v.cfg.Dir, "work", a.ID)}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, fmt.Errorf("work on %s: %w", a.ID, err)
	}
	l.args = slices.Concat([]string{"-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-copyts"}, ffmpeg.Watch(), input(path, mediaType))
	begin := time.Duration(1 << 62)
	var sounds, texts int
	var said []probeStream
	for _, s := range p.Streams {
		video := s.Kind == "video" && s.Disposition.Attached == 0 && (len(l.tracks) == 0 || !l.tracks[0].video)
		switch {
		case video && s.Width > 0:
			l.tracks = slices.Insert(l.tracks, 0, &packer{stream: s, video: true, id: "video"})
		case s.Kind == "audio" && sounds < maxTracks:
			sounds++
			id := "audio"
			if sounds > 1 {
				id += "-" + strconv.Itoa(sounds)
			}
			l.tracks = append(l.tracks, &packer{stream: s, id: id})
		case s.Kind == "subtitle" && s.text() && texts < maxTracks:
			texts++
			said = append(said, s)
			continue
		default:
			continue
		}
		begin = min(begin, v.first(ctx, path, mediaType, s.Index))
	}
	if len(l.tracks) == 0 {
		return nil, &badMedia{"there is neither a picture nor sound in the file"}
	}
	if slices.ContainsFunc(l.tracks, func(k *packer) bool { return !k.video && !k.stream.packable() }) {
		begin -= aacPriming
	}
	for _, s := range said {
		l.subtitle(s, begin)
	}
	for i, k := range l.tracks {
		k.shift = ahead + begin
		k.batch = &batch{vod: v, path: a.Path, rendition: k.id}
		l.args = append(l.args, k.output(ffmpeg.Sink(0, i))...)
	}
	return l, nil
}

// subtitle adds an output for a stream of text, in media time.
func (l *loading) subtitle(s probeStream, begin time.Duration) {
	name := strings.ToLower(s.Tags.Language)
	if name == "" || len(name) > 8 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") != "" {
		name = "und"
	}
	for n, first := 2, name; slices.Contains(l.subs, name); n++ {
		name = first + "-" + strconv.Itoa(n)
	}
	l.subs = append(l.subs, name)
	l.args = append(l.args, "-map", "0:"+strconv.Itoa(s.Index), "-c", "webvtt",
		"-output_ts_offset", strconv.FormatFloat(-begin.Seconds(), 'f', 3, 64), "-f", "webvtt", filepath.Join(l.dir, name+".vtt"))
}

// output are the arguments for one track, written to an address.
func (k *packer) output(to string) []string {
	args := []string{"-map", "0:" + strconv.Itoa(k.stream.Index)}
	switch {
	case k.video && k.stream.packable():
		args = append(args, "-c", "copy")
		if k.stream.Codec == "hevc" {
			args = append(args, "-tag:v", "hvc1") // what Apple's players want
		}
	case k.video: // without frames that are shown in another order, as the ladder's
		args = append(args, "-c", "libx264", "-preset", "veryfast", "-crf", "21", "-pix_fmt", "yuv420p", "-bf", "0", "-sc_threshold", "0",
			"-vf", "scale=w='min(1920,iw)':h='min(1080,ih)':force_original_aspect_ratio=decrease:force_divisible_by=2",
			"-force_key_frames", "expr:gte(t,n_forced*2)")
	case k.stream.packable():
		args = append(args, "-c", "copy")
	default:
		args = append(args, "-c", "aac", "-b:a", "128k", "-ac", "2")
	}
	// Absolute decode times (frag_discont) keep the tracks together; fragments begin
	// at key frames, and none is longer than a segment should be.
	args = append(args, "-movflags", "+cmaf+frag_keyframe+frag_discont", "-avoid_negative_ts", "disabled",
		"-output_ts_offset", strconv.Itoa(int(ahead.Seconds())), "-map_metadata", "-1", "-strict", "-2")
	if k.video {
		return append(args, "-video_track_timescale", "90000", "-frag_duration", "6000000", "-f", "mp4", to)
	}
	return append(args, "-frag_duration", "200000", "-f", "mp4", to)
}

// run repackages.
func (l *loading) run(ctx context.Context) error {
	var sinks []func(io.Reader) error
	for _, k := range l.tracks {
		sinks = append(sinks, func(r io.Reader) error { return k.read(ctx, r) })
	}
	l.vod.work.tell(l.asset.ID, 0)
	return ffmpeg.Run(ctx, ffmpeg.Job{
		Program: l.vod.cfg.FFmpeg, Args: l.args, Sinks: sinks, Limit: ingestLimit,
		Progress: func(d time.Duration) {
			l.vod.work.tell(l.asset.ID, (d-ahead).Seconds()/max(l.total.Seconds(), 1))
		},
	})
}

// publishUpload stores sidecars and manifest and makes the asset ready.
func (v *Vod) publishUpload(ctx context.Context, a media.Asset, l *loading) error {
	show := l.presentation()
	if len(show.Renditions) == 0 {
		return &badMedia{"there is no media in the file"}
	}
	var subs []string
	for _, name := range l.subs {
		b, err := os.ReadFile(filepath.Join(l.dir, name+".vtt"))
		if err != nil || len(b) <= len("WEBVTT\n\n") {
			continue // there was no text in it
		}
		f, err := webvtt.Parse(b)
		if err != nil || len(b) > maxSubtitles {
			v.log.Warn("subtitles of an upload cannot be used", "asset", a.ID, "language", name, "err", err)
			continue
		}
		if err := v.putSubtitle(ctx, a, name, f); err != nil {
			return err
		}
		subs = append(subs, name)
	}
	_ = os.RemoveAll(l.dir) // New clears it too
	if len(subs) > 0 {
		_, err := v.change(ctx, a.ID, func(a *media.Asset) ([]media.AssetEvent, error) {
			a.Subtitles = subs
			return nil, nil
		})
		if err != nil {
			return err
		}
	}
	err := v.publish(ctx, a, &media.Manifest{Presentation: show})
	if err == nil {
		v.metrics.ingested.Add(l.total.Seconds())
	}
	return err
}
