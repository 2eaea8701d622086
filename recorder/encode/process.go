package encode

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/webm"
)

const (
	// niceness leaves the processors to who forwards packets.
	niceness = 10
	// lastWords bounds what is kept of what a process says.
	lastWords = 2 << 10
	// drain is how long after its last word a process may take to end when nothing
	// follows, boot how much longer than usual it may be silent before its first.
	drain = 2 * time.Second
	boot  = 5 * time.Second
	// Nothing may come of so much: pictures that are dropped for their rate, and frames
	// that an encoder holds back.
	heldPictures = 12
	heldSound    = 8 * aacFrame
	look         = 100 * time.Millisecond // between two looks at the clock
)

// process is one ffmpeg, from its first sample to its end.
type process struct {
	l     *Line
	first Sample
	read  *reader

	mu     sync.Mutex
	closed time.Time // when it was given its last; zero: there will be more
}

// encode runs one process from first on until something does not follow, it dies, or
// ctx ends.
func (l *Line) encode(ctx context.Context, first Sample) error {
	head, err := header(first.Format)
	if err != nil {
		return err
	}
	p := &process{l: l, first: first}
	l.mu.Lock()
	skip := max(l.from-first.Time, 0)
	l.mu.Unlock()
	if l.cfg.Profile.Kind == media.Audio {
		skip %= aacFrame // frames go on where those of the last process ended
	}
	p.read = newReader(l.cfg.Profile, first, skip, l.emit)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, l.cfg.Program, arguments(l.cfg, skip)...) //nolint:gosec // the program is configured, the arguments are ours
	cmd.WaitDelay = drain
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	words := &tail{}
	cmd.Stderr = words
	in, out, err := start(cmd)
	if err != nil {
		return err
	}
	l.pid(cmd.Process.Pid)
	defer l.pid(0)
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, niceness)

	var served sync.WaitGroup
	var unread error
	served.Go(func() { p.feed(ctx, in, head) }) // ends when the process does: wait below
	served.Go(func() {                          // wait below
		unread = p.read.all(out)
		_ = out.Close() // a process that goes on writing ends
	})
	served.Go(func() { p.watch(ctx, stop) }) // wait below
	err = cmd.Wait()
	stop(nil)
	_ = in.Close()
	_ = out.Close()
	served.Wait()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errHung):
		return cause
	case err != nil:
		return &exitError{err, words.String()}
	}
	return unread
}

func header(f *media.Format) ([]byte, error) {
	b, err := private(f)
	if err != nil {
		return nil, err
	}
	return webm.Head(f, b)
}

// start begins the process and returns our ends of its pipes.
func start(cmd *exec.Cmd) (in, out *os.File, err error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open a pipe: %w", err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		_, _ = theirIn.Close(), in.Close()
		return nil, nil, fmt.Errorf("open a pipe: %w", err)
	}
	cmd.Stdin, cmd.Stdout = theirIn, theirOut
	err = cmd.Start()
	_, _ = theirIn.Close(), theirOut.Close() // the child has its own
	if err == nil {
		return in, out, nil
	}
	_, _ = in.Close(), out.Close()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w (%s)", ErrMissing, cmd.Path)
	}
	return nil, nil, fmt.Errorf("start ffmpeg: %w", err)
}

func (l *Line) pid(pid int) {
	l.mu.Lock()
	l.state.Pid = pid
	l.mu.Unlock()
}

func (p *process) rate() media.Ticks { return media.Ticks(p.first.Format.Codec.ClockRate()) }

// feed writes samples until one does not follow; then the process has to end.
func (p *process) feed(ctx context.Context, in *os.File, head []byte) {
	offset := media.Ticks(lead/time.Second)*p.rate() - p.first.Time
	b := head
	for s, ok := p.first, true; ok; {
		p.read.given(&s)
		b = webm.AppendClusters(b, uint32(p.rate()), webm.Block{Time: s.Time + offset, Key: s.Key, Data: s.Data})
		if _, err := in.Write(b); err != nil { // it is gone, or will be
			return
		}
		b = b[:0]
		before := s
		s, ok = p.l.following(ctx, &before)
	}
	p.mu.Lock()
	p.closed = time.Now()
	p.mu.Unlock()
	_ = in.Close()
}

// watch ends a process that hangs.
func (p *process) watch(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			p.mu.Lock()
			closed := p.closed
			p.mu.Unlock()
			since, last := p.read.owing(now)
			more := time.Duration(0)
			if last.IsZero() {
				more = boot
			}
			if last.Before(closed) {
				last = closed
			}
			if now.Sub(since) > p.l.cfg.Hang+more || !closed.IsZero() && now.Sub(last) > drain+more {
				stop(errHung)
				return
			}
		}
	}
}

// tail keeps the last words.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > lastWords {
		t.b = bytes.Clone(t.b[len(t.b)-lastWords:])
	}
	return len(p), nil
}

// String is what was said, in one line.
func (t *tail) String() string {
	return strings.ToValidUTF8(strings.Join(strings.Fields(string(t.b)), " "), "")
}

// all reads what the process writes, to its end.
func (r *reader) all(from io.Reader) error {
	in := bufio.NewReaderSize(from, 64<<10)
	if err := readHead(in); err != nil {
		return ended(err)
	}
	for {
		t, err := readTag(in)
		if err != nil {
			return ended(err)
		}
		if err := r.take(t); err != nil {
			return err
		}
	}
}

// ended is the error of reading to the end: none.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
