package journal

import (
	"context"
	"encoding/binary"
	"os"

	"github.com/sluice-live/sluice/media"
)

// RecoverUnsynced is Recover without waiting for the disk.
func RecoverUnsynced(dir string) (*media.Presentation, *State, error) {
	return recoverWith(context.Background(), dir, false, func(*os.File) error { return nil })
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

// Frame frames a record's kind and payload, so that a fuzz test reaches what lies
// behind the checksum.
func Frame(b, body []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = binary.LittleEndian.AppendUint32(b, Checksum(body))
	return append(b, body...)
}

// Bodies returns kinds and payloads of a journal's records.
func Bodies(b []byte) (bodies [][]byte) {
	records, _, _ := scan(b)
	for _, r := range records {
		_, n, _ := readFrame(b[r.offset:])
		bodies = append(bodies, b[r.offset+frameSize:r.offset+int64(n)])
	}
	return bodies
}

// Parse reads a journal without volumes.
func Parse(b []byte) (*media.Presentation, *State, bool) {
	records, _, _ := scan(b)
	c, ok := fold(records)
	if !ok {
		return nil, nil, false
	}
	for _, s := range c.strands {
		s.settle()
	}
	p, holes := c.build()
	s := c.state()
	s.Holes = holes
	return p, s, true
}

// RecoverAllUnsynced is RecoverAll without waiting for the disk.
func RecoverAllUnsynced(dir string) (*media.Presentation, *State, error) {
	return recoverWith(context.Background(), dir, true, func(*os.File) error { return nil })
}
