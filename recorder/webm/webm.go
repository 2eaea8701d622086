package webm

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/sluice-live/sluice/media"
)

// Elements (RFC 9559 section 5.1).
const (
	idEBML            = 0x1A45DFA3
	idDocType         = 0x4282
	idDocTypeVersion  = 0x4287
	idDocTypeRead     = 0x4285
	idSegment         = 0x18538067
	idInfo            = 0x1549A966
	idTimestampScale  = 0x2AD7B1
	idMuxingApp       = 0x4D80
	idWritingApp      = 0x5741
	idTracks          = 0x1654AE6B
	idTrackEntry      = 0xAE
	idTrackNumber     = 0xD7
	idTrackUID        = 0x73C5
	idTrackType       = 0x83
	idFlagLacing      = 0x9C
	idCodecID         = 0x86
	idCodecPrivate    = 0x63A2
	idSeekPreRoll     = 0x56BB
	idVideo           = 0xE0
	idPixelWidth      = 0xB0
	idPixelHeight     = 0xBA
	idAudio           = 0xE1
	idSampling        = 0xB5
	idChannels        = 0x9F
	idCluster         = 0x1F43B675
	idTimestamp       = 0xE7
	idSimpleBlock     = 0xA3
	unknownSize       = 0xFF // of one byte: the Segment ends with the file
	scale             = 1000 // nanoseconds: timestamps are in microseconds
	typeVideo         = 1
	typeAudio         = 2
	opusPreRoll       = 80_000_000 // nanoseconds (RFC 7845 section 4.6)
	track             = 1
	flagKey           = 0x80
	longestBlockDelta = math.MaxInt16 // of a SimpleBlock's timestamp, signed 16 bits
)

var codecIDs = map[media.Codec]string{
	media.VP8: "V_VP8", media.VP9: "V_VP9", media.AV1: "V_AV1",
	media.H264: "V_MPEG4/ISO/AVC", media.H265: "V_MPEGH/ISO/HEVC", media.Opus: "A_OPUS",
}

// Head returns what stands before the first cluster. Private is the codec's
// configuration record: avcC, hvcC, av1C (without box header); OpusHead for Opus;
// none for VP8 and VP9.
func Head(f *media.Format, private []byte) ([]byte, error) {
	id, known := codecIDs[f.Codec]
	if !known {
		return nil, fmt.Errorf("write Matroska: %w: %v", media.ErrUnsupported, f.Codec)
	}
	kind := "webm"
	switch f.Codec {
	case media.H264, media.H265, media.AV1:
		kind = "matroska"
	}
	entry := number(nil, idTrackNumber, track)
	entry = number(entry, idTrackUID, track)
	entry = number(entry, idFlagLacing, 0)
	entry = element(entry, idCodecID, []byte(id))
	if len(private) > 0 {
		entry = element(entry, idCodecPrivate, private)
	}
	if f.Codec.Kind() == media.Video {
		entry = number(entry, idTrackType, typeVideo)
		entry = element(entry, idVideo, number(number(nil, idPixelWidth, uint64(f.Width)), idPixelHeight, uint64(f.Height)))
	} else {
		entry = number(entry, idTrackType, typeAudio)
		entry = number(entry, idSeekPreRoll, opusPreRoll)
		rate := binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(f.Codec.ClockRate())))
		entry = element(entry, idAudio, number(element(nil, idSampling, rate), idChannels, uint64(f.Channels)))
	}
	info := number(nil, idTimestampScale, scale)
	info = element(element(info, idMuxingApp, []byte("sluice")), idWritingApp, []byte("sluice"))

	b := element(nil, idEBML, number(number(element(nil, idDocType, []byte(kind)), idDocTypeVersion, 4), idDocTypeRead, 2))
	b = append(appendID(b, idSegment), unknownSize)
	b = element(b, idInfo, info)
	return element(b, idTracks, element(nil, idTrackEntry, entry)), nil
}

// Block is one frame.
type Block struct {
	// Time is when it is shown, in ticks of the scale that AppendClusters is told.
	Time media.Ticks
	Key  bool
	Data []byte
}

// AppendClusters appends blocks in the order of decoding: one cluster, and another
// where 32 ms are over, which is how far a block may be from its cluster's time in
// microseconds.
func AppendClusters(dst []byte, timescale uint32, blocks ...Block) []byte {
	for len(blocks) > 0 {
		base := micros(blocks[0].Time, timescale)
		size, n := len(number(nil, idTimestamp, base)), 0
		for ; n < len(blocks); n++ {
			if d := int64(micros(blocks[n].Time, timescale)) - int64(base); d > longestBlockDelta || d < -longestBlockDelta {
				break
			}
			size += 1 + 8 + 4 + len(blocks[n].Data)
		}
		dst = appendSize(appendID(dst, idCluster), size)
		dst = number(dst, idTimestamp, base)
		for _, k := range blocks[:n] {
			dst = appendSize(appendID(dst, idSimpleBlock), 4+len(k.Data))
			flags := byte(0)
			if k.Key {
				flags = flagKey
			}
			d := int16(int64(micros(k.Time, timescale)) - int64(base)) // held against longestBlockDelta above
			dst = append(dst, 0x80|track, byte(uint16(d)>>8), byte(d), flags)
			dst = append(dst, k.Data...)
		}
		blocks = blocks[n:]
	}
	return dst
}

// micros is a time in microseconds. What is before 0 has none and becomes 0.
func micros(t media.Ticks, timescale uint32) uint64 {
	t, s := max(t, 0), media.Ticks(max(timescale, 1))
	return uint64(t/s*1_000_000 + (t%s*1_000_000+s/2)/s)
}

// appendID writes an element's identifier, whose length is in its first bits.
func appendID(b []byte, id uint32) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		if id>>shift != 0 {
			b = append(b, byte(id>>shift))
		}
	}
	return b
}

// appendSize writes a length in eight bytes: cutting and joining needs no sums.
func appendSize(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint64(b, 1<<56|uint64(n))
}

func element(b []byte, id uint32, body []byte) []byte {
	return append(appendSize(appendID(b, id), len(body)), body...)
}

func number(b []byte, id uint32, v uint64) []byte {
	return element(b, id, binary.BigEndian.AppendUint64(nil, v))
}
