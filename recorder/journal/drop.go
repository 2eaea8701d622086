package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Drop forgets all segments below a number: the window of a stream that is not
// recorded has a bounded size on disk. Volumes that hold nothing else are deleted.
// The journal itself is written anew when half of it tells of what is gone, which
// waits for the disk, once in the time of a window.
//
// removed is how many discontinuities there were below before, in all
// (media.Rendition.Removed). What the call before this one named is deleted: that
// was told to the disk before.
func (j *Journal) Drop(before, removed uint64) error {
	if err := j.tell(&record{kind: kindDropped, msn: before, number: removed}); err != nil {
		return err
	}
	var errs []error
	for name, t := range j.tracks {
		for len(t.old) > 0 && t.old[0].last < j.dropped {
			path := VolumePath(j.dir, name, t.old[0].number)
			if err := j.config.Disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
				break
			}
			t.old = t.old[1:]
		}
	}
	j.dropped = max(j.dropped, before)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete old volumes: %w", err)
	}
	if j.file.size < j.config.compact || j.file.size < 2*j.live || !j.shared.busy.CompareAndSwap(false, true) {
		return nil // Run is at the files: the next call finds it elsewhere
	}
	defer j.shared.busy.Store(false)
	if err := j.compact(before); err != nil {
		return fmt.Errorf("write the journal anew: %w", err)
	}
	return nil
}

// compactFrom is the size below which a journal is not written anew: about an hour
// of two renditions.
const compactFrom = 1 << 20

// old is a volume that is not written any more.
type old struct {
	number uint32
	last   uint64 // its last segment
}

// compact replaces the journal by one without what is gone. A crash leaves the old
// one or the new one.
func (j *Journal) compact(before uint64) error {
	b, err := readJournal(j.file.path)
	if err != nil {
		return err
	}
	next, mark, err := compacted(b, before, j.shared.synced.Load())
	if err != nil {
		return err
	}
	path := filepath.Join(j.dir, Name+".new")
	f, err := j.config.Disk.OpenFile(path)
	if err != nil {
		return err
	}
	h := &handle{path: j.file.path, file: f}
	err = errors.Join(f.Truncate(0), h.write(next))
	if err == nil {
		_, err = h.sync()
	}
	if err == nil {
		err = j.config.Disk.Rename(path, j.file.path)
	}
	if err != nil {
		_ = f.Close()
		_ = j.config.Disk.Remove(path)
		return err
	}
	_ = j.file.file.Close() // nobody reads it any more
	j.file, j.live, j.marked = h, h.size, mark
	j.shared.synced.Store(mark)
	j.shared.written.Store(h.size)
	j.shared.rename(j.dir)
	return nil
}

// compacted returns a journal without what lies below before, and the offset up to
// which the data that it names is on disk; it says so itself too.
func compacted(b []byte, before uint64, synced int64) (out []byte, mark int64, err error) {
	records, _, _ := scan(b)
	out = append(append(out, magic...), version)
	oldest := begins(records, before)
	var dropped *record
	for i := range records {
		r := &records[i].record
		if records[i].offset < synced {
			mark = int64(len(out)) // of the last one that is on disk
		}
		switch r.kind {
		case kindSynced:
			continue
		case kindDropped:
			dropped = r
			continue
		case kindPart:
			if r.part.MSN < before {
				continue
			}
		case kindSegmentEnd, kindLost:
			if r.msn < before {
				continue
			}
		case kindCaption:
			if r.caption.End.Before(oldest) {
				continue
			}
		}
		if out, err = appendFrame(out, r); err != nil {
			return nil, 0, err
		}
	}
	if dropped != nil {
		out, err = appendFrame(out, dropped)
	}
	if err == nil {
		out, err = appendFrame(out, &record{kind: kindSynced, number: uint64(mark)})
	}
	return out, mark, err
}

// begins returns when the segments from before on begin; zero when there is none.
func begins(records []framed, before uint64) (oldest time.Time) {
	var start time.Time
	described := map[string]*media.Rendition{}
	for i := range records {
		switch r := &records[i].record; {
		case r.kind == kindStart:
			start = r.start.Start
		case r.kind == kindRendition:
			described[r.rendition.ID] = r.rendition
		case r.kind == kindPart && r.part.MSN >= before && described[r.name] != nil:
			if at := start.Add(described[r.name].Time(r.part.Start)); oldest.IsZero() || at.Before(oldest) {
				oldest = at
			}
		}
	}
	return oldest
}
