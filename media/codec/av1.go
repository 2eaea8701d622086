package codec

import "github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"

// Types of AV1 OBUs (AV1 specification section 6.2.2).
const (
	obuSequenceHeader = 1
	obuFrameHeader    = 3
	obuTileGroup      = 4
	obuFrame          = 6
	obuRedundant      = 7
	obuTileList       = 8
	obuPadding        = 15
)

// av1 reads a payload of the AV1 RTP specification: an aggregation header
// (section 4.4), then OBU elements.
//
// A coded video sequence begins where the N bit and a sequence header say so,
// or, as not every packetizer sets N, where a key frame follows a sequence
// header in the same packet.
func (i *Info) av1(payload []byte) error {
	continued, count, fresh := payload[0]&0x80 != 0, int(payload[0]>>4&3), payload[0]&0x08 != 0
	elements := payload[1:]
	if len(elements) == 0 {
		return ErrShort
	}
	sequence := false
	for n := 0; len(elements) > 0; n++ {
		element, rest, err := obuElement(elements, n, count)
		if err != nil {
			return err
		}
		elements = rest
		if n == 0 && continued || len(element) == 0 {
			continue
		}
		o, err := parseOBU(element)
		if err != nil {
			return err
		}
		if o.extended && n == 0 {
			i.Temporal, i.Spatial = o.temporal, o.spatial
		}
		i.Begins = i.Begins || n == 0 && o.opens()
		switch o.kind {
		case obuSequenceHeader:
			sequence = true
			i.Start = i.Start || fresh
			i.av1Sequence(o.body)
		case obuFrame, obuFrameHeader:
			i.Start = i.Start || sequence && o.key()
		}
	}
	return nil
}

// obuElement cuts off the n-th element. Each has its length before it, but for
// the last of a known count.
func obuElement(b []byte, n, count int) (element, rest []byte, err error) {
	if count != 0 && n == count-1 {
		return b, nil, nil
	}
	size, used := leb128(b)
	if used == 0 || size > uint64(len(b)-used) || count != 0 && n >= count {
		return nil, nil, ErrShort
	}
	return b[used : used+int(size)], b[used+int(size):], nil
}

// leb128 reads a little-endian base 128 number of at most 32 bits (AV1
// specification section 4.10.5); used is 0 if there is none.
func leb128(b []byte) (v uint64, used int) {
	for n := range min(len(b), 8) {
		v |= uint64(b[n]&0x7f) << (7 * n)
		if b[n]&0x80 == 0 {
			if v > 1<<32-1 {
				return 0, 0
			}
			return v, n + 1
		}
	}
	return 0, 0
}

// obu is what one OBU begins with.
type obu struct {
	kind              byte
	extended          bool
	temporal, spatial uint8
	body              []byte // after the header and the size field; may be cut short
}

// parseOBU reads the header of section 5.3.2. The size field, which RTP leaves
// out, is tolerated.
func parseOBU(b []byte) (obu, error) {
	o := obu{kind: b[0] >> 3 & 0xf, extended: b[0]&4 != 0}
	at := 1
	if o.extended {
		if len(b) < 2 {
			return obu{}, ErrShort
		}
		o.temporal, o.spatial = b[1]>>5, b[1]>>3&3
		at = 2
	}
	if b[0]&2 != 0 {
		_, used := leb128(b[at:])
		if used == 0 {
			return obu{}, ErrShort
		}
		at += used
	}
	o.body = b[at:]
	return o, nil
}

// opens reports whether a frame may begin with this OBU; the others only go on
// with one.
func (o obu) opens() bool {
	return o.kind != obuTileGroup && o.kind != obuRedundant && o.kind != obuTileList && o.kind != obuPadding
}

// key reads show_existing_frame and frame_type of a frame header (section
// 5.9.2): both 0 in a key frame.
func (o obu) key() bool { return len(o.body) > 0 && o.body[0]&0xe0 == 0 }

var av1Profiles = [...]string{"Main", "High", "Professional"}

// av1Sequence reads a sequence header (section 5.5); the parser wants an OBU
// header without extension before it.
func (i *Info) av1Sequence(body []byte) {
	var h av1.SequenceHeader
	if h.Unmarshal(append([]byte{obuSequenceHeader << 3}, body...)) != nil {
		return
	}
	i.size(h.Width(), h.Height())
	if int(h.SeqProfile) < len(av1Profiles) {
		i.Profile = av1Profiles[h.SeqProfile]
	}
}
