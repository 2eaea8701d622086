package vod

import (
	"context"
	"sync"
	"time"
)

// views gathers counts, so that a popular asset is not a row that many write.
type views struct {
	mu    sync.Mutex // guards what follows
	count map[string]int64
	seen  map[string]time.Time // who saw which asset when
}

const (
	// viewAgain is after which time the same viewer counts again.
	viewAgain = 30 * time.Minute
	// maxSeen bounds who is remembered; beyond it a view may count twice.
	maxSeen = 100_000
)

func newViews() *views {
	return &views{count: make(map[string]int64), seen: make(map[string]time.Time)}
}

// add counts one view of an asset by somebody.
func (w *views) add(asset, who string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := asset + " " + who
	if last, ok := w.seen[key]; ok && now.Sub(last) < viewAgain {
		return
	}
	if len(w.seen) >= maxSeen {
		clear(w.seen)
	}
	w.seen[key] = now
	w.count[asset]++
}

func (w *views) take(now time.Time) map[string]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, at := range w.seen {
		if now.Sub(at) >= viewAgain {
			delete(w.seen, key)
		}
	}
	taken := w.count
	w.count = make(map[string]int64)
	return taken
}

func (w *views) giveBack(taken map[string]int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, n := range taken {
		w.count[id] += n
	}
}

func (v *Vod) countViews(ctx context.Context) error {
	taken := v.views.take(v.now())
	if len(taken) == 0 {
		return nil
	}
	err := v.parts.Store.Viewed(ctx, taken)
	if err != nil {
		v.views.giveBack(taken)
	}
	return err
}
