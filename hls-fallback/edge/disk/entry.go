package disk

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"time"
)

// Entry is an answer that is kept.
type Entry struct {
	Header http.Header
	// Stored is when it was written, Until when it may be given out no more; Age is how
	// old it was when it was written (RFC 9111 section 4.2.3).
	Stored, Until time.Time
	Age           time.Duration
	Body          []byte
}

// errDamaged says that a file is not what was written, or not whole.
var errDamaged = errors.New("the entry is damaged")

// A file begins with a magic number and its version, then come the lengths of head and
// body and the checksum (CRC32C) of each; then head and body, to the file's end. Numbers
// are little endian.
const (
	magic   = "SLUE\x01\x00\x00\x00"
	prefix  = len(magic) + 4 + 8 + 4 + 4
	maxHead = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is what stands before the body, as JSON: it is written once for a megabyte.
type head struct {
	Key    string      `json:"key"`
	Header http.Header `json:"header"`
	Stored int64       `json:"stored"` // Unix, ms
	Until  int64       `json:"until"`
	Age    int64       `json:"age"` // ms
}

// encode returns what stands in a file before the body, which comes in blocks.
func encode(key string, e *Entry, body [][]byte) ([]byte, error) {
	h, err := json.Marshal(head{key, e.Header, e.Stored.UnixMilli(), e.Until.UnixMilli(), e.Age.Milliseconds()})
	if err != nil {
		return nil, fmt.Errorf("write an entry: %w", err)
	}
	if len(h) > maxHead {
		return nil, fmt.Errorf("write an entry: its head has %d bytes, at most %d are read", len(h), maxHead)
	}
	size, sum := uint64(0), uint32(0)
	for _, b := range body {
		size, sum = size+uint64(len(b)), crc32.Update(sum, castagnoli, b)
	}
	out := append(make([]byte, 0, prefix+len(h)), magic...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(h)))
	out = binary.LittleEndian.AppendUint64(out, size)
	out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(h, castagnoli))
	out = binary.LittleEndian.AppendUint32(out, sum)
	return append(out, h...), nil
}

// decode reads a file. What is not whole, has another key, or differs in a bit from what
// was written is refused.
func decode(key string, file []byte) (*Entry, error) {
	if len(file) < prefix || string(file[:len(magic)]) != magic {
		return nil, errDamaged
	}
	n := file[len(magic):]
	long, size := uint64(binary.LittleEndian.Uint32(n)), binary.LittleEndian.Uint64(n[4:])
	rest := uint64(len(file) - prefix)
	if long > maxHead || long > rest || size != rest-long {
		return nil, errDamaged
	}
	text, body := file[prefix:prefix+int(long)], file[prefix+int(long):]
	if crc32.Checksum(text, castagnoli) != binary.LittleEndian.Uint32(n[12:]) || crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(n[16:]) {
		return nil, errDamaged
	}
	var h head
	if err := json.Unmarshal(text, &h); err != nil || h.Key != key {
		return nil, errDamaged
	}
	return &Entry{Header: h.Header, Stored: time.UnixMilli(h.Stored), Until: time.UnixMilli(h.Until), Age: time.Duration(h.Age) * time.Millisecond, Body: body}, nil
}
