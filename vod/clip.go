package vod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sluice-live/sluice/media"
)

// cut is a run of whole segments of a presentation.
type cut struct {
	from, to time.Duration // since the presentation's start
	of       *media.Presentation
}

// show is what of the presentation lies in the cut; bytes are read from the whole.
func (c cut) show() *media.Presentation { return slice(c.of, c.from, c.to) }

// errEmptyCut is a range in which there is nothing.
var errEmptyCut = fmt.Errorf("%w: there is no media between start and end", media.ErrBadQuery)

// nearly is how far from a boundary a time may be that means it: people see no
// difference, and sound begins some milliseconds before the picture.
const nearly = 100 * time.Millisecond

// cutOut takes what lies between two times since the asset's beginning, widened to
// where it can be cut: segments, which begin with key frames. to 0 is the end.
func cutOut(p *media.Presentation, from, to time.Duration) (cut, error) {
	begin, end, ok := span(p)
	if !ok {
		return cut{}, errEmptyCut
	}
	from += begin
	if to += begin; to == begin || to > end {
		to = end
	}
	if from < begin || from >= to {
		return cut{}, errEmptyCut
	}
	lead := leading(p)
	var first, last *media.Segment
	for _, s := range lead.Segments {
		if s.Gap || s.Extent.Size == 0 {
			continue
		}
		at := lead.Time(s.Start)
		if first == nil || (at <= from+nearly && s.Independent) {
			first = s
		}
		if at < to-nearly {
			last = s
		}
	}
	if first == nil || last == nil || last.MSN < first.MSN {
		return cut{}, errEmptyCut
	}
	return cut{from: lead.Time(first.Start), to: lead.Time(last.Start + last.Duration), of: p}, nil
}

// leading is the rendition on which the others are cut: the largest picture, or
// sound.
func leading(p *media.Presentation) *media.Rendition {
	var best *media.Rendition
	for _, r := range p.Renditions {
		if size, _ := contents(r); size == 0 {
			continue
		}
		video := r.Kind == media.VideoRendition
		if best == nil || (video && best.Kind != media.VideoRendition) || (r.Kind == best.Kind && r.Height > best.Height) {
			best = r
		}
	}
	return best
}

// slice copies the presentation with those segments alone whose middle lies in the
// range: all renditions are cut on one list of boundaries, give or take a frame.
func slice(p *media.Presentation, from, to time.Duration) *media.Presentation {
	out := *p
	out.Ended, out.Renditions = true, nil
	for _, r := range p.Renditions {
		one := *r
		one.Segments, one.Open, one.Removed, one.OnDemand = nil, nil, 0, false
		some := false
		for _, s := range r.Segments {
			if middle := r.Time(s.Start + s.Duration/2); middle < from || middle >= to {
				continue
			}
			copied := *s
			copied.Parts = nil
			one.Segments = append(one.Segments, &copied)
			some = some || (!s.Gap && s.Extent.Size > 0)
		}
		if some {
			out.Renditions = append(out.Renditions, &one)
		}
	}
	return &out
}

// clip makes a new asset of a range of another: its row at once, its bytes by a
// worker. They are copied, not shared: either may be deleted without asking the
// other, and a clip is small beside what it was cut from.
func (v *Vod) clip(ctx context.Context, parent media.Asset, from, to time.Duration, name string) (media.Asset, error) {
	o, err := v.openCached(ctx, parent.ID)
	if err != nil {
		return media.Asset{}, err
	}
	c, err := cutOut(o.show, from, to)
	if err != nil {
		return media.Asset{}, err
	}
	now := v.now().UTC()
	if name == "" {
		name = parent.Title
	}
	a := media.Asset{
		ID: newID(now), Stream: parent.Stream, Kind: media.Clipped, Title: name, Public: parent.Public, Parent: parent.ID,
		State: media.AssetProcessing, Started: o.show.Start.Add(c.from), Ended: o.show.Start.Add(c.to), Duration: c.to - c.from,
		Created: now, Updated: now,
	}
	a.Path = recordingPath(a)
	a.Version, err = v.parts.Store.Save(ctx, a, v.event(a, media.AssetBegan, "clip of "+parent.ID)...)
	if err != nil {
		return a, err
	}
	v.work.add(a.ID)
	return a, nil
}

// rounding is how much the store may round a time.
const rounding = time.Millisecond

// copyClip copies a clip's bytes and makes it ready. Begun again, it writes the
// same objects again.
func (v *Vod) copyClip(ctx context.Context, a media.Asset) error {
	o, err := v.openCached(ctx, a.Parent)
	if errors.Is(err, media.ErrNotFound) {
		return &badMedia{"what it is cut from was deleted meanwhile"}
	}
	if err != nil {
		return err
	}
	p := o.show
	show := slice(p, a.Started.Add(-rounding).Sub(p.Start), a.Ended.Add(rounding).Sub(p.Start))
	if len(show.Renditions) == 0 {
		return &badMedia{"what it is cut from is gone"}
	}
	show.Incarnation = a.ID
	var total, done int64
	for _, r := range show.Renditions {
		size, _ := contents(r)
		total += size
	}
	for _, r := range show.Renditions {
		b := &batch{vod: v, path: a.Path, rendition: r.ID}
		for i, s := range r.Segments {
			s.MSN = uint64(i)
			if s.Gap || s.Extent.Size == 0 {
				continue
			}
			if err := b.copy(ctx, p, s); err != nil {
				return err
			}
			done += s.Extent.Size
			v.work.tell(a.ID, float64(done)/float64(max(total, 1)))
		}
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	if err := v.clipSubtitles(ctx, a, o, show); err != nil {
		return err
	}
	m := &media.Manifest{Presentation: show}
	from, to := a.Started.Sub(p.Start), a.Ended.Sub(p.Start)
	for _, g := range o.gaps {
		if g.End > from && g.Start < to {
			m.Gaps = append(m.Gaps, g)
		}
	}
	return v.publish(ctx, a, m)
}

// publish stores the manifest, last of all, and makes the asset ready.
func (v *Vod) publish(ctx context.Context, a media.Asset, m *media.Manifest) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write the manifest of %s: %w", a.ID, err)
	}
	if err := v.parts.Blobs.Put(ctx, manifestKey(a.Path), bytes.NewReader(b), int64(len(b))); err != nil {
		return fmt.Errorf("write the manifest of %s: %w", a.ID, err)
	}
	a, err = v.change(ctx, a.ID, func(a *media.Asset) ([]media.AssetEvent, error) {
		if a.State != media.AssetProcessing {
			return nil, errSame
		}
		return v.ready(a, m)
	})
	if err != nil || a.State != media.AssetReady {
		return err
	}
	v.log.Info("asset ready", "asset", a.ID, "stream", a.Stream, "kind", a.Kind, "duration", a.Duration, "size", a.Size)
	return v.illustrate(ctx, a)
}

// batch gathers segments into volumes of the blob store.
type batch struct {
	vod             *Vod
	path, rendition string
	volume          uint32
	held            bytes.Buffer
}

// maxVolume bounds what is held in memory for a volume, bytes.
const maxVolume = 16 << 20

// copy appends a segment of a presentation and puts its new place into s.
func (b *batch) copy(ctx context.Context, p *media.Presentation, s *media.Segment) error {
	if b.held.Len() > 0 && int64(b.held.Len())+s.Extent.Size > maxVolume {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	r, err := b.vod.read(ctx, p, b.rendition, s.Extent)
	if err != nil {
		return err
	}
	at := int64(b.held.Len())
	n, err := io.Copy(&b.held, io.LimitReader(r, s.Extent.Size))
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n != s.Extent.Size {
		return fmt.Errorf("copy segment %d of %s: %w", s.MSN, b.rendition, io.ErrUnexpectedEOF)
	}
	s.Extent = media.Extent{Volume: b.volume, Offset: at, Size: n}
	return nil
}

// flush stores the volume that is gathered.
func (b *batch) flush(ctx context.Context) error {
	if b.held.Len() == 0 {
		return nil
	}
	err := b.vod.parts.Blobs.Put(ctx, volumeKey(b.path, b.rendition, b.volume), bytes.NewReader(b.held.Bytes()), int64(b.held.Len()))
	b.held.Reset()
	b.volume++
	return err
}
