package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/sluice-live/sluice/media"
)

// A journal begins with a magic number and its version; then come frames: length
// of what follows the checksum (uint32), CRC32C of it (uint32), kind (1 byte),
// payload. Numbers are little endian, in the payload variable in length.
const (
	magic      = "SLUJ"
	version    = 1
	headSize   = len(magic) + 1
	frameSize  = 8
	recordSize = 1 << 20 // the largest: initialisation sections have some hundred bytes
)

// castagnoli is CRC32C: SSE 4.2 and ARMv8 compute it, and S3 knows it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC32C that the journal keeps of a part.
func Checksum(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// kind says what a record is. The numbers are on disk.
type kind byte

const (
	kindStart kind = iota + 1
	kindRendition
	kindInit
	kindPart
	kindSegmentEnd
	kindHole
	kindEpoch
	kindSynced
	kindLost
	kindDropped
	kindEnd
	kindResumed
	kindClosed
	kindCaption
	kindInitAgain
)

// record is any record: one struct, of which each kind uses some fields.
type record struct {
	kind      kind
	start     Start
	rendition *media.Rendition // its description alone
	name      string           // of a rendition
	init      media.Init
	part      Part
	extent    media.Extent
	sum       uint32
	hole      Hole
	epoch     media.Epoch
	at        time.Time
	msn       uint64
	number    uint64 // synced: the offset; lost: the part; dropped: discontinuities; init again: its index; start: the format
	caption   Caption
}

// began is the first record. The version stands in it once more, to tell a damaged
// head from a later one; it is 0 in journals that are older than this.
type began struct {
	Start
	Format uint64 `json:"format,omitempty"`
}

var (
	errRecord = errors.New("the record is not valid")
	errLarge  = errors.New("it is too large")
)

const (
	flagIndependent = 1 << iota
	flagGap
	flagDiscontinuity
)

// appendFrame appends r, framed.
func appendFrame(b []byte, r *record) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, frameSize)...)
	b = append(b, byte(r.kind))
	b, err := appendPayload(b, r)
	if err != nil {
		return b[:at], err
	}
	body := b[at+frameSize:]
	if len(body) > recordSize {
		return b[:at], fmt.Errorf("write a record of %d bytes: %w: at most %d", len(body), errLarge, recordSize)
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[at+4:], Checksum(body))
	return b, nil
}

func appendPayload(b []byte, r *record) ([]byte, error) {
	switch r.kind {
	case kindStart:
		return appendJSON(b, began{r.start, version})
	case kindRendition:
		d := *r.rendition
		d.Inits, d.Segments, d.Open = nil, nil, nil
		return appendJSON(b, d)
	case kindInit, kindInitAgain:
		b = appendString(b, r.name)
		if r.kind == kindInitAgain {
			b = binary.AppendUvarint(b, r.number)
		}
		b = appendString(b, r.init.Codec)
		b = binary.AppendUvarint(b, uint64(r.init.Width))
		b = binary.AppendUvarint(b, uint64(r.init.Height))
		return append(b, r.init.Data...), nil
	case kindPart:
		return appendPart(b, r), nil
	case kindSegmentEnd:
		return binary.AppendUvarint(appendString(b, r.name), r.msn), nil
	case kindHole:
		b = appendString(b, r.hole.Rendition)
		b = binary.AppendVarint(b, int64(r.hole.From))
		b = binary.AppendVarint(b, int64(r.hole.To))
		return append(b, byte(r.hole.Why)), nil
	case kindEpoch:
		b = binary.AppendUvarint(b, uint64(r.epoch))
		return binary.AppendVarint(b, r.at.UnixNano()), nil
	case kindSynced:
		return binary.AppendUvarint(b, r.number), nil
	case kindLost:
		b = binary.AppendUvarint(appendString(b, r.name), r.msn)
		return append(binary.AppendUvarint(b, r.number), byte(r.part.Why)), nil
	case kindDropped:
		return binary.AppendUvarint(binary.AppendUvarint(b, r.msn), r.number), nil
	case kindEnd, kindResumed, kindClosed:
		return binary.AppendVarint(b, r.at.UnixNano()), nil
	case kindCaption:
		b = appendString(b, r.caption.Language)
		for _, n := range [...]int64{r.caption.Start.UnixMilli(), r.caption.End.UnixMilli(), r.caption.Shown.Milliseconds()} {
			b = binary.AppendVarint(b, n)
		}
		return append(b, r.caption.Text...), nil
	}
	return b, errRecord
}

func appendPart(b []byte, r *record) []byte {
	p := r.part
	flags := byte(0)
	for _, f := range [...]struct {
		set bool
		bit byte
	}{{p.Independent, flagIndependent}, {p.Gap, flagGap}, {p.Discontinuity, flagDiscontinuity}} {
		if f.set {
			flags |= f.bit
		}
	}
	b = appendString(b, r.name)
	b = append(b, flags, byte(p.Why))
	b = binary.AppendUvarint(b, p.MSN)
	b = binary.AppendUvarint(b, uint64(p.Number))
	b = binary.AppendUvarint(b, uint64(p.Init))
	b = binary.AppendVarint(b, int64(p.Start))
	b = binary.AppendUvarint(b, uint64(p.Duration))
	b = binary.AppendUvarint(b, uint64(r.extent.Volume))
	b = binary.AppendUvarint(b, uint64(r.extent.Offset))
	b = binary.AppendUvarint(b, uint64(r.extent.Size))
	b = binary.AppendUvarint(b, uint64(max(p.Lead, 0)))
	return binary.LittleEndian.AppendUint32(b, r.sum)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendJSON(b []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return append(b, text...), err
}

// readFrame reads the frame that b begins with and returns its length. It is
// false for what is no whole and valid record.
func readFrame(b []byte) (r record, size int, ok bool) {
	if len(b) <= frameSize {
		return r, 0, false
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > recordSize || int(n) > len(b)-frameSize {
		return r, 0, false
	}
	body := b[frameSize : frameSize+int(n)]
	if Checksum(body) != binary.LittleEndian.Uint32(b[4:]) {
		return r, 0, false
	}
	r, err := readRecord(body)
	return r, frameSize + int(n), err == nil
}

// readRecord reads kind and payload.
func readRecord(body []byte) (record, error) {
	r := record{kind: kind(body[0])}
	d := decoder{b: body[1:]}
	switch r.kind {
	case kindStart:
		var s began
		err := json.Unmarshal(d.b, &s)
		r.start, r.number = s.Start, s.Format
		return r, err
	case kindRendition:
		r.rendition = new(media.Rendition)
		err := json.Unmarshal(d.b, r.rendition)
		if err == nil && (!ValidName(r.rendition.ID) || r.rendition.Timescale == 0) {
			err = errRecord
		}
		return r, err
	case kindInit, kindInitAgain:
		r.name = d.name()
		if r.kind == kindInitAgain {
			r.number = uint64(d.int())
		}
		r.init.Codec = d.text()
		r.init.Width, r.init.Height = d.int(), d.int()
		r.init.Data = append([]byte(nil), d.b...)
		return r, d.err
	case kindPart:
		r.readPart(&d)
	case kindSegmentEnd:
		r.name, r.msn = d.name(), d.uint()
	case kindHole:
		r.hole = Hole{d.name(), media.Ticks(d.signed()), media.Ticks(d.signed()), Reason(d.byte())}
	case kindEpoch:
		r.epoch, r.at = media.Epoch(d.uint()), d.time()
	case kindSynced:
		r.number = d.uint()
	case kindLost:
		r.name, r.msn, r.number = d.name(), d.uint(), d.uint()
		r.part.Why = Reason(d.byte())
	case kindDropped:
		r.msn, r.number = d.uint(), d.uint()
	case kindEnd, kindResumed, kindClosed:
		r.at = d.time()
	case kindCaption:
		r.readCaption(&d)
	default: // a later version's: not ours to judge
		return r, nil
	}
	if len(d.b) > 0 {
		return r, errRecord
	}
	return r, d.err
}

// readCaption reads a caption. Its times are milliseconds: WebVTT has no finer ones.
func (r *record) readCaption(d *decoder) {
	c := &r.caption
	c.Language = d.text()
	c.Start, c.End = time.UnixMilli(d.signed()).UTC(), time.UnixMilli(d.signed()).UTC()
	shown := d.signed()
	if shown < 0 || shown > math.MaxInt64/int64(time.Millisecond) {
		d.err = errRecord
		return
	}
	c.Shown = time.Duration(shown) * time.Millisecond
	c.Text, d.b = string(d.b), nil
	language, err := media.ParseLanguage(c.Language)
	if err != nil || language != c.Language || c.Validate() != nil {
		d.err = errRecord
	}
}

func (r *record) readPart(d *decoder) {
	r.name = d.name()
	flags := d.byte()
	r.part = Part{
		Independent:   flags&flagIndependent != 0,
		Gap:           flags&flagGap != 0,
		Discontinuity: flags&flagDiscontinuity != 0,
		Why:           Reason(d.byte()),
	}
	r.part.MSN, r.part.Number, r.part.Init = d.uint(), d.int(), d.int()
	r.part.Start, r.part.Duration = media.Ticks(d.signed()), media.Ticks(d.size())
	volume := d.uint()
	if volume > math.MaxUint32 {
		d.err = errRecord
	}
	r.extent = media.Extent{Volume: uint32(volume), Offset: d.size(), Size: d.size()}
	r.part.Lead = d.size()
	r.sum = d.uint32()
}

// decoder reads a payload; after an error it gives zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errRecord
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errRecord
		return 0
	}
	d.b = d.b[n:]
	return v
}

// size is a number that is no larger than any file.
func (d *decoder) size() int64 {
	v := d.uint()
	if v > math.MaxInt64/2 {
		d.err = errRecord
		return 0
	}
	return int64(v)
}

func (d *decoder) int() int {
	v := d.uint()
	if v > math.MaxInt32 {
		d.err = errRecord
		return 0
	}
	return int(v)
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.err = errRecord
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uint32() uint32 {
	if len(d.b) < 4 {
		d.b, d.err = nil, errRecord
		return 0
	}
	v := binary.LittleEndian.Uint32(d.b)
	d.b = d.b[4:]
	return v
}

func (d *decoder) time() time.Time { return time.Unix(0, d.signed()).UTC() }

func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errRecord
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// name reads a rendition's name, which is a folder's too.
func (d *decoder) name() string {
	s := d.text()
	if !ValidName(s) {
		d.err = errRecord
	}
	return s
}

// ValidName reports whether s may name a rendition: [a-z0-9-], 1 to 64 bytes. It
// is a folder's name, and a path element of URIs.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
