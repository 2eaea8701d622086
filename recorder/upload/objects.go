package upload

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // a checksum against accidents, for comparing with S3's own
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

const (
	manifestName = "manifest.json"
	// CompleteName is a file in the folder of a recording that is whole in the store.
	CompleteName = "complete"
	// maxManifest bounds what is read: fourteen days of five renditions are 300 MB.
	maxManifest = 512 << 20
)

var errDiffers = errors.New("the store holds other bytes than were sent")

// sums computes a stream's length and checksums.
type sums struct {
	size int64
	crc  hash.Hash32
	md5  hash.Hash
}

func newSums() *sums {
	return &sums{crc: crc32.New(crc32.MakeTable(crc32.Castagnoli)), md5: md5.New()} //nolint:gosec // see the import
}

// Write adds bytes.
func (s *sums) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	_, _ = s.crc.Write(b) // never fails
	_, _ = s.md5.Write(b)
	return len(b), nil
}

// volume uploads a volume, reads it back, and writes down that it is there.
func (u *Uploader) volume(ctx context.Context, r Recording, v journal.Volume) (sent int64, err error) {
	have, err := journal.Uploaded(r.Dir)
	if err != nil {
		return 0, err
	}
	name := journal.VolumeName(v.Rendition, v.Number)
	if _, ok := have[name]; ok {
		return 0, nil
	}
	sum, err := u.send(ctx, r.Prefix()+"/"+name, journal.VolumePath(r.Dir, v.Rendition, v.Number))
	if err != nil {
		return 0, err
	}
	err = journal.MarkUploaded(r.Dir, journal.Upload{
		Rendition: v.Rendition, Volume: v.Number, Size: sum.size,
		CRC32C: sum.crc.Sum32(), MD5: hex.EncodeToString(sum.md5.Sum(nil)),
	})
	if errors.Is(err, os.ErrNotExist) {
		// Deleted while this was on its way: who deletes has perhaps looked already.
		err = errors.Join(err, u.c.Blobs.Delete(ctx, r.Prefix()+"/"+name))
	}
	return sum.size, err
}

// rest uploads the volumes that nobody told of: those of before a restart.
func (u *Uploader) rest(ctx context.Context, r Recording) error {
	volumes, err := left(r.Dir)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if _, err := u.volume(ctx, r, v); err != nil {
			return err
		}
	}
	return nil
}

// send uploads a file and reads it back.
func (u *Uploader) send(ctx context.Context, key, path string) (*sums, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return u.put(ctx, key, f, info.Size())
}

func (u *Uploader) put(ctx context.Context, key string, r io.Reader, size int64) (*sums, error) {
	sent := newSums()
	if err := u.c.Blobs.Put(ctx, key, io.TeeReader(r, sent), size); err != nil {
		return nil, err
	}
	back, err := u.c.Blobs.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("read %s back: %w", key, err)
	}
	defer back.Close()
	got := newSums()
	if _, err := io.Copy(got, back); err != nil {
		return nil, fmt.Errorf("read %s back: %w", key, err)
	}
	if got.size != sent.size || sent.size != size || got.crc.Sum32() != sent.crc.Sum32() || !bytes.Equal(got.md5.Sum(nil), sent.md5.Sum(nil)) {
		return nil, fmt.Errorf("%w: %s has %d bytes, CRC32C %08x; sent were %d, %08x", errDiffers, key, got.size, got.crc.Sum32(), sent.size, sent.crc.Sum32())
	}
	return sent, nil
}

// finish uploads what is left, the journal and, last of all, the manifest.
func (u *Uploader) finish(ctx context.Context, r Recording) error {
	if Complete(r.Dir) {
		return nil // before a restart
	}
	if err := u.rest(ctx, r); err != nil {
		return err
	}
	p, s, err := journal.Read(r.Dir, false)
	if err != nil {
		return err
	}
	have, err := journal.Uploaded(r.Dir)
	if err != nil {
		return err
	}
	if err := allThere(p, have); err != nil {
		return err
	}
	if _, err := u.send(ctx, r.Prefix()+"/"+journal.Name, filepath.Join(r.Dir, journal.Name)); err != nil {
		return err
	}
	m := journal.MakeManifest(p, s, have)
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	if _, err := u.put(ctx, r.Prefix()+"/"+manifestName, bytes.NewReader(text), int64(len(text))); err != nil {
		return err
	}
	if u.c.Done != nil {
		err = u.c.Done(ctx, r, m)
	}
	if errors.Is(err, media.ErrNotFound) {
		err = u.withdraw(ctx, r, have)
	}
	if err != nil {
		return err
	}
	return mark(filepath.Join(r.Dir, CompleteName), r.Prefix())
}

// withdraw deletes what nobody wants any more, the manifest first.
func (u *Uploader) withdraw(ctx context.Context, r Recording, have map[string]journal.Upload) error {
	names := []string{manifestName, journal.Name}
	for name := range have {
		names = append(names, name)
	}
	for _, name := range names {
		if err := u.c.Blobs.Delete(ctx, r.Prefix()+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

// allThere checks that each volume that a segment lies in is in the store: a
// manifest never names what is not there.
func allThere(p *media.Presentation, have map[string]journal.Upload) error {
	for _, r := range p.Renditions {
		for _, s := range r.Segments {
			name := journal.VolumeName(r.ID, s.Extent.Volume)
			if !s.Gap && have[name].Size < s.Extent.Offset+s.Extent.Size {
				return fmt.Errorf("the store does not have %s whole", name)
			}
		}
	}
	return nil
}

// mark writes a small file for good.
func mark(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// removeRecording removes the folder of a recording that is whole in the store. What
// says that it is goes last, so that a crash in between is no loss.
func removeRecording(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != CompleteName {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(dir)
}

// Complete reports whether the folder's recording is whole in the store.
func Complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, CompleteName))
	return err == nil
}

// LoadManifest reads the manifest of a recording that is in a store.
func LoadManifest(ctx context.Context, b Blobs, prefix string) (*journal.Manifest, error) {
	r, err := b.Open(ctx, prefix+"/"+manifestName, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("read the manifest of %s: %w", prefix, err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return nil, fmt.Errorf("read the manifest of %s: %w", prefix, err)
	}
	m := new(journal.Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("read the manifest of %s: %w", prefix, err)
	}
	if m.Presentation == nil {
		return nil, fmt.Errorf("read the manifest of %s: there is no presentation in it", prefix)
	}
	return m, nil
}

// Open reads bytes of a rendition: from the folder as long as they are there, then
// from the store. A store that is nil has nothing; dir may be empty.
func Open(ctx context.Context, b Blobs, r Recording, rendition string, e media.Extent) (io.ReadCloser, error) {
	if !journal.ValidName(rendition) || e.Offset < 0 || e.Size < 0 {
		return nil, media.ErrNotFound
	}
	if r.Dir != "" {
		f, err := os.Open(journal.VolumePath(r.Dir, rendition, e.Volume))
		if err == nil {
			return section{io.NewSectionReader(f, e.Offset, e.Size), f}, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read %s of %s: %w", rendition, r.Incarnation, err)
		}
	}
	if b == nil {
		return nil, media.ErrNotFound
	}
	return b.Open(ctx, r.Prefix()+"/"+journal.VolumeName(rendition, e.Volume), e.Offset, e.Size)
}

// section is a run of a file's bytes.
type section struct {
	*io.SectionReader
	io.Closer
}
