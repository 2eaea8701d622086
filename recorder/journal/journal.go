package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Journal writes one incarnation. Its methods are for one goroutine, but Run,
// which is for another.
type Journal struct {
	dir    string
	start  Start
	config Config
	file   *handle
	shared shared
	tracks map[string]*track
	marked int64 // what the last synced record said
	// backlog are records that wait for the disk to work again.
	backlog []*record
	stopped bool
	dropped uint64 // what Drop named last
	live    int64  // size of the journal when it was written anew
	twice   bool   // the start was told twice
}

// track is how far a rendition is written.
type track struct {
	volume *handle // nil until a segment begins
	next   uint32  // number of the next volume
	inits  int
	msn    uint64
	begun  bool
	old    []old     // volumes that are not written any more, the oldest first
	again  []*record // to be told once more, at some distance
}

// maxAgain bounds what is told twice of a segment's time.
const maxAgain = 8

const (
	// maxPending is how many bytes may wait for a slow disk in memory; beyond it the
	// disk counts as failed. At 20 Mbit/s it is 25 s.
	maxPending = 64 << 20
	// maxBacklog is how many records may wait for a failed disk: two hours of five
	// renditions. Beyond it segment ends are not kept, which can be worked out, nor
	// captions.
	maxBacklog = 1 << 14
)

// Create begins an incarnation in a folder of its own. When it returns, the
// beginning is on disk. It is an error when the folder holds a recording.
func Create(dir string, s Start, c Config) (*Journal, error) {
	c = c.withDefaults(s)
	j := newJournal(dir, s, c)
	if err := c.Disk.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("make the recording's folder: %w", err)
	}
	if err := j.openFile(0); err != nil {
		return nil, err
	}
	err := j.writeStart()
	if err == nil {
		_, err = j.file.sync()
	}
	if err == nil {
		err = errors.Join(c.Disk.SyncDir(dir), c.Disk.SyncDir(filepath.Dir(dir)))
	}
	if err != nil {
		_ = j.file.file.Close()
		return nil, fmt.Errorf("begin the recording: %w", err)
	}
	j.shared.synced.Store(j.file.size)
	return j, nil
}

// Open goes on with an incarnation that Recover has read. Each rendition begins a
// new volume; the first segment of each must be a discontinuity.
func Open(dir string, s *State, c Config) (*Journal, error) {
	if s.Ended {
		return nil, fmt.Errorf("go on with recording %s: %w", s.Start.Incarnation, ErrEnded)
	}
	j := newJournal(dir, s.Start, c.withDefaults(s.Start))
	for name, p := range s.Renditions {
		j.tracks[name] = &track{next: p.Volume, inits: p.Inits, old: p.old}
	}
	if err := j.openFile(s.size); err != nil {
		return nil, err
	}
	j.shared.synced.Store(s.synced)
	j.marked = s.synced
	if err := j.put(&record{kind: kindResumed, at: time.Now()}); err != nil {
		_ = j.file.file.Close()
		return nil, fmt.Errorf("go on with the recording: %w", err)
	}
	return j, nil
}

func newJournal(dir string, s Start, c Config) *Journal {
	return &Journal{
		dir: dir, start: s, config: c, tracks: map[string]*track{},
		shared: shared{wake: make(chan struct{}, 1), folders: map[string]struct{}{}},
	}
}

// openFile opens the journal, which must have the given size.
func (j *Journal) openFile(size int64) error {
	path := filepath.Join(j.dir, Name)
	f, err := j.config.Disk.OpenFile(path)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	switch have, err := f.Size(); {
	case err != nil:
		_ = f.Close()
		return fmt.Errorf("open the journal: %w", err)
	case have != size:
		_ = f.Close()
		return fmt.Errorf("open the journal: %s has %d bytes, not %d; somebody else writes it", path, have, size)
	}
	j.file = &handle{path: path, file: f, size: size}
	return nil
}

func (j *Journal) writeStart() error {
	b := append([]byte(magic), version)
	b, err := appendFrame(b, &record{kind: kindStart, start: j.start})
	if err != nil {
		return err
	}
	return j.file.write(b)
}

// What is told with ErrReadOnly, parts with media apart, is kept in memory and
// written when the disk works again.

// AddRendition tells of a rendition before its first part. Its segments and
// initialisation sections are not looked at. Telling it again, with another
// bandwidth or name, is allowed.
func (j *Journal) AddRendition(r *media.Rendition) error {
	if !ValidName(r.ID) || r.Timescale == 0 {
		return fmt.Errorf("add rendition %q: the name or the timescale is not valid", r.ID)
	}
	if j.tracks[r.ID] == nil {
		j.tracks[r.ID] = &track{}
	}
	d := *r
	d.Inits, d.Segments, d.Open = nil, nil, nil
	record := &record{kind: kindRendition, rendition: &d}
	j.tracks[r.ID].remember(record)
	return j.tell(record)
}

// remember has a record told once more behind the segment: without it, damage to a few
// bytes would take all that comes after.
func (t *track) remember(r *record) {
	if r.kind == kindRendition { // the newest counts
		t.again = slices.DeleteFunc(t.again, func(r *record) bool { return r.kind == kindRendition })
	}
	if len(t.again) < maxAgain {
		t.again = append(t.again, r)
	}
}

// AddInit adds an initialisation section and returns its index. The index is
// valid, and the section is written later, also when the disk has failed.
func (j *Journal) AddInit(rendition string, i media.Init) (int, error) {
	t := j.tracks[rendition]
	if t == nil {
		return 0, unknown(rendition)
	}
	t.remember(&record{kind: kindInitAgain, name: rendition, number: uint64(t.inits), init: i})
	t.inits++
	return t.inits - 1, j.tell(&record{kind: kindInit, name: rendition, init: i})
}

// Append writes a part and returns where it is. Nobody may change data from now
// on; it is kept until it is on disk. The part may be announced when Append has
// returned. With ErrReadOnly it is not on disk, and goes to the holes.
func (j *Journal) Append(rendition string, p Part, data []byte) (media.Extent, error) {
	t := j.tracks[rendition]
	if t == nil {
		return media.Extent{}, unknown(rendition)
	}
	if p.Gap {
		t.msn, t.begun = p.MSN, true
		return media.Extent{}, j.tell(&record{kind: kindPart, name: rendition, part: p})
	}
	if err := j.writable(); err != nil {
		return media.Extent{}, err
	}
	extent, err := j.writeData(rendition, t, p.MSN, data)
	if err != nil {
		return media.Extent{}, err
	}
	r := record{kind: kindPart, name: rendition, part: p, extent: extent, sum: Checksum(data)}
	if err := j.write(&r); err != nil {
		t.volume.undo(extent.Offset) // before it is parked: then the files are Run's
		return media.Extent{}, j.park(err)
	}
	t.msn, t.begun = p.MSN, true
	return extent, nil
}

// EndSegment tells that a segment of a rendition has all its parts.
func (j *Journal) EndSegment(rendition string, msn uint64) error {
	t := j.tracks[rendition]
	if t == nil {
		return unknown(rendition)
	}
	errs := []error{j.tell(&record{kind: kindSegmentEnd, name: rendition, msn: msn})}
	if !j.twice {
		j.twice = true
		errs = append(errs, j.tell(&record{kind: kindStart, start: j.start}))
	}
	for _, r := range t.again {
		errs = append(errs, j.tell(r))
	}
	t.again = nil
	return errors.Join(errs...)
}

// Hole adds an entry to the list of what is missing: what no gap part tells, such
// as frames that were lost within a part.
func (j *Journal) Hole(h Hole) error {
	if j.tracks[h.Rendition] == nil {
		return unknown(h.Rendition)
	}
	if h.To <= h.From {
		return nil
	}
	return j.tell(&record{kind: kindHole, hole: h})
}

// Caption keeps a caption.
func (j *Journal) Caption(c Caption) error {
	return j.tell(&record{kind: kindCaption, caption: c})
}

// EpochStarted tells that another publisher session feeds the stream.
func (j *Journal) EpochStarted(e media.Epoch, at time.Time) error {
	return j.tell(&record{kind: kindEpoch, epoch: e, at: at})
}

// End ends the recording for good: Run finishes the volumes and returns.
func (j *Journal) End(at time.Time) error { return j.stop(&record{kind: kindEnd, at: at}) }

// Close ends writing, not the recording: Open may go on with it. Run finishes the
// files and returns.
func (j *Journal) Close(at time.Time) error { return j.stop(&record{kind: kindClosed, at: at}) }

func (j *Journal) stop(r *record) error {
	if j.stopped {
		return nil
	}
	err := j.tell(r)
	j.stopped = true
	for _, t := range j.tracks {
		if t.volume != nil {
			t.volume.finish()
		}
	}
	// From here on all belongs to Run, the backlog too.
	j.shared.stopping.Store(true)
	if !j.shared.mode.CompareAndSwap(ready, ended) {
		j.shared.mode.CompareAndSwap(failed, parked)
	}
	j.shared.signal()
	return err
}

// writable reports whether the disk works, and catches up with what waited.
func (j *Journal) writable() error {
	if j.stopped {
		return ErrEnded
	}
	switch j.shared.mode.Load() {
	case failed:
		j.shared.mode.CompareAndSwap(failed, parked) // Run may repair from now on
		j.shared.signal()
		return ErrReadOnly
	case parked:
		return ErrReadOnly
	case ended:
		return ErrEnded
	}
	return j.catchUp()
}

// catchUp writes what waited for the disk.
func (j *Journal) catchUp() error {
	for len(j.backlog) > 0 {
		err := j.put(j.backlog[0])
		if errors.Is(err, ErrReadOnly) {
			return err
		}
		j.backlog = j.backlog[1:] // also one that cannot be written at all: nothing behind it shall wait for that
	}
	return nil
}

// tell writes a record that must not be lost: while the disk does not work it
// waits in memory.
func (j *Journal) tell(r *record) error {
	err := j.writable()
	if err == nil {
		err = j.put(r)
	}
	if errors.Is(err, ErrReadOnly) && (len(j.backlog) < maxBacklog || r.kind != kindSegmentEnd && r.kind != kindPart && r.kind != kindCaption) {
		j.backlog = append(j.backlog, r)
	}
	return err
}

// put writes a record, and gives the files to Run when the disk does not take it.
func (j *Journal) put(r *record) error {
	err := j.write(r)
	if err != nil && !errors.Is(err, errLarge) {
		return j.park(err)
	}
	return err
}

// write writes a record, and before it how much is known to be on disk.
func (j *Journal) write(r *record) error {
	var b []byte
	var err error
	synced := j.shared.synced.Load()
	if synced > j.marked {
		b, _ = appendFrame(b, &record{kind: kindSynced, number: uint64(synced)})
	}
	if b, err = appendFrame(b, r); err != nil {
		return err
	}
	if err := j.file.write(b); err != nil {
		return err
	}
	j.marked = max(j.marked, synced)
	j.shared.written.Store(j.file.size)
	j.shared.signal()
	return nil
}

// park gives the files to Run, which repairs them.
func (j *Journal) park(err error) error {
	j.shared.blame(err)
	j.shared.mode.Store(parked)
	j.shared.signal()
	return fmt.Errorf("%w: %w", ErrReadOnly, err)
}

// writeData appends a part to its volume, beginning the next one between segments.
func (j *Journal) writeData(rendition string, t *track, msn uint64, data []byte) (media.Extent, error) {
	if j.full(t, msn) {
		if err := j.roll(rendition, t, msn); err != nil {
			return media.Extent{}, j.park(err)
		}
	}
	v := t.volume
	if v.waiting() > maxPending {
		return media.Extent{}, j.park(fmt.Errorf("write %s: the disk has not taken %d MiB yet", v.path, maxPending>>20))
	}
	extent := media.Extent{Volume: v.volume.Number, Offset: v.size, Size: int64(len(data))}
	if err := v.write(data); err != nil {
		return media.Extent{}, j.park(err)
	}
	return extent, nil
}

// full reports whether the part of segment msn begins another volume.
func (j *Journal) full(t *track, msn uint64) bool {
	v := t.volume
	switch {
	case v == nil:
		return true
	case t.begun && t.msn == msn: // parts of a segment stay together
		return false
	}
	return msn-v.first >= uint64(j.config.Segments) || v.size >= j.config.Bytes
}

func (j *Journal) roll(rendition string, t *track, msn uint64) error {
	path := VolumePath(j.dir, rendition, t.next)
	folder := filepath.Dir(path)
	if err := j.config.Disk.MkdirAll(folder); err != nil {
		return err
	}
	f, err := j.config.Disk.OpenFile(path)
	if err != nil {
		return err
	}
	h := &handle{path: path, file: f, first: msn, volume: Volume{Rendition: rendition, Number: t.next}}
	if err := f.Truncate(0); err != nil { // what a crash left of one that the journal never named
		_ = f.Close()
		return err
	}
	if t.volume != nil {
		t.volume.finish()
		t.old = append(t.old, old{t.volume.volume.Number, t.msn})
	}
	j.shared.add(h, folder, j.dir)
	t.volume = h
	t.next++
	return nil
}

func unknown(rendition string) error {
	return fmt.Errorf("write the journal: there is no rendition %q", rendition)
}

// Dir is the incarnation's folder.
func (j *Journal) Dir() string { return j.dir }

// Renditions returns the names that were added, sorted.
func (j *Journal) Renditions() []string {
	names := make([]string, 0, len(j.tracks))
	for name := range j.tracks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
