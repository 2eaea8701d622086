package cmaf

import (
	"encoding/binary"
	"errors"
	"time"
)

// Why a part cannot be written or read.
var (
	ErrNoSamples = errors.New("write part: it has no samples, or too many")
	ErrSample    = errors.New("write part: a sample is empty, too large, or lasts no time")
	ErrEvent     = errors.New("write part: an event is too large, or has a zero in its names")
	ErrTorn      = errors.New("read CMAF: what follows is torn or no CMAF")
)

const (
	// MaxSamples is more than ten seconds of the shortest Opus packets.
	MaxSamples = 5000
	// MaxSample in bytes is a second of 128 Mbit/s.
	MaxSample = 16 << 20
	// MaxPart bounds the samples of a part in bytes; sizes and offsets of boxes have 31 bits.
	MaxPart = 256 << 20
	// MaxEvent bounds an event's message and names in bytes. A SCTE-35 section has at
	// most 4,096.
	MaxEvent = 1 << 16
)

// Sample is one frame of a part.
type Sample struct {
	Data     []byte
	Duration uint32 // ticks, at least 1
	Offset   int32  // composition time less decoding time, ticks
	Key      bool   // a decoder may start here; true for all audio
}

// Part is one CMAF chunk of one track, whose ID is 1.
type Part struct {
	Sequence uint32 // of the chunk in its track (mfhd)
	Decode   uint64 // decoding time of the first sample (tfdt), ticks
	Samples  []Sample
	// Segment writes a styp box: the part is the first of its segment.
	Segment bool
	// Captured writes a prft box: when the first sample was captured; zero writes none.
	Captured time.Time
	// Events are written as emsg boxes, version 1.
	Events []Event
}

// Event is a timed event beside the media (DASH emsg version 1), e.g. SCTE-35.
type Event struct {
	Scheme, Value string
	ID            uint32
	Timescale     uint32
	Time          uint64 // presentation time in Timescale
	Duration      uint32 // 0xffffffff when unknown
	Message       []byte
}

// Flags of tfhd, trun and of samples (ISO/IEC 14496-12 sections 8.8.7, 8.8.8 and
// 8.8.3.1).
const (
	tfhdBaseOffset        = 0x000001
	tfhdDescription       = 0x000002
	tfhdDuration          = 0x000008
	tfhdSize              = 0x000010
	tfhdFlags             = 0x000020
	tfhdBaseIsMoof        = 0x020000
	trunDataOffset        = 0x000001
	trunFirstFlags        = 0x000004
	trunDuration          = 0x000100
	trunSize              = 0x000200
	trunFlags             = 0x000400
	trunOffset            = 0x000800
	sampleKey             = 0x02000000 // depends on no other
	sampleDelta           = 0x01010000 // depends on others, no sync sample
	sampleNotSync         = 0x00010000
	prftCapture           = 24 // the time is that of capture, and consistent (section 8.16.5)
	ntpEpoch        int64 = 2208988800
)

const trackID = 1

// shape is what the samples have in common: what is alike is written once.
type shape struct {
	bytes    int
	duration uint32 // of all of them; 0 when they differ
	offsets  bool   // some are shown at another time than decoded
	flags    uint32 // of all but, perhaps, the first
	first    bool   // the first one's flags are written apart
	each     bool   // every sample's flags are written
}

// AppendPart appends a part's bytes to dst. On an error dst is returned as it was.
//
// hot: once per part and rendition; no allocation when dst is large enough.
func AppendPart(dst []byte, p *Part) ([]byte, error) {
	s, err := p.shape()
	if err != nil {
		return dst, err
	}
	b := dst
	if p.Segment {
		b = append(b, "\x00\x00\x00\x18stypmsdh\x00\x00\x00\x00msdhcmfs"...)
	}
	if !p.Captured.IsZero() {
		b = p.appendCaptured(b)
	}
	for i := range p.Events {
		if b, err = p.Events[i].append(b); err != nil {
			return dst, err
		}
	}
	b = p.appendMoof(b, s)
	b = append(be32(b, uint32(8+s.bytes)), "mdat"...)
	for i := range p.Samples {
		b = append(b, p.Samples[i].Data...)
	}
	return b, nil
}

// shape looks at all samples once.
func (p *Part) shape() (shape, error) {
	if len(p.Samples) == 0 || len(p.Samples) > MaxSamples {
		return shape{}, ErrNoSamples
	}
	s := shape{duration: p.Samples[0].Duration}
	keys := 0
	for i := range p.Samples {
		x := &p.Samples[i]
		if len(x.Data) == 0 || len(x.Data) > MaxSample || x.Duration == 0 {
			return shape{}, ErrSample
		}
		s.bytes += len(x.Data)
		s.offsets = s.offsets || x.Offset != 0
		if x.Duration != s.duration {
			s.duration = 0
		}
		if x.Key {
			keys++
		}
	}
	if s.bytes > MaxPart {
		return shape{}, ErrSample
	}
	switch {
	case keys == len(p.Samples):
		s.flags = sampleKey
	case keys == 0:
		s.flags = sampleDelta
	default:
		s.flags, s.first = sampleDelta, keys == 1 && p.Samples[0].Key
		s.each = !s.first
	}
	return s, nil
}

func (p *Part) appendMoof(b []byte, s shape) []byte {
	moof := len(b)
	b = append(be32(b, 0), "moof\x00\x00\x00\x10mfhd\x00\x00\x00\x00"...)
	b = be32(b, p.Sequence)
	traf := len(b)
	b = append(be32(b, 0), "traf"...)

	tfhd := uint32(tfhdBaseIsMoof | tfhdFlags)
	size := uint32(20)
	if s.duration != 0 {
		tfhd |= tfhdDuration
		size += 4
	}
	b = be32(be32(append(be32(b, size), "tfhd"...), tfhd), trackID)
	if s.duration != 0 {
		b = be32(b, s.duration)
	}
	b = be32(b, s.flags)
	b = be64(append(b, "\x00\x00\x00\x14tfdt\x01\x00\x00\x00"...), p.Decode)

	b = p.appendTrun(b, s, moof)
	binary.BigEndian.PutUint32(b[traf:], uint32(len(b)-traf))
	binary.BigEndian.PutUint32(b[moof:], uint32(len(b)-moof))
	return b
}

// appendTrun writes the samples' table, the last box of the moof that begins at moof.
func (p *Part) appendTrun(b []byte, s shape, moof int) []byte {
	flags, each := uint32(trunDataOffset|trunSize), 4
	if s.duration == 0 {
		flags |= trunDuration
		each += 4
	}
	if s.each {
		flags |= trunFlags
		each += 4
	}
	if s.offsets {
		flags |= 1<<24 | trunOffset // version 1: offsets have a sign
		each += 4
	}
	size := 20 + each*len(p.Samples)
	if s.first {
		flags |= trunFirstFlags
		size += 4
	}
	start := len(b)
	b = be32(append(be32(b, uint32(size)), "trun"...), flags)
	b = be32(be32(b, uint32(len(p.Samples))), uint32(start+size-moof+8)) // behind the header of the mdat
	if s.first {
		b = be32(b, sampleKey)
	}
	for i := range p.Samples {
		x := &p.Samples[i]
		if s.duration == 0 {
			b = be32(b, x.Duration)
		}
		b = be32(b, uint32(len(x.Data)))
		if s.each {
			b = be32(b, sampleFlags(x.Key))
		}
		if s.offsets {
			b = be32(b, uint32(x.Offset))
		}
	}
	return b
}

func sampleFlags(key bool) uint32 {
	if key {
		return sampleKey
	}
	return sampleDelta
}

// appendCaptured writes a prft box (ISO/IEC 14496-12 section 8.16.5).
func (p *Part) appendCaptured(b []byte) []byte {
	seconds, nanos := uint64(p.Captured.Unix()+ntpEpoch), uint64(p.Captured.Nanosecond())
	b = append(b, "\x00\x00\x00\x20prft\x01\x00\x00"...)
	b = be32(append(b, prftCapture), trackID)
	b = be64(b, seconds<<32|nanos<<32/uint64(time.Second))
	return be64(b, p.Decode)
}

// append writes an emsg box, version 1 (ISO/IEC 23009-1 section 5.10.3.3).
func (e *Event) append(b []byte) ([]byte, error) {
	if len(e.Message)+len(e.Scheme)+len(e.Value) > MaxEvent || zero(e.Scheme) || zero(e.Value) {
		return b, ErrEvent
	}
	size := 12 + 20 + len(e.Scheme) + 1 + len(e.Value) + 1 + len(e.Message)
	b = append(be32(b, uint32(size)), "emsg\x01\x00\x00\x00"...)
	b = be64(be32(b, e.Timescale), e.Time)
	b = be32(be32(b, e.Duration), e.ID)
	b = append(append(b, e.Scheme...), 0)
	b = append(append(b, e.Value...), 0)
	return append(b, e.Message...), nil
}

func zero(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return true
		}
	}
	return false
}

func be32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
func be64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }
