// Package upload takes large files in parts, in any order, again and again. It
// promises that a part which was acknowledged survives whatever happens to the
// process, and that a URL lets in exactly the part that it was signed for. A Store
// owns its folder; any goroutine may call it.
package upload

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// The errors of uploads.
var (
	ErrNotFound  = errors.New("there is no such upload")
	ErrTooLarge  = errors.New("the file is too large")
	ErrNoSpace   = errors.New("the server's disk has no room for the file")
	ErrBusy      = errors.New("as many uploads as may be are open")
	ErrShare     = errors.New("you have as many uploads open as may be; finish or delete one")
	ErrPart      = errors.New("there is no such part")
	ErrSize      = errors.New("the part has not the size that it should have")
	ErrChecksum  = errors.New("the part arrived damaged")
	ErrTaken     = errors.New("the part is being uploaded by another request")
	ErrMissing   = errors.New("parts are missing")
	ErrSignature = errors.New("the URL was not signed here for this, or was changed")
	ErrExpired   = errors.New("the URL has expired; ask for the upload to get new ones")
)

// Config says where and how much.
type Config struct {
	Dir      string
	MaxSize  int64         // bytes of a file
	PartSize int64         // bytes; larger for files that would have more than maxParts
	Reserve  int64         // bytes of the disk that stay free
	Active   int           // open uploads; one owner has a quarter of them at most, and two at least
	URLs     time.Duration // how long a signed URL lets in
}

// maxParts keeps the list of URLs at about 200 KB.
const maxParts = 1000

// Info is what is known of an upload from its start.
type Info struct {
	ID      string    `json:"id"`
	Stream  string    `json:"stream"`
	Name    string    `json:"name"` // of the file, for people
	Type    string    `json:"type"` // media type
	Title   string    `json:"title"`
	Size    int64     `json:"size"`      // bytes
	Part    int64     `json:"part_size"` // bytes of each part but the last
	Created time.Time `json:"created"`
	// Owner has the upload's place: who may not have all of them. It is not for others.
	Owner string `json:"owner,omitempty"`
}

// Parts is how many there are; they are numbered from 1.
func (i Info) Parts() int { return int((i.Size + i.Part - 1) / i.Part) }

// PartSize is how many bytes a part has.
func (i Info) PartSize(n int) int64 { return min(i.Part, i.Size-int64(n-1)*i.Part) }

// Part is one that is there.
type Part struct {
	Number int    `json:"number"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hex
}

// Store is a folder of uploads.
type Store struct {
	cfg  Config
	key  []byte
	sync func(*os.File) error // of tests: another

	mu   sync.Mutex // guards what follows; never held while the disk works
	open map[string]*state
}

// state is what memory knows of an upload. Who holds it has files of its folder open
// or makes some: the folder goes when the last one has let go.
type state struct {
	info    Info
	parts   map[int]Part
	writing map[int]bool
	last    time.Time
	done    bool          // completed: nothing may be written any more
	opening bool          // its folder is being made: only its place counts yet
	closing chan struct{} // not nil while it is completed; closed then
	holders int
	gone    bool // removed: nobody finds it any more
}

func newState(i Info) *state {
	return &state{info: i, parts: make(map[int]Part), writing: make(map[int]bool), last: i.Created}
}

// find returns an upload that is there. Under the lock.
func (s *Store) find(id string) (*state, error) {
	if u := s.open[id]; u != nil && !u.opening {
		return u, nil
	}
	return nil, ErrNotFound
}

// Names in an upload's folder.
const (
	infoName = "upload.json"
	dataName = "data"
	listName = "parts" // one line of JSON per part, synced after the data
	doneName = "complete"
	keyName  = "key"
)

// rewritten is the size in the list of a part whose bytes are about to change.
const rewritten = -1

// Open reads what a folder holds.
func Open(cfg Config) (*Store, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open uploads: %w", err)
	}
	s := &Store{cfg: cfg, open: make(map[string]*state), sync: (*os.File).Sync}
	var err error
	if s.key, err = readKey(filepath.Join(cfg.Dir, keyName)); err != nil {
		return nil, fmt.Errorf("open uploads: %w", err)
	}
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open uploads: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		u, err := s.load(e.Name())
		if errors.Is(err, ErrNotFound) { // it was never acknowledged
			err = os.RemoveAll(filepath.Join(cfg.Dir, e.Name()))
		} else if err == nil {
			s.open[u.info.ID] = u
		}
		if err != nil {
			return nil, fmt.Errorf("open upload %q: %w", e.Name(), err)
		}
	}
	return s, nil
}

// readKey reads the secret that URLs are signed with, or makes it.
func readKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err == nil && len(key) == sha256.Size {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key = make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return key, writeSynced(path, key, (*os.File).Sync)
}

func (s *Store) load(id string) (*state, error) {
	dir := filepath.Join(s.cfg.Dir, id)
	b, err := os.ReadFile(filepath.Join(dir, infoName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	u := newState(Info{})
	if err := json.Unmarshal(b, &u.info); err != nil || u.info.ID != id || u.info.Part < 1 {
		return nil, ErrNotFound
	}
	list, err := os.ReadFile(filepath.Join(dir, listName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(list))
	for lines.Scan() { // a torn line was not acknowledged
		var p Part
		switch {
		case json.Unmarshal(lines.Bytes(), &p) != nil || p.Number < 1 || p.Number > u.info.Parts():
		case p.Size == u.info.PartSize(p.Number):
			u.parts[p.Number] = p
		case p.Size == rewritten:
			delete(u.parts, p.Number)
		}
	}
	u.last = u.info.Created
	if at, err := os.Stat(filepath.Join(dir, listName)); err == nil {
		u.last = at.ModTime()
	}
	_, err = os.Stat(filepath.Join(dir, doneName))
	u.done = err == nil
	return u, nil
}

// Free is how many bytes the disk of a folder has left for us.
func Free(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil // disks have fewer than 2^63 bytes
}

// Upload returns what is known of an upload, the parts that are there, and whether
// it is complete.
func (s *Store) Upload(id string) (Info, []Part, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := s.find(id)
	if err != nil {
		return Info{}, nil, false, err
	}
	parts := make([]Part, 0, len(u.parts))
	for _, p := range u.parts {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b Part) int { return a.Number - b.Number })
	return u.info, parts, u.done, nil
}

// Write takes the bytes of a part. When it returns without an error they are on
// disk. sum is the SHA-256 that they should have; nil is not checked.
func (s *Store) Write(id string, n int, r io.Reader, sum []byte) (Part, error) {
	u, err := s.begin(id, n)
	if err != nil {
		return Part{}, err
	}
	p, err := s.write(u, n, r, sum)
	err = s.release(u, func() error {
		delete(u.writing, n)
		switch {
		case u.gone:
			return ErrNotFound
		case err == nil:
			u.parts[n], u.last = p, time.Now()
		}
		return err
	})
	if err != nil {
		return Part{}, err
	}
	return p, nil
}

// begin reserves a part for one writer.
func (s *Store) begin(id string, n int) (*state, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := s.find(id)
	switch {
	case err != nil:
		return nil, err
	case n < 1 || n > u.info.Parts():
		return nil, fmt.Errorf("%w: they are numbered from 1 to %d", ErrPart, u.info.Parts())
	case u.done || u.closing != nil:
		return nil, fmt.Errorf("%w: the upload is complete", ErrTaken)
	case u.writing[n]:
		return nil, ErrTaken
	}
	// A part that is written again does not count while it is: its bytes are neither
	// the old nor the new ones.
	u.writing[n] = true
	u.holders++
	return u, nil
}

func (s *Store) write(u *state, n int, r io.Reader, sum []byte) (Part, error) {
	i := u.info
	dir := filepath.Join(s.cfg.Dir, i.ID)
	size := i.PartSize(n)
	if err := s.forget(u, n); err != nil {
		return Part{}, err
	}
	f, err := os.OpenFile(filepath.Join(dir, dataName), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return Part{}, fmt.Errorf("write a part: %w", err)
	}
	digest := sha256.New()
	err = copyPart(io.NewOffsetWriter(f, int64(n-1)*i.Part), digest, r, size)
	if err == nil && sum != nil && !bytes.Equal(sum, digest.Sum(nil)) {
		err = ErrChecksum
	}
	if err == nil {
		err = s.sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return Part{}, err
	}
	p := Part{Number: n, Size: size, SHA256: hex.EncodeToString(digest.Sum(nil))}
	return p, s.note(dir, p)
}

// copyPart copies exactly size bytes.
func copyPart(to io.Writer, digest hash.Hash, r io.Reader, size int64) error {
	n, err := io.Copy(io.MultiWriter(to, digest), io.LimitReader(r, size))
	if err != nil {
		return fmt.Errorf("write a part: %w", err)
	}
	var more [1]byte
	if extra, _ := io.ReadFull(r, more[:]); n != size || extra > 0 {
		return fmt.Errorf("%w: %d bytes", ErrSize, size)
	}
	return nil
}

// forget takes a part off the list, on disk too, before its bytes change.
func (s *Store) forget(u *state, n int) error {
	s.mu.Lock()
	_, there := u.parts[n]
	delete(u.parts, n)
	s.mu.Unlock()
	if !there {
		return nil
	}
	return s.note(filepath.Join(s.cfg.Dir, u.info.ID), Part{Number: n, Size: rewritten})
}

// note appends a line to the list and waits for the disk.
func (s *Store) note(dir string, p Part) error {
	line, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("note a part: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, listName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("note a part: %w", err)
	}
	// A line of its own, whatever a crash left of the one before.
	_, err = f.Write(append(append([]byte{'\n'}, line...), '\n'))
	if err = errors.Join(err, s.sync(f), f.Close(), syncDir(dir)); err != nil {
		return fmt.Errorf("note a part: %w", err)
	}
	return nil
}

// Path is the file of a complete upload.
func (s *Store) Path(id string) string { return filepath.Join(s.cfg.Dir, id, dataName) }

// writeSynced writes a small file whole or not at all.
func writeSynced(path string, b []byte, sync func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, sync(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
