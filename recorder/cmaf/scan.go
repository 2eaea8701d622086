package cmaf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxHead bounds the boxes that are read whole: a moof of MaxSamples, with room.
const maxHead = 1 << 20

// Chunk is what Scan tells of a run of bytes.
type Chunk struct {
	Offset, Size int64
	// Init tells that it is an initialisation section (ftyp, moov); then the fields
	// below are zero.
	Init     bool
	Segment  bool // begins with a styp box
	Sequence uint32
	Decode   uint64 // of the first sample, ticks
	Duration uint64 // of all samples, ticks
	Samples  int
	Key      bool // the first sample is a key frame
}

// Scan reads a file of initialisation sections and parts from its beginning and
// tells each. Good is where the last whole one ended: at the end of the file, or
// where the error is ErrTorn, where to cut it off.
func Scan(r io.Reader, each func(Chunk) error) (good int64, err error) {
	s := scanner{in: bufio.NewReaderSize(r, 1<<16)}
	for {
		chunk, err := s.next()
		if errors.Is(err, io.EOF) {
			return good, nil
		}
		if err != nil {
			return good, err
		}
		if err := each(chunk); err != nil {
			return good, err
		}
		good = s.at
	}
}

// scanner reads boxes one after the other.
type scanner struct {
	in   *bufio.Reader
	at   int64
	head []byte
}

// next reads up to the end of the next moov or mdat. The error is io.EOF at the
// end of what is whole.
func (s *scanner) next() (Chunk, error) {
	chunk := Chunk{Offset: s.at}
	var moof *fragment
	for {
		kind, size, err := s.header()
		switch {
		case errors.Is(err, io.EOF) && s.at == chunk.Offset:
			return Chunk{}, io.EOF
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return Chunk{}, ErrTorn
		case err != nil:
			return Chunk{}, err
		}
		done, err := s.box(&chunk, &moof, kind, size-8)
		if err != nil {
			return Chunk{}, err
		}
		if done {
			chunk.Size = s.at - chunk.Offset
			return chunk, nil
		}
		if s.at-chunk.Offset > maxHead {
			return Chunk{}, ErrTorn // boxes without end, and no media
		}
	}
}

// box reads the body of one box; done tells that the chunk ends with it.
func (s *scanner) box(chunk *Chunk, moof **fragment, kind string, size int64) (done bool, err error) {
	switch kind {
	case "moof":
		body, err := s.body(size)
		if err != nil {
			return false, err
		}
		f, err := parseMoof(body)
		if err != nil || *moof != nil || chunk.Init {
			return false, ErrTorn
		}
		*moof = &f
		return false, nil
	case "mdat":
		if *moof == nil || !(*moof).fits(size) {
			return false, ErrTorn
		}
		chunk.tell(*moof)
		return true, s.skip(size)
	case "moov":
		chunk.Init = true
		return true, s.skip(size)
	case "ftyp", "styp", "prft", "emsg", "sidx", "free", "skip":
		if *moof != nil {
			return false, ErrTorn
		}
		chunk.Init = chunk.Init || kind == "ftyp"
		chunk.Segment = chunk.Segment || kind == "styp"
		return false, s.skip(size)
	}
	return false, ErrTorn
}

func (c *Chunk) tell(f *fragment) {
	c.Sequence, c.Decode, c.Samples = f.sequence, f.decode, len(f.samples)
	c.Key = f.samples[0].key
	for _, x := range f.samples {
		c.Duration += uint64(x.duration)
	}
}

func (s *scanner) header() (kind string, size int64, err error) {
	var b [8]byte
	n, err := io.ReadFull(s.in, b[:])
	s.at += int64(n)
	if err != nil {
		return "", 0, readError(err)
	}
	size = int64(binary.BigEndian.Uint32(b[:]))
	if size < 8 {
		return "", 0, ErrTorn
	}
	return string(b[4:]), size, nil
}

func (s *scanner) body(size int64) ([]byte, error) {
	if size > maxHead {
		return nil, ErrTorn
	}
	if int64(cap(s.head)) < size {
		s.head = make([]byte, size)
	}
	s.head = s.head[:size]
	n, err := io.ReadFull(s.in, s.head)
	s.at += int64(n)
	return s.head, torn(err)
}

func (s *scanner) skip(size int64) error {
	n, err := io.CopyN(io.Discard, s.in, size)
	s.at += n
	return torn(err)
}

// torn turns the end of the file inside a box into ErrTorn.
func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTorn
	}
	return readError(err)
}

func readError(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return fmt.Errorf("read CMAF: %w", err)
}
