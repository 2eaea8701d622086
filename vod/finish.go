package vod

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// patience is how long the files of an ended recording may take to appear.
const patience = 2 * time.Minute

// maxGaps bounds the gaps in a row; the manifest has all of them.
const maxGaps = 1000

// finish makes an asset of an ended recording: from then on it is ready, and then
// gets its pictures.
func (v *Vod) finish(ctx context.Context, a media.Asset) error {
	m, err := v.manifest(ctx, a)
	if errors.Is(err, media.ErrNotFound) && v.now().Sub(a.Ended) > patience {
		return &badMedia{"the files of the recording are not there"}
	}
	if err != nil {
		return err
	}
	said, err := v.keepCaptions(ctx, a, m)
	if err != nil {
		return err
	}
	a, err = v.change(ctx, a.ID, func(a *media.Asset) ([]media.AssetEvent, error) {
		if a.State != media.AssetProcessing {
			return nil, errSame
		}
		a.Subtitles = said
		return v.ready(a, m)
	})
	if err != nil || a.State != media.AssetReady {
		return err
	}
	v.log.Info("asset ready", "asset", a.ID, "stream", a.Stream, "duration", a.Duration, "size", a.Size)
	return v.illustrate(ctx, a)
}

// ready fills a row from its manifest.
func (v *Vod) ready(a *media.Asset, m *media.Manifest) ([]media.AssetEvent, error) {
	if !describe(a, m) {
		return nil, &badMedia{"there is no media in it"}
	}
	a.State, a.Reason = media.AssetReady, ""
	return v.event(*a, media.AssetIsReady, ""), nil
}

// describe fills a row with what the manifest says; false when there is no media.
func describe(a *media.Asset, m *media.Manifest) bool {
	p := m.Presentation
	from, to, ok := span(p)
	if !ok {
		return false
	}
	a.Started, a.Ended, a.Duration = p.Start.Add(from).UTC(), p.Start.Add(to).UTC(), to-from
	a.Size, a.Width, a.Height, a.Codecs, a.Renditions = 0, 0, 0, nil, nil
	a.Gaps = nil
	for _, g := range m.Gaps[:min(len(m.Gaps), maxGaps)] { // since the asset's beginning
		g.Start, g.End = max(g.Start-from, 0), max(g.End-from, 0)
		a.Gaps = append(a.Gaps, g)
	}
	for _, r := range p.Renditions {
		size, codecs := contents(r)
		if size == 0 {
			continue
		}
		a.Size += size
		if r.Kind == media.VideoRendition && r.Width*r.Height > a.Width*a.Height {
			a.Width, a.Height = r.Width, r.Height
		}
		for _, c := range codecs {
			if !slices.Contains(a.Codecs, c) {
				a.Codecs = append(a.Codecs, c)
			}
		}
		a.Renditions = append(a.Renditions, media.AssetRendition{
			ID: r.ID, Codec: r.Codec, Width: r.Width, Height: r.Height,
			Bitrate:  media.Bitrate(float64(size*8) / max(a.Duration.Seconds(), 0.001)),
			Language: r.Language,
		})
	}
	return true
}

// contents is how many bytes of media a rendition has, and in which codecs.
func contents(r *media.Rendition) (size int64, codecs []string) {
	for _, s := range r.Segments {
		if s.Gap || s.Extent.Size == 0 {
			continue
		}
		size += s.Extent.Size
		codec := r.Codec
		if s.Init >= 0 && s.Init < len(r.Inits) && r.Inits[s.Init].Codec != "" {
			codec = r.Inits[s.Init].Codec
		}
		if codec != "" && !slices.Contains(codecs, codec) {
			codecs = append(codecs, codec)
		}
	}
	return size, codecs
}

// span is from where to where a presentation has media, as time since its start.
func span(p *media.Presentation) (from, to time.Duration, ok bool) {
	for _, r := range p.Renditions {
		for _, s := range r.Segments {
			if s.Gap || s.Extent.Size == 0 {
				continue
			}
			begin, end := r.Time(s.Start), r.Time(s.Start+s.Duration)
			if !ok || begin < from {
				from = begin
			}
			to, ok = max(to, end), true
		}
	}
	return from, to, ok
}
