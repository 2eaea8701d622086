package journal_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// seed is a small journal.
func seed(f *testing.F) []byte {
	dir := filepath.Join(f.TempDir(), "a")
	j := begin(f, dir, journal.Config{Disk: journal.Unsynced{}})
	write(f, j, 0)
	write(f, j, 2)
	at := time.Unix(1_700_000_000, 0)
	if err := j.Caption(journal.Caption{Caption: media.Caption{Language: "en", Start: at, End: at.Add(time.Second), Text: "Hello"}, Shown: time.Second}); err != nil {
		f.Fatal(err)
	}
	if err := j.Drop(1, 0); err != nil {
		f.Fatal(err)
	}
	finish(f, j, j.Close)
	b, err := os.ReadFile(filepath.Join(dir, journal.Name))
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// numbered checks what every presentation keeps, whatever the journal said.
func numbered(t *testing.T, b []byte) {
	p, s, ok := journal.Parse(b)
	if !ok {
		return
	}
	for _, r := range p.Renditions {
		for i, g := range r.Segments {
			if g.MSN != r.Segments[0].MSN+uint64(i) {
				t.Fatalf("segment %d stands at %d after %d", g.MSN, i, r.Segments[0].MSN)
			}
		}
	}
	for _, h := range s.Holes {
		if h.To <= h.From {
			t.Fatalf("a hole of nothing: %v", h)
		}
	}
}

// FuzzJournal reads anything as a journal.
func FuzzJournal(f *testing.F) {
	f.Add(seed(f))
	f.Fuzz(numbered)
}

// FuzzRecord reads a record of anything with the right checksum, behind a journal
// that has begun.
func FuzzRecord(f *testing.F) {
	b := seed(f)
	for _, body := range journal.Bodies(b) {
		f.Add(body, body)
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		if len(one) == 0 || len(two) == 0 {
			return
		}
		numbered(t, journal.Frame(journal.Frame(b[:len(b):len(b)], one), two))
	})
}
