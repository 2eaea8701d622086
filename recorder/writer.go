package recorder

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// A disk may hang: a write takes seconds then, or minutes. So what a tape tells its
// Log is done by a goroutine of the Log's own, in the same order.
const (
	// As long as the disk is quick the tape waits for it: what a playlist announces is
	// with the operating system, and survives kill -9. It waits half a second in all, of
	// which a tenth of the time that passes is given back: no disk, hanging or only slow,
	// holds up live for longer.
	allowance = 500 * time.Millisecond
	givenBack = 10
	// enough has to be given back before the tape waits again, so that a slow disk is
	// told of seldom.
	enough = allowance / 5
	// maxWaiting is how much may wait for a disk, in bytes of parts: half a minute at
	// 4 Mbit/s. Beyond it parts are not kept, and the journal finds that they are missing
	// (journal.DiskFailed). maxCalls bounds their number, and as many more may tell of
	// what has no media: at twelve a second, of three quarters of an hour.
	maxWaiting = 16 << 20
	maxCalls   = 1 << 14
)

var (
	// errBehind tells that something is not on disk yet, but will be.
	errBehind = errors.New("the disk does not answer")
	// errUnkept tells that it will not be.
	errUnkept = errors.New("the disk does not answer, and too much waits for it")
)

// writer is a Log that passes on to another what a tape tells. One goroutine calls;
// Read may be called by any.
type writer struct {
	wake chan struct{}

	mu     sync.Mutex
	log    Log   // nil until it is opened
	failed error // why it was not
	calls  []*call
	bytes  int
	left   time.Duration // of the allowance, at
	at     time.Time
	behind bool              // nobody waits
	torn   map[string]uint64 // the segment of a rendition of which a part was not kept
	late   []*call           // done after nobody waited any more
	over   bool
}

// call is one thing that a Log is told.
type call struct {
	do       func(Log) (media.Extent, error)
	done     chan struct{} // closed when extent and err are there
	patience time.Duration // of the last one, which ends the Log
	// Of a part with media.
	rendition string
	msn       uint64
	number    int
	size      int

	extent    media.Extent
	err       error
	abandoned bool // nobody waits
	easy      bool // there was room behind it
}

// write begins a writer, whose goroutine opens the Log first. It ends behind Close,
// or when there is no Log.
func (r *Recorder) write(open func() (Log, error)) *writer {
	w := &writer{wake: make(chan struct{}, 1), torn: map[string]uint64{}, left: allowance, at: time.Now()}
	r.disks.Go(func() { w.run(open) })
	return w
}

func (w *writer) run(open func() (Log, error)) {
	log, err := open()
	w.mu.Lock()
	w.log, w.failed = log, err
	w.mu.Unlock()
	for {
		c, over := w.next()
		switch {
		case c != nil && err != nil:
			w.finish(c, media.Extent{}, err)
		case c != nil:
			extent, err := c.do(log)
			w.finish(c, extent, err)
		case over || err != nil: // who comes from now on finds failed
			return
		default:
			<-w.wake
		}
	}
}

func (w *writer) next() (c *call, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.calls) == 0 {
		return nil, w.over
	}
	return w.calls[0], false
}

func (w *writer) finish(c *call, extent media.Extent, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[0] = nil
	w.calls = w.calls[1:]
	w.bytes -= c.size
	c.extent, c.err, c.easy = extent, err, w.bytes < maxWaiting/2
	if c.abandoned && (c.err != nil || c.size > 0) {
		w.late = append(w.late, c)
	}
	close(c.done)
}

// tell passes a call on, and waits for it as long as may be.
func (w *writer) tell(c *call) (media.Extent, error) {
	c.done = make(chan struct{})
	began := time.Now()
	w.mu.Lock()
	if err := w.refuse(c); err != nil {
		w.mu.Unlock()
		return media.Extent{}, err
	}
	w.calls, w.bytes, w.over = append(w.calls, c), w.bytes+c.size, c.patience > 0
	patience := c.patience
	if patience == 0 {
		patience = w.patience(began)
	}
	c.abandoned = patience <= 0
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	if patience <= 0 {
		return media.Extent{}, errBehind
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
	return w.answer(c, began)
}

// refuse says why a call cannot be taken.
func (w *writer) refuse(c *call) error {
	switch {
	case w.failed != nil:
		return w.failed
	case len(w.calls) >= 2*maxCalls && c.patience == 0:
		return errUnkept
	case c.size > 0 && w.torn[c.rendition] == c.msn+1:
		return errUnkept // nobody could decode it without what is missing before it
	case c.size > 0 && (w.bytes+c.size > maxWaiting || len(w.calls) >= maxCalls):
		w.torn[c.rendition] = c.msn + 1
		return errUnkept
	}
	return nil
}

// patience returns how long a call may take. Under the lock.
func (w *writer) patience(now time.Time) time.Duration {
	w.left = min(w.left+now.Sub(w.at)/givenBack, allowance)
	w.at = now
	if w.behind && (len(w.calls) > 1 || w.left < enough) {
		return 0
	}
	w.behind = w.left <= 0
	return w.left
}

// answer returns what came of a call that began some time ago.
func (w *writer) answer(c *call, began time.Time) (media.Extent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.left, w.at = w.left-now.Sub(began), now
	select {
	case <-c.done:
		return c.extent, c.err
	default:
		c.abandoned, w.behind = true, true
		return media.Extent{}, errBehind
	}
}

// answered returns what was done since nobody waited for it any more.
func (w *writer) answered() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.late
	w.late = nil
	return out
}

// open reports whether there is a Log.
func (w *writer) open() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log != nil
}

// note passes on what has no media.
func (w *writer) note(do func(Log) error) error {
	_, err := w.tell(&call{do: func(l Log) (media.Extent, error) { return media.Extent{}, do(l) }})
	return err
}

// Rendition describes a rendition.
func (w *writer) Rendition(r *media.Rendition) error {
	return w.note(func(l Log) error { return l.Rendition(r) })
}

// Init keeps an initialisation section.
func (w *writer) Init(rendition string, index int, init media.Init) error {
	return w.note(func(l Log) error { return l.Init(rendition, index, init) })
}

// Part keeps a part.
func (w *writer) Part(rendition string, p Part, data []byte) (media.Extent, error) {
	return w.tell(&call{rendition: rendition, msn: p.MSN, number: p.Number, size: len(data),
		do: func(l Log) (media.Extent, error) { return l.Part(rendition, p, data) }})
}

// SegmentEnd tells that a segment is whole.
func (w *writer) SegmentEnd(rendition string, msn uint64) error {
	return w.note(func(l Log) error { return l.SegmentEnd(rendition, msn) })
}

// Hole lists what is missing.
func (w *writer) Hole(rendition string, from, to media.Ticks, why string) error {
	return w.note(func(l Log) error { return l.Hole(rendition, from, to, why) })
}

// Epoch tells of another publisher session.
func (w *writer) Epoch(e media.Epoch, at time.Time) error {
	return w.note(func(l Log) error { return l.Epoch(e, at) })
}

// Caption keeps a caption.
func (w *writer) Caption(c journal.Caption) error {
	return w.note(func(l Log) error { return l.Caption(c) })
}

// Captions are those of before it was resumed.
func (w *writer) Captions() []journal.Caption {
	w.mu.Lock()
	log := w.log
	w.mu.Unlock()
	if log == nil {
		return nil
	}
	return log.Captions()
}

// Drop tells what is out of the window.
func (w *writer) Drop(before, removed uint64) error {
	return w.note(func(l Log) error { return l.Drop(before, removed) })
}

// Read opens bytes that were kept.
func (w *writer) Read(ctx context.Context, rendition string, e media.Extent) (io.ReadCloser, error) {
	w.mu.Lock()
	log := w.log
	w.mu.Unlock()
	if log == nil {
		return nil, media.ErrNotFound
	}
	return log.Read(ctx, rendition, e)
}

// Close ends the Log behind all that waits, and waits for that some time.
func (w *writer) Close(c Closing) error {
	_, err := w.tell(&call{patience: closeTime, do: func(l Log) (media.Extent, error) { return media.Extent{}, l.Close(c) }})
	if errors.Is(err, errBehind) {
		err = errors.New("the disk has not taken all of it yet")
	}
	return err
}
