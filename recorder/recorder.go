package recorder

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/sluice-live/sluice/media"
)

// Recorder packages the streams of one node. All its methods may be called from
// any goroutine.
type Recorder struct {
	cfg   Config
	parts Parts
	log   *slog.Logger
}

// New returns a recorder; nothing runs before Run.
func New(cfg Config, parts Parts) (*Recorder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open the recorder: %w", err)
	}
	r := &Recorder{cfg: cfg, parts: parts, log: parts.Logger}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	return r, nil
}

// Run packages streams until ctx ends; then it ends all presentations, waits until
// their last parts are kept, and returns.
func (r *Recorder) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Published tells that a publisher of the stream is here. It returns at once, may be
// called any number of times, also before Run.
func (r *Recorder) Published(id media.StreamID) {}

// Presentation returns the newest snapshot of a stream. media.ErrNotFound before its
// first part, and once what has ended has left memory. A reader that waits takes
// Changed first.
func (r *Recorder) Presentation(ctx context.Context, stream string) (*media.Presentation, error) {
	return nil, media.ErrNotFound
}

// Changed returns a channel that is closed when the rendition has something new; ""
// is any rendition. Of a stream that is not packaged it is closed when it is.
func (r *Recorder) Changed(stream, rendition string) <-chan struct{} { return nil }

// Read opens the bytes of an extent that Part.Data does not hold.
func (r *Recorder) Read(ctx context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
	return nil, media.ErrNotFound
}

// Want tells that somebody wants a rendition that is made on demand.
func (r *Recorder) Want(stream, rendition string) {}
