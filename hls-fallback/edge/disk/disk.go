package disk

import (
	"cmp"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxQueued bounds what waits to be written, in bytes: it is in memory. What comes
	// beyond it is not kept.
	maxQueued = 64 << 20
	// maxReads bounds the reads at once; who comes beyond asks the origin. A disk that
	// hangs has so many goroutines of ours, and each may hold maxBody.
	maxReads = 32
	// maxBody bounds what is kept of one answer, in bytes: six seconds at 20 Mbit/s.
	maxBody = 16 << 20
	// patience is how long a read may take before the origin is asked: longer than a
	// spinning disk takes for a segment, shorter than a player notices.
	patience = 500 * time.Millisecond
	// resting is how long the tier is left alone after a failure.
	resting = time.Minute
	// goodbye is how long the end waits for a write that is under way.
	goodbye = 2 * time.Second
	// block is what a file takes on disk at least, in bytes.
	block = 4 << 10
	// temporary is how names of files begin that are not whole yet.
	temporary = "new-"
)

// Config says where it is and how large it may become.
type Config struct {
	Dir  string // it is made when it is not there; one edge alone uses it
	Size int64  // bytes of all files
	// Patience is how long a read may take before the origin is asked; 0 is half a second.
	Patience time.Duration
	// Logger is told when the disk fails; nil is silent.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Validate says what is wrong with a configuration.
func (c Config) Validate() error {
	if c.Dir == "" || c.Size < 1<<20 {
		return errors.New("read disk cache settings: a folder is needed, and at least 1 MiB")
	}
	return nil
}

// Store is the tier. Safe for concurrent use.
type Store struct {
	cfg     Config
	root    *os.Root // nothing outside of the folder can be named, by links neither
	log     *slog.Logger
	metrics *metrics
	reads   chan struct{}
	queue   chan write
	queued  atomic.Int64 // bytes
	number  atomic.Uint64
	// A disk that is full can be read from.
	reading, writing health

	mu    sync.Mutex // guards what follows; not held during I/O
	items map[string]*list.Element
	order *list.List // of *item, the last used in front
	bytes int64
}

type item struct {
	name string
	size int64
}

type write struct {
	key  string
	e    Entry
	body [][]byte
	size int64
}

// New makes a store; nothing is read or written before Run.
func New(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Patience = cmp.Or(cfg.Patience, patience)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the disk cache: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of the disk cache: %w", err)
	}
	s := &Store{cfg: cfg, root: root, log: cfg.Logger, reads: make(chan struct{}, maxReads), queue: make(chan write, 1024),
		items: make(map[string]*list.Element), order: list.New()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.metrics = newMetrics(s, cfg.Registerer)
	return s, nil
}

// Run finds what is there from before and writes what is put, until ctx is done.
func (s *Store) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() { // waited for below, as long as the disk answers
		defer close(done)
		s.scan(ctx)
		for {
			select {
			case w := <-s.queue:
				s.write(&w)
			case <-ctx.Done():
				return
			}
		}
	}()
	<-ctx.Done()
	select {
	case <-done:
	case <-time.After(goodbye):
		s.log.Warn("the disk cache does not answer; what was being written is left")
	}
	return nil
}

// name is a key's file: nothing of what anybody asked for is in it.
func name(key string) string {
	sum := sha256.Sum256([]byte(key))
	text := hex.EncodeToString(sum[:])
	return text[:2] + "/" + text[2:]
}

// health is whether the disk does one kind of work.
type health struct{ off atomic.Int64 } // Unix, ns: until then it rests; 0: it works

// rests reports whether it is left alone.
func (h *health) rests() bool { return time.Now().UnixNano() < h.off.Load() }

// tried reports whether it is to be tried. After a failure one tries for all: the others
// would wait as long for a disk that still hangs.
func (h *health) tried() bool {
	off, now := h.off.Load(), time.Now()
	return off == 0 || now.UnixNano() >= off && h.off.CompareAndSwap(off, now.Add(resting).UnixNano())
}

// failed leaves it alone for a while. It is told once, until it works again.
func (s *Store) failed(h *health, doing string, err error) {
	if h.off.Swap(time.Now().Add(resting).UnixNano()) == 0 {
		s.log.Error("disk cache off: answers come from memory and origins; it is tried again each minute", "dir", s.cfg.Dir, "doing", doing, "err", err)
	}
}

func (s *Store) worked(h *health, doing string) {
	if h.off.Load() != 0 && h.off.Swap(0) != 0 {
		s.log.Info("disk cache works again", "dir", s.cfg.Dir, "doing", doing)
	}
}

// found is what a read found; ok: the disk answered, if only that there is nothing.
type found struct {
	e  *Entry
	ok bool
}

// Get returns what is kept under a key; nil: nothing, or not in time.
func (s *Store) Get(ctx context.Context, key string, now time.Time) *Entry {
	if s.reading.rests() {
		return nil
	}
	select {
	case s.reads <- struct{}{}:
	default:
		s.metrics.reads.WithLabelValues("busy").Inc()
		return nil
	}
	if !s.reading.tried() {
		<-s.reads
		return nil
	}
	answer := make(chan found, 1)
	go func() { // nobody waits when the disk hangs: it has its place among reads as long
		defer func() { <-s.reads }()
		answer <- s.read(key, now)
	}()
	late := time.NewTimer(s.cfg.Patience)
	defer late.Stop()
	select {
	case a := <-answer:
		if a.ok { // in time: one that always answers late does not work
			s.worked(&s.reading, "reading")
		}
		return a.e
	case <-late.C:
		s.metrics.reads.WithLabelValues("late").Inc()
		s.failed(&s.reading, "reading", errors.New("it did not answer within "+s.cfg.Patience.String()))
	case <-ctx.Done():
	}
	return nil
}

// read reads a file, and takes away what is no good.
func (s *Store) read(key string, now time.Time) found {
	file := name(key)
	b, err := s.load(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.metrics.reads.WithLabelValues("miss").Inc()
		return found{ok: true}
	case err != nil:
		s.metrics.reads.WithLabelValues("failed").Inc()
		s.failed(&s.reading, "reading", err)
		return found{}
	}
	e, err := decode(key, b)
	if err != nil {
		s.metrics.reads.WithLabelValues("damaged").Inc()
		s.log.Warn("entry of the disk cache damaged, and taken away", "file", file)
		s.remove(file)
		return found{ok: true}
	}
	if !now.Before(e.Until) {
		s.metrics.reads.WithLabelValues("old").Inc()
		s.remove(file)
		return found{ok: true}
	}
	s.metrics.reads.WithLabelValues("hit").Inc()
	s.used(file, now)
	return found{e, true}
}

func (s *Store) load(file string) ([]byte, error) {
	f, err := s.root.Open(file)
	if err != nil {
		return nil, err //nolint:wrapcheck // it has the path
	}
	defer func() { _ = f.Close() }() // it was only read
	const most = maxBody + int64(prefix) + maxHead
	info, err := f.Stat()
	if err != nil {
		return nil, err //nolint:wrapcheck // likewise
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, nil // it is none of ours: damaged
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err //nolint:wrapcheck // likewise
	}
	return b, nil
}

// used puts a file in front, on disk too: the order outlives us.
func (s *Store) used(file string, now time.Time) {
	s.mu.Lock()
	if e, ok := s.items[file]; ok {
		s.order.MoveToFront(e)
	}
	s.mu.Unlock()
	_ = s.root.Chtimes(file, now, now) // else it goes earlier, after the next start
}

// Put keeps an answer, when there is time and room; the blocks are not written to any
// more.
func (s *Store) Put(key string, e Entry, body [][]byte) {
	w := write{key: key, e: e, body: body}
	for _, b := range body {
		w.size += int64(len(b))
	}
	if s.writing.rests() || w.size > maxBody || round(w.size+maxHead) > s.cfg.Size {
		return
	}
	if s.queued.Add(w.size) > maxQueued {
		s.queued.Add(-w.size)
		s.metrics.writes.WithLabelValues("dropped").Inc()
		return
	}
	select {
	case s.queue <- w:
	default:
		s.queued.Add(-w.size)
		s.metrics.writes.WithLabelValues("dropped").Inc()
	}
}

// write writes one file, and shows it when it is whole. It is not synced: what the power
// takes is found out by its checksum, and fetched again.
func (s *Store) write(w *write) {
	defer s.queued.Add(-w.size)
	if !s.writing.tried() {
		return
	}
	first, err := encode(w.key, &w.e, w.body)
	if err != nil {
		return // its head is too large
	}
	size := int64(len(first)) + w.size
	for _, old := range s.room(size) {
		s.metrics.evicted.Inc()
		s.unlink(old)
	}
	file := name(w.key)
	if err := s.create(file, append([][]byte{first}, w.body...)); err != nil {
		s.metrics.writes.WithLabelValues("failed").Inc()
		s.failed(&s.writing, "writing", err)
		return
	}
	s.note(file, size)
	s.metrics.writes.WithLabelValues("kept").Inc()
	s.worked(&s.writing, "writing")
}

func (s *Store) create(file string, blocks [][]byte) error {
	draft := temporary + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(s.number.Add(1), 10)
	f, err := s.root.OpenFile(draft, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // it has the path
	}
	for _, b := range blocks {
		if err == nil {
			_, err = f.Write(b)
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		if err = s.root.Mkdir(path.Dir(file), 0o700); err == nil || errors.Is(err, fs.ErrExist) {
			err = s.root.Rename(draft, file)
		}
	}
	if err != nil {
		_ = s.root.Remove(draft) // the first error tells
	}
	return err //nolint:wrapcheck // it has the path
}

// room takes out of the order what has to go for so many bytes.
func (s *Store) room(size int64) (gone []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.bytes+round(size) > s.cfg.Size && s.order.Len() > 0 {
		i := s.order.Back().Value.(*item)
		gone = append(gone, i.name)
		s.forget(i.name)
	}
	return gone
}

func round(size int64) int64 { return (size + block - 1) / block * block }

func (s *Store) note(file string, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(file)
	s.items[file] = s.order.PushFront(&item{file, round(size)})
	s.bytes += round(size)
}

// forget is called under the lock.
func (s *Store) forget(file string) {
	if e, ok := s.items[file]; ok {
		s.bytes -= s.order.Remove(e).(*item).size
		delete(s.items, file)
	}
}

func (s *Store) remove(file string) {
	s.mu.Lock()
	s.forget(file)
	s.mu.Unlock()
	s.unlink(file)
}

func (s *Store) unlink(file string) {
	if err := s.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.failed(&s.writing, "removing", err)
	}
}

// left is a file from before.
type left struct {
	item
	used time.Time
}

// scan takes over what is there, the last used in front, and removes what was not whole.
// Files that are none of ours stay.
func (s *Store) scan(ctx context.Context) {
	var all []left
	err := fs.WalkDir(s.root.FS(), ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err() //nolint:wrapcheck // it ends the walk
		case err != nil:
			return err
		case strings.HasPrefix(file, temporary) && d.Type().IsRegular():
			s.unlink(file)
		case d.Type().IsRegular() && ours(file):
			if info, err := d.Info(); err == nil { // else it has gone
				all = append(all, left{item{file, info.Size()}, info.ModTime()})
			}
		case d.IsDir() && file != "." && len(file) != 2:
			return fs.SkipDir
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		s.failed(&s.writing, "looking through it", err)
	}
	slices.SortFunc(all, func(a, b left) int { return a.used.Compare(b.used) })
	for _, f := range all {
		s.note(f.name, f.size)
	}
	for _, old := range s.room(0) { // it was larger before
		s.unlink(old)
	}
	s.log.Info("disk cache opened", "dir", s.cfg.Dir, "objects", len(all))
}

// ours reports whether a path is one that name makes.
func ours(file string) bool {
	return len(file) == 2*sha256.Size+1 && file[2] == '/' && strings.Trim(file[:2]+file[3:], "0123456789abcdef") == ""
}
