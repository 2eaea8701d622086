package vod

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Vod is the catalogue of one node. All its methods may be called from any
// goroutine.
type Vod struct {
	cfg   Config
	parts Parts
	log   *slog.Logger
	now   func() time.Time
}

// New returns the catalogue; nothing runs before Run.
func New(cfg Config, parts Parts) (*Vod, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open the catalogue: %w", err)
	}
	v := &Vod{cfg: cfg, parts: parts, log: parts.Logger, now: parts.Now}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	if v.now == nil {
		v.now = time.Now
	}
	return v, nil
}

// Run does the catalogue's work until ctx ends, and returns when all that it
// started is gone.
func (v *Vod) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Handler serves the API; cmd mounts it under the paths of Routes.
func (v *Vod) Handler() http.Handler { return http.NotFoundHandler() }

// Began tells that the recording of an incarnation began. Told again, it changes
// nothing.
func (v *Vod) Began(ctx context.Context, stream media.StreamID, incarnation string, at time.Time) error {
	return nil
}

// Ended tells that a recording has ended: from now on Recordings has it. Told
// again, it changes nothing.
func (v *Vod) Ended(ctx context.Context, stream media.StreamID, incarnation string) error { return nil }

// Stored tells that all of a recording is in the blob store, with its manifest.json,
// under path. Told again, it changes nothing.
func (v *Vod) Stored(ctx context.Context, stream media.StreamID, incarnation, path string) error {
	return nil
}

// MayPlay tells whether an asset may be played by whoever holds the leave; it is
// what hls-fallback's Authorize asks for names beneath /videos/. media.ErrNotFound,
// media.ErrUnauthorized and media.ErrForbidden.
func (v *Vod) MayPlay(ctx context.Context, l Leave, asset string) error { return nil }

// Videos is the assets as hls-fallback plays them (its Source), by identifier.
func (v *Vod) Videos() *Videos { return &Videos{v} }

// Videos plays assets, those that still record too.
type Videos struct{ vod *Vod }
