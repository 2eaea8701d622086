package logfile_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/logfile"
)

func TestEachLineIsInOneWholeFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := logfile.DefaultConfig()
		cfg.Dir, cfg.Size, cfg.Every = t.TempDir(), 1000, time.Minute
		left := filepath.Join(cfg.Dir, "edge-19990101T000000.000Z-0001.jsonl")
		if err := os.WriteFile(left+".open", []byte("left\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := logfile.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		var want bytes.Buffer
		want.WriteString("left\n")
		line := func(i int) {
			text := fmt.Sprintf("line %04d", i)
			f.Write([]byte(text))
			want.WriteString(text + "\n")
			synctest.Wait()
		}
		for i := range 250 { // 10 bytes each: by size
			line(i)
		}
		ended := func() []string {
			paths, err := f.Ended()
			if err != nil {
				t.Fatal(err)
			}
			return paths
		}
		if n := len(ended()); n != 3 {
			t.Errorf("%d whole files after 2,500 bytes, want 2 and the one that was left", n)
		}
		time.Sleep(61 * time.Second) // by time
		if n := len(ended()); n != 4 {
			t.Errorf("%d whole files after a minute", n)
		}
		line(999)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		var got bytes.Buffer
		for _, path := range ended() {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(text)
		}
		if got.String() != want.String() || f.Lost() != 0 {
			t.Errorf("%d bytes of lines became %d, %d lines lost", want.Len(), got.Len(), f.Lost())
		}
	})
}

func TestADiskThatFailsLosesLinesAndSaysSo(t *testing.T) {
	cfg := logfile.DefaultConfig()
	cfg.Dir = filepath.Join(t.TempDir(), "x")
	f, err := logfile.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	for range 20000 {
		f.Write([]byte("x"))
	}
	before := f.Lost()
	if before == 0 {
		t.Error("lines without a writer are kept without end")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Run(ctx); err != nil {
		t.Error(err)
	}
	if f.Lost() != 20000 {
		t.Errorf("%d of 20,000 lines are counted as lost", f.Lost())
	}
}
