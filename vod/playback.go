package vod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/aac"
)

// Videos plays assets, those that still record too, by identifier: what
// hls-fallback asks of a Source.
type Videos struct{ vod *Vod }

// Videos is the assets as hls-fallback plays them.
func (v *Vod) Videos() *Videos { return &Videos{v} }

// opened is an asset that is being played.
type opened struct {
	asset media.Asset
	show  *media.Presentation
	play  *media.Presentation // what of it HLS and DASH carry; nil: no pictures
	gaps  []media.Gap
	made  map[string]*aac.Plan // renditions of play that are made when they are asked for
	live  bool
}

// goodFor is how long what was opened counts: so soon a deletion elsewhere is seen.
const goodFor = time.Minute

// liveGoodFor is how long it counts that an asset records. Its snapshots are asked
// for each time; only the row is not.
const liveGoodFor = 2 * time.Second

// maxManifest bounds a manifest: 14 days of four renditions have 2.4 million
// segments of 60 bytes.
const maxManifest = 256 << 20

// open finds an asset's presentation: on the recorder, in the files of this node,
// in the blob store.
func (v *Vod) open(ctx context.Context, id string) (*opened, int64, time.Duration, error) {
	if !validID(id) {
		return nil, 0, 0, media.ErrNotFound
	}
	// Others may wait for the same: that one goes away must not fail them.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openLimit)
	defer cancel()
	a, err := v.parts.Store.Asset(ctx, id)
	if err != nil {
		return nil, 0, 0, err
	}
	if a.State == media.AssetDeleting || a.State == media.AssetFailed {
		return nil, 0, 0, fmt.Errorf("%w: the asset is %s", media.ErrNotFound, a.State)
	}
	if a.State == media.AssetRecording {
		if p := v.recording(ctx, a.Stream, id); p != nil {
			return &opened{asset: a, show: p, play: p, live: true}, 1, liveGoodFor, nil
		}
	}
	m, err := v.manifest(ctx, a)
	if err != nil {
		return nil, 0, 0, err
	}
	o := &opened{asset: a, show: m.Presentation, gaps: m.Gaps}
	play, made := v.sounds.dub(measured(carried(m.Presentation)))
	play, cost := v.subtitled(ctx, a, play)
	o.play, o.made, cost = play, made, cost+1
	for _, plan := range o.made {
		cost += int64(len(plan.Rendition.Segments))
	}
	for _, r := range o.show.Renditions {
		cost += int64(len(r.Segments))
	}
	if !o.show.Ended { // interrupted: each time its whole journal would be read
		return o, cost, liveGoodFor, nil
	}
	return o, cost, goodFor, nil
}

// recording is what the recorder has of an asset, nil when it is not being recorded.
func (v *Vod) recording(ctx context.Context, stream media.StreamID, id string) *media.Presentation {
	p, err := v.parts.Live.Presentation(ctx, string(stream))
	switch {
	case err != nil:
		return nil
	case p.Incarnation == id:
		return p
	case p.Recording != id:
		return nil
	}
	own := *p // what several recorders make is each one's asset under a name of its own
	own.Incarnation = id
	return &own
}

// openLimit is how long the stores may take.
const openLimit = 20 * time.Second

func (v *Vod) openCached(ctx context.Context, id string) (*opened, error) {
	open := func() (*opened, int64, time.Duration, error) { return v.open(ctx, id) }
	o, err := v.opened.get(id, open)
	if err != nil || !o.live {
		return o, err
	}
	if p := v.recording(ctx, o.asset.Stream, id); p != nil {
		return &opened{asset: o.asset, show: p, play: p, live: true}, nil
	}
	v.opened.drop(id) // it has ended in this moment
	return v.opened.get(id, open)
}

// manifest reads what is kept of an ended asset: on this node, else in the blob
// store.
func (v *Vod) manifest(ctx context.Context, a media.Asset) (*media.Manifest, error) {
	if a.Kind == media.Recorded {
		m, err := v.parts.Recordings.Manifest(ctx, a.ID)
		if err == nil || !errors.Is(err, media.ErrNotFound) {
			return m, err
		}
	}
	r, err := v.parts.Blobs.Open(ctx, manifestKey(blobPath(a)), 0, -1)
	if err != nil {
		return nil, fmt.Errorf("read the manifest of %s: %w", a.ID, err)
	}
	defer func() { _ = r.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return nil, fmt.Errorf("read the manifest of %s: %w", a.ID, err)
	}
	var m media.Manifest
	if err := json.Unmarshal(b, &m); err != nil || m.Presentation == nil {
		return nil, fmt.Errorf("read the manifest of %s: %w", a.ID, errors.Join(err, errors.New("there is no presentation in it")))
	}
	return &m, nil
}

// blobPath is where an asset's files are in the blob store. Volumes of a recording
// go there, and leave the node, before all of it is there and Path says so.
func blobPath(a media.Asset) string {
	if a.Path == "" {
		return recordingPath(a)
	}
	return a.Path
}

func manifestKey(path string) string { return path + "/manifest.json" }

func volumeKey(path, rendition string, volume uint32) string {
	return fmt.Sprintf("%s/%s/%06d.cmaf", path, rendition, volume)
}

// carried is what of a presentation HLS and DASH carry: all but VP8. It is nil when
// that were its only pictures.
func carried(p *media.Presentation) *media.Presentation {
	if !slices.ContainsFunc(p.Renditions, isWebM) {
		return p
	}
	out := *p
	out.Renditions = slices.DeleteFunc(slices.Clone(p.Renditions), isWebM)
	if !slices.ContainsFunc(out.Renditions, func(r *media.Rendition) bool { return r.Kind == media.VideoRendition }) {
		return nil
	}
	return &out
}

// measured declares of an ended presentation what its segments have: while it was made,
// peaks were promised, and the mean was that of the last seconds.
func measured(p *media.Presentation) *media.Presentation {
	if p == nil || !p.Ended {
		return p
	}
	out := *p
	out.Renditions = nil
	for _, r := range p.Renditions {
		one := *r
		if mean, peak := rates(r); mean > 0 {
			one.Mean, one.Bandwidth = mean, peak
		}
		out.Renditions = append(out.Renditions, &one)
	}
	return &out
}

// Presentation returns the newest snapshot of an asset; media.ErrNotFound when it
// cannot be played, media.ErrUnsupported when its pictures cannot.
func (x *Videos) Presentation(ctx context.Context, asset string) (*media.Presentation, error) {
	o, err := x.vod.openCached(ctx, asset)
	if err != nil {
		return nil, err
	}
	if o.play == nil {
		return nil, fmt.Errorf("play %s: %w: HLS and DASH carry no VP8; its export.webm has it", asset, media.ErrUnsupported)
	}
	return o.play, nil
}

// Changed returns a channel that is closed when there is a newer snapshot. That of
// an asset that has ended never is.
func (x *Videos) Changed(asset, rendition string) <-chan struct{} {
	o, err := x.vod.openCached(context.Background(), asset)
	if err != nil || !o.live {
		return nil
	}
	return x.vod.parts.Live.Changed(string(o.asset.Stream), rendition)
}

// Want tells that somebody wants a rendition that is made on demand.
func (x *Videos) Want(asset, rendition string) {
	if o, err := x.vod.openCached(context.Background(), asset); err == nil && o.live {
		x.vod.parts.Live.Want(string(o.asset.Stream), rendition)
	}
}

// Read opens the bytes of an extent. One of a Size below 0 is a segment that is made
// now, if nobody has wanted it before; media.ErrOverloaded when that cannot be.
func (x *Videos) Read(ctx context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
	if e.Size < 0 {
		o, err := x.vod.openCached(ctx, p.Incarnation)
		if err != nil {
			return nil, err
		}
		if plan := o.made[rendition]; plan != nil {
			return x.vod.sounds.read(ctx, o, plan, e)
		}
		return nil, media.ErrNotFound
	}
	return x.vod.read(ctx, p, rendition, e)
}

func (v *Vod) read(ctx context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
	if !p.Ended {
		r, err := v.parts.Live.Read(ctx, p, rendition, e)
		if err == nil || !errors.Is(err, media.ErrNotFound) {
			return r, err
		}
	}
	r, err := v.parts.Recordings.Read(ctx, p, rendition, e)
	if err == nil || !errors.Is(err, media.ErrNotFound) {
		return r, err
	}
	o, err := v.openCached(ctx, p.Incarnation)
	if err != nil {
		return nil, err
	}
	return v.readBlob(ctx, blobPath(o.asset), rendition, e)
}

// keptRead is the largest read that is kept: a segment, not a whole volume.
const keptRead = 8 << 20

func (v *Vod) readBlob(ctx context.Context, path, rendition string, e media.Extent) (io.ReadCloser, error) {
	key := volumeKey(path, rendition, e.Volume)
	if e.Size > keptRead || e.Size < 0 {
		return v.parts.Blobs.Open(ctx, key, e.Offset, e.Size)
	}
	b, err := v.reads.get(fmt.Sprint(key, " ", e.Offset, " ", e.Size), func() ([]byte, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openLimit)
		defer cancel()
		r, err := v.parts.Blobs.Open(ctx, key, e.Offset, e.Size)
		if err != nil {
			return nil, 0, 0, err
		}
		b := make([]byte, e.Size)
		_, err = io.ReadFull(r, b)
		return b, e.Size + 256, goodFor, errors.Join(err, r.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// validID reports whether a text may be an asset's identifier.
func validID(id string) bool {
	if len(id) != 16 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
