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
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/language"
	"github.com/sluice-live/sluice/vod/ffmpeg"
	"github.com/sluice-live/sluice/vod/upload"
)

// exports makes files of assets that every player reads, and keeps them for a
// while for whoever asks next.
type exports struct {
	vod   *Vod
	dir   string
	queue chan func(context.Context)

	mu    sync.Mutex // guards what follows
	files map[string]*export
}

// export is one file, being made or there.
type export struct {
	asset string
	path  string
	ready chan struct{} // closed when it is there, or err says why not
	err   error
	size  int64
	used  time.Time
	total time.Duration
	part  time.Duration // how much of total is written
}

// exportSpec says what of an asset goes into a file.
type exportSpec struct {
	rendition string // of the picture; empty is the largest
	from, to  time.Duration
	webm      bool
}

func newExports(v *Vod) *exports {
	return &exports{vod: v, dir: filepath.Join(v.cfg.Dir, "exports"), queue: make(chan func(context.Context), maxExports), files: make(map[string]*export)}
}

const (
	// maxExports bounds how many are made at the same time.
	maxExports = 2
	// exportLimit: copying goes at several hundred times real time; a disk may be slow.
	exportLimit = time.Hour
)

// errUnfit is an asset that cannot be put into one file of the kind.
type errUnfit struct{ why string }

// Error says why.
func (e *errUnfit) Error() string { return e.why }

// get returns the file of a spec, and begins to make it if nobody has. Files are
// known by where they are cut: wishes that come to the same share one, and what an
// asset had while it was recorded is not all of it.
func (x *exports) get(o *opened, spec exportSpec) (*export, error) {
	c, err := cutOut(o.show, spec.from, spec.to)
	if err != nil {
		return nil, err
	}
	key := strings.Join([]string{o.asset.ID, spec.rendition, c.from.String(), c.to.String(), strconv.FormatBool(spec.webm)}, " ")
	x.mu.Lock()
	defer x.mu.Unlock()
	if e, ok := x.files[key]; ok {
		e.used = time.Now()
		return e, nil
	}
	making := 0
	for _, e := range x.files {
		select {
		case <-e.ready:
		default:
			making++
		}
	}
	if making >= maxExports {
		return nil, &media.BusyError{Why: "other files are being made", After: 10 * time.Second}
	}
	e := &export{asset: o.asset.ID, ready: make(chan struct{}), used: time.Now(), total: c.to - c.from}
	x.files[key] = e
	// There is a place for each that may be made at the same time.
	x.queue <- func(ctx context.Context) { x.make(ctx, key, e, c, spec) }
	return e, nil
}

// run makes files until ctx ends.
func (x *exports) run(ctx context.Context) {
	for {
		select {
		case job := <-x.queue:
			job(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// make writes one file. Who asked for it may be gone: the next one finds it.
func (x *exports) make(ctx context.Context, key string, e *export, c cut, spec exportSpec) {
	path, err := x.write(ctx, e, c, spec)
	x.mu.Lock()
	defer x.mu.Unlock()
	e.path, e.err = path, err
	if info, serr := os.Stat(path); err == nil && serr == nil { //nolint:gosec // a name of ours
		e.size = info.Size()
	}
	close(e.ready)
	if err != nil || x.files[key] != e {
		delete(x.files, key)
		_ = os.Remove(path) //nolint:gosec // a name of ours; nobody has opened it
	}
	x.shrink(e)
}

// shrink removes what was not used longest, until the rest has room.
func (x *exports) shrink(keep *export) {
	total := int64(0)
	for _, e := range x.files {
		total += e.size
	}
	for total > x.vod.cfg.ExportCache {
		oldest := ""
		for key, e := range x.files {
			if e != keep && e.size > 0 && (oldest == "" || e.used.Before(x.files[oldest].used)) {
				oldest = key
			}
		}
		if oldest == "" {
			return
		}
		total -= x.files[oldest].size
		_ = os.Remove(x.files[oldest].path) // whoever reads it has it open
		delete(x.files, oldest)
	}
}

// forget removes the files of an asset.
func (x *exports) forget(asset string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, e := range x.files {
		if e.asset == asset {
			delete(x.files, key)
			_ = os.Remove(e.path) // one that is being made is removed when it is there
		}
	}
}

// progress is how far a file is, 0 to 1.
func (x *exports) progress(e *export) float64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return min(1, float64(e.part)/float64(max(e.total, 1)))
}

// codecVP8 is the codecs parameter of renditions that are WebM: no HLS and no MP4
// holds their pictures.
const codecVP8 = "vp8"

func isWebM(r *media.Rendition) bool { return r.Codec == codecVP8 }

// chosen are the renditions that go into a file: one picture, all sound that has a
// place there.
func chosen(c cut, spec exportSpec) (all []*media.Rendition, err error) {
	show := c.show()
	var picture *media.Rendition
	for _, r := range show.Renditions {
		switch {
		case r.Kind == media.VideoRendition && spec.rendition == "" && fits(r, spec) && (picture == nil || r.Height > picture.Height),
			r.ID == spec.rendition && r.Kind == media.VideoRendition:
			picture = r
		}
	}
	if spec.rendition != "" && picture == nil {
		return nil, fmt.Errorf("%w: there is no picture %q in this range", media.ErrBadQuery, spec.rendition)
	}
	if picture == nil {
		if err := unfit(show, spec); err != nil {
			return nil, err
		}
	} else {
		all = append(all, picture)
	}
	for _, r := range show.Renditions {
		if r.Kind == media.AudioRendition && (!spec.webm || strings.EqualFold(r.Codec, "opus")) {
			all = append(all, r)
		}
	}
	begin, _, _ := span(c.of)
	for _, r := range all {
		if err := uniform(r, begin); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// fits reports whether pictures have a place in that kind of file.
func fits(r *media.Rendition, spec exportSpec) bool { return spec.webm || !isWebM(r) }

// unfit says why there are no pictures in a file, if there are some.
func unfit(p *media.Presentation, spec exportSpec) error {
	for _, r := range p.Renditions {
		if r.Kind == media.VideoRendition && !fits(r, spec) {
			return &errUnfit{"its pictures are VP8, which MP4 does not hold: ask for export.webm"}
		}
	}
	return nil
}

// uniform refuses what one track of a file cannot hold. begin is where the asset
// does.
func uniform(r *media.Rendition, begin time.Duration) error {
	at := -1
	for _, s := range r.Segments {
		if s.Gap || s.Extent.Size == 0 {
			continue
		}
		if at >= 0 && s.Init != at {
			return &errUnfit{fmt.Sprintf("the format changes at %s of the recording: ask for a range before or after it", (r.Time(s.Start) - begin).Round(time.Millisecond))}
		}
		at = s.Init
	}
	return nil
}

func (x *exports) write(ctx context.Context, e *export, c cut, spec exportSpec) (path string, err error) {
	all, err := chosen(c, spec)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", errEmptyCut
	}
	if err := x.fits(all); err != nil {
		return "", err
	}
	ending, format := "mp4", []string{"-movflags", "+faststart", "-f", "mp4"}
	if spec.webm {
		ending, format = "webm", []string{"-f", "webm"}
	}
	f, err := os.CreateTemp(x.dir, e.asset+"-*."+ending)
	if err != nil {
		return "", fmt.Errorf("make a file of %s: %w", e.asset, err)
	}
	path = f.Name()
	_ = f.Close() // ffmpeg writes it
	args := append([]string{"-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-copyts"}, ffmpeg.Watch()...)
	var maps []string
	var inputs []func(io.Writer) error
	for i, r := range all {
		from := "mp4"
		if isWebM(r) {
			from = "matroska"
		}
		args = append(args, "-f", from, "-i", ffmpeg.Input(i))
		maps = append(maps, "-map", strconv.Itoa(i))
		inputs = append(inputs, func(w io.Writer) error { return x.feed(ctx, c.of, r, w) })
		maps = append(maps, tags(all, i)...)
	}
	offset := strconv.FormatFloat(-c.from.Seconds(), 'f', 6, 64)
	args = slices.Concat(args, maps, []string{"-c", "copy", "-strict", "-2", "-output_ts_offset", offset}, format, []string{path})
	err = ffmpeg.Run(ctx, ffmpeg.Job{
		Program: x.vod.cfg.FFmpeg, Args: args, Inputs: inputs, Limit: exportLimit,
		Progress: func(d time.Duration) {
			x.mu.Lock()
			defer x.mu.Unlock()
			e.part = d
		},
	})
	if err != nil {
		err = fmt.Errorf("make a file of %s: %w", e.asset, err)
	}
	return path, err
}

// tags are the arguments that say what a track is: both kinds of files have languages by
// three letters, and players play the sound that is the default one.
func tags(all []*media.Rendition, i int) []string {
	at, r := strconv.Itoa(i), all[i]
	var args []string
	if r.Language != "" {
		args = append(args, "-metadata:s:"+at, "language="+language.ISO639(r.Language))
	}
	preset := func(o *media.Rendition) bool { return o.Kind == media.AudioRendition && o.Default }
	if r.Kind == media.AudioRendition && !r.Default && slices.ContainsFunc(all, preset) {
		args = append(args, "-disposition:"+at, "0")
	}
	return args
}

// fits refuses what would fill the disk, which recordings are written to: viewers ask
// for exports, and of a day of film one has a hundred gigabytes.
func (x *exports) fits(all []*media.Rendition) error {
	need := x.vod.cfg.Uploads.Reserve
	for _, r := range all {
		size, _ := contents(r)
		need += size
	}
	free, err := upload.Free(x.dir)
	if err != nil {
		return fmt.Errorf("look at the disk: %w", err)
	}
	if free < need {
		return upload.ErrNoSpace
	}
	return nil
}

// feed writes a rendition as one file: its initialisation section and its segments.
func (x *exports) feed(ctx context.Context, p *media.Presentation, r *media.Rendition, w io.Writer) error {
	begun := false
	for _, s := range r.Segments {
		if s.Gap || s.Extent.Size == 0 {
			continue
		}
		if !begun {
			if s.Init < 0 || s.Init >= len(r.Inits) {
				return errors.New("a segment has no initialisation section")
			}
			if _, err := w.Write(r.Inits[s.Init].Data); err != nil {
				return err
			}
			begun = true
		}
		if err := x.vod.copy(ctx, w, p, r, s); err != nil {
			return err
		}
	}
	return nil
}

// copy writes a segment's bytes.
func (v *Vod) copy(ctx context.Context, w io.Writer, p *media.Presentation, r *media.Rendition, s *media.Segment) error {
	b, err := v.read(ctx, p, r.ID, s.Extent)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, b)
	return errors.Join(err, b.Close())
}
