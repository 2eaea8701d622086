package aac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/sluice-live/sluice/media"
)

// ErrBad means that the bytes are not what they should be.
var ErrBad = errors.New("this is not the AAC that was asked for")

// config is the AudioSpecificConfig of all that is made: LC, 48 kHz, two channels
// (ISO/IEC 14496-3 section 1.6.2.1).
var config = []byte{0x11, 0x90}

// Init is the initialisation section of all that is made.
func Init() (media.Init, error) {
	const bits = 16
	whole := mp4.CreateEmptyInit()
	trak := whole.AddEmptyTrack(Rate, "audio", "und")
	trak.Mdia.Minf.Stbl.Stsd.AddChild(mp4.CreateAudioSampleEntryBox("mp4a", 2, bits, Rate, mp4.CreateEsdsBox(config)))
	var b bytes.Buffer
	if err := whole.Encode(&b); err != nil {
		return media.Init{}, fmt.Errorf("write initialisation section: %w", err)
	}
	return media.Init{Codec: "mp4a.40.2", Data: b.Bytes()}, nil
}

const (
	adtsHead  = 7
	adtsCRC   = 2
	styp      = "\x00\x00\x00\x18stypmsdh\x00\x00\x00\x00msdhcmfs"
	sampleKey = 0x02000000 // depends on no other
)

// split cuts ADTS (ISO/IEC 13818-7 section 6.2) into frames without their headers.
func split(b []byte) (frames [][]byte, err error) {
	for len(b) > 0 {
		if len(b) < adtsHead || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
			return nil, fmt.Errorf("%w: no ADTS frame", ErrBad)
		}
		head, size := adtsHead, int(b[3]&3)<<11|int(b[4])<<3|int(b[5]>>5)
		if b[1]&1 == 0 {
			head += adtsCRC
		}
		if size <= head || size > len(b) || b[6]&3 != 0 {
			return nil, fmt.Errorf("%w: an ADTS frame of %d bytes", ErrBad, size)
		}
		frames, b = append(frames, b[head:size]), b[size:]
	}
	return frames, nil
}

// Pack turns what an encoder made for a piece, as ADTS, into its segments of CMAF, one
// behind the other. Sequence numbers go on from one piece to the next as long as the
// caller counts them: number is that of the first.
func (p *Piece) Pack(adts []byte, number uint32) ([]byte, error) {
	frames, err := split(adts)
	if err != nil {
		return nil, err
	}
	if need := p.Drop + p.Total(); len(frames) < need {
		return nil, fmt.Errorf("%w: %d frames of %d", ErrBad, len(frames), need)
	}
	frames = frames[p.Drop:]
	out, at := []byte(nil), p.Start
	for i, n := range p.Frames {
		out = appendSegment(out, number+uint32(i), at, frames[:n])
		frames, at = frames[n:], at+media.Ticks(n)*Frame
	}
	return out, nil
}

// appendSegment writes styp, moof and mdat (ISO/IEC 14496-12 section 8.8). All
// samples last a frame; their sizes differ.
func appendSegment(b []byte, number uint32, at media.Ticks, frames [][]byte) []byte {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	const mfhd, tfhd, tfdt = 16, 24, 20
	trun := 20 + 4*len(frames)
	traf := 8 + tfhd + tfdt + trun
	moof := 8 + mfhd + traf
	be := binary.BigEndian
	box := func(size int, kind string) { b = append(be.AppendUint32(b, uint32(size)), kind...) }
	b = append(b, styp...)
	box(moof, "moof")
	box(mfhd, "mfhd")
	b = be.AppendUint32(be.AppendUint32(b, 0), number)
	box(traf, "traf")
	box(tfhd, "tfhd") // default-base-is-moof, duration and flags of all samples
	b = be.AppendUint32(be.AppendUint32(b, 0x020000|0x08|0x20), 1)
	b = be.AppendUint32(be.AppendUint32(b, Frame), sampleKey)
	box(tfdt, "tfdt")
	b = be.AppendUint64(be.AppendUint32(b, 1<<24), uint64(max(at, 0)))
	box(trun, "trun") // data offset, sizes
	b = be.AppendUint32(be.AppendUint32(b, 0x200|0x01), uint32(len(frames)))
	b = be.AppendUint32(b, uint32(moof+8))
	for _, f := range frames {
		b = be.AppendUint32(b, uint32(len(f)))
	}
	box(8+size, "mdat")
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}

// Segment returns the n-th segment of a packed piece.
func Segment(piece []byte, n int64) ([]byte, error) {
	begin, at := 0, 0
	for at < len(piece) {
		if len(piece)-at < 8 {
			break
		}
		size := int(binary.BigEndian.Uint32(piece[at:]))
		if size < 8 || size > len(piece)-at {
			break
		}
		kind := string(piece[at+4 : at+8])
		at += size
		if kind != "mdat" {
			continue
		}
		if n == 0 {
			return piece[begin:at], nil
		}
		n, begin = n-1, at
	}
	return nil, fmt.Errorf("%w: a segment is missing", ErrBad)
}

// Whole reports whether a piece that was kept is all there.
func (p *Piece) Whole(piece []byte) bool {
	b, err := Segment(piece, int64(len(p.Frames)-1))
	return err == nil && len(b) > 0
}

// Plain returns an initialisation section of Opus from which a decoder drops nothing:
// what it would leave out (PreSkip of dOps) has a place on the timeline.
func Plain(section []byte) []byte {
	// The box's payload: version, channels, PreSkip (Encapsulation of Opus in ISO Base
	// Media File Format, section 4.3.2).
	i := bytes.Index(section, []byte("dOps"))
	if i < 0 || i+8 > len(section) {
		return section
	}
	out := bytes.Clone(section)
	out[i+6], out[i+7] = 0, 0
	return out
}
