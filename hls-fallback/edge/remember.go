package edge

import (
	"context"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
	"github.com/sluice-live/sluice/hls-fallback/edge/disk"
)

// lasting reports whether a target may be on disk: segments and initialisation sections.
// Parts are asked for in the seconds after they were made, when memory has them.
func lasting(t cache.Target) bool {
	return !t.Playlist() && strings.Count(path.Base(t.Path), ".") == 1
}

// recall answers from the disk, under the same key as memory: who may have it was looked
// at before, and kinds of access are kept apart.
func (e *Edge) recall(ctx context.Context, f *flight, t cache.Target) bool {
	if e.disk == nil || !lasting(t) {
		return false
	}
	now := time.Now()
	entry := e.disk.Get(ctx, f.key, now)
	if entry == nil {
		return false
	}
	size := int64(len(entry.Body))
	if e.air.Add(size) > e.cfg.Size {
		e.air.Add(-size)
		return false
	}
	f.begin(&head{
		status: http.StatusOK, header: entry.Header, length: size, origin: "disk", disk: true,
		life: cache.Life{For: entry.Until.Sub(now), Age: entry.Age + max(now.Sub(entry.Stored), 0)},
	}, now)
	f.adopt(entry.Body)
	return true
}

// remember puts on disk what never changes and is the same for all who may have it.
func (e *Edge) remember(f *flight, t cache.Target, err error) {
	h := f.head
	if e.disk == nil || err != nil || h == nil || !lasting(t) || h.alone || h.status != http.StatusOK || h.cookie != nil || h.life.Private || h.life.For < time.Minute ||
		!strings.Contains(joined(h.header, "Cache-Control"), "immutable") {
		return
	}
	e.disk.Put(f.key, disk.Entry{Header: h.header, Stored: f.born, Until: f.born.Add(h.life.For), Age: h.life.Age}, f.blocks)
}
