// Package logfile writes lines to files that end by size and by time, so that
// whole ones can be taken away. It promises that a file whose name ends in
// .jsonl is never written again. Files owns the folder; safe for concurrent use.
package logfile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// open is how the name of a file ends that is still written.
	open = ".open"
	// queue is how many lines may wait for the disk; more are lost, and counted:
	// a disk that stands still shall not hold viewers.
	queue = 16384
	// flushEvery is how long a line may wait in memory.
	flushEvery = time.Second
)

// Config says where, and how large.
type Config struct {
	Dir string
	// Name begins each file's name: the machine's.
	Name string
	// Size ends a file, in bytes, and Every does so by time.
	Size  int64
	Every time.Duration
	// Logger is told about a disk that does not work; nil is silent.
	Logger *slog.Logger
}

// DefaultConfig ends files at 64 MiB, some 150,000 lines, and each five minutes.
func DefaultConfig() Config {
	return Config{Dir: "logs", Name: "edge", Size: 64 << 20, Every: 5 * time.Minute}
}

// Files are the files.
type Files struct {
	cfg   Config
	log   *slog.Logger
	lines chan []byte
	lost  atomic.Uint64

	// of Run alone
	file    *os.File
	out     *bufio.Writer
	size    int64
	began   time.Time
	serial  int
	failing bool
}

// New makes the folder, and ends files that a crash left open.
func New(cfg Config) (*Files, error) {
	if cfg.Dir == "" || cfg.Name == "" || strings.ContainsAny(cfg.Name, "/\\") || cfg.Size < 1 || cfg.Every <= 0 {
		return nil, errors.New("read log settings: folder, name, size and time must be given")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for logs: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(cfg.Dir, "*.jsonl"+open))
	if err != nil {
		return nil, fmt.Errorf("look for logs: %w", err)
	}
	for _, path := range left {
		if err := os.Rename(path, strings.TrimSuffix(path, open)); err != nil {
			return nil, fmt.Errorf("end a log that was left open: %w", err)
		}
	}
	f := &Files{cfg: cfg, log: cfg.Logger, lines: make(chan []byte, queue)}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	return f, nil
}

// Write takes a line without its end; it may be lost when the disk stands still.
func (f *Files) Write(line []byte) {
	select {
	case f.lines <- line:
	default:
		f.lost.Add(1)
	}
}

// Lost is how many lines were lost.
func (f *Files) Lost() uint64 { return f.lost.Load() }

// Run writes until ctx is done, then what waits, and ends the file.
func (f *Files) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case line := <-f.lines:
			f.put(line, time.Now())
		case now := <-tick.C:
			f.flush(now)
		case <-ctx.Done():
			for len(f.lines) > 0 {
				f.put(<-f.lines, time.Now())
			}
			f.end()
			return nil
		}
	}
}

// put writes a line, and begins a file when there is none.
func (f *Files) put(line []byte, now time.Time) {
	if f.file == nil && !f.begin(now) {
		f.lost.Add(1)
		return
	}
	_, err := f.out.Write(append(line, '\n'))
	f.size += int64(len(line)) + 1
	f.failed(err)
	if f.size >= f.cfg.Size {
		f.end()
	}
}

func (f *Files) begin(now time.Time) bool {
	f.serial++
	name := fmt.Sprintf("%s-%s-%04d.jsonl%s", f.cfg.Name, now.UTC().Format("20060102T150405.000Z"), f.serial, open)
	file, err := os.OpenFile(filepath.Join(f.cfg.Dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if f.failed(err); err != nil {
		return false
	}
	f.file, f.out, f.size, f.began = file, bufio.NewWriterSize(file, 64<<10), 0, now
	return true
}

func (f *Files) flush(now time.Time) {
	if f.file == nil {
		return
	}
	f.failed(f.out.Flush())
	if now.Sub(f.began) >= f.cfg.Every {
		f.end()
	}
}

// end closes the file and gives it its final name.
func (f *Files) end() {
	if f.file == nil {
		return
	}
	path := f.file.Name()
	err := errors.Join(f.out.Flush(), f.file.Close())
	f.file, f.out = nil, nil
	f.failed(errors.Join(err, os.Rename(path, strings.TrimSuffix(path, open))))
}

// failed tells about the first failure after all was well.
func (f *Files) failed(err error) {
	if err != nil && !f.failing {
		f.log.Error("request log could not be written; lines are lost", "folder", f.cfg.Dir, "err", err)
	}
	f.failing = err != nil
}

// Ended lists the files that are whole, the oldest first.
func (f *Files) Ended() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(f.cfg.Dir, f.cfg.Name+"-*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	return paths, nil // Glob sorts, and names begin with the time
}
