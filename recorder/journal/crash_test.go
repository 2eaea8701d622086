package journal_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// sizes returns the length of every file beneath dir, by path relative to it.
func sizes(t tb, dir string) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		rel, _ := filepath.Rel(dir, path)
		out[rel] = info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// shelf is a folder at the moment of its last sync, and as it was left.
type shelf struct {
	dir          string
	synced, left map[string]int64
	segments     uint64 // on disk
	written      uint64 // in all
}

// record writes some segments, syncs, and writes some more that are not synced.
func record(t tb, dir string, synced, more uint64) shelf {
	t.Helper()
	j := begin(t, dir, journal.Config{Segments: 3, Disk: journal.Unsynced{}})
	for msn := range synced {
		write(t, j, msn)
	}
	finish(t, j, j.Close)
	s := shelf{dir: dir, synced: sizes(t, dir), segments: synced, written: synced + more}
	_, state, err := journal.RecoverUnsynced(dir)
	if err != nil {
		t.Fatal(err)
	}
	if j, err = journal.Open(dir, state, journal.Config{Segments: 3, Disk: journal.Unsynced{}}); err != nil {
		t.Fatal(err)
	}
	for msn := synced; msn < synced+more; msn++ {
		write(t, j, msn)
	}
	s.left = sizes(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = j.Run(ctx) // closes the files
	return s
}

// copyTo copies the folder.
func (s shelf) copyTo(t tb, dir string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
}

// parts counts what a presentation has.
func parts(p *media.Presentation) (n int) {
	for _, r := range p.Renditions {
		for _, s := range r.Segments {
			for _, q := range s.Parts {
				if !q.Gap {
					n++
				}
			}
		}
	}
	return n
}

// where is what is missing, whoever took it: of bytes that are not right nobody can
// tell whether they never were, or ceased to be, and after a repair it matters to
// nobody.
func where(holes []journal.Hole) []journal.Hole {
	var out []journal.Hole
	for _, h := range holes {
		if h.Why == journal.Damaged {
			h.Why = journal.Crash
		}
		if n := len(out); n > 0 && out[n-1].Rendition == h.Rendition && out[n-1].Why == h.Why && out[n-1].To >= h.From {
			out[n-1].To = max(out[n-1].To, h.To)
			continue
		}
		out = append(out, h)
	}
	return out
}

// listed checks that whatever lies between the first and the last of a rendition is
// either there or in a hole.
func listed(t tb, p *media.Presentation, s *journal.State) {
	t.Helper()
	for _, r := range p.Renditions {
		var at media.Ticks
		covered := func(from, to media.Ticks) {
			for _, h := range s.Holes {
				if h.Rendition == r.ID && h.From <= from && h.To > from {
					from = min(h.To, to)
				}
			}
			if from < to {
				t.Fatalf("%s: nothing from %d to %d, and no hole tells of it: %v", r.ID, from, to, s.Holes)
			}
		}
		for _, g := range r.Segments {
			for _, q := range g.Parts {
				if q.Gap {
					continue
				}
				if q.Start > at {
					covered(at, q.Start)
				}
				at = max(at, q.Start+q.Duration)
			}
		}
		if n := len(r.Segments); n > 0 {
			covered(at, r.Segments[n-1].Start+r.Segments[n-1].Duration)
		}
	}
}

// Whatever a power cut leaves of the files' tails, no more is lost than what was
// not synced, every part that is left has the right bytes, and what is missing is
// listed.
func TestAnyCutLosesOnlyWhatWasNotSynced(t *testing.T) {
	s := record(t, filepath.Join(t.TempDir(), "a"), 7, 4)
	names := make([]string, 0, len(s.left))
	for name := range s.left {
		names = append(names, name)
	}
	slices.Sort(names)
	tmp := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(tmp, "cut")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
			rt.Fatal(err)
		}
		for _, name := range names {
			harm(rt, filepath.Join(dir, name), name, s.synced[name], s.left[name])
		}
		survives(rt, dir, int(s.segments)*partsEach*2)
	})
}

// harm does to a file's tail what a power cut may: it is shorter, or has zeros or
// something else for some of its pages.
func harm(rt *rapid.T, path, name string, synced, size int64) {
	if synced == size {
		return
	}
	at := rapid.Int64Range(synced, size).Draw(rt, "where "+name)
	switch rapid.SampledFrom([]string{"cut", "zeros", "hole", "nothing", "gone"}).Draw(rt, "what "+name) {
	case "cut":
		if err := os.Truncate(path, at); err != nil {
			rt.Fatal(err)
		}
	case "gone":
		if synced == 0 {
			_ = os.Remove(path)
		}
	case "zeros":
		overwrite(rt, path, at, make([]byte, size-at))
	case "hole":
		n := rapid.Int64Range(0, size-at).Draw(rt, "bytes "+name)
		overwrite(rt, path, at, bytes.Repeat([]byte{rapid.Byte().Draw(rt, "garbage "+name)}, int(n)))
	}
}

func overwrite(rt *rapid.T, path string, at int64, b []byte) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		rt.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		rt.Fatal(err)
	}
}

// survives recovers a folder, twice, goes on with it, and recovers once more.
func survives(t tb, dir string, least int) {
	t.Helper()
	p, s, err := journal.RecoverUnsynced(dir)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, dir, p)
	listed(t, p, s)
	if n := parts(p); n < least {
		t.Fatalf("%d parts are left of %d that were synced", n, least)
	}
	again, s2, err := journal.RecoverUnsynced(dir)
	if err != nil {
		t.Fatal(err)
	}
	if parts(again) != parts(p) || s2.Next != s.Next || s2.Torn > s.Torn || s2.Lost != 0 || !slices.Equal(where(s2.Holes), where(s.Holes)) {
		t.Fatalf("the second time: %d parts, %d lost, holes %v; the first: %d, %v", parts(again), s2.Lost, s2.Holes, parts(p), s.Holes)
	}
	j, err := journal.Open(dir, s2, journal.Config{Disk: journal.Unsynced{}})
	if err != nil {
		t.Fatal(err)
	}
	next := s2.Next + 3 // it was away for three segments
	if len(s2.Renditions) < 2 {
		introduce(t, j)
	}
	for msn := next; msn < next+2; msn++ {
		write(t, j, msn)
	}
	finish(t, j, j.End)
	last, s3, err := journal.RecoverUnsynced(dir)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, dir, last)
	listed(t, last, s3)
	if got, want := parts(last), parts(p)+16; got != want || s3.Next != next+2 {
		t.Fatalf("having gone on there are %d parts up to %d, not %d up to %d", got, s3.Next, want, next+2)
	}
}

// Every single byte at which the journal, or a volume, may be cut off, below what
// was synced too: then more is lost, but nothing fails and nothing is wrong.
func TestCutAtEveryByte(t *testing.T) {
	s := record(t, filepath.Join(t.TempDir(), "a"), 2, 1)
	begins := int64(250) // the start record ends below
	for name, size := range s.left {
		dir := t.TempDir()
		s.copyTo(t, dir)
		for at := size - 1; at >= 0; at-- {
			if err := os.Truncate(filepath.Join(dir, name), at); err != nil {
				t.Fatal(err)
			}
			p, state, err := journal.Read(dir, false)
			if err != nil {
				if name != journal.Name || at > begins {
					t.Fatalf("%s cut at %d: %v", name, at, err)
				}
				continue
			}
			if at%7 == 0 {
				verify(t, dir, p)
			}
			listed(t, p, state)
		}
	}
}

func TestNothingIsThere(t *testing.T) {
	if _, _, err := journal.RecoverUnsynced(t.TempDir()); err == nil {
		t.Error("an empty folder holds a recording")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journal.Name), []byte("SLUJ\x09later"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := journal.RecoverUnsynced(dir); err == nil {
		t.Error("a journal of a later version is read")
	}
}

// A jump of media time, a gap on the clock and a hole that the caller told are
// listed, each with its reason.
func TestHolesAreListed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	j := begin(t, dir, journal.Config{Disk: journal.Unsynced{}})
	write(t, j, 0)
	for n := range partsEach {
		gap := part(video(), 1, n)
		gap.Gap, gap.Why, gap.Independent = true, journal.NoFrames, false
		if _, err := j.Append("video-h", gap, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append("audio", part(audio(), 1, n), payload("audio", 1, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Hole(journal.Hole{Rendition: "audio", From: 100, To: 960, Why: journal.Loss}); err != nil {
		t.Fatal(err)
	}
	late := part(video(), 2, 0)
	late.Start += 9000
	if _, err := j.Append("video-h", late, payload("video-h", 2, 0)); err != nil {
		t.Fatal(err)
	}
	finish(t, j, j.Close)
	p, s, err := journal.RecoverUnsynced(dir)
	if err != nil {
		t.Fatal(err)
	}
	listed(t, p, s)
	want := []journal.Hole{
		{Rendition: "audio", From: 100, To: 960, Why: journal.Loss},
		// The picture got farther: sound has a gap up to there.
		{Rendition: "audio", From: 8 * soundTicks, To: 9*soundTicks + 4800, Why: journal.Crash},
		{Rendition: "video-h", From: 4 * partTicks, To: 8 * partTicks, Why: journal.NoFrames},
		{Rendition: "video-h", From: 8 * partTicks, To: 8*partTicks + 9000, Why: journal.Unknown},
	}
	if !slices.Equal(s.Holes, want) {
		t.Errorf("%v\nnot\n%v", s.Holes, want)
	}
	if v := p.Rendition("video-h"); !v.Segments[1].Gap || v.Segments[1].Duration != 4*partTicks {
		t.Errorf("the segment without frames: %+v", v.Segments[1])
	}
}
