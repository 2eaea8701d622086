package journal

import (
	"os"

	"github.com/sluice-live/sluice/media"
)

// RecoverUnsynced is Recover without waiting for the disk.
func RecoverUnsynced(dir string) (*media.Presentation, *State, error) {
	return recoverWith(dir, func(*os.File) error { return nil })
}

// Unsynced is the machine's disk, which is not waited for.
type Unsynced struct{ machine }

// OpenFile opens a file whose Sync does nothing.
func (d Unsynced) OpenFile(path string) (File, error) {
	f, err := d.machine.OpenFile(path)
	return unsynced{f}, err
}

// SyncDir does nothing.
func (Unsynced) SyncDir(string) error { return nil }

type unsynced struct{ File }

func (unsynced) Sync() error { return nil }

// Compacting is a config whose journal is written anew from a size on.
func Compacting(c Config, size int64) Config {
	c.compact = size
	return c
}
