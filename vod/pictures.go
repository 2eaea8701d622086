package vod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/board"
	"github.com/sluice-live/sluice/vod/ffmpeg"
	"github.com/sluice-live/sluice/vod/fragment"
)

const (
	thumbWidth, thumbHeight = 640, 360
	// jpegQuality: pictures beneath a finger; above 75 they grow faster than they gain.
	jpegQuality = 75
	// pictureLimit: a second of decoding for each of the at most 400 key frames.
	pictureLimit = 10 * time.Minute
)

// picturePath is where an asset's pictures and sidecars are in the blob store: apart
// from the media, with policies of their own.
func picturePath(a media.Asset) string { return "assets/" + string(a.Stream) + "/" + a.ID }

func sheetName(i int) string { return fmt.Sprintf("storyboard-%d.jpg", i) }

// illustrate makes the thumbnail and the storyboard of a ready asset. Without
// pictures the asset stays ready, and says why.
func (v *Vod) illustrate(ctx context.Context, a media.Asset) error {
	o, err := v.openCached(ctx, a.ID)
	if err != nil {
		return err
	}
	r := pictured(o.show)
	if r == nil {
		return nil // sound alone
	}
	err = v.drawAll(ctx, a, o.show, r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		v.work.postpone(a.ID, v.now())
		v.log.Warn("an asset has no pictures", "asset", a.ID, "err", err)
	}
	_, cerr := v.change(ctx, a.ID, func(a *media.Asset) ([]media.AssetEvent, error) {
		a.Thumbnail, a.Storyboard = err == nil, err == nil
		switch {
		case errors.Is(err, ffmpeg.ErrMissing):
			a.Reason = "it has no pictures: ffmpeg is not installed on the server"
		case err != nil:
			a.Reason = "it has no pictures: they could not be made"
		default:
			a.Reason = ""
		}
		return nil, nil
	})
	return cerr
}

// pictured is the rendition that pictures are made from: the smallest that is not
// smaller than a thumbnail, else the largest.
func pictured(p *media.Presentation) *media.Rendition {
	var best *media.Rendition
	for _, r := range p.Renditions {
		if r.Kind != media.VideoRendition || len(keyTimes(r)) == 0 {
			continue
		}
		larger := best != nil && r.Height > best.Height
		if best == nil || (best.Height < thumbHeight && larger) || (r.Height >= thumbHeight && !larger) {
			best = r
		}
	}
	return best
}

// keyTimes are the segments in which a picture can be found.
func keyTimes(r *media.Rendition) []*media.Segment {
	var all []*media.Segment
	for _, s := range r.Segments {
		if s.Independent && !s.Gap && s.Extent.Size > 0 && s.Init >= 0 && s.Init < len(r.Inits) {
			all = append(all, s)
		}
	}
	return all
}

// drawAll draws and stores the storyboard and the thumbnail.
func (v *Vod) drawAll(ctx context.Context, a media.Asset, p *media.Presentation, r *media.Rendition) error {
	keys := keyTimes(r)
	first := r.Time(keys[0].Start)
	l := board.Plan(a.Duration, r.Width, r.Height)
	wanted := make([]*media.Segment, l.Count)
	for i := range wanted {
		wanted[i] = segmentAt(r, keys, first+l.At(i))
	}
	sheets := make([]*image.RGBA, l.Sheets())
	for i := range sheets {
		w, h := l.Size(i)
		sheets[i] = image.NewRGBA(image.Rect(0, 0, w, h))
	}
	v.work.tell(a.ID, 0)
	err := v.frames(ctx, frameJob{p, r, wanted, l.Width, l.Height}, func(i int, rgb []byte) {
		sheet, x, y := l.Place(i)
		paste(sheets[sheet], rgb, x, y, l.Width)
		v.work.tell(a.ID, float64(i)/float64(l.Count))
	})
	if err != nil {
		return err
	}
	path := picturePath(a)
	for i, sheet := range sheets {
		if err := v.putJPEG(ctx, path+"/"+sheetName(i), sheet); err != nil {
			return err
		}
	}
	vtt := l.VTT(a.Duration, sheetName)
	if err := v.parts.Blobs.Put(ctx, path+"/storyboard.vtt", bytes.NewReader([]byte(vtt)), int64(len(vtt))); err != nil {
		return err
	}
	return v.thumbnail(ctx, a, p, r)
}

// thumbnail draws the picture that an asset is shown by: a tenth into it, where the
// black of the beginning is over.
func (v *Vod) thumbnail(ctx context.Context, a media.Asset, p *media.Presentation, r *media.Rendition) error {
	keys := keyTimes(r)
	s := segmentAt(r, keys, r.Time(keys[0].Start)+min(a.Duration/10, time.Minute))
	w, h := thumbWidth, thumbHeight
	if r.Width > 0 && r.Height > 0 {
		w, h = board.Fit(r.Width, r.Height, thumbWidth, thumbHeight)
	}
	picture := image.NewRGBA(image.Rect(0, 0, w, h))
	err := v.frames(ctx, frameJob{p, r, []*media.Segment{s}, w, h}, func(_ int, rgb []byte) { paste(picture, rgb, 0, 0, w) })
	if err != nil {
		return err
	}
	return v.putJPEG(ctx, picturePath(a)+"/thumbnail.jpg", picture)
}

func (v *Vod) putJPEG(ctx context.Context, key string, m image.Image) error {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: jpegQuality}); err != nil {
		return err
	}
	return v.parts.Blobs.Put(ctx, key, bytes.NewReader(b.Bytes()), int64(b.Len()))
}

// segmentAt is the last one that begins at or before t, or the first.
func segmentAt(r *media.Rendition, keys []*media.Segment, t time.Duration) *media.Segment {
	best := keys[0]
	for _, s := range keys {
		if r.Time(s.Start) > t {
			break
		}
		best = s
	}
	return best
}

// paste copies a picture of three bytes per pixel.
func paste(into *image.RGBA, rgb []byte, x, y, width int) {
	for row := 0; row*width*3 < len(rgb); row++ {
		at := into.PixOffset(x, y+row)
		for col := range width {
			from := (row*width + col) * 3
			copy(into.Pix[at+col*4:], rgb[from:from+3])
			into.Pix[at+col*4+3] = 0xff
		}
	}
}

// frameJob asks for the first pictures of segments, scaled.
type frameJob struct {
	show          *media.Presentation
	rendition     *media.Rendition
	wanted        []*media.Segment
	width, height int
}

// frames decodes and calls got with each picture, in order. Segments that follow
// each other in the list with one initialisation section share a process.
func (v *Vod) frames(ctx context.Context, j frameJob, got func(i int, rgb []byte)) error {
	for from := 0; from < len(j.wanted); {
		to := from
		for to < len(j.wanted) && j.wanted[to].Init == j.wanted[from].Init {
			to++
		}
		if err := v.framesOf(ctx, j, j.wanted[from:to], func(i int, rgb []byte) { got(from+i, rgb) }); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (v *Vod) framesOf(ctx context.Context, j frameJob, wanted []*media.Segment, got func(i int, rgb []byte)) error {
	init := j.rendition.Inits[wanted[0].Init]
	var track fragment.Track
	from := "matroska"
	if !isWebM(j.rendition) {
		var err error
		if track, err = fragment.ParseInit(init.Data); err != nil {
			return err
		}
		from = "mp4"
	}
	var distinct []*media.Segment
	for i, s := range wanted {
		if i == 0 || s != wanted[i-1] {
			distinct = append(distinct, s)
		}
	}
	feed := func(w io.Writer) error {
		if _, err := w.Write(init.Data); err != nil {
			return err
		}
		for _, s := range distinct {
			b, err := v.picture(ctx, j, s, track)
			if err != nil {
				return err
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		return nil
	}
	size := j.width * j.height * 3
	next, at := 0, 0
	out := &chunks{size: size, got: func(rgb []byte) {
		if at >= len(distinct) {
			return
		}
		for ; next < len(wanted) && wanted[next] == distinct[at]; next++ {
			got(next, rgb)
		}
		at++
	}}
	err := ffmpeg.Run(ctx, ffmpeg.Job{
		Program: v.cfg.FFmpeg, Inputs: []func(io.Writer) error{feed}, Stdout: out, Limit: pictureLimit,
		Args: []string{
			"-hide_banner", "-loglevel", "error", "-nostdin", "-threads", "1", "-f", from, "-i", ffmpeg.Input(0), "-an",
			"-vf", fmt.Sprintf("scale=%d:%d,format=rgb24", j.width, j.height), "-vsync", "passthrough", "-f", "rawvideo", ffmpeg.Output,
		},
	})
	if err == nil && at == 0 {
		err = errors.New("no picture could be decoded")
	}
	return err
}

// picture reads the key frame of a segment.
func (v *Vod) picture(ctx context.Context, j frameJob, s *media.Segment, t fragment.Track) ([]byte, error) {
	if len(s.Parts) > 0 && s.Parts[0].Data != nil {
		return fragment.Picture(bytes.NewReader(s.Parts[0].Data), t)
	}
	e := s.Extent
	if s.Lead > 0 && s.Lead < e.Size {
		e.Size = s.Lead
	}
	r, err := v.read(ctx, j.show, j.rendition.ID, e)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // it was only read
	if isWebM(j.rendition) {
		return fragment.ClusterPicture(r)
	}
	return fragment.Picture(r, t)
}

// chunks calls got with each size bytes that are written to it.
type chunks struct {
	size int
	held []byte
	got  func(b []byte)
}

func (c *chunks) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		take := min(c.size-len(c.held), len(p))
		c.held, p = append(c.held, p[:take]...), p[take:]
		if len(c.held) == c.size {
			c.got(c.held)
			c.held = c.held[:0]
		}
	}
	return n, nil
}
