package vod

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/upload"
)

// Vod is the catalogue of one node. All its methods may be called from any
// goroutine.
type Vod struct {
	cfg     Config
	parts   Parts
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics

	opened  *cache[*opened] // presentations of ended assets, by identifier; costs are segments
	reads   *cache[[]byte]  // what was read from the blob store; costs are bytes
	faces   *cache[face]    // pictures of live streams; each costs one
	facing  chan struct{}   // a place for each that is being made
	work    *work
	views   *views
	exports *exports
	sounds  *sounds
	asks    *asks
	uploads *upload.Store
	writing chan struct{} // a place for each part that is on its way
	mux     *http.ServeMux
}

const (
	// maxSegments bounds the presentations that are kept opened: about 200 bytes each.
	maxSegments = 200_000
	// maxReads bounds what is kept of the blob store: some seconds of what a few
	// hundred viewers watch.
	maxReads = 64 << 20
	// maxWriting bounds parts on their way; each holds a buffer, and one disk writes
	// them all.
	maxWriting = 64
	// maxFaces is for how many live streams a picture is kept, 15 KB each.
	maxFaces = 1024
)

// New returns the catalogue; nothing runs before Run.
func New(cfg Config, parts Parts) (*Vod, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open the catalogue: %w", err)
	}
	v := &Vod{
		cfg: cfg, parts: parts, log: parts.Logger, now: parts.Now, metrics: newMetrics(parts.Registerer),
		opened: newCache[*opened](maxSegments), reads: newCache[[]byte](maxReads), faces: newCache[face](maxFaces),
		facing: make(chan struct{}, cfg.Thumbnails), work: newWork(), views: newViews(),
		writing: make(chan struct{}, maxWriting),
	}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.parts.Originals == nil {
		v.parts.Originals = v.parts.Blobs
	}
	if v.parts.Live == nil {
		v.parts.Live = nobody{}
	}
	if v.parts.Recordings == nil {
		v.parts.Recordings = nothing{}
	}
	for _, dir := range []string{"work", "exports"} { // what a crash left is of no use
		if err := os.RemoveAll(filepath.Join(cfg.Dir, dir)); err != nil {
			return nil, fmt.Errorf("open the catalogue: %w", err)
		}
		if err := os.MkdirAll(filepath.Join(cfg.Dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("open the catalogue: %w", err)
		}
	}
	u := cfg.Uploads
	var err error
	v.uploads, err = upload.Open(upload.Config{
		Dir: filepath.Join(cfg.Dir, "uploads"), MaxSize: u.MaxSize, PartSize: u.PartSize, Reserve: u.Reserve, Active: u.Active,
		URLs: u.URLs,
	})
	if err != nil {
		return nil, fmt.Errorf("open the catalogue: %w", err)
	}
	v.exports, v.sounds, v.asks = newExports(v), newSounds(v), newAsks(cfg.Limits)
	v.mux = v.newMux()
	return v, nil
}

// Times of what is done now and then.
const (
	// sweepEvery finds work that nobody has told of: what a crash left, what another
	// node wrote.
	sweepEvery = 30 * time.Second
	// retainEvery is how often retention rules are applied; they count in days.
	retainEvery = 10 * time.Minute
	viewsEvery  = 5 * time.Second
	// lastTime is what a stop waits for the store.
	lastTime = time.Second
)

// Run does the catalogue's work until ctx ends, and returns when all that it
// started is gone.
func (v *Vod) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range v.cfg.Jobs {
		wg.Go(func() { v.worker(ctx) }) // Run waits
	}
	for range maxExports {
		wg.Go(func() { v.exports.run(ctx) }) // Run waits
	}
	wg.Go(func() { v.sounds.run(ctx) }) // Run waits
	v.every(ctx, &wg, sweepEvery, v.sweep)
	v.every(ctx, &wg, retainEvery, v.retain)
	v.every(ctx, &wg, retainEvery, v.trimEvents)
	v.every(ctx, &wg, viewsEvery, v.countViews)
	v.every(ctx, &wg, retainEvery, v.cleanUploads)
	<-ctx.Done()
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	return v.countViews(last) // of the last seconds
}

// every calls fn now and then again, until ctx ends.
func (v *Vod) every(ctx context.Context, wg *sync.WaitGroup, period time.Duration, fn func(context.Context) error) {
	wg.Go(func() { // Run waits
		tick := time.NewTicker(period)
		defer tick.Stop()
		for {
			if err := fn(ctx); err != nil && ctx.Err() == nil {
				v.log.Error("the catalogue is behind", "err", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

// Handler serves the API; cmd mounts it under the paths of Routes.
func (v *Vod) Handler() http.Handler { return v.mux }

// MayPlay tells whether an asset may be played by whoever holds the leave; it is
// what hls-fallback's Authorize asks for names beneath /videos/. media.ErrNotFound,
// media.ErrUnauthorized and media.ErrForbidden.
func (v *Vod) MayPlay(ctx context.Context, l Leave, asset string) error {
	o, err := v.openCached(ctx, asset)
	if err != nil {
		return err
	}
	return l.mayPlayAsset(o.asset)
}

func (l Leave) mayPlayAsset(a media.Asset) error {
	if l.Asset != "" && l.Asset == a.ID {
		return nil
	}
	l.Stream = "" // a link to what is live opens no recording
	return l.mayPlay(a.Stream, a.Public)
}

func (l Leave) mayPlay(stream media.StreamID, public bool) error {
	switch {
	case public, l.Admin, l.Stream != "" && l.Stream == stream, matches(l.Play, stream), matches(l.Publish, stream):
		return nil
	case l.Subject == "":
		return media.ErrUnauthorized
	}
	return media.ErrForbidden
}

func (l Leave) mayChange(stream media.StreamID) error {
	switch {
	case l.Admin, matches(l.Publish, stream):
		return nil
	case l.Subject == "":
		return media.ErrUnauthorized
	}
	return media.ErrForbidden
}

func matches(patterns []media.Pattern, id media.StreamID) bool {
	for _, p := range patterns {
		if p.Matches(id) {
			return true
		}
	}
	return false
}
