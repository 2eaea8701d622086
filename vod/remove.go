package vod

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-live/sluice/media"
)

// delete marks an asset; the files go next, the row last. Whatever stops that, the
// mark stays, and a sweep goes on.
func (v *Vod) delete(ctx context.Context, id string, check func(media.Asset) error) error {
	a, err := v.change(ctx, id, func(a *media.Asset) ([]media.AssetEvent, error) {
		if a.State == media.AssetDeleting {
			return nil, errSame
		}
		if err := check(*a); err != nil {
			return nil, err
		}
		a.State = media.AssetDeleting
		return nil, nil
	})
	if err != nil {
		return err
	}
	v.work.add(a.ID)
	return nil
}

// remove deletes the files of an asset, and then its row. Each step may be done
// again.
func (v *Vod) remove(ctx context.Context, a media.Asset) error {
	if err := v.uploads.Remove(a.ID); err != nil {
		return err
	}
	v.exports.forget(a.ID)
	if a.Kind == media.Recorded {
		if err := v.parts.Recordings.Delete(ctx, a.ID); err != nil && !errors.Is(err, media.ErrNotFound) {
			return fmt.Errorf("delete the recording %s: %w", a.ID, err)
		}
	}
	for _, path := range paths(a) {
		if err := removeBlobs(ctx, v.parts.Blobs, path+"/"); err != nil {
			return fmt.Errorf("delete the files of %s: %w", a.ID, err)
		}
	}
	if a.Kind == media.Uploaded { // whether it is kept or was on its way
		if err := removeBlobs(ctx, v.parts.Originals, originalPath(a)+"/"); err != nil {
			return fmt.Errorf("delete the original of %s: %w", a.ID, err)
		}
	}
	v.opened.drop(a.ID)
	if err := v.parts.Store.Remove(ctx, a.ID, v.event(a, media.AssetDeleted, "")[0]); err != nil {
		return err
	}
	v.log.Info("asset deleted", "asset", a.ID, "stream", a.Stream)
	return nil
}

// recordingPath is where a recording's files, those of clips and uploads too, are in
// the blob store.
func recordingPath(a media.Asset) string { return "recordings/" + string(a.Stream) + "/" + a.ID }

// paths are all places in the blob store where an asset may have files: it may be
// deleted while its files are on the way.
func paths(a media.Asset) []string {
	all := []string{recordingPath(a), picturePath(a)}
	if a.Path != "" && a.Path != all[0] {
		all = append(all, a.Path)
	}
	return all
}

func removeBlobs(ctx context.Context, from Blobs, prefix string) error {
	var keys []string
	err := from.List(ctx, prefix, func(key string, _ int64, _ time.Time) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := from.Delete(ctx, key); err != nil && !errors.Is(err, media.ErrNotFound) {
			return err
		}
	}
	return nil
}

const day = 24 * time.Hour

// kept is until when an asset is kept; zero is for ever.
func (v *Vod) kept(a media.Asset) time.Time {
	days := a.Keep
	if days == 0 {
		if i := v.rule(a.Stream); i >= 0 {
			days = v.cfg.Retention[i].Days
		}
	}
	if days <= 0 || a.Ended.IsZero() {
		return time.Time{}
	}
	return a.Ended.Add(time.Duration(days) * day)
}

// rule is the index of the stream's retention rule, or -1.
func (v *Vod) rule(stream media.StreamID) int {
	for i, r := range v.cfg.Retention {
		if r.Streams.Matches(stream) {
			return i
		}
	}
	return -1
}

// maxOwnKeep is the longest time, in days, that an asset may be given of its own.
const maxOwnKeep = 36_500

// retain deletes what has been kept long enough.
func (v *Vod) retain(ctx context.Context) error {
	now := v.now()
	for i, r := range v.cfg.Retention {
		if r.Days == 0 {
			continue
		}
		q := media.AssetQuery{
			State: media.AssetReady, Streams: []media.Pattern{r.Streams},
			EndedBefore: now.Add(-time.Duration(r.Days) * day), Order: media.ByStarted, Limit: 200,
		}
		mine := func(a media.Asset) bool { return a.Keep == 0 && v.rule(a.Stream) == i }
		if err := v.expire(ctx, q, mine); err != nil {
			return err
		}
	}
	// An asset's own days are at least one.
	q := media.AssetQuery{State: media.AssetReady, Own: true, EndedBefore: now.Add(-day), Order: media.ByStarted, Limit: 200}
	return v.expire(ctx, q, func(a media.Asset) bool { return now.After(v.kept(a)) })
}

func (v *Vod) expire(ctx context.Context, q media.AssetQuery, mine func(media.Asset) bool) error {
	for {
		page, err := v.parts.Store.Assets(ctx, q)
		if err != nil {
			return err
		}
		for _, a := range page.Assets {
			if !mine(a) {
				continue
			}
			err := v.delete(ctx, a.ID, func(now media.Asset) error {
				if now.Version != a.Version {
					return errSame // changed meanwhile; the next round looks again
				}
				return nil
			})
			if err != nil && !errors.Is(err, media.ErrNotFound) {
				return err
			}
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}
