package journal

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Disk is what a journal needs of a file system; tests put one that fails, fills
// up or forgets in its place.
type Disk interface {
	// OpenFile opens a file to read and write, and makes it when it is not there.
	OpenFile(path string) (File, error)
	MkdirAll(path string) error
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir puts the names in a folder on disk for good.
	SyncDir(path string) error
}

// File is an open file of a Disk.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
}

// machine is the real Disk.
type machine struct{}

// osFile is a real File.
type osFile struct{ *os.File }

// Size returns the length in bytes.
func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (machine) OpenFile(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (machine) MkdirAll(path string) error   { return os.MkdirAll(path, 0o700) }
func (machine) Rename(from, to string) error { return os.Rename(from, to) }
func (machine) Remove(path string) error     { return os.Remove(path) }

func (machine) SyncDir(path string) error {
	d, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
