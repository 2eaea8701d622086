package disk_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/hls-fallback/edge/disk"
)

// hang makes a file one whose reading does not come back: a pipe that nobody writes to.
// What it returns lets all who read it go.
func hang(t *testing.T, file string) (release func()) {
	t.Helper()
	if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)); err != nil {
		t.Fatal(err)
	}
	release = func() {
		fd, err := syscall.Open(file, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil { // else nobody reads
			_ = syscall.Close(fd)
		}
	}
	t.Cleanup(release)
	return release
}

// A disk that hangs is waited for once, by few, and then by one each minute; all others
// are told at once that there is nothing. When it answers again it is used again.
func TestADiskThatHangsIsWaitedForByOne(t *testing.T) {
	dir := t.TempDir()
	s, stop := opened(t, disk.Config{Dir: dir, Size: 1 << 20})
	s.Put("hangs", entry("x", time.Hour), [][]byte{[]byte("hangs")})
	kept(t, s, "hangs")
	all, _ := files(t, dir)
	s.Put("good", entry("x", time.Hour), [][]byte{[]byte("good")})
	kept(t, s, "good")
	stop()
	release := hang(t, all[0])

	registry := prometheus.NewRegistry()
	s, err := disk.New(disk.Config{Dir: dir, Size: 1 << 20, Patience: 50 * time.Millisecond, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(viewers int) {
		var all sync.WaitGroup
		for range viewers {
			all.Go(func() {
				if e := s.Get(context.Background(), "hangs", now); e != nil {
					t.Errorf("it came: %+v", e)
				}
			})
		}
		all.Wait()
	}
	late := func() float64 { return value(t, registry, "sluice_edge_disk_reads_total", "late") }
	ask(5)
	if n := late(); n == 0 || n > 5 || value(t, registry, "sluice_edge_disk_up") != 0 {
		t.Errorf("%v waited, and it says that the disk works: %v", n, value(t, registry, "sluice_edge_disk_up"))
	}
	for range 3 {
		before := late()
		ask(50)
		if e := s.Get(context.Background(), "good", now); e != nil || late() != before {
			t.Fatalf("a disk that rests is read: %+v, %v waited", e, late()-before)
		}
		s.Rested()
		ask(50)
		if n := late() - before; n != 1 {
			t.Fatalf("a minute later %v waited for it, want one", n)
		}
	}
	for range 40 { // more than may read at once, one after the other
		s.Rested()
		ask(1)
	}
	if n := late(); n > 32 {
		t.Errorf("%v wait for the disk at once", n)
	}
	release()
	eventually(t, "the disk answers again, and is not read", func() bool {
		s.Rested()
		e := s.Get(context.Background(), "good", now)
		return e != nil && string(e.Body) == "good"
	})
	if value(t, registry, "sluice_edge_disk_up") != 1 {
		t.Error("it says that the disk does not work")
	}
}

// What a disk does not take waits in memory up to a bound, and nobody waits for it: here
// nothing is ever written.
func TestWhatWaitsForTheDiskIsBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	s, err := disk.New(disk.Config{Dir: t.TempDir(), Size: 1 << 30, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for range 100 { // 64 MiB and no more
		s.Put("key", entry("x", time.Hour), [][]byte{block})
	}
	if n := value(t, registry, "sluice_edge_disk_writes_total", "dropped"); n != 36 {
		t.Errorf("%v of 100 MiB are not kept, want 36", n)
	}
}
