// Package fragment reads fragmented MP4 (ISO/IEC 14496-12) of one track: where
// fragments begin, how long they are, which picture comes first. It changes only
// decode times. It is a kernel; whoever holds a Reader owns it.
package fragment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrBad means that the bytes are not what they should be.
var ErrBad = errors.New("this is no fragmented MP4 of one track")

// MaxBox bounds a box that is read into memory, in bytes: 10 s at 160 Mbit/s.
const MaxBox = 200 << 20

const header = 8

// boxAt returns the kind and the size of the box that begins with b, and how long
// its header is.
func boxAt(b []byte) (kind string, size uint64, head int, err error) {
	if len(b) < header {
		return "", 0, 0, io.ErrUnexpectedEOF
	}
	size, head = uint64(binary.BigEndian.Uint32(b)), header
	if size == 1 {
		if len(b) < 16 {
			return "", 0, 0, io.ErrUnexpectedEOF
		}
		size, head = binary.BigEndian.Uint64(b[8:]), 16
	}
	if size < uint64(head) {
		return "", 0, 0, fmt.Errorf("%w: a box of %d bytes", ErrBad, size)
	}
	return string(b[4:8]), size, head, nil
}

// children calls fn with each box inside b; fn gets the payload.
func children(b []byte, fn func(kind string, payload []byte) error) error {
	for len(b) > 0 {
		kind, size, head, err := boxAt(b)
		if err != nil || size > uint64(len(b)) {
			return fmt.Errorf("%w: a box is cut off", ErrBad)
		}
		if err := fn(kind, b[head:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// find descends along a path of boxes, the first of each kind.
func find(b []byte, path ...string) (payload []byte, ok bool) {
	for _, want := range path {
		ok = false
		err := children(b, func(kind string, p []byte) error {
			if kind == want && !ok {
				b, ok = p, true
			}
			return nil
		})
		if !ok || (err != nil && !ok) {
			return nil, false
		}
	}
	return b, true
}

// Reader reads the boxes of a stream one after the other.
type Reader struct{ r io.Reader }

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{r} }

// Next returns the next box, header included; io.EOF behind the last one.
func (r *Reader) Next() (kind string, box []byte, err error) {
	box = make([]byte, header, 4096)
	if _, err := io.ReadFull(r.r, box); err != nil {
		return "", nil, err
	}
	if binary.BigEndian.Uint32(box) == 1 {
		box = box[:16] //nolint:gosec // there is room for 4096
		if _, err := io.ReadFull(r.r, box[header:]); err != nil {
			return "", nil, unexpected(err)
		}
	}
	kind, size, head, err := boxAt(box)
	if err != nil {
		return "", nil, err
	}
	if size > MaxBox {
		return "", nil, fmt.Errorf("%w: a box of %d bytes", ErrBad, size)
	}
	// In steps: the size is what somebody wrote, the bytes have to follow it.
	for n := uint64(head); n < size; {
		step := min(size-n, 1<<20)
		box = append(box, make([]byte, step)...)
		if _, err := io.ReadFull(r.r, box[n:n+step]); err != nil {
			return "", nil, unexpected(err)
		}
		n += step
	}
	return kind, box, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Fragment is a moof box and the mdat behind it.
type Fragment struct {
	Start    uint64 // base media decode time, ticks
	Duration uint64 // ticks
	// Key tells that its first sample is a sync sample.
	Key bool
	// First is how long the first sample is, bytes.
	First uint32
	run   run
}

// run is where things stand in the moof.
type run struct {
	tfdt, count int // offsets in the box: of the decode time, of the sample count
	wide        bool
}

// samples is what the boxes of a fragment say of its samples.
type samples struct {
	duration, size, flags uint32
}

const (
	syncMask = 0x00010000 // sample_is_non_sync_sample

	trunOffset, trunFirstFlags                        = 0x000001, 0x000004
	trunDuration, trunSize, trunFlags, trunCTO        = 0x000100, 0x000200, 0x000400, 0x000800
	tfhdBase, tfhdDescription                         = 0x000001, 0x000002
	tfhdDuration, tfhdSize, tfhdFlags          uint32 = 0x000008, 0x000010, 0x000020
)

// Parse reads a moof box, of a track whose defaults are t's. Only fragments with
// one run are read: what writes CMAF chunks makes no others.
func Parse(moof []byte, t Track) (Fragment, error) {
	kind, size, head, err := boxAt(moof)
	if err != nil || kind != "moof" || size != uint64(len(moof)) {
		return Fragment{}, fmt.Errorf("%w: a moof box was expected", ErrBad)
	}
	var f Fragment
	s := samples{duration: t.duration, size: t.size, flags: t.flags}
	tracks, runs, times := 0, 0, 0
	err = children(moof[head:], func(kind string, traf []byte) error {
		if kind != "traf" {
			return nil
		}
		tracks++
		return children(traf, func(kind string, b []byte) error {
			at := len(moof) - cap0(moof, b)
			switch kind {
			case "tfhd":
				return s.header(b)
			case "tfdt":
				times++
				return f.time(b, at)
			case "trun":
				runs++
				return f.samples(b, at, s)
			}
			return nil
		})
	})
	if err == nil && (tracks != 1 || runs != 1 || times != 1) {
		err = fmt.Errorf("%w: %d tracks, %d runs, %d decode times in a fragment", ErrBad, tracks, runs, times)
	}
	return f, err
}

// cap0 is how many bytes of whole there are from the beginning of part on, which
// lies in it.
func cap0(whole, part []byte) int { return cap(part) - (cap(whole) - len(whole)) }

func (s *samples) header(b []byte) error {
	if len(b) < 8 {
		return ErrBad
	}
	flags := binary.BigEndian.Uint32(b) & 0xffffff
	b = b[8:]
	take := func(flag uint32, n int, into *uint32) error {
		if flags&flag == 0 {
			return nil
		}
		if len(b) < n {
			return ErrBad
		}
		if into != nil {
			*into = binary.BigEndian.Uint32(b)
		}
		b = b[n:]
		return nil
	}
	return errors.Join(take(tfhdBase, 8, nil), take(tfhdDescription, 4, nil),
		take(tfhdDuration, 4, &s.duration), take(tfhdSize, 4, &s.size), take(tfhdFlags, 4, &s.flags))
}

func (f *Fragment) time(b []byte, at int) error {
	if len(b) < 8 || (b[0] == 1 && len(b) < 12) {
		return ErrBad
	}
	f.run.tfdt, f.run.wide = at+4, b[0] == 1
	if f.run.wide {
		f.Start = binary.BigEndian.Uint64(b[4:])
		return nil
	}
	f.Start = uint64(binary.BigEndian.Uint32(b[4:]))
	return nil
}

func (f *Fragment) samples(b []byte, at int, s samples) error {
	if len(b) < 8 {
		return ErrBad
	}
	flags, count := binary.BigEndian.Uint32(b)&0xffffff, int(binary.BigEndian.Uint32(b[4:]))
	f.run.count = at + 4
	b = b[8:]
	skip := 0
	if flags&trunOffset != 0 {
		skip = 4
	}
	first := s.flags
	if flags&trunFirstFlags != 0 {
		if len(b) < skip+4 {
			return ErrBad
		}
		first, skip = binary.BigEndian.Uint32(b[skip:]), skip+4
	}
	width := 0
	for _, flag := range []uint32{trunDuration, trunSize, trunFlags, trunCTO} {
		if flags&flag != 0 {
			width += 4
		}
	}
	if count < 1 || len(b) < skip || (width > 0 && count > (len(b)-skip)/width) || count > 1<<20 {
		return fmt.Errorf("%w: a run of %d samples", ErrBad, count)
	}
	f.First = s.size
	for i := range count {
		row, dur := b[skip+i*width:], s.duration
		if flags&trunDuration != 0 {
			dur, row = binary.BigEndian.Uint32(row), row[4:]
		}
		f.Duration += uint64(dur)
		if i > 0 {
			continue
		}
		if flags&trunSize != 0 {
			f.First, row = binary.BigEndian.Uint32(row), row[4:]
		}
		if flags&trunFlags != 0 && flags&trunFirstFlags == 0 {
			first = binary.BigEndian.Uint32(row)
		}
	}
	f.Key = first&syncMask == 0
	return nil
}

// Move changes the decode time of a moof box by a number of ticks.
func Move(moof []byte, f Fragment, by int64) error {
	to := int64(f.Start) + by
	if to < 0 || (!f.run.wide && to > 0xffffffff) {
		return fmt.Errorf("%w: decode time %d", ErrBad, to)
	}
	if f.run.wide {
		binary.BigEndian.PutUint64(moof[f.run.tfdt:], uint64(to))
	} else {
		binary.BigEndian.PutUint32(moof[f.run.tfdt:], uint32(to))
	}
	return nil
}

// Lead returns how many bytes of the fragment reach to the end of the first
// sample; moof is that box.
func Lead(moof []byte, f Fragment) int64 { return int64(len(moof)) + header + int64(f.First) }

// Picture reads the first fragment of a segment and returns it with its first
// sample alone: what a decoder needs to show one picture. The moof keeps its
// length, as the data's place counts from it; what stands behind the only row of
// the run is not read.
func Picture(r io.Reader, t Track) ([]byte, error) {
	boxes := NewReader(r)
	for {
		kind, moof, err := boxes.Next()
		if err != nil {
			return nil, unexpected(err)
		}
		if kind != "moof" {
			continue // styp, prft, emsg
		}
		f, err := Parse(moof, t)
		if err != nil {
			return nil, err
		}
		if !f.Key {
			return nil, fmt.Errorf("%w: it does not begin with a key frame", ErrBad)
		}
		out := append(moof, 0, 0, 0, 0, 'm', 'd', 'a', 't')
		binary.BigEndian.PutUint32(out[f.run.count:], 1)
		binary.BigEndian.PutUint32(out[len(moof):], header+f.First)
		return picture(boxes.r, out, f.First)
	}
}

// picture appends the first sample of the mdat that follows in r.
func picture(r io.Reader, out []byte, size uint32) ([]byte, error) {
	var head [header]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, unexpected(err)
	}
	if string(head[4:]) != "mdat" || binary.BigEndian.Uint32(head[:]) == 1 || size > MaxBox {
		return nil, fmt.Errorf("%w: an mdat box was expected", ErrBad)
	}
	if n := binary.BigEndian.Uint32(head[:]); n < header+size {
		return nil, fmt.Errorf("%w: a sample of %d bytes in a box of %d", ErrBad, size, n)
	}
	n := len(out)
	out = append(out, make([]byte, size)...)
	_, err := io.ReadFull(r, out[n:])
	return out, unexpected(err)
}
