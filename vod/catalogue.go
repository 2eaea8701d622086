package vod

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sluice-live/sluice/media"
)

// changeTries bounds how often a change is made again because others changed the
// row meanwhile; each try of one of them succeeds.
const changeTries = 20

// errSame is what a change returns that changes nothing.
var errSame = errors.New("there is nothing to change")

// change reads a row, changes it and writes it, again when somebody else was
// faster.
func (v *Vod) change(ctx context.Context, id string, fn func(a *media.Asset) ([]media.AssetEvent, error)) (media.Asset, error) {
	for try := 0; ; try++ {
		a, err := v.parts.Store.Asset(ctx, id)
		if err != nil {
			return a, err
		}
		events, err := fn(&a)
		if errors.Is(err, errSame) {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		a.Updated = v.now().UTC()
		version, err := v.parts.Store.Save(ctx, a, events...)
		if errors.Is(err, media.ErrStale) && try < changeTries {
			continue
		}
		if err != nil {
			return a, err
		}
		a.Version = version
		v.opened.drop(id)
		return a, nil
	}
}

func (v *Vod) event(a media.Asset, kind media.AssetEventKind, detail string) []media.AssetEvent {
	return []media.AssetEvent{{Asset: a.ID, Stream: a.Stream, Kind: kind, At: v.now().UTC(), Detail: detail}}
}

// Began tells that the recording of an incarnation began. Told again, it changes
// nothing.
func (v *Vod) Began(ctx context.Context, stream media.StreamID, incarnation string, at time.Time) error {
	if !validID(incarnation) {
		return fmt.Errorf("note the recording %q: its name is not 16 letters and digits", incarnation)
	}
	now := v.now().UTC()
	a := media.Asset{
		ID: incarnation, Stream: stream, Kind: media.Recorded, Title: title(stream, at), State: media.AssetRecording,
		Public: v.public(stream), Started: at.UTC(), Created: now, Updated: now,
	}
	_, err := v.parts.Store.Save(ctx, a, v.event(a, media.AssetBegan, "")...)
	if errors.Is(err, media.ErrStale) {
		return nil // it is there
	}
	return err
}

func (v *Vod) public(stream media.StreamID) bool {
	return v.parts.Policy != nil && v.parts.Policy(stream).Public
}

// title is what a recording is called until somebody gives it a name.
func title(stream media.StreamID, at time.Time) string {
	return string(stream) + ", " + at.UTC().Format("2 January 2006, 15:04 MST")
}

// Ended tells that a recording has ended: from now on Recordings has it. Told
// again, it changes nothing.
func (v *Vod) Ended(ctx context.Context, stream media.StreamID, incarnation string) error {
	end := func(a *media.Asset) ([]media.AssetEvent, error) {
		if a.State != media.AssetRecording {
			return nil, errSame
		}
		a.State, a.Ended = media.AssetProcessing, v.now().UTC()
		return v.event(*a, media.AssetEnded, ""), nil
	}
	_, err := v.change(ctx, incarnation, end)
	if errors.Is(err, media.ErrNotFound) {
		if err := v.Began(ctx, stream, incarnation, idTime(incarnation, v.now())); err != nil {
			return err
		}
		_, err = v.change(ctx, incarnation, end)
	}
	if err == nil {
		v.work.add(incarnation)
	}
	return err
}

// Lost tells that nothing can be read of a recording that was not finished; what is in
// the blob store already is not. Told again, it changes nothing.
func (v *Vod) Lost(ctx context.Context, incarnation, why string) error {
	_, err := v.change(ctx, incarnation, func(a *media.Asset) ([]media.AssetEvent, error) {
		if a.Kind != media.Recorded || a.Path != "" || a.State != media.AssetRecording && a.State != media.AssetProcessing {
			return nil, errSame
		}
		a.State, a.Reason, a.Ended = media.AssetFailed, why, v.now().UTC()
		return v.event(*a, media.AssetFell, why), nil
	})
	if errors.Is(err, media.ErrNotFound) {
		return nil
	}
	return err
}

// Stored tells that all of a recording is in the blob store, with its manifest.json,
// under path. Told again, it changes nothing. media.ErrNotFound when there is no
// such asset (any more): then nobody will delete what is stored.
func (v *Vod) Stored(ctx context.Context, incarnation, path string) error {
	a, err := v.change(ctx, incarnation, func(a *media.Asset) ([]media.AssetEvent, error) {
		if a.Path == path {
			return nil, errSame
		}
		a.Path = path
		return v.event(*a, media.AssetStored, path), nil
	})
	if err == nil && a.State != media.AssetReady {
		v.work.add(incarnation)
	}
	return err
}

// Identifiers are the time in seconds, base 36, seven characters until the year
// 4453, and nine random ones.
const (
	idBase   = 36
	idSecond = 7
	idRandom = 9
)

func newID(now time.Time) string {
	id := strconv.FormatInt(now.Unix(), idBase)
	for len(id) < idSecond {
		id = "0" + id
	}
	random := rand.Text() // 26 characters of base 32
	lower := make([]byte, idRandom)
	for i := range lower {
		lower[i] = random[i] | 0x20 // letters; 0x20 is in digits already
	}
	return id + string(lower)
}

// idTime is when an identifier was made, or otherwise.
func idTime(id string, otherwise time.Time) time.Time {
	s, err := strconv.ParseInt(id[:min(len(id), idSecond)], idBase, 64)
	if at := time.Unix(s, 0); err == nil && at.Year() > 2020 && at.Before(otherwise) {
		return at.UTC()
	}
	return otherwise.UTC()
}
