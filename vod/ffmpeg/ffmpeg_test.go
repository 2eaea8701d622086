package ffmpeg_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/vod/ffmpeg"
)

// script is a program of the test.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(text string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
}

func TestPipes(t *testing.T) {
	var out, sunk bytes.Buffer
	err := ffmpeg.Run(t.Context(), ffmpeg.Job{
		Program: script(t, "cat <&4; cat <&3; echo sunk >&5"), Inputs: []func(io.Writer) error{write("one "), write("two ")},
		Sinks: []func(io.Reader) error{func(r io.Reader) error { _, err := io.Copy(&sunk, r); return err }}, Stdout: &out,
	})
	if err != nil || out.String() != "two one " || sunk.String() != "sunk\n" {
		t.Errorf("%q, %q, %v", &out, &sunk, err)
	}
	if ffmpeg.Input(1) != "pipe:4" || ffmpeg.Sink(2, 0) != "pipe:5" {
		t.Error(ffmpeg.Input(1), ffmpeg.Sink(2, 0))
	}
}

func TestMissing(t *testing.T) {
	for _, program := range []string{"no-such-program", "/no/such/program"} {
		err := ffmpeg.Run(t.Context(), ffmpeg.Job{Program: program, Inputs: []func(io.Writer) error{write("x")}})
		if !errors.Is(err, ffmpeg.ErrMissing) {
			t.Errorf("%s: %v", program, err)
		}
	}
}

// It says why it fell, but not all that it ever said; and who fed it is no reason.
func TestFailureTellsWhy(t *testing.T) {
	long := script(t, "i=0; while [ $i -lt 2000 ]; do echo 'words words words' >&2; i=$((i+1)); done; echo the reason >&2; exit 3")
	err := ffmpeg.Run(t.Context(), ffmpeg.Job{Program: long, Inputs: []func(io.Writer) error{write(strings.Repeat("x", 1<<20))}})
	var failed *ffmpeg.ExitError
	if !errors.As(err, &failed) || !strings.HasSuffix(failed.Words, "the reason") || len(failed.Words) > 4096 {
		t.Errorf("%.300v", err)
	}
	ours := errors.New("our disk is full")
	err = ffmpeg.Run(t.Context(), ffmpeg.Job{
		Program: script(t, "cat <&3 >/dev/null; exit 1"), Inputs: []func(io.Writer) error{func(io.Writer) error { return ours }},
	})
	if !errors.Is(err, ours) || errors.As(err, &failed) {
		t.Errorf("our own fault: %v", err)
	}
}

func TestLimitKills(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	hang := script(t, "echo $$ > "+pid+"; trap '' TERM; exec sleep 1000")
	var n int
	for limit := 300 * time.Millisecond; n == 0 && limit < time.Minute; limit *= 3 { // it may be killed before it said who it is
		err := ffmpeg.Run(t.Context(), ffmpeg.Job{Program: hang, Limit: limit, Inputs: []func(io.Writer) error{
			write(strings.Repeat("x", 1<<20)), // more than a pipe holds: the writer is woken too
		}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if b, err := os.ReadFile(pid); err == nil {
			_, _ = fmt.Sscan(string(b), &n) // half a number has no end of line, and is asked for again
		}
	}
	if n == 0 {
		t.Fatal("the process does not say who it is")
	}
	testnet.Eventually(t, "the process is gone", func() bool { return errors.Is(syscall.Kill(n, 0), syscall.ESRCH) })
}

func TestProgress(t *testing.T) {
	var told []time.Duration
	err := ffmpeg.Run(t.Context(), ffmpeg.Job{
		Program:  script(t, "echo frame=1; echo out_time_us=1500000; echo out_time_us=N/A; echo out_time_us=2000000"),
		Progress: func(d time.Duration) { told = append(told, d) },
	})
	if err != nil || fmt.Sprint(told) != "[1.5s 2s]" {
		t.Errorf("%v, %v", told, err)
	}
}
