package protect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/sluice-live/sluice/media"
)

// Why something cannot be protected.
var (
	// ErrCodec says that the codec has no common encryption here: VP9.
	ErrCodec = errors.New("protect: the codec cannot be encrypted")
	ErrTorn  = errors.New("protect: this is no CMAF")
)

// scheme is AES in CBC mode with a pattern (ISO/IEC 23001-7 section 10.4).
const scheme = "cbcs"

// Track is a rendition with one initialisation section and a key.
type Track struct {
	init []byte
	data *mp4.InitProtectData
	key  *media.ContentKey
}

// New makes the protected initialisation section of a clear one.
func New(section []byte, key *media.ContentKey) (*Track, error) {
	f, err := mp4.DecodeFile(bytes.NewReader(section))
	if err != nil || f.Init == nil || f.Init.Moov == nil || f.Init.Moov.Mvex == nil {
		return nil, fmt.Errorf("%w: initialisation section: %w", ErrTorn, err)
	}
	var boxes []*mp4.PsshBox
	for _, s := range key.Systems {
		if s.PSSH == nil {
			continue
		}
		b, err := mp4.DecodeBoxSR(0, bits.NewFixedSliceReader(s.PSSH))
		pssh, ok := b.(*mp4.PsshBox)
		if err != nil || !ok {
			return nil, fmt.Errorf("%w: the pssh box of %s: %w", ErrTorn, s.Name, err)
		}
		boxes = append(boxes, pssh)
	}
	data, err := mp4.InitProtect(f.Init, key.Secret[:], key.IV[:], scheme, mp4.UUID(key.KeyID[:]), boxes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCodec, err)
	}
	var out bytes.Buffer
	if err := f.Init.Encode(&out); err != nil {
		return nil, fmt.Errorf("write a protected initialisation section: %w", err)
	}
	return &Track{init: out.Bytes(), data: data, key: key}, nil
}

// Init is the protected initialisation section; nobody changes it.
func (t *Track) Init() []byte { return t.init }

// Sequence begins a segment. What of AV1 is encrypted follows from frames before, which
// the parts of a segment have in common; of all else a part is enough.
func (t *Track) Sequence() (*Sequence, error) {
	e, err := t.data.NewFragmentEncryptor(t.key.Secret[:], t.key.IV[:])
	if err != nil {
		return nil, fmt.Errorf("begin a protected segment: %w", err)
	}
	return &Sequence{e, t.data.Trex}, nil
}

// Sequence is one segment that is protected part by part, from its first one on.
type Sequence struct {
	e    *mp4.FragmentEncryptor
	trex *mp4.TrexBox
}

// Part returns the next part, encrypted. The clear one is left as it is. After an error
// nothing more can be had of the sequence.
func (s *Sequence) Part(part []byte) ([]byte, error) {
	head, moof, mdat, err := cut(part)
	if err != nil {
		return nil, err
	}
	first, err := mp4.DecodeBoxSR(0, bits.NewFixedSliceReader(moof))
	box, ok := first.(*mp4.MoofBox)
	if err != nil || !ok || len(box.Trafs) != 1 || len(box.Traf.Truns) != 1 || box.Traf.Tfhd == nil || !box.Traf.Trun.HasDataOffset() {
		return nil, fmt.Errorf("%w: moof: %w", ErrTorn, err)
	}
	if !within(box.Traf, s.trex, len(moof), len(mdat)) {
		return nil, fmt.Errorf("%w: samples beyond the data", ErrTorn)
	}
	fragment := mp4.NewFragment()
	fragment.AddChild(box)
	// Encrypted in place: the clear bytes are shared, and nobody may change them.
	fragment.AddChild(&mp4.MdatBox{StartPos: uint64(len(moof)), Data: slices.Clone(mdat[8:])})
	if err := s.e.EncryptFragment(fragment); err != nil {
		return nil, fmt.Errorf("encrypt a part: %w", err)
	}
	w := bits.NewFixedSliceWriter(len(head) + int(fragment.Size()))
	w.WriteBytes(head)
	if err := errors.Join(fragment.EncodeSW(w), w.AccError()); err != nil {
		return nil, fmt.Errorf("write a protected part: %w", err)
	}
	return w.Bytes(), nil
}

// within reports whether all samples lie in the mdat box right behind.
func within(traf *mp4.TrafBox, trex *mp4.TrexBox, moof, mdat int) bool {
	traf.Trun.AddSampleDefaultValues(traf.Tfhd, trex)
	sum := int64(0)
	for _, s := range traf.Trun.Samples {
		sum += int64(s.Size)
	}
	offset := int64(traf.Trun.DataOffset)
	return len(traf.Trun.Samples) > 0 && offset >= int64(moof)+8 && offset+sum <= int64(moof+mdat)
}

// Split cuts a segment into its parts: what stands before a moof box belongs to it.
func Split(segment []byte) (parts [][]byte, err error) {
	for len(segment) > 0 {
		n := 0
		for done := false; !done; {
			kind, size, err := header(segment[n:])
			if err != nil {
				return nil, err
			}
			n += size
			done = kind == "mdat"
		}
		parts = append(parts, segment[:n:n])
		segment = segment[n:]
	}
	return parts, nil
}

// cut divides a part: what stands before the moof box, that, and the mdat box.
func cut(part []byte) (head, moof, mdat []byte, err error) {
	n := 0
	for {
		kind, size, err := header(part[n:])
		if err != nil {
			return nil, nil, nil, err
		}
		if kind == "moof" {
			head, moof, part = part[:n], part[n:n+size], part[n+size:]
			break
		}
		if kind == "mdat" {
			return nil, nil, nil, ErrTorn
		}
		n += size
	}
	kind, size, err := header(part)
	if err != nil || kind != "mdat" || size != len(part) {
		return nil, nil, nil, ErrTorn
	}
	return head, moof, part, nil
}

// header reads a box header; the whole box is there.
func header(b []byte) (kind string, size int, err error) {
	if len(b) < 8 {
		return "", 0, ErrTorn
	}
	n := binary.BigEndian.Uint32(b)
	if n < 8 || uint64(n) > uint64(len(b)) {
		return "", 0, ErrTorn
	}
	return string(b[4:8]), int(n), nil
}
