package upload_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/vod/upload"
)

// While the disk hangs over one upload, others are asked for, written to and seen; and
// of the one that hangs nobody is told what is not on disk.
func TestADiskThatHangsHoldsNoOtherUploadUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		b := create(t, s, "b", 1)
		if _, err := s.Write("b", 1, bytes.NewReader(content(b, 1)), nil); err != nil {
			t.Fatal(err)
		}
		hang := make(chan struct{})
		upload.Slow(s, func(f *os.File) error { <-hang; return f.Sync() })
		done := make(chan error, 4)
		go func() { _, err := s.Create(upload.Info{ID: "a", Size: 1}); done <- err }() // all are read below
		for range 2 {
			go func() { _, err := s.Complete("b"); done <- err }()
		}
		synctest.Wait()
		if _, _, complete, err := s.Upload("b"); complete || err != nil {
			t.Errorf("it is not complete yet: %v, %v", complete, err)
		}
		if _, err := s.Write("b", 1, bytes.NewReader(content(b, 1)), nil); !errors.Is(err, upload.ErrTaken) {
			t.Errorf("a part of what is being completed: %v", err)
		}
		if _, _, _, err := s.Upload("a"); !errors.Is(err, upload.ErrNotFound) {
			t.Errorf("one that is not on disk yet: %v", err)
		}
		if _, err := s.Create(upload.Info{ID: "a", Size: 1}); err == nil {
			t.Error("there are two of one name")
		}
		if n := len(s.Stale(time.Now().Add(time.Hour))); n != 0 {
			t.Errorf("%d are stale", n)
		}
		close(hang)
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if _, _, complete, _ := s.Upload("b"); !complete {
			t.Error("it is complete")
		}
		if _, _, _, err := s.Upload("a"); err != nil {
			t.Error(err)
		}
	})
}

// An upload that is removed while a part of it is written is gone at once, its folder
// when the part has ended; and if the process falls in between, at the next start.
func TestRemovedUnderAWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		i := create(t, s, "a", 2)
		hang, done := make(chan struct{}), make(chan error, 1)
		upload.Slow(s, func(f *os.File) error { <-hang; return f.Sync() })
		go func() { _, err := s.Write("a", 1, bytes.NewReader(content(i, 1)), nil); done <- err }() // read below
		synctest.Wait()
		if err := s.Remove("a"); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := s.Upload("a"); !errors.Is(err, upload.ErrNotFound) {
			t.Error(err)
		}
		fallen := t.TempDir()
		if err := os.CopyFS(fallen, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		open(t, fallen)
		close(hang)
		if err := <-done; !errors.Is(err, upload.ErrNotFound) {
			t.Errorf("a part of what is gone: %v", err)
		}
		for _, d := range []string{dir, fallen} {
			if _, err := os.Stat(filepath.Join(d, "a")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder is there: %v", err)
			}
		}
	})
}

// Nobody takes all the places: a quarter of them, and at least two, are one owner's.
func TestOneOwnerHasAShare(t *testing.T) {
	for _, c := range []struct{ active, most int }{{32, 8}, {3, 2}, {1, 1}} {
		cfg := config(t.TempDir())
		cfg.Active = c.active
		s, err := upload.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		take := func(owner string) error {
			taken++
			_, err := s.Create(upload.Info{ID: fmt.Sprint("u", taken), Size: 1, Owner: owner})
			return err
		}
		for range c.most {
			if err := take("one"); err != nil {
				t.Fatalf("of %d places: %v", c.active, err)
			}
		}
		want := upload.ErrShare
		if c.active == 1 {
			want = upload.ErrBusy
		}
		if err := take("one"); !errors.Is(err, want) {
			t.Errorf("one more of %d places: %v", c.active, err)
		}
		if c.active > c.most {
			if err := take("other"); err != nil {
				t.Errorf("somebody else: %v", err)
			}
		}
		if err := s.Remove("u1"); err != nil {
			t.Fatal(err)
		}
		again, err := upload.Open(cfg) // who has what outlives a restart
		if err != nil {
			t.Fatal(err)
		}
		s = again
		if err := take("one"); err != nil {
			t.Errorf("after one was given back: %v", err)
		}
		if err := take("one"); err == nil {
			t.Error("after a restart he has more")
		}
	}
}
