// Package ffmpeg runs ffmpeg and ffprobe as subprocesses that get in nobody's way:
// nice, with a time limit, killed with us, their words bounded. It promises that
// no process and no goroutine is left when a call returns. Any goroutine may call.
package ffmpeg

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrMissing means that the program is not on this machine.
var ErrMissing = errors.New("ffmpeg is not installed here")

// ExitError is a program that did not like what it was given, or fell.
type ExitError struct {
	Program string
	Err     error
	Words   string // the last that it said
}

// Error says what it said.
func (e *ExitError) Error() string { return fmt.Sprintf("run %s: %v: %s", e.Program, e.Err, e.Words) }

// Unwrap returns how it ended.
func (e *ExitError) Unwrap() error { return e.Err }

// Job is one run. The arguments name inputs and outputs by Input(i), Sink(n, i) and
// Output.
type Job struct {
	Program string
	Args    []string
	// Inputs are written to pipes of the process.
	Inputs []func(w io.Writer) error
	// Sinks read from pipes of the process, to the end.
	Sinks []func(r io.Reader) error
	// Stdout takes what it writes to Output; nil is nowhere.
	Stdout io.Writer
	Dir    string
	// Limit is when it is killed; 0 is no limit.
	Limit time.Duration
	// Progress is told how far the output is; needs -progress in Args, see Watch.
	Progress func(time.Duration)
}

// Output is the process's standard output as an address.
const Output = "pipe:1"

// firstInput is the descriptor of the first pipe: 0 to 2 are the standard ones.
const firstInput = 3

// Input is the address of the input of an index.
func Input(i int) string { return "pipe:" + strconv.Itoa(firstInput+i) }

// Sink is the address of the sink of an index, of a job that has so many inputs.
func Sink(inputs, i int) string { return Input(inputs + i) }

// niceness leaves the processors to those who watch now.
const niceness = 10

// lastWords bounds what is kept of what the process says.
const lastWords = 2 << 10

// Run runs a job to its end.
func Run(ctx context.Context, j Job) error {
	if j.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, j.Limit)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, j.Program, j.Args...) //nolint:gosec // the program is configured, the arguments are ours
	cmd.Dir, cmd.WaitDelay = j.Dir, 2*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	words := &tail{}
	cmd.Stderr = words
	if j.Stdout != nil {
		cmd.Stdout = j.Stdout
	}
	if j.Progress != nil {
		cmd.Stdout = &watcher{tell: j.Progress}
	}
	pipes, err := connect(cmd, len(j.Inputs), len(j.Sinks))
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		closeAll(append(pipes, cmd.ExtraFiles...))
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w (%s)", ErrMissing, j.Program)
		}
		return fmt.Errorf("start %s: %w", j.Program, err)
	}
	closeAll(cmd.ExtraFiles) // the child has its own
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, niceness)
	return wait(ctx, cmd, j, pipes, words)
}

// connect makes the pipes and returns our ends: inputs first, then sinks.
func connect(cmd *exec.Cmd, inputs, sinks int) (ours []*os.File, err error) {
	for i := range inputs + sinks {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(append(ours, cmd.ExtraFiles...))
			return nil, fmt.Errorf("open a pipe: %w", err)
		}
		if i >= inputs {
			r, w = w, r
		}
		ours, cmd.ExtraFiles = append(ours, w), append(cmd.ExtraFiles, r)
	}
	return ours, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // pipes
	}
}

// wait serves the pipes and waits for the process and for who serves them.
func wait(ctx context.Context, cmd *exec.Cmd, j Job, pipes []*os.File, words *tail) error {
	var feeding, draining sync.WaitGroup
	errs := make([]error, len(pipes))
	for i, w := range pipes[:len(j.Inputs)] {
		feeding.Go(func() { // wait below
			errs[i] = feed(w, j.Inputs[i])
			_ = w.Close()
		})
	}
	for i, r := range pipes[len(j.Inputs):] {
		draining.Go(func() { // wait below
			errs[len(j.Inputs)+i] = j.Sinks[i](r)
			_ = r.Close() // a process that goes on writing ends
		})
	}
	err := cmd.Wait()
	closeAll(pipes[:len(j.Inputs)]) // wakes those who still write to a process that is gone
	feeding.Wait()
	draining.Wait() // the process is gone: they come to the end
	if ctx.Err() != nil {
		return fmt.Errorf("run %s: %w", j.Program, context.Cause(ctx))
	}
	// A program whose pipe we broke fails too: ours is the reason.
	if ours := errors.Join(errs...); ours != nil || err == nil {
		return ours
	}
	return &ExitError{Program: j.Program, Err: err, Words: words.String()}
}

// feed writes an input. A process that had enough is no error.
func feed(w io.Writer, fn func(io.Writer) error) error {
	out := bufio.NewWriterSize(w, 64<<10)
	err := fn(out)
	if err == nil {
		err = out.Flush()
	}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
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

// Watch are the arguments that make ffmpeg tell its progress.
func Watch() []string { return []string{"-progress", Output, "-stats_period", "0.5", "-nostats"} }

// watcher reads ffmpeg's progress: lines of key=value.
type watcher struct {
	tell func(time.Duration)
	line []byte
}

func (w *watcher) Write(p []byte) (int, error) {
	for _, c := range p {
		if c != '\n' {
			if len(w.line) < 256 {
				w.line = append(w.line, c)
			}
			continue
		}
		if value, ok := strings.CutPrefix(string(w.line), "out_time_us="); ok {
			if us, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil && us > 0 {
				w.tell(time.Duration(us) * time.Microsecond)
			}
		}
		w.line = w.line[:0]
	}
	return len(p), nil
}
