package vod

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
)

// work is the assets that wait for a worker. The rows say what there is to do; the
// queue only says where to look. When it is full the next sweep finds the rest.
type work struct {
	queue chan string

	mu       sync.Mutex // guards what follows
	waiting  map[string]bool
	running  map[string]bool    // true: it was queued again meanwhile
	progress map[string]float64 // 0 to 1, of those that run
	pause    map[string]time.Time
}

const maxWaiting = 1024

// retryAfter keeps a job that fails from running again and again.
const retryAfter = time.Minute

func newWork() *work {
	return &work{
		queue: make(chan string, maxWaiting), waiting: make(map[string]bool), running: make(map[string]bool),
		progress: make(map[string]float64), pause: make(map[string]time.Time),
	}
}

// add queues an asset unless it waits already.
func (w *work) add(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[id] {
		return
	}
	select {
	case w.queue <- id:
		w.waiting[id] = true
	default:
	}
}

// begin reports whether the asset may be worked on now. If another worker is at it,
// that one begins again when it has ended: it may have seen the row as it was.
func (w *work) begin(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, id)
	if _, busy := w.running[id]; busy {
		w.running[id] = true
		return false
	}
	w.running[id] = false
	return true
}

func (w *work) end(id string) {
	w.mu.Lock()
	again := w.running[id]
	delete(w.running, id)
	delete(w.progress, id)
	w.mu.Unlock()
	if again {
		w.add(id)
	}
}

// tell notes how far a job is, 0 to 1.
func (w *work) tell(id string, part float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, busy := w.running[id]; busy {
		w.progress[id] = max(0, min(part, 1))
	}
}

func (w *work) told(id string) (part float64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	part, ok = w.progress[id]
	return part, ok
}

// postpone keeps sweeps from an asset for a while; postponed tells whether it is
// kept from it.
func (w *work) postpone(id string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for other, until := range w.pause {
		if now.After(until) {
			delete(w.pause, other)
		}
	}
	w.pause[id] = now.Add(retryAfter)
}

func (w *work) postponed(id string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now.Before(w.pause[id])
}

func (v *Vod) worker(ctx context.Context) {
	for {
		select {
		case id := <-v.work.queue:
			if !v.work.begin(id) {
				continue
			}
			err := v.handle(ctx, id)
			v.work.end(id)
			if err != nil && ctx.Err() == nil && !errors.Is(err, media.ErrNotFound) {
				v.work.postpone(id, v.now())
				v.metrics.failures.Inc()
				v.log.Error("an asset could not be worked on", "asset", id, "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// handle does what an asset's row asks for.
func (v *Vod) handle(ctx context.Context, id string) error {
	a, err := v.parts.Store.Asset(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case a.State == media.AssetDeleting:
		return v.remove(ctx, a)
	case a.State == media.AssetReady && !a.Thumbnail:
		return v.illustrate(ctx, a)
	case a.State != media.AssetProcessing:
		return nil
	}
	switch a.Kind {
	case media.Uploaded:
		err = v.ingest(ctx, a)
	case media.Clipped:
		err = v.copyClip(ctx, a)
	default:
		err = v.finish(ctx, a)
	}
	var bad *badMedia
	if errors.As(err, &bad) {
		_, err = v.change(ctx, id, func(a *media.Asset) ([]media.AssetEvent, error) {
			a.State, a.Reason = media.AssetFailed, bad.why
			return v.event(*a, media.AssetFell, bad.why), nil
		})
	}
	return err
}

// badMedia is an asset of which nothing can be made, whoever tries again.
type badMedia struct{ why string }

// Error says why.
func (b *badMedia) Error() string { return b.why }

// sweep finds assets that wait for work: after a crash, a full queue, a failure.
func (v *Vod) sweep(ctx context.Context) error {
	for _, state := range []media.AssetState{media.AssetDeleting, media.AssetProcessing, media.AssetRecording} {
		q := media.AssetQuery{State: state, Order: media.ByStarted, Limit: 200}
		for {
			page, err := v.parts.Store.Assets(ctx, q)
			if err != nil {
				return err
			}
			for _, a := range page.Assets {
				v.swept(ctx, a)
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
	}
	return nil
}

func (v *Vod) swept(ctx context.Context, a media.Asset) {
	if v.work.postponed(a.ID, v.now()) {
		return
	}
	if a.State != media.AssetRecording {
		v.work.add(a.ID)
		return
	}
	// The end of a recording was not told, or not heard: the node fell in between.
	if v.recording(ctx, a.Stream, a.ID) != nil {
		return
	}
	m, err := v.parts.Recordings.Manifest(ctx, a.ID)
	if err != nil || !m.Presentation.Ended {
		return
	}
	if err := v.Ended(ctx, a.Stream, a.ID); err != nil && ctx.Err() == nil {
		v.log.Error("the end of a recording could not be noted", "asset", a.ID, "err", err)
	}
}
