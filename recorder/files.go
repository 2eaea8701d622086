package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
	"github.com/sluice-live/sluice/recorder/upload"
)

// FilesConfig says where Files are.
type FilesConfig struct {
	// Dir holds a folder for each recording, Windows one for each stream that is only
	// live: those are deleted when it has ended.
	Dir, Windows string
	// Grace is how long after its last media an interrupted incarnation may be resumed;
	// then it is ended.
	Grace time.Duration
	// Uploads takes recordings to the blob store; nil keeps them here. Blobs has those
	// that are not here any more; nil is none.
	Uploads Uploads
	Blobs   upload.Blobs
	Assets  Assets // told of those that ended while nobody recorded; may be nil
	Logger  *slog.Logger
	// Registerer is told how many recordings were damaged; nil is none.
	Registerer prometheus.Registerer
}

// Uploads brings recordings to a blob store; upload.Uploader does.
type Uploads interface {
	Finished(r upload.Recording, v journal.Volume)
	Ended(r upload.Recording)
	Add(r upload.Recording, ended bool) error
}

// endedName is a file that stands in the folder of a recording that has ended, so
// that a start need not read its journal: the stream's name is in it.
const endedName = "ended"

// Files are Logs on disk, by recorder/journal. All methods may be called from any
// goroutine.
type Files struct {
	cfg  FilesConfig
	log  *slog.Logger
	base context.Context
	stop func()
	live sync.WaitGroup // journals that are written

	damaged *prometheus.CounterVec

	mu          sync.Mutex
	interrupted map[media.StreamID][]interrupted
	broken      []broken // that the catalogue was not told of yet
}

// interrupted is an incarnation that has not ended, and that nobody writes.
type interrupted struct {
	stream media.StreamID
	dir    string
	last   time.Time // of its last media
	record bool
	told   bool      // that it is damaged
	after  time.Time // ending it failed, and is tried again from here on
}

// OpenFiles reads what there is: what a crash left is repaired.
func OpenFiles(cfg FilesConfig) (*Files, error) {
	f := &Files{cfg: cfg, log: cfg.Logger, interrupted: map[media.StreamID][]interrupted{}}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	f.damaged = damagedMetric(cfg.Registerer)
	f.base, f.stop = context.WithCancel(context.Background()) // journals end when they are closed; stop is for those that cannot
	for _, dir := range []string{cfg.Dir, cfg.Windows} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open recordings: %w", err)
		}
		if err := f.scan(dir, dir == cfg.Dir); err != nil {
			return nil, fmt.Errorf("open recordings: %w", err)
		}
	}
	return f, nil
}

// scan finds what has not ended.
func (f *Files) scan(dir string, record bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := f.look(filepath.Join(dir, e.Name()), record); err != nil {
			return err
		}
	}
	return nil
}

// look finds out what a folder is.
func (f *Files) look(path string, record bool) error {
	name := filepath.Base(path)
	if stream, err := os.ReadFile(filepath.Join(path, endedName)); err == nil {
		f.found(media.StreamID(stream), name, path, true)
		return nil
	}
	p, state, err := journal.Recover(path)
	switch {
	case errors.Is(err, journal.ErrEmpty) && upload.Complete(path):
		f.log.Info("removal of an uploaded recording finished", "incarnation", name) // a crash came in its middle
		return os.RemoveAll(path)
	case errors.Is(err, journal.ErrEmpty) && barren(path, record):
		f.log.Warn("empty recording deleted", "incarnation", name)
		if record { // the catalogue may know it all the same: then the disk lost it
			f.lose(name, nothingLeft)
		}
		return os.RemoveAll(path)
	case err != nil:
		f.unreadable(path, record, err)
		return nil
	}
	told := f.alarm(state, false)
	f.log.Info("recording found", "stream", p.Stream, "incarnation", p.Incarnation, "ended", state.Ended, "lost_parts", state.Lost, "torn_bytes", state.Torn)
	if state.Ended || upload.Complete(path) {
		if err := f.seal(path, p.Stream); err != nil {
			return err
		}
		f.found(p.Stream, p.Incarnation, path, true)
		return nil
	}
	if record {
		f.found(p.Stream, p.Incarnation, path, false)
	}
	f.interrupted[p.Stream] = append(f.interrupted[p.Stream], interrupted{stream: p.Stream, dir: path, last: lastMedia(p, state), record: record, told: told})
	return nil
}

// maxBeginning is more than the beginning of a journal has, in bytes.
const maxBeginning = 4096

// barren reports whether a folder is what is left of a recording that had not begun:
// a journal without a beginning, and nothing else; of what was only live it is enough
// that nobody can read it. Media whose journal is damaged, and folders that are not
// of ours, are for somebody to look at.
func barren(path string, record bool) bool {
	entries, err := os.ReadDir(path)
	if err != nil || !journal.ValidName(filepath.Base(path)) {
		return false
	}
	if !record && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == journal.Name }) {
		return true
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || e.Name() != journal.Name || info.Size() > maxBeginning {
			return false
		}
	}
	return true
}

func lastMedia(p *media.Presentation, s *journal.State) time.Time {
	last := p.Start
	for _, r := range p.Renditions {
		if at := p.At(r, s.Renditions[r.ID].End); at.After(last) {
			last = at
		}
	}
	return last
}

// lastWrites is how long a stop waits for the disk.
const lastWrites = 3 * time.Second

// Run ends what was interrupted and is not resumed within the grace. When ctx ends it
// waits for the journals that are still written, and for what it reads, three seconds at
// most.
func (f *Files) Run(ctx context.Context) error {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	stopped := context.AfterFunc(ctx, func() { time.AfterFunc(lastWrites, f.stop) })
	defer stopped()
	f.expire(time.Now())
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case now := <-ticker.C:
			f.expire(now)
		}
	}
	f.live.Wait()
	f.stop()
	return nil
}

// expire ends what nobody came back to.
func (f *Files) expire(now time.Time) {
	var over []interrupted
	f.mu.Lock()
	for id, list := range f.interrupted {
		var rest []interrupted
		for _, i := range list {
			if now.Sub(i.last) > f.cfg.Grace && now.After(i.after) {
				over = append(over, i)
			} else {
				rest = append(rest, i)
			}
		}
		if f.interrupted[id] = rest; len(rest) == 0 {
			delete(f.interrupted, id)
		}
	}
	f.mu.Unlock()
	for _, i := range over {
		if err := f.conclude(i); err != nil {
			f.log.Error("interrupted recording not ended", "folder", i.dir, "error", err)
		}
	}
	f.report()
}

// conclude ends one, or deletes it.
func (f *Files) conclude(i interrupted) error {
	if !i.record {
		return os.RemoveAll(i.dir)
	}
	p, l, err := f.open(i, func(dir string) (*media.Presentation, *journal.State, error) {
		return journal.RecoverAll(f.base, dir) // nobody waits for it but a stop
	})
	switch {
	case errors.Is(err, context.Canceled):
		return nil // the next start ends it
	case errors.Is(err, journal.ErrEmpty):
		f.unreadable(i.dir, true, err)
		return nil
	case err != nil:
		i.after = time.Now().Add(endAgain)
		f.mu.Lock()
		f.interrupted[i.stream] = append(f.interrupted[i.stream], i)
		f.mu.Unlock()
		return err
	}
	if err := l.Close(Ended); err != nil {
		return err
	}
	if f.cfg.Assets == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(f.base, clerkTime)
	defer cancel()
	return f.cfg.Assets.Ended(ctx, p.Stream, p.Incarnation)
}

// Create begins an incarnation.
func (f *Files) Create(s Start) (Log, error) {
	dir := f.cfg.Dir
	if !s.Record {
		dir = f.cfg.Windows
	}
	l := f.file(filepath.Join(dir, s.Incarnation), s.Stream, s.Incarnation, s.Record)
	j, err := journal.Create(l.dir, journal.Start{Stream: s.Stream, Incarnation: s.Incarnation, Start: s.Start,
		TargetDuration: s.TargetDuration, PartTarget: s.PartTarget}, l.config())
	if err != nil {
		return nil, err
	}
	l.run(j)
	return l, nil
}

// Resume goes on with the newest incarnation of a stream that was interrupted.
func (f *Files) Resume(stream media.StreamID, since time.Time) (*media.Presentation, Log, error) {
	f.mu.Lock()
	list := f.interrupted[stream]
	var found *interrupted
	for i := range list {
		if !list[i].last.Before(since) && (found == nil || list[i].last.After(found.last)) {
			found = &list[i]
		}
	}
	if found == nil {
		f.mu.Unlock()
		return nil, nil, nil
	}
	one := *found
	var rest []interrupted
	for _, i := range list {
		if i != one {
			rest = append(rest, i)
		}
	}
	f.interrupted[stream] = rest
	f.mu.Unlock()
	p, l, err := f.open(one, journal.Recover)
	if err != nil {
		return nil, nil, err
	}
	return p, l, nil
}

// open goes on with an interrupted one.
func (f *Files) open(i interrupted, recover func(string) (*media.Presentation, *journal.State, error)) (*media.Presentation, *fileLog, error) {
	p, state, err := recover(i.dir)
	if err != nil {
		return nil, nil, err
	}
	f.alarm(state, i.told)
	l := f.file(i.dir, p.Stream, p.Incarnation, i.record)
	l.said = state.Captions
	j, err := journal.Open(i.dir, state, l.config())
	if err != nil {
		return nil, nil, err
	}
	l.run(j)
	return p, l, nil
}

// seal marks a folder as ended.
func (f *Files) seal(dir string, stream media.StreamID) error {
	if err := os.WriteFile(filepath.Join(dir, endedName), []byte(stream), 0o600); err != nil {
		return fmt.Errorf("mark the recording as ended: %w", err)
	}
	return nil
}

// found tells of what an earlier run left, for the blob store.
func (f *Files) found(stream media.StreamID, incarnation, dir string, ended bool) {
	if f.cfg.Uploads == nil {
		return
	}
	if err := f.cfg.Uploads.Add(upload.Recording{Stream: stream, Incarnation: incarnation, Dir: dir}, ended); err != nil {
		f.log.Error("recording not uploaded", "incarnation", incarnation, "error", err)
	}
}

// folder is a recording's, if it is here.
func (f *Files) folder(incarnation string) (string, error) {
	if !journal.ValidName(incarnation) {
		return "", media.ErrNotFound
	}
	dir := filepath.Join(f.cfg.Dir, incarnation)
	if _, err := os.Stat(dir); err != nil {
		return "", media.ErrNotFound
	}
	return dir, nil
}

// Manifest reads a recording that is here: what vod plays it by.
func (f *Files) Manifest(_ context.Context, incarnation string) (*media.Manifest, error) {
	dir, err := f.folder(incarnation)
	if err != nil {
		return nil, fmt.Errorf("read recording %q: %w", incarnation, err)
	}
	p, state, err := journal.Read(dir, false)
	if errors.Is(err, journal.ErrEmpty) { // perhaps the blob store has it
		f.lose(incarnation, noJournal)
		return nil, fmt.Errorf("read recording %q: %w: %w", incarnation, media.ErrNotFound, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read recording %q: %w", incarnation, err)
	}
	if _, err := os.Stat(filepath.Join(dir, endedName)); err == nil {
		p.Ended = true // also when the journal's end is damaged
	}
	p = journal.Lasting(p, state)
	slices.SortStableFunc(p.Renditions, order)
	m := &media.Manifest{Presentation: p, Gaps: journal.Missing(p, state), Captions: state.Said()}
	return m, nil
}

// Read opens bytes of a recording.
func (f *Files) Read(ctx context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
	return f.read(ctx, f.file(filepath.Join(f.cfg.Dir, p.Incarnation), p.Stream, p.Incarnation, true), rendition, e)
}

func (f *Files) read(ctx context.Context, l *fileLog, rendition string, e media.Extent) (io.ReadCloser, error) {
	if !journal.ValidName(l.incarnation) {
		return nil, fmt.Errorf("read recording: %w", media.ErrNotFound)
	}
	blobs := f.cfg.Blobs
	if !l.record {
		blobs = nil
	}
	return upload.Open(ctx, blobs, l.recording(), rendition, e)
}

// Delete removes what is here of a recording.
func (f *Files) Delete(_ context.Context, incarnation string) error {
	dir, err := f.folder(incarnation)
	if err != nil {
		return nil //nolint:nilerr // there is nothing
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("delete recording %q: %w", incarnation, err)
	}
	return nil
}
