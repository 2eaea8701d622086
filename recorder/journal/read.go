package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// maxJournal is the largest journal that is read: fourteen days of five renditions
// at half a second a part are about 600 MB.
const maxJournal = 2 << 30

// Recover reads the folder of an incarnation that nobody writes, after whatever
// happened to it: what the journal tells and the volumes do not hold goes to the
// holes, and what is torn is cut off. The presentation has no part's data.
//
// It never fails because of what a crash or a power cut did, but with ErrEmpty
// when these came before the beginning was on disk. Recovering twice gives the
// same.
func Recover(dir string) (*media.Presentation, *State, error) {
	return recoverWith(context.Background(), dir, false, (*os.File).Sync)
}

// RecoverAll is Recover that reads every part that is here and holds it against its
// checksum: after it, what is announced is what was written. The journal alone cannot
// tell: it knows what the disk has acknowledged, not what it gives back. Hours of media
// take a while; when ctx ends nothing has been changed.
func RecoverAll(ctx context.Context, dir string) (*media.Presentation, *State, error) {
	return recoverWith(ctx, dir, true, (*os.File).Sync)
}

// recoverWith is Recover; tests of many folders do not wait for the disk.
func recoverWith(ctx context.Context, dir string, all bool, sync func(*os.File) error) (*media.Presentation, *State, error) {
	f, err := read(ctx, dir, all)
	if err != nil {
		return nil, nil, fmt.Errorf("recover %s: %w", dir, err)
	}
	if err := f.repair(sync); err != nil {
		return nil, nil, fmt.Errorf("recover %s: %w", dir, err)
	}
	p, holes := f.build()
	return p, f.result(holes), nil
}

// Read is Recover that changes nothing; the folder may be written meanwhile. With
// verify it reads every part that is here and holds it against its checksum.
func Read(dir string, verify bool) (*media.Presentation, *State, error) {
	f, err := read(context.Background(), dir, verify)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", dir, err)
	}
	p, holes := f.build()
	return p, f.result(holes), nil
}

// folder is an incarnation's folder as it was found.
type folder struct {
	*content
	dir   string
	size  int64 // of the journal, up to the end of the last whole record
	torn  int64
	lost  []loss
	sizes map[string]int64 // of volumes that are here, by name
}

// loss is a part that the volumes do not hold.
type loss struct {
	rendition string
	placed
}

func read(ctx context.Context, dir string, all bool) (*folder, error) {
	b, err := readJournal(filepath.Join(dir, Name))
	if err != nil {
		return nil, err
	}
	records, end, torn := scan(b)
	c, ok := fold(records)
	if !ok {
		return nil, ErrEmpty
	}
	f := &folder{content: c, dir: dir, size: end, torn: torn + int64(len(b)) - end, sizes: map[string]int64{}}
	if err := f.strangers(); err != nil {
		return nil, err
	}
	return f, f.verify(ctx, all)
}

// strangers finds folders with volumes of which the journal tells nothing any more.
func (f *folder) strangers() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !ValidName(e.Name()) || f.strands[e.Name()] != nil {
			continue
		}
		volumes, err := filepath.Glob(filepath.Join(f.dir, e.Name(), "*.cmaf"))
		if err != nil {
			return err
		}
		for _, v := range volumes {
			if info, err := os.Stat(v); err == nil && info.Size() > 0 {
				f.orphans[e.Name()]++
			}
		}
	}
	return nil
}

func readJournal(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrEmpty
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxJournal+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxJournal:
		return nil, fmt.Errorf("the journal has more than %d bytes", maxJournal)
	case len(b) < headSize:
		return nil, ErrEmpty
	}
	return b, readHead(b)
}

// readHead says whether b is a journal that can be read. A head that is damaged is
// none the less, when what follows tells so.
func readHead(b []byte) error {
	marked := string(b[:len(magic)]) == magic
	if marked && b[len(magic)] == version {
		return nil
	}
	records, _, _ := scan(b)
	if slices.ContainsFunc(records, func(r framed) bool { return r.kind == kindStart && r.number <= version }) {
		return nil
	}
	if marked {
		return fmt.Errorf("%w: it has %d, this sluice reads %d", ErrVersion, b[len(magic)], version)
	}
	return ErrEmpty
}

// verify looks whether the volumes hold the parts: the checksum of those that were
// perhaps not on disk, or of all; the size for the others.
func (f *folder) verify(ctx context.Context, all bool) error {
	elsewhere, err := Uploaded(f.dir)
	if err != nil {
		return err
	}
	v := verifier{f: f, elsewhere: elsewhere}
	defer v.close()
	for _, name := range f.order {
		s := f.strands[name]
		for i := range s.parts {
			p := &s.parts[i]
			if p.Gap || p.lost || p.MSN < f.dropped {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			ok, err := v.holds(name, p, all || p.offset >= f.synced)
			if err != nil {
				return err
			}
			if !ok {
				p.lost, p.Why = true, Damaged
				if p.offset >= f.synced {
					p.Why = Crash
				}
				f.lost = append(f.lost, loss{name, *p})
			}
		}
		for _, p := range s.settle() {
			f.lost = append(f.lost, loss{name, p})
		}
	}
	return nil
}

// verifier reads volumes one after the other.
type verifier struct {
	f         *folder
	elsewhere map[string]Upload
	name      string
	file      *os.File
	size      int64
	buf       []byte
}

func (v *verifier) close() {
	if v.file != nil {
		_ = v.file.Close() // was only read
	}
}

// open makes the volume the current one; one that is not there has size 0.
func (v *verifier) open(name string) error {
	if v.name == name {
		return nil
	}
	v.close()
	v.file, v.size, v.name = nil, 0, name
	file, err := os.Open(filepath.Join(v.f.dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		v.size = v.elsewhere[name].Size
		return nil
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return err
	}
	v.file, v.size = file, info.Size()
	v.f.sizes[name] = v.size
	return nil
}

func (v *verifier) holds(rendition string, p *placed, sum bool) (bool, error) {
	if err := v.open(VolumeName(rendition, p.extent.Volume)); err != nil {
		return false, err
	}
	if p.extent.Offset+p.extent.Size > v.size {
		return false, nil
	}
	if !sum || v.file == nil {
		return true, nil
	}
	if int64(cap(v.buf)) < p.extent.Size {
		v.buf = make([]byte, p.extent.Size)
	}
	b := v.buf[:p.extent.Size]
	if _, err := v.file.ReadAt(b, p.extent.Offset); err != nil {
		return false, nil //nolint:nilerr // what cannot be read is lost, whatever the disk says
	}
	return Checksum(b) == p.sum, nil
}

func (f *folder) result(holes []Hole) *State {
	s := f.state()
	s.Holes, s.Torn, s.Lost = holes, f.torn, len(f.lost)
	s.Damaged = f.damaged
	for _, l := range f.lost {
		if l.Why == Damaged {
			s.Damaged += l.extent.Size
		}
	}
	s.size, s.synced = f.size, f.synced
	return s
}

// repair writes down what is lost, so that later reads need not find it out again,
// and cuts off what belongs to nothing.
func (f *folder) repair(sync func(*os.File) error) error {
	file, err := os.OpenFile(filepath.Join(f.dir, Name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it is synced before
	var b []byte
	for _, l := range f.lost {
		b, err = appendFrame(b, &record{kind: kindLost, name: l.rendition, msn: l.MSN, number: uint64(l.Number), part: l.Part})
		if err != nil {
			return err
		}
	}
	if _, err := file.WriteAt(append([]byte(magic), version), 0); err != nil { // it may be damaged
		return err
	}
	if err := file.Truncate(f.size); err != nil {
		return err
	}
	if _, err := file.WriteAt(b, f.size); err != nil {
		return err
	}
	if err := sync(file); err != nil {
		return err
	}
	f.size += int64(len(b))
	return f.cut()
}

// cut shortens the volumes to what the journal tells of them, and removes those
// that it does not know.
func (f *folder) cut() error {
	ends := map[string]int64{}
	for name, s := range f.strands {
		for i := range s.parts {
			if p := &s.parts[i]; !p.Gap && !p.lost {
				v := VolumeName(name, p.extent.Volume)
				ends[v] = max(ends[v], p.extent.Offset+p.extent.Size)
			}
		}
		entries, err := os.ReadDir(filepath.Join(f.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			v := name + "/" + e.Name()
			if strings.HasSuffix(v, ".cmaf") && e.Type().IsRegular() {
				if err := f.cutVolume(v, ends[v]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *folder) cutVolume(name string, end int64) error {
	path := filepath.Join(f.dir, filepath.FromSlash(name))
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	switch {
	case info.Size()-end > maxPending: // more than a crash may leave: the journal lost what it told of it
		f.damaged += info.Size() - end
	case end == 0:
		f.torn += info.Size()
		return os.Remove(path)
	case info.Size() > end:
		f.torn += info.Size() - end
		return os.Truncate(path, end)
	}
	return nil
}
