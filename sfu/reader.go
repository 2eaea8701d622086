package sfu

import (
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/sluice-live/sluice/media"
)

// reader opens SRTP packets in place, without allocation.
type reader struct{ header rtp.Header }

// open decrypts b in place and returns its header, valid until the next call,
// and its payload without padding (RFC 3550 section 5.1).
//
// hot:
func (r *reader) open(c *srtp.Context, b []byte) (*rtp.Header, []byte, error) {
	n, err := r.header.Unmarshal(b)
	if err != nil {
		return nil, nil, err
	}
	plain, err := c.DecryptRTP(b[:0], b, &r.header)
	if err != nil {
		return nil, nil, err
	}
	if n > len(plain) {
		return nil, nil, errShort
	}
	payload := plain[n:]
	if r.header.Padding && len(payload) > 0 {
		pad := int(payload[len(payload)-1])
		if pad == 0 || pad > len(payload) {
			return nil, nil, errPadding
		}
		payload = payload[:len(payload)-pad]
	}
	return &r.header, payload[:len(payload):len(payload)], nil
}

// packetArena hands out packets in blocks, so that one allocation serves many.
// A block is never reused: a Packet is immutable, the collector frees it.
type packetArena struct{ free []media.Packet }

// hot:
func (a *packetArena) take() *media.Packet {
	if len(a.free) == 0 {
		a.free = make([]media.Packet, 32)
	}
	p := &a.free[0]
	a.free = a.free[1:]
	return p
}
