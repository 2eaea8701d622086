package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// Blobs is the object store (internal/blob).
type Blobs interface {
	Put(ctx context.Context, key string, r io.Reader, size int64) error
	Open(ctx context.Context, key string, offset, size int64) (io.ReadCloser, error)
	Delete(ctx context.Context, key string) error
}

// Config is what an Uploader works with.
type Config struct {
	Blobs Blobs
	// Keep is how long a local copy stays after its upload was verified: 0 not at
	// all, negative for ever.
	Keep time.Duration
	// Workers is how many objects are on their way at once. Default 2.
	Workers int
	// Attempt bounds one try of one object. Default 10 min.
	Attempt time.Duration
	// Done is told that a recording is whole in the store, and is told again until it
	// takes it. media.ErrNotFound means that nobody wants it any more: it is deleted
	// there. May be nil.
	Done func(context.Context, Recording, *journal.Manifest) error
	// Logger and Registerer may be nil.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

const (
	firstPause = time.Second // before the second try
	// longestPause is how late a store that is back is noticed, at most.
	longestPause = time.Minute
)

// Recording is an incarnation that becomes an asset.
type Recording struct {
	Stream      media.StreamID
	Incarnation string
	Dir         string // its folder
}

// Prefix returns where a recording lies in a store, without a slash at the end
// (media.Asset.Path).
func Prefix(stream media.StreamID, incarnation string) string {
	return "recordings/" + string(stream) + "/" + incarnation
}

// Prefix returns where the recording lies in the store.
func (r Recording) Prefix() string { return Prefix(r.Stream, r.Incarnation) }

// Uploader uploads.
type Uploader struct {
	c       Config
	metrics *metrics
	wake    chan struct{}

	mu    sync.Mutex
	inbox []note

	// Run's.
	books   map[string]*book // by incarnation
	tasks   []*task          // that wait
	running int
	results chan *task
}

// note is what somebody told.
type note struct {
	rec    Recording
	volume *journal.Volume // finished, or
	ended  bool            // over
}

// book is what is known of a recording.
type book struct {
	rec   Recording
	open  int // volumes that are not in the store yet
	ended bool
	known map[string]bool // volumes that were told
	last  bool            // the last task was made
}

// task is one thing to do, again and again until it succeeds.
type task struct {
	book   *book
	volume *journal.Volume // nil: the journal and the manifest
	remove bool            // the local copy, of the volume or of all
	due    time.Time
	since  time.Time
	tries  int
	err    error
	sent   int64
}

// New makes an Uploader; Run starts it.
func New(c Config) (*Uploader, error) {
	if c.Workers <= 0 {
		c.Workers = 2
	}
	if c.Attempt <= 0 {
		c.Attempt = 10 * time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	u := &Uploader{
		c: c, wake: make(chan struct{}, 1), books: map[string]*book{}, results: make(chan *task, c.Workers),
	}
	m, err := newMetrics(c.Registerer)
	u.metrics = m
	return u, err
}

// Finished tells of a volume that is whole (journal.Config.Finished).
func (u *Uploader) Finished(r Recording, v journal.Volume) { u.tell(note{rec: r, volume: &v}) }

// Ended tells that a recording is over and Journal.Run has returned.
func (u *Uploader) Ended(r Recording) { u.tell(note{rec: r, ended: true}) }

// Add tells of a recording that was found at start and is not written: its
// finished volumes go to the store. With ended nothing will follow.
func (u *Uploader) Add(r Recording, ended bool) error {
	volumes, err := left(r.Dir)
	if err != nil {
		return fmt.Errorf("upload %s: %w", r.Incarnation, err)
	}
	for i := range volumes {
		u.Finished(r, volumes[i])
	}
	if ended {
		u.Ended(r)
	}
	return nil
}

func (u *Uploader) tell(n note) {
	u.mu.Lock()
	u.inbox = append(u.inbox, n) // as many as there are files: the disk is the bound
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// Run uploads until ctx is done; what is on its way is given up, and stays on disk.
func (u *Uploader) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			for ; u.running > 0; u.running-- {
				<-u.results
			}
			return nil
		case <-u.wake:
			u.read(time.Now())
		case t := <-u.results:
			u.running--
			u.settle(ctx, t, time.Now())
		case <-timer.C:
		}
		timer.Reset(u.start(ctx, time.Now()))
	}
}

// read takes what was told.
func (u *Uploader) read(now time.Time) {
	u.mu.Lock()
	notes := u.inbox
	u.inbox = nil
	u.mu.Unlock()
	for _, n := range notes {
		b := u.books[n.rec.Incarnation]
		if b == nil {
			b = &book{rec: n.rec, known: map[string]bool{}}
			u.books[n.rec.Incarnation] = b
		}
		if n.ended {
			b.ended = true
		} else if name := journal.VolumeName(n.volume.Rendition, n.volume.Number); !b.known[name] {
			b.known[name] = true
			b.open++
			u.tasks = append(u.tasks, &task{book: b, volume: n.volume, due: now, since: now})
		}
		u.conclude(b, now)
	}
}

// conclude makes the last task of a recording of which all volumes are uploaded.
func (u *Uploader) conclude(b *book, now time.Time) {
	if b.ended && b.open == 0 && !b.last {
		b.last = true
		u.tasks = append(u.tasks, &task{book: b, due: now, since: now})
	}
}

// start starts what is due, as far as there are workers, and returns how long
// nothing else will be.
func (u *Uploader) start(ctx context.Context, now time.Time) time.Duration {
	slices.SortStableFunc(u.tasks, func(a, b *task) int { return a.due.Compare(b.due) })
	for u.running < u.c.Workers && len(u.tasks) > 0 && !u.tasks[0].due.After(now) {
		t := u.tasks[0]
		u.tasks = u.tasks[1:]
		u.running++
		go func() { // Run waits for its result
			ctx, cancel := context.WithTimeout(ctx, u.c.Attempt)
			defer cancel()
			t.err = u.do(ctx, t)
			u.results <- t
		}()
	}
	u.measure(now)
	if len(u.tasks) == 0 || u.running == u.c.Workers {
		return time.Hour // a note or a result comes first
	}
	return max(u.tasks[0].due.Sub(now), 0)
}

// settle takes a task's result.
func (u *Uploader) settle(ctx context.Context, t *task, now time.Time) {
	u.metrics.done(t)
	if t.err != nil {
		if ctx.Err() != nil {
			return // given up at shutdown
		}
		if _, err := os.Stat(t.book.rec.Dir); errors.Is(err, os.ErrNotExist) {
			delete(u.books, t.book.rec.Incarnation) // deleted meanwhile: there is nothing to bring
			return
		}
		t.tries++
		pause := min(firstPause<<min(t.tries-1, 10), longestPause)
		t.due = now.Add(pause/2 + rand.N(pause/2+1)) //nolint:gosec // not all at once: nobody gains by guessing it
		u.tasks = append(u.tasks, t)
		if t.tries == 1 || t.tries%30 == 0 { // twice an hour
			u.c.Logger.Warn("upload failed", "incarnation", t.book.rec.Incarnation, "object", t.name(), "tries", t.tries, "error", t.err)
		}
		return
	}
	b := t.book
	if t.tries > 0 {
		u.c.Logger.Info("upload succeeded", "incarnation", b.rec.Incarnation, "object", t.name(), "tries", t.tries+1, "late", now.Sub(t.since))
	}
	switch {
	case t.remove && t.volume == nil:
		delete(u.books, b.rec.Incarnation)
	case t.remove:
	case t.volume == nil:
		u.forget(b, nil, now)
	default:
		b.open--
		u.forget(b, t.volume, now)
		u.conclude(b, now)
	}
}

// forget plans to remove a local copy.
func (u *Uploader) forget(b *book, v *journal.Volume, now time.Time) {
	if u.c.Keep >= 0 {
		u.tasks = append(u.tasks, &task{book: b, volume: v, remove: true, due: now.Add(u.c.Keep), since: now})
	} else if v == nil {
		delete(u.books, b.rec.Incarnation)
	}
}

func (t *task) name() string {
	if t.volume == nil {
		return manifestName
	}
	return journal.VolumeName(t.volume.Rendition, t.volume.Number)
}

func (u *Uploader) do(ctx context.Context, t *task) error {
	switch {
	case t.remove && t.volume == nil:
		return removeRecording(t.book.rec.Dir)
	case t.remove:
		err := os.Remove(journal.VolumePath(t.book.rec.Dir, t.volume.Rendition, t.volume.Number))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	case t.volume == nil:
		return u.finish(ctx, t.book.rec)
	}
	var err error
	t.sent, err = u.volume(ctx, t.book.rec, *t.volume)
	return err
}

// left returns the volumes of a folder that are whole, those that are uploaded and
// still here too.
func left(dir string) ([]journal.Volume, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.cmaf"))
	if err != nil {
		return nil, err
	}
	var out []journal.Volume
	for _, path := range paths {
		v := journal.Volume{Rendition: filepath.Base(filepath.Dir(path))}
		if _, err := fmt.Sscanf(filepath.Base(path), "%06d.cmaf", &v.Number); err != nil || !journal.ValidName(v.Rendition) {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		v.Size = info.Size()
		out = append(out, v)
	}
	return out, nil
}
