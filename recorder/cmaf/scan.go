package cmaf

import "io"

// Chunk is what Scan tells of a run of bytes.
type Chunk struct {
	Offset, Size int64
	// Init tells that it is an initialisation section (ftyp, moov); then the fields
	// below are zero.
	Init     bool
	Sequence uint32
	Decode   uint64 // of the first sample, ticks
	Duration uint64 // of all samples, ticks
	Samples  int
	Key      bool // the first sample is a key frame
}

// Scan reads a file of initialisation sections and parts from its beginning and
// tells each. Good is where the last whole one ended: at the end of the file, or
// where the error is ErrTorn, where to cut it off.
func Scan(r io.Reader, each func(Chunk) error) (good int64, err error) { return 0, nil }
