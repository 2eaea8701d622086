package recorder

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Recorder packages the streams of one node. All its methods may be called from
// any goroutine.
type Recorder struct {
	cfg     Config
	parts   Parts
	log     *slog.Logger
	metrics *metrics

	mu    sync.Mutex
	tapes map[media.StreamID]*tape
	base  context.Context // nil until Run
	wait  []media.StreamID
	came  chan struct{} // closed and replaced when a stream has its first snapshot
	live  sync.WaitGroup
	disks sync.WaitGroup // goroutines that a disk may hold

	look sync.Once // for ffmpeg
	able bool
}

// maxStreams bounds what is packaged at a time.
const maxStreams = 4096

// New returns a recorder; nothing runs before Run.
func New(cfg Config, parts Parts) (*Recorder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open the recorder: %w", err)
	}
	r := &Recorder{cfg: cfg, parts: parts, log: parts.Logger, tapes: map[media.StreamID]*tape{}, came: make(chan struct{})}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.metrics = newMetrics(r, parts.Registerer)
	return r, nil
}

// Run packages streams until ctx ends; then it suspends all presentations, waits
// until their last parts are kept, and returns.
func (r *Recorder) Run(ctx context.Context) error {
	base, stop := context.WithCancel(ctx)
	defer stop()
	r.mu.Lock()
	r.base = base
	waiting := r.wait
	r.wait = nil
	r.mu.Unlock()
	for _, id := range waiting {
		r.Published(id)
	}
	<-ctx.Done()
	r.mu.Lock()
	r.base = nil // no tape begins any more
	r.mu.Unlock()
	r.live.Wait()
	r.leave()
	return nil
}

// leaving is how long a disk that hangs is waited for once more when all else has
// ended: each Log was for closeTime.
const leaving = time.Second

// leave waits for who writes. Nobody can end a write that hangs, but the end of the
// process.
func (r *Recorder) leave() {
	gone := make(chan struct{})
	go func() { // ends with them
		r.disks.Wait()
		close(gone)
	}()
	timer := time.NewTimer(leaving)
	defer timer.Stop()
	select {
	case <-gone:
	case <-timer.C:
		r.log.Error("recordings left unwritten", "error", errBehind)
	}
}

// Published tells that a publisher of the stream is here. It returns at once, may be
// called any number of times, also before Run.
func (r *Recorder) Published(id media.StreamID) {
	policy := r.parts.Policy(id)
	if !policy.Record && !policy.HLS {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.base == nil {
		if len(r.wait) < maxStreams {
			r.wait = append(r.wait, id)
		}
		return
	}
	t := r.tapes[id]
	if t != nil && t.welcome() {
		return
	}
	if t == nil && len(r.tapes) >= maxStreams {
		r.log.Error("stream not packaged", "stream", id, "error", "too many streams are packaged on this node")
		return
	}
	t = newTape(r, id, policy)
	r.tapes[id] = t
	base := r.base                    // before it is taken away by the end of Run
	r.live.Go(func() { t.run(base) }) // Run waits for it
}

// forget drops a tape that has ended, unless a newer one took its place.
func (r *Recorder) forget(t *tape) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tapes[t.id] == t {
		delete(r.tapes, t.id)
	}
}

func (r *Recorder) running() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.tapes)
}

// appeared wakes those who wait for a stream that is not there yet.
func (r *Recorder) appeared() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.came)
	r.came = make(chan struct{})
}

// find returns a stream's tape, or nil.
func (r *Recorder) find(stream string) *tape {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tapes[media.StreamID(stream)]
}

// Presentation returns the newest snapshot of a stream. media.ErrNotFound before its
// first part, and once what has ended has left memory; media.ErrUnsupported, with a
// sentence, when its pictures cannot be packaged. A reader that waits takes Changed
// first.
func (r *Recorder) Presentation(_ context.Context, stream string) (*media.Presentation, error) {
	t := r.find(stream)
	if t == nil {
		return nil, fmt.Errorf("play %q: %w", stream, media.ErrNotFound)
	}
	if why := t.trouble.Load(); why != nil {
		return nil, fmt.Errorf("play %q: %w: %s", stream, media.ErrUnsupported, *why)
	}
	p := t.current.Load()
	if p == nil {
		return nil, fmt.Errorf("play %q: %w", stream, media.ErrNotFound)
	}
	return p, nil
}

// Changed returns a channel that is closed when the rendition has something new; ""
// is any rendition. Of a stream that is not packaged it is closed when some stream
// begins: look again then.
func (r *Recorder) Changed(stream, rendition string) <-chan struct{} {
	r.mu.Lock()
	t, came := r.tapes[media.StreamID(stream)], r.came
	r.mu.Unlock()
	if t == nil || t.current.Load() == nil {
		return came
	}
	return t.bells.channel(rendition)
}

// Read opens the bytes of an extent that Part.Data does not hold.
func (r *Recorder) Read(ctx context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
	t := r.find(string(p.Stream))
	if t == nil {
		return nil, fmt.Errorf("read %q: %w", p.Stream, media.ErrNotFound)
	}
	log := t.store.Load()
	if log == nil || p.Recording != t.incarnation && p.Incarnation != t.incarnation {
		return nil, fmt.Errorf("read %q: %w", p.Stream, media.ErrNotFound)
	}
	return log.Read(ctx, rendition, e)
}

// Want tells that somebody wants a rendition that is made on demand. It is made until
// nobody has wanted it for a minute.
func (r *Recorder) Want(stream, rendition string) {
	if t := r.find(stream); t != nil {
		t.wanted(rendition)
	}
}
