// Package claims gives out epochs on one machine: who publishes a stream gets a
// number that is higher than every number given before.
//
// It promises that this holds across restarts, kill -9 and power loss, and that
// a claim costs no disk access but one in a thousand. A cluster puts something
// else behind the same two methods; cmd owns it and passes it to sfu.
package claims

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sluice-live/sluice/media"
)

// block is how many epochs are reserved on disk at once. A crash skips at most
// so many, of 2^64.
const block = 1000

// fileSize is the reservation and its checksum.
const fileSize = 12

// Claims is the one-machine registry of epochs. One counter serves all streams:
// rising over all, it rises for each, and needs no memory per stream. It is
// safe for concurrent use.
type Claims struct {
	path string
	// turn holds the state: who took it out owns it, and waiting for it ends with
	// the caller's context, also while another one waits for the disk.
	turn chan state
}

type state struct {
	last     media.Epoch // the newest that was given out
	reserved media.Epoch // on disk: nothing above it was ever given out
}

// Open reads the reservation in dir, or begins at 1 when there is none. Epochs
// that were reserved but not given out before a crash are skipped.
func Open(dir string) (*Claims, error) {
	c := &Claims{path: filepath.Join(dir, "epochs"), turn: make(chan state, 1)}
	reserved, err := read(c.path)
	if err != nil {
		return nil, fmt.Errorf("read epochs %s: %w", c.path, err)
	}
	c.turn <- state{last: reserved, reserved: reserved}
	return c, nil
}

// Claim returns an epoch above all that were returned before, for any stream.
// It fails when ctx is done, or when the next block cannot be put on disk; then
// no number is lost.
func (c *Claims) Claim(ctx context.Context, id media.StreamID) (media.Epoch, error) {
	if err := ctx.Err(); err != nil { // select would take either of two ready cases
		return 0, fmt.Errorf("claim stream %s: %w", id, err)
	}
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("claim stream %s: %w", id, ctx.Err())
	case s := <-c.turn:
		if s.last == s.reserved {
			if err := write(c.path, s.reserved+block); err != nil {
				c.turn <- s
				return 0, fmt.Errorf("claim stream %s: reserve epochs: %w", id, err)
			}
			s.reserved += block
		}
		s.last++
		c.turn <- s
		return s.last, nil
	}
}

// Release ends a claim. On one machine nobody waits for it; a cluster lets the
// next node claim at once.
func (c *Claims) Release(media.StreamID, media.Epoch) {}

var errDamaged = errors.New("the file is damaged; restore it, or remove it if this node's recordings and neighbours are gone too")

func read(path string) (media.Epoch, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(b) != fileSize || crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]) {
		return 0, errDamaged
	}
	return media.Epoch(binary.BigEndian.Uint64(b)), nil
}

// write puts the reservation on disk for good: the new file's content first,
// then its name, then the directory that holds the name.
func write(path string, reserved media.Epoch) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(reserved))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	next := path + ".new"
	if err := writeSynced(next, b); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
