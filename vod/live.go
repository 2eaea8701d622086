package vod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/board"
	"github.com/sluice-live/sluice/vod/ffmpeg"
)

// face is the picture that a live stream is shown by.
type face struct {
	jpeg []byte
	at   time.Time
	why  error // why there is none
}

const (
	faceWidth, faceHeight = 320, 180
	// faceLimit: one small key frame is decoded in a fraction of a second.
	faceLimit = 5 * time.Second
)

// livePicture is a picture of a live stream, at most ThumbnailAge old. It is made
// when somebody asks; those who ask meanwhile wait for the same.
func (v *Vod) livePicture(ctx context.Context, stream media.StreamID) (face, error) {
	return v.faces.get(string(stream), func() (face, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*faceLimit)
		defer cancel()
		p, err := v.parts.Live.Presentation(ctx, string(stream))
		if err != nil {
			return face{}, 0, 0, err
		}
		select {
		case v.facing <- struct{}{}:
			defer func() { <-v.facing }()
		case <-ctx.Done():
			return face{}, 0, 0, &media.BusyError{Why: "many pictures are being made"}
		}
		f, err := v.drawFace(ctx, p)
		if errors.Is(err, context.DeadlineExceeded) {
			// The processors are busy with packets: one more try at once would only add to that.
			err = &media.BusyError{Why: "there is no time for pictures now", After: v.cfg.ThumbnailAge}
		}
		if errors.Is(err, errNoPicture) || errors.Is(err, ffmpeg.ErrMissing) || errors.Is(err, media.ErrOverloaded) {
			return face{why: err, at: v.now()}, 1, v.cfg.ThumbnailAge, nil
		}
		return f, 1, v.cfg.ThumbnailAge, err
	})
}

var errNoPicture = fmt.Errorf("%w: the stream has no picture yet", media.ErrNotFound)

func (v *Vod) drawFace(ctx context.Context, p *media.Presentation) (face, error) {
	r, s := newestPicture(p)
	if r == nil {
		return face{}, errNoPicture
	}
	w, h := faceWidth, faceHeight
	if r.Width > 0 && r.Height > 0 {
		w, h = board.Fit(r.Width, r.Height, faceWidth, faceHeight)
	}
	picture := image.NewRGBA(image.Rect(0, 0, w, h))
	ctx, cancel := context.WithTimeout(ctx, faceLimit)
	defer cancel()
	err := v.frames(ctx, frameJob{p, r, []*media.Segment{s}, w, h}, func(_ int, rgb []byte) { paste(picture, rgb, 0, 0, w) })
	if err != nil {
		return face{}, err
	}
	var b bytes.Buffer
	err = jpeg.Encode(&b, picture, &jpeg.Options{Quality: jpegQuality})
	v.metrics.pictures.Inc()
	return face{jpeg: b.Bytes(), at: v.now()}, err
}

// newestPicture is the last key frame of the smallest rendition that flows and is
// not smaller than the picture, as a segment.
func newestPicture(p *media.Presentation) (best *media.Rendition, at *media.Segment) {
	for _, r := range p.Renditions {
		if r.Kind != media.VideoRendition {
			continue
		}
		s := newestKey(r)
		if s == nil {
			continue
		}
		larger := best != nil && r.Height > best.Height
		if best == nil || (best.Height < faceHeight && larger) || (r.Height >= faceHeight && !larger) {
			best, at = r, s
		}
	}
	return best, at
}

func newestKey(r *media.Rendition) *media.Segment {
	usable := func(s *media.Segment) bool {
		if s.Gap || s.Init < 0 || s.Init >= len(r.Inits) {
			return false
		}
		if len(s.Parts) > 0 {
			return s.Parts[0].Independent && !s.Parts[0].Gap && (s.Parts[0].Data != nil || s.Parts[0].Extent.Size > 0)
		}
		return s.Independent && s.Extent.Size > 0
	}
	if s := r.Open; s != nil && len(s.Parts) > 0 && usable(s) {
		one := *s
		one.Parts, one.Extent, one.Lead = s.Parts[:1], s.Parts[0].Extent, 0
		return &one
	}
	for i := len(r.Segments) - 1; i >= 0; i-- {
		if usable(r.Segments[i]) {
			return r.Segments[i]
		}
	}
	return nil
}
