package source

import (
	"bytes"
	"errors"
)

// Opus returns the audio packets of an Ogg Opus file (RFC 3533, RFC 7845),
// without its two header packets.
func Opus(b []byte) ([][]byte, error) {
	var packets [][]byte
	var open []byte
	for len(b) > 0 {
		// A page: magic, 22 bytes, the number of segments, their lengths (RFC 3533 section 6).
		if len(b) < 27 || !bytes.HasPrefix(b, []byte("OggS")) {
			return nil, errors.New("read Ogg: a page does not begin with OggS")
		}
		n := int(b[26])
		if len(b) < 27+n {
			return nil, errors.New("read Ogg: a page's table is cut")
		}
		table, body := b[27:27+n], b[27+n:]
		for _, l := range table {
			if len(body) < int(l) {
				return nil, errors.New("read Ogg: a page is cut")
			}
			open = append(open, body[:l]...)
			body = body[l:]
			if l < 255 { // the last segment of a packet
				packets = append(packets, open)
				open = nil
			}
		}
		b = body
	}
	if len(packets) < 3 || !bytes.HasPrefix(packets[0], []byte("OpusHead")) {
		return nil, errors.New("read Ogg: it is not Opus")
	}
	return packets[2:], nil
}
