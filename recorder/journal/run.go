package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Run syncs what is written, at most Config.Sync late, and repairs after the disk
// has failed. It returns when the caller has ended or closed the journal and all
// is on disk, or when ctx is done: then it syncs once more and closes the files.
// The caller stops writing before ctx is done.
func (j *Journal) Run(ctx context.Context) error {
	defer j.closeFiles()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return j.last()
		case <-j.shared.wake:
		}
		// Others join the group for half the time; the disk has the other half.
		wait := j.config.Sync / 2
		if j.shared.mode.Load() == ended {
			wait = 0
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return j.last()
		case <-timer.C:
		}
		done, err := j.turn(ctx)
		if done || err != nil {
			return err
		}
	}
}

// turn does what the mode asks for.
func (j *Journal) turn(ctx context.Context) (done bool, err error) {
	if !j.shared.busy.CompareAndSwap(false, true) {
		j.shared.signal() // the journal is being written anew: the next turn syncs
		return false, nil
	}
	defer j.shared.busy.Store(false)
	mode := j.shared.mode.Load()
	if mode == ready || mode == ended {
		var err error
		if mode == ended {
			err = j.catchUp() // the caller is gone: what waited in memory is ours
		}
		if err == nil {
			err = j.syncAll()
		}
		if err == nil && mode == ended {
			err = j.seal()
		}
		if err == nil {
			return mode == ended, nil
		}
		j.shared.blame(err)
		if !j.shared.mode.CompareAndSwap(ready, failed) {
			j.shared.mode.Store(parked) // the caller has let go of the files
		}
	}
	return false, j.repair(ctx)
}

// repair tells that the disk failed, and tries until it works.
func (j *Journal) repair(ctx context.Context) error {
	cause := j.shared.why()
	if j.config.Failed != nil {
		j.config.Failed(cause)
	}
	ticker := time.NewTicker(j.config.Retry)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("keep the recording %s: %w", j.start.Incarnation, cause)
		case <-ticker.C:
		}
		// Until it is parked, the caller may still be writing.
		if j.shared.mode.Load() != parked || j.revive() != nil {
			continue // that was told once
		}
		j.shared.cause.Store(nil)
		j.resume()
		if j.config.Revived != nil {
			j.config.Revived()
		}
		return nil
	}
}

// resume lets the caller write again, or goes on with ending.
func (j *Journal) resume() {
	j.shared.mode.Store(ready)
	if j.shared.stopping.Load() { // after the store: the caller looks the other way round
		j.shared.mode.CompareAndSwap(ready, ended)
	}
	j.shared.signal()
}

// seal says that all is on disk: what is found damaged later was damaged later.
func (j *Journal) seal() error {
	b, err := appendFrame(nil, &record{kind: kindSynced, number: uint64(j.file.size)})
	if err == nil {
		err = j.file.write(b)
	}
	if err == nil {
		_, err = j.file.sync()
	}
	return err
}

// revive writes again what the disk may not have taken. It runs while the caller
// keeps off the files.
func (j *Journal) revive() error {
	if err := j.probe(); err != nil {
		return err
	}
	handles, folders := j.shared.open()
	for _, h := range handles {
		if err := h.rewrite(); err != nil {
			return err
		}
	}
	for _, f := range folders {
		if err := j.config.Disk.SyncDir(f); err != nil {
			return err
		}
	}
	return j.file.rewrite()
}

// probeSize is what has to fit before a disk counts as not full: some seconds of
// video. Less, and it would fail again at once.
const probeSize = 4 << 20

// probe writes and removes a file.
func (j *Journal) probe() error {
	path := filepath.Join(j.dir, Name+".probe")
	f, err := j.config.Disk.OpenFile(path)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, probeSize), 0)
	return errors.Join(err, f.Sync(), f.Close(), j.config.Disk.Remove(path))
}

// syncAll puts on disk all that was written when it began: first data, then names,
// then the journal that tells of them.
func (j *Journal) syncAll() error {
	length := j.shared.written.Load()
	handles, folders := j.shared.open()
	var done []*handle
	for _, h := range handles {
		whole, err := h.sync()
		if err != nil {
			return fmt.Errorf("sync %s: %w", h.path, err)
		}
		if whole {
			done = append(done, h)
		}
	}
	for _, f := range folders {
		if err := j.config.Disk.SyncDir(f); err != nil {
			return fmt.Errorf("sync %s: %w", f, err)
		}
	}
	if _, err := j.file.sync(); err != nil {
		return fmt.Errorf("sync %s: %w", j.file.path, err)
	}
	if length > j.shared.synced.Load() {
		j.shared.synced.Store(length)
	}
	j.shared.remove(done, folders)
	for _, h := range done {
		j.finish(h)
	}
	return nil
}

// finish closes a volume that is whole and on disk.
func (j *Journal) finish(h *handle) {
	_ = h.file.Close() // it is synced: nothing can be lost any more
	h.volume.Size = h.size
	if j.config.Finished != nil {
		j.config.Finished(h.volume)
	}
}

// last syncs for the last time.
func (j *Journal) last() error {
	if !j.shared.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("keep the recording %s: it is still being written", j.start.Incarnation)
	}
	defer j.shared.busy.Store(false)
	mode := j.shared.mode.Load()
	if mode == failed || mode == parked {
		return fmt.Errorf("keep the recording %s: %w", j.start.Incarnation, j.shared.why())
	}
	if err := j.syncAll(); err != nil {
		return fmt.Errorf("keep the recording %s: %w", j.start.Incarnation, err)
	}
	return nil
}

func (j *Journal) closeFiles() {
	j.shared.mode.Store(ended)
	handles, _ := j.shared.open()
	var errs []error
	for _, h := range handles {
		errs = append(errs, h.file.Close())
	}
	_ = errors.Join(append(errs, j.file.file.Close())...) // synced, or known to be lost
}
