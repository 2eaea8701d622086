package journal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// only is a presentation of one rendition.
func only(p *media.Presentation, id string) *media.Presentation {
	return &media.Presentation{Renditions: []*media.Rendition{p.Rendition(id)}}
}

// faulty is a disk on which writing or syncing fails for a while. A sync that
// fails throws away what it should have put on disk, as kernels do.
type faulty struct {
	journal.Unsynced
	full, broken atomic.Bool
	syncs        atomic.Int64
	slow         atomic.Int64 // nanoseconds

	mu    sync.Mutex
	dirty map[string][][2]int64
}

func newFaulty() *faulty { return &faulty{dirty: map[string][][2]int64{}} }

func (d *faulty) OpenFile(path string) (journal.File, error) {
	if d.full.Load() {
		return nil, syscall.ENOSPC
	}
	f, err := d.Unsynced.OpenFile(path)
	return &faultyFile{f, path, d}, err
}

type faultyFile struct {
	journal.File
	path string
	d    *faulty
}

func (f *faultyFile) WriteAt(b []byte, at int64) (int, error) {
	if f.d.full.Load() {
		n, _ := f.File.WriteAt(b[:len(b)/2], at) // half of it fitted
		return n, syscall.ENOSPC
	}
	f.d.mu.Lock()
	f.d.dirty[f.path] = append(f.d.dirty[f.path], [2]int64{at, int64(len(b))})
	f.d.mu.Unlock()
	return f.File.WriteAt(b, at)
}

func (f *faultyFile) Sync() error {
	f.d.syncs.Add(1)
	time.Sleep(time.Duration(f.d.slow.Load()))
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	lost := f.d.dirty[f.path]
	delete(f.d.dirty, f.path)
	if !f.d.broken.Load() {
		return nil
	}
	for _, r := range lost {
		_, _ = f.File.WriteAt(make([]byte, r[1]), r[0])
	}
	return syscall.EIO
}

// scene runs a journal beside a writer that appends a part of each rendition every
// half second.
type scene struct {
	j        *journal.Journal
	dir      string
	disk     *faulty
	told     []error
	revived  int
	finished []journal.Volume
	done     chan error
	readOnly int
}

func play(t *testing.T, disk *faulty, c journal.Config) *scene {
	s := &scene{dir: filepath.Join(t.TempDir(), "a"), disk: disk, done: make(chan error, 1)}
	c.Disk = disk
	c.Failed = func(err error) { s.told = append(s.told, err) }
	c.Revived = func() { s.revived++ }
	c.Finished = func(v journal.Volume) { s.finished = append(s.finished, v) }
	s.j = begin(t, s.dir, c)
	go func() { s.done <- s.j.Run(context.Background()) }() // end waits for it
	return s
}

func (s *scene) segments(t *testing.T, from, to uint64) {
	t.Helper()
	for msn := from; msn < to; msn++ {
		for n := range partsEach {
			p := part(video(), msn, n)
			_, err := s.j.Append("video-h", p, payload("video-h", msn, n))
			if errors.Is(err, journal.ErrReadOnly) {
				s.readOnly++
			} else if err != nil {
				t.Fatal(err)
			}
			if _, err = s.j.Append("audio", part(audio(), msn, n), payload("audio", msn, n)); err != nil && !errors.Is(err, journal.ErrReadOnly) {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond)
		}
		for _, r := range []string{"video-h", "audio"} {
			if err := s.j.EndSegment(r, msn); err != nil && !errors.Is(err, journal.ErrReadOnly) {
				t.Fatal(err)
			}
		}
	}
}

func (s *scene) end(t *testing.T) {
	t.Helper()
	if err := s.j.End(time.Now()); err != nil && !errors.Is(err, journal.ErrReadOnly) {
		t.Fatal(err)
	}
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
}

func TestGroupsOfWritesAreSyncedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, newFaulty(), journal.Config{})
		s.segments(t, 0, 10)
		// Forty parts of two renditions, and the journal: one group for each half second.
		if n := s.disk.syncs.Load(); n < 100 || n > 3*41+5 {
			t.Errorf("%d syncs for 40 groups of three files", n)
		}
		s.end(t)
	})
}

// The disk is full for ten seconds: one alarm, the caller goes on, afterwards the
// recording goes on by itself, and what is missing is listed.
func TestTheDiskIsFullForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, newFaulty(), journal.Config{})
		s.segments(t, 0, 5)
		s.disk.full.Store(true)
		s.segments(t, 5, 10)
		if i, err := s.j.AddInit("video-h", media.Init{Codec: "avc1.42c01f", Data: []byte("another")}); i != 1 || !errors.Is(err, journal.ErrReadOnly) {
			t.Errorf("a new section on a full disk: %d, %v", i, err)
		}
		s.disk.full.Store(false)
		s.segments(t, 10, 20)
		s.end(t)
		if len(s.told) != 1 || !errors.Is(s.told[0], syscall.ENOSPC) || s.revived != 1 {
			t.Errorf("told %v, revived %d times", s.told, s.revived)
		}
		if s.readOnly < 20 || s.readOnly > 32 {
			t.Errorf("%d parts of the picture were refused in ten seconds and at most one more try", s.readOnly)
		}
		p, state, err := journal.Recover(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, s.dir, p)
		listed(t, p, state)
		if got, want := parts(p), 2*20*partsEach-2*s.readOnly; got != want {
			t.Errorf("%d parts, not %d", got, want)
		}
		if len(p.Rendition("video-h").Inits) != 2 {
			t.Error("the section that came meanwhile is lost")
		}
		if len(state.Holes) != 2 || state.Holes[0].Why != journal.DiskFailed {
			t.Errorf("holes: %v", state.Holes)
		}
	})
}

// A sync fails and the kernel forgets what it had: all parts that were taken are
// there afterwards nevertheless, for they are written again.
func TestASyncThatFailsLosesNothing(t *testing.T) {
	for _, when := range []time.Duration{0, 250 * time.Millisecond, 400 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := play(t, newFaulty(), journal.Config{Segments: 2})
			s.segments(t, 0, 3)
			time.AfterFunc(when, func() { s.disk.broken.Store(true) })
			time.AfterFunc(when+7*time.Second, func() { s.disk.broken.Store(false) })
			s.segments(t, 3, 20)
			s.end(t)
			if len(s.told) != 1 || !errors.Is(s.told[0], syscall.EIO) || s.revived != 1 {
				t.Errorf("told %v, revived %d times", s.told, s.revived)
			}
			p, state, err := journal.Read(s.dir, true)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, s.dir, p)
			listed(t, p, state)
			if got := parts(only(p, "video-h")); got != 20*partsEach-s.readOnly || state.Lost > 0 {
				t.Errorf("%d parts of the picture, %d refused, %d lost", got, s.readOnly, state.Lost)
			}
		})
	}
}

// It ends while the disk is broken: Run waits for the disk, then all is there.
func TestItEndsWhileTheDiskIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, newFaulty(), journal.Config{})
		s.segments(t, 0, 3)
		s.disk.broken.Store(true)
		s.segments(t, 3, 5)
		time.AfterFunc(time.Minute, func() { s.disk.broken.Store(false) })
		before := time.Now()
		s.end(t)
		if waited := time.Since(before); waited < 50*time.Second || waited > 70*time.Second {
			t.Errorf("Run returned after %v", waited)
		}
		p, _, err := journal.Recover(s.dir)
		if err != nil || !p.Ended {
			t.Fatalf("%v, ended %v", err, p.Ended)
		}
		if len(s.finished) != 2 {
			t.Errorf("finished: %v", s.finished)
		}
	})
}

// A stream that is not recorded keeps a window on disk, whatever its length.
func TestTheWindowIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, newFaulty(), journal.Compacting(journal.Config{Segments: 4}, 20_000))
		var largest int64
		for msn := uint64(0); msn < 2000; msn += 5 {
			s.segments(t, msn, msn+5)
			if msn >= 20 {
				if err := s.j.Drop(msn-20, msn); err != nil {
					t.Fatal(err)
				}
			}
			total, volumes := int64(0), 0
			for name, size := range sizes(t, s.dir) {
				total += size
				if strings.HasSuffix(name, ".cmaf") {
					volumes++
				}
			}
			largest = max(largest, total)
			if volumes > 2*(40/4) {
				t.Fatalf("at %d there are %d volumes", msn, volumes)
			}
		}
		if largest > 120_000 {
			t.Errorf("it took up to %d bytes", largest)
		}
		if err := s.j.Close(time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := <-s.done; err != nil {
			t.Fatal(err)
		}
		p, state, err := journal.Recover(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, s.dir, p)
		if state.Next != 2000 || state.Lost > 0 || len(state.Holes) > 0 || p.Renditions[0].Segments[0].MSN != 1975 || p.Renditions[0].Removed != 1995 {
			t.Errorf("next %d, lost %d, holes %v, first %d, removed %d", state.Next, state.Lost, state.Holes, p.Renditions[0].Segments[0].MSN, p.Renditions[0].Removed)
		}
		if len(s.told) > 0 {
			t.Errorf("told %v", s.told)
		}
		// Going on, the old volumes are known.
		j, err := journal.Open(s.dir, state, journal.Config{Disk: s.disk})
		if err != nil {
			t.Fatal(err)
		}
		write(t, j, 2000)
		for range 2 {
			if err := j.Drop(2000, 2000); err != nil {
				t.Fatal(err)
			}
		}
		finish(t, j, j.Close)
		left, err := os.ReadDir(filepath.Join(s.dir, "audio"))
		if err != nil || len(left) != 1 {
			t.Errorf("volumes that are left: %v, %v", left, err)
		}
	})
}

// A disk that takes a minute for a sync is a disk that failed, not a process that
// grows.
func TestASlowDiskIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newFaulty()
		s := play(t, disk, journal.Config{})
		s.segments(t, 0, 1)
		disk.slow.Store(int64(time.Minute))
		data := make([]byte, 4<<20)
		refused := 0
		for n := range 60 {
			p := part(video(), 1+uint64(n)/partsEach, n%partsEach)
			if _, err := s.j.Append("video-h", p, slices.Clone(data)); errors.Is(err, journal.ErrReadOnly) {
				refused++
			}
			time.Sleep(500 * time.Millisecond)
		}
		if refused < 30 {
			t.Errorf("%d of 60 parts were refused: 64 MiB wait, and no more", refused)
		}
		disk.slow.Store(0)
		s.end(t)
	})
}
