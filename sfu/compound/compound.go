// Package compound reads viewers' RTCP where it lies: nothing is copied or
// allocated, as thousands of viewers report ten times a second. It promises that
// what it reads is what stands there, that it reads nothing else, and that bad
// lengths are errors. A Packet lives as long as the memory it points into.
package compound

import (
	"encoding/binary"
	"errors"

	"github.com/pion/rtcp"
)

// ErrBad means that a packet is cut off, or has a length that its kind cannot have.
var ErrBad = errors.New("read a control packet: it is shorter than it says")

// Kind is what a packet says, of what a server of media has use for.
type Kind uint8

// The kinds. A Reception is a sender's or a receiver's report.
const (
	Other Kind = iota
	Reception
	NACK
	Arrivals
	PictureLoss
	FullIntra
	Extended
)

// Packet is one packet of a compound one, its header included.
type Packet struct {
	Kind Kind
	B    []byte
	at   int // of what repeats: reception blocks, pairs, entries
	n    int // how many
}

const (
	headerSize, blockSize = 4, 24
	// senderInfo is what a sender report has before its blocks (RFC 3550 section 6.4.1).
	senderInfo = 20
	// feedbackHeader are the header and two SSRCs (RFC 4585 section 6.1).
	feedbackHeader = 12
	pairSize       = 4
	entrySize      = 8
)

// Next reads the first packet of a compound one and returns what follows.
//
// hot: once per packet that a viewer sends.
func Next(b []byte) (p Packet, rest []byte, err error) {
	if len(b) < headerSize || b[0]>>6 != 2 {
		return Packet{}, nil, ErrBad
	}
	size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
	if size > len(b) {
		return Packet{}, nil, ErrBad
	}
	p = Packet{B: b[:size]}
	count := b[0] & 0x1f
	switch b[1] {
	case uint8(rtcp.TypeSenderReport):
		p.Kind, p.at, p.n = Reception, 2*headerSize+senderInfo, int(count)
		err = p.holds(blockSize)
	case uint8(rtcp.TypeReceiverReport):
		p.Kind, p.at, p.n = Reception, 2*headerSize, int(count)
		err = p.holds(blockSize)
	case uint8(rtcp.TypeExtendedReport):
		p.Kind, p.at = Extended, 2*headerSize
		err = p.holds(0)
	case uint8(rtcp.TypeTransportSpecificFeedback):
		err = p.transport(count)
	case uint8(rtcp.TypePayloadSpecificFeedback):
		err = p.payload(count)
	}
	return p, b[size:], err
}

// holds makes sure of the room for what repeats.
func (p *Packet) holds(each int) error {
	if p.at+p.n*each > len(p.B) {
		return ErrBad
	}
	return nil
}

func (p *Packet) transport(format uint8) error {
	switch format {
	case rtcp.FormatTLN:
		p.Kind, p.at = NACK, feedbackHeader
		if p.n = (len(p.B) - p.at) / pairSize; p.n < 1 {
			return ErrBad
		}
	case rtcp.FormatTCC:
		p.Kind = Arrivals
	}
	return nil
}

func (p *Packet) payload(format uint8) error {
	switch format {
	case rtcp.FormatPLI:
		p.Kind, p.at = PictureLoss, feedbackHeader
		return p.holds(0)
	case rtcp.FormatFIR:
		p.Kind, p.at = FullIntra, feedbackHeader
		if p.n = (len(p.B) - p.at) / entrySize; p.n < 1 {
			return ErrBad
		}
	}
	return nil
}

// Len is how many blocks, pairs or entries the packet has.
func (p *Packet) Len() int { return p.n }

// Sender is the SSRC of who sent it.
func (p *Packet) Sender() uint32 { return binary.BigEndian.Uint32(p.B[4:]) }

// Media is the SSRC that a NACK or a loss of the picture is about.
func (p *Packet) Media() uint32 { return binary.BigEndian.Uint32(p.B[8:]) }

// Block is the i-th reception block.
func (p *Packet) Block(i int) rtcp.ReceptionReport {
	b := p.B[p.at+i*blockSize:][:blockSize]
	return rtcp.ReceptionReport{SSRC: binary.BigEndian.Uint32(b), FractionLost: b[4], TotalLost: binary.BigEndian.Uint32(b[4:]) & 0xffffff,
		LastSequenceNumber: binary.BigEndian.Uint32(b[8:]), Jitter: binary.BigEndian.Uint32(b[12:]),
		LastSenderReport: binary.BigEndian.Uint32(b[16:]), Delay: binary.BigEndian.Uint32(b[20:])}
}

// Pair is the i-th pair of a NACK: a number, and which of the 16 after it are
// missing, too.
func (p *Packet) Pair(i int) rtcp.NackPair {
	b := p.B[p.at+i*pairSize:][:pairSize]
	return rtcp.NackPair{PacketID: binary.BigEndian.Uint16(b), LostPackets: rtcp.PacketBitmap(binary.BigEndian.Uint16(b[2:]))}
}

// Entry is the SSRC of the i-th entry of a full intra request.
func (p *Packet) Entry(i int) uint32 { return binary.BigEndian.Uint32(p.B[p.at+i*entrySize:]) }

// Reference is the sender's clock, if an extended report tells it (RFC 3611 section
// 4.4); of several the last.
func (p *Packet) Reference() (ntp uint64, ok bool) {
	const reference = 4 // the block's type
	for b := p.B[p.at:]; len(b) >= 4; {
		size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if size > len(b) {
			break
		}
		if b[0] == reference && size == 12 {
			ntp, ok = binary.BigEndian.Uint64(b[4:]), true
		}
		b = b[size:]
	}
	return ntp, ok
}
