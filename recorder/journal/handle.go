package journal

import (
	"slices"
	"sync"
	"sync/atomic"
)

// handle is a file that grows. The caller's goroutine writes, Run's syncs. What is
// not known to be on disk is kept in memory: after a failed fsync the kernel may
// have thrown the pages away and called them clean, so that only writing them
// again, and syncing that, tells the truth.
type handle struct {
	path string
	file File
	size int64 // the caller's: where the next write goes

	mu      sync.Mutex
	pending []chunk // written, not known to be on disk
	bytes   int64   // of pending
	whole   bool    // nothing more will be written

	// Of a volume.
	volume Volume
	first  uint64 // its first segment's number
}

// chunk is a write.
type chunk struct {
	offset int64
	data   []byte
}

// write appends data, which nobody may change from now on.
func (h *handle) write(data []byte) error {
	if _, err := h.file.WriteAt(data, h.size); err != nil {
		return err
	}
	h.mu.Lock()
	h.pending = append(h.pending, chunk{h.size, data})
	h.bytes += int64(len(data))
	h.mu.Unlock()
	h.size += int64(len(data))
	return nil
}

// sync puts what was written until now on disk and returns whether the file is
// whole with it.
func (h *handle) sync() (whole bool, err error) {
	h.mu.Lock()
	n, done := len(h.pending), h.whole
	h.mu.Unlock()
	if n > 0 {
		if err := h.file.Sync(); err != nil {
			return false, err
		}
		h.mu.Lock()
		h.forget(min(n, len(h.pending))) // undo may have taken one meanwhile
		h.mu.Unlock()
	}
	return done, nil
}

func (h *handle) forget(n int) {
	for _, c := range h.pending[:n] {
		h.bytes -= int64(len(c.data))
	}
	h.pending = slices.Delete(h.pending, 0, n)
}

// undo takes back what was written from offset on; for who may write.
func (h *handle) undo(offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.size = offset
	for i, c := range h.pending {
		if c.offset >= offset {
			h.bytes -= int64(len(c.data))
			h.pending = h.pending[:i]
			return // a part is one write, the last one
		}
	}
}

// rewrite writes again all that may not be on disk, and syncs it; for who may write.
func (h *handle) rewrite() error {
	h.mu.Lock()
	pending := slices.Clone(h.pending)
	h.mu.Unlock()
	for _, c := range pending {
		if _, err := h.file.WriteAt(c.data, c.offset); err != nil {
			return err
		}
	}
	if err := h.file.Truncate(h.size); err != nil { // a write that failed may have left its first half
		return err
	}
	return h.file.Sync()
}

func (h *handle) waiting() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes
}

func (h *handle) finish() {
	h.mu.Lock()
	h.whole = true
	h.mu.Unlock()
}

// Who may touch the files. The caller sets parked, Run sets ready and failed.
const (
	ready  int32 = iota // the caller writes, Run syncs
	failed              // a sync failed; the caller has not noticed yet
	parked              // the caller keeps off: Run may repair
	ended               // nothing is written any more
)

// shared is what both goroutines of a journal see.
type shared struct {
	mode atomic.Int32
	// stopping tells that the caller will not call any more.
	stopping atomic.Bool
	wake     chan struct{} // one waiting signal is enough
	cause    atomic.Pointer[error]
	// busy is held by who syncs or replaces files; nobody waits for it.
	busy atomic.Bool
	// length of the journal that is on disk, with all the data that it names
	synced atomic.Int64
	// written is the journal's length, set after each record.
	written atomic.Int64

	mu      sync.Mutex
	handles []*handle           // volumes that are open
	folders map[string]struct{} // with names that are not known to be on disk
}

func (s *shared) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// blame keeps the first reason of a failure.
func (s *shared) blame(err error) { s.cause.CompareAndSwap(nil, &err) }

// why returns it.
func (s *shared) why() error {
	if err := s.cause.Load(); err != nil {
		return *err
	}
	return ErrReadOnly
}

func (s *shared) add(h *handle, folders ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handles = append(s.handles, h)
	for _, f := range folders {
		s.folders[f] = struct{}{}
	}
}

// rename tells that a name in a folder has changed.
func (s *shared) rename(folder string) {
	s.mu.Lock()
	s.folders[folder] = struct{}{}
	s.mu.Unlock()
	s.signal()
}

func (s *shared) open() ([]*handle, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	folders := make([]string, 0, len(s.folders))
	for f := range s.folders {
		folders = append(folders, f)
	}
	return slices.Clone(s.handles), folders
}

func (s *shared) remove(done []*handle, folders []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handles = slices.DeleteFunc(s.handles, func(h *handle) bool { return slices.Contains(done, h) })
	for _, f := range folders {
		delete(s.folders, f)
	}
}
