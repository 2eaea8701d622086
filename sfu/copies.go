package sfu

import (
	"time"

	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/red"
)

// maxMended is how far from the newest packet a copy may fill a hole: a second
// of packets of 10 ms. More is an outage or a restart, which sound does not mend.
const maxMended = 100

// copies is the memory in which RED packets are taken apart.
type copies struct {
	blocks []red.Block
	header rtp.Header
}

// unwrap takes a RED packet apart (RFC 2198): copies of earlier packets go in
// where those are missing, ahead of it, and its own payload is returned. All
// behind the door see Opus only. What is no RED has no payload: its place closes.
//
// hot:
func (p *publisher) unwrap(u *upstream, h *rtp.Header, payload []byte, at time.Time) []byte {
	blocks, err := red.Parse(p.copies.blocks[:0], payload)
	p.copies.blocks = blocks[:0]
	if err != nil || !carries(u, blocks[len(blocks)-1].PT) {
		p.books.unreadable++
		return nil
	}
	primary := len(blocks) - 1
	for i, b := range blocks[:primary] {
		c := &p.copies.header
		*c = rtp.Header{Version: 2, PayloadType: b.PT, SSRC: h.SSRC,
			SequenceNumber: h.SequenceNumber - uint16(primary-i), Timestamp: h.Timestamp - uint32(b.Offset)}
		if len(b.Payload) > 0 && carries(u, b.PT) && u.lacks(c) {
			if int16(c.SequenceNumber-uint16(u.newest)) > 0 { // else the NACK generator counts it
				u.mended++
			}
			p.take(u, c, b.Payload, true, at)
		}
	}
	return blocks[primary].Payload
}

// carries reports whether a block of this payload type is the sound that flows.
func carries(u *upstream, pt uint8) bool {
	for i := range u.line.Codecs {
		if u.line.Codecs[i].PT == pt {
			return u.line.Codecs[i].Codec == u.codec
		}
	}
	return false
}

// lacks reports whether a copy's packet is missing. RED numbers no copies: senders
// copy the packets right before, and what the times of the neighbours contradict
// is left out.
//
// hot:
func (u *upstream) lacks(c *rtp.Header) bool {
	if u.newest == 0 { // the first: what was before it, nobody misses
		return false
	}
	behind := int16(c.SequenceNumber - uint16(u.newest))
	if behind > maxMended || behind < -maxMended {
		return false
	}
	seq := u.newest + uint64(int64(behind))
	if seq < u.ring.Oldest() || u.ring.Get(seq) != nil {
		return false
	}
	return between(c.Timestamp, u.ring.Get(seq-1), u.ring.Get(seq+1))
}

// between reports whether a time lies between those of two packets, as far as
// they are known.
func between(ts uint32, before, after *media.Packet) bool {
	return (before == nil || int32(ts-uint32(before.TS)) > 0) && (after == nil || int32(uint32(after.TS)-ts) > 0)
}
