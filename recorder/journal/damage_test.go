package journal_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// flip changes a bit of a file.
func flip(t tb, path string, at int64, bit int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1 << bit
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// intact checks that what a folder announces can be decoded, is what was written, and
// that nothing else is missing without standing among the holes.
func intact(t tb, dir string, p *media.Presentation, s *journal.State) {
	t.Helper()
	verify(t, dir, p)
	listed(t, p, s)
	for _, r := range p.Renditions {
		for _, g := range r.Segments {
			if !g.Gap && string(r.Inits[g.Init].Data) != "init of "+r.ID {
				t.Fatalf("%s: segment %d is decoded by %q", r.ID, g.MSN, r.Inits[g.Init].Data)
			}
		}
	}
}

// A bit that falls over, anywhere in a journal or in a volume, costs the segment in
// which it is, which stands among the holes, and nothing else: not the rendition, not
// the recording, not the start.
func TestABitThatFallsOverCostsASegment(t *testing.T) {
	s := record(t, filepath.Join(t.TempDir(), "a"), 5, 0)
	names := sortedNames(s.left)
	tmp, all := t.TempDir(), 5*partsEach*2
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(tmp, "flip")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s.copyTo(rt, dir)
		name := rapid.SampledFrom(names).Draw(rt, "file")
		at := rapid.Int64Range(0, s.left[name]-1).Draw(rt, "byte")
		flip(rt, filepath.Join(dir, name), at, rapid.IntRange(0, 7).Draw(rt, "bit"))
		p, state, err := journal.RecoverAllUnsynced(dir)
		if err != nil {
			rt.Fatal(err)
		}
		intact(rt, dir, p, state)
		lost := all - parts(p)
		if lost > partsEach {
			rt.Fatalf("%d of %d parts are lost", lost, all)
		}
		if lost > 0 && len(state.Holes) == 0 {
			rt.Fatalf("%d parts are lost, and nothing tells of it", lost)
		}
		if name != journal.Name && state.Damaged == 0 {
			rt.Fatal("nobody is told of the damage")
		}
		if _, again, err := journal.RecoverAllUnsynced(dir); err != nil || again.Lost > 0 {
			rt.Fatalf("the second time %d more parts are lost: %v", again.Lost, err)
		}
	})
}

// The same of any number of bits, and of files that end anywhere: what is left is
// right, or there is nothing to read.
func TestWhateverIsLeftOfARecordingIsRight(t *testing.T) {
	s := record(t, filepath.Join(t.TempDir(), "a"), 5, 0)
	names := sortedNames(s.left)
	tmp := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(tmp, "harm")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s.copyTo(rt, dir)
		for range rapid.IntRange(1, 12).Draw(rt, "harms") {
			name := rapid.SampledFrom(names).Draw(rt, "file")
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			if err != nil {
				rt.Fatal(err)
			}
			if info.Size() == 0 {
				continue
			}
			at := rapid.Int64Range(0, info.Size()-1).Draw(rt, "byte")
			if rapid.IntRange(0, 7).Draw(rt, "cut") == 0 {
				err = os.Truncate(path, at)
			} else {
				flip(rt, path, at, rapid.IntRange(0, 7).Draw(rt, "bit"))
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		p, state, err := journal.RecoverAllUnsynced(dir)
		if err != nil {
			if !errors.Is(err, journal.ErrEmpty) && !errors.Is(err, journal.ErrVersion) { // its head, and all behind it, fell
				rt.Fatal(err)
			}
			return
		}
		intact(rt, dir, p, state)
	})
}

// tiring ends when it was asked for the last time.
type tiring struct {
	context.Context
	left int
}

func (c *tiring) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A stop does not wait until hours of media are read, and leaves them as they were.
func TestReadingEverythingCanBeGivenUp(t *testing.T) {
	s := record(t, filepath.Join(t.TempDir(), "a"), 5, 0)
	tail, err := os.OpenFile(filepath.Join(s.dir, journal.Name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = tail.WriteString("what a crash left"); err != nil {
		t.Fatal(err)
	}
	tail.Close()
	before := sizes(t, s.dir)
	for given := range 20 {
		if _, _, err := journal.RecoverAll(&tiring{t.Context(), given}, s.dir); !errors.Is(err, context.Canceled) {
			t.Fatalf("given up after %d parts: %v", given, err)
		}
	}
	if after := sizes(t, s.dir); !maps.Equal(before, after) {
		t.Errorf("files were %v and are %v", before, after)
	}
	p, state, err := journal.RecoverAll(t.Context(), s.dir)
	if err != nil || state.Torn == 0 {
		t.Fatal(state, err)
	}
	intact(t, s.dir, p, state)
}

func sortedNames(sizes map[string]int64) []string {
	var names []string
	for name := range sizes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A journal that was written before its beginning was told twice is read on when its
// head is damaged, and no other version's is.
func TestADamagedHeadIsNoLaterVersion(t *testing.T) {
	for _, at := range []int64{0, 3, 4} {
		s := record(t, filepath.Join(t.TempDir(), "a"), 1, 0)
		flip(t, filepath.Join(s.dir, journal.Name), at, 1)
		p, state, err := journal.RecoverAllUnsynced(s.dir)
		if err != nil || parts(p) != 2*partsEach {
			t.Fatalf("byte %d: %v", at, err)
		}
		intact(t, s.dir, p, state)
	}
}

// unlucky is a disk whose journal does not take the next write, while a volume is
// being synced.
type unlucky struct {
	journal.Unsynced
	armed            atomic.Bool
	once             atomic.Bool
	syncing, written chan struct{}
}

func (d *unlucky) OpenFile(path string) (journal.File, error) {
	f, err := d.Unsynced.OpenFile(path)
	return &unluckyFile{f, d, filepath.Base(path) == journal.Name}, err
}

type unluckyFile struct {
	journal.File
	d       *unlucky
	journal bool
}

func (f *unluckyFile) WriteAt(b []byte, at int64) (int, error) {
	if f.journal && f.d.armed.CompareAndSwap(true, false) {
		<-f.d.syncing // with the part's bytes, which are written already
		close(f.d.written)
		return 0, syscall.ENOSPC
	}
	return f.File.WriteAt(b, at)
}

func (f *unluckyFile) Sync() error {
	if !f.journal && f.d.once.CompareAndSwap(false, true) {
		close(f.d.syncing)
		<-f.d.written
		time.Sleep(time.Second) // until the part is taken back: a bubble's
	}
	return f.File.Sync()
}

// A part whose record the journal does not take is not announced, and taken back from
// its volume, although that is being synced in this moment.
func TestAPartIsTakenBackWhileItsVolumeIsSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &unlucky{syncing: make(chan struct{}), written: make(chan struct{})}
		dir := filepath.Join(t.TempDir(), "a")
		j := begin(t, dir, journal.Config{Disk: disk})
		done := make(chan error, 1)
		go func() { done <- j.Run(t.Context()) }() // read below
		if _, err := j.Append("audio", part(audio(), 0, 0), payload("audio", 0, 0)); err != nil {
			t.Fatal(err)
		}
		disk.armed.Store(true)
		if _, err := j.Append("audio", part(audio(), 0, 1), payload("audio", 0, 1)); !errors.Is(err, journal.ErrReadOnly) {
			t.Fatalf("a part that the journal does not know: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := j.Append("audio", part(audio(), 1, 0), payload("audio", 1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := j.End(time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		p, state, err := journal.Read(dir, true)
		if err != nil || state.Lost > 0 {
			t.Fatalf("%d parts are lost: %v", state.Lost, err)
		}
		verify(t, dir, p)
		if n := parts(p); n != 2 {
			t.Errorf("there are %d parts, not 2", n)
		}
	})
}

// What can never be written does not keep what waits behind it from the disk.
func TestARecordThatIsTooLargeHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newFaulty()
		s := play(t, disk, journal.Config{})
		s.segments(t, 0, 1)
		disk.full.Store(true)
		s.segments(t, 1, 2)
		if _, err := s.j.AddInit("audio", media.Init{Data: bytes.Repeat([]byte{1}, 2<<20)}); !errors.Is(err, journal.ErrReadOnly) {
			t.Fatal(err)
		}
		disk.full.Store(false)
		s.segments(t, 2, 20)
		s.end(t)
		p, state, err := journal.Read(s.dir, true)
		if err != nil || !state.Ended || parts(only(p, "video-h")) < 16*partsEach {
			t.Fatalf("after the disk works again there are %d parts: %v", parts(only(p, "video-h")), err)
		}
		if !strings.HasPrefix(string(p.Rendition("audio").Inits[0].Data), "init of") {
			t.Error("the first section is not the first any more")
		}
	})
}
