package egress

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// Sealer seals one session's RTP packets under one key. It uses each number of an
// SSRC once: there must be only one Sealer for a key, and a new key wants a new
// one. It is not safe for concurrent use.
type Sealer interface {
	// Seal appends the sealed packet to dst, which has room for it. The header ends
	// where the payload begins (with CSRCs and extensions); both may already lie
	// where they go, next to each other behind dst.
	Seal(dst, header, payload []byte) ([]byte, error)
	// Overhead is how much longer, in bytes, sealing makes a packet.
	Overhead() int
}

// GCM is AEAD_AES_128_GCM (RFC 7714).
type GCM struct {
	numbers numbers
	aead    cipher.AEAD
	iv      [12]byte

	saltHigh uint64 // the first eight bytes of the salt, and the rest
	saltLow  uint32
}

// gcmTag is the length of the tag in bytes (RFC 7714 section 12.1).
const gcmTag = 16

// NewGCM takes the master key and salt, of 16 and 12 bytes. The last repeats
// packets of each SSRC may be sealed again, if they are the very same; 0 is none.
// It costs 8 bytes for each.
func NewGCM(key, salt []byte, repeats int) (*GCM, error) {
	if len(key) != 16 || len(salt) != 12 {
		return nil, fmt.Errorf("make a sealer: key and salt have %d and %d bytes, not 16 and 12", len(key), len(salt))
	}
	session, err := derive(key, salt, labelEncryption, len(key))
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(session)
	if err != nil {
		return nil, fmt.Errorf("make the session key's cipher: %w", err)
	}
	g := &GCM{numbers: newNumbers(repeats)}
	if g.aead, err = cipher.NewGCM(block); err != nil {
		return nil, fmt.Errorf("make the session key's cipher: %w", err)
	}
	own, err := derive(key, salt, labelSalt, len(salt))
	if err != nil {
		return nil, err
	}
	g.saltHigh, g.saltLow = binary.BigEndian.Uint64(own), binary.BigEndian.Uint32(own[8:])
	return g, nil
}

// Labels of RFC 3711 section 4.3.2.
const (
	labelEncryption = 0x00
	labelSalt       = 0x02
)

// derive makes a session key of at most 16 bytes out of the master key (RFC 3711
// section 4.3.3; RFC 7714 section 11 keeps it, the salt being shorter).
func derive(key, salt []byte, label byte, n int) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive a session key: %w", err)
	}
	var in, out [aes.BlockSize]byte
	copy(in[:14], salt)
	in[7] ^= label
	block.Encrypt(out[:], in[:])
	return out[:n], nil
}

// Overhead implements Sealer.
func (g *GCM) Overhead() int { return gcmTag }

// Seal implements Sealer.
//
// hot:
func (g *GCM) Seal(dst, header, payload []byte) ([]byte, error) {
	at := len(dst)
	if len(header) < 12 {
		return dst, ErrBadPacket
	}
	if cap(dst)-at < len(header)+len(payload)+gcmTag {
		return dst, ErrNoRoom
	}
	s := g.numbers.stream(binary.BigEndian.Uint32(header[8:]))
	index, again, err := s.take(binary.BigEndian.Uint16(header[2:]))
	if err != nil {
		return dst, err
	}
	// RFC 7714 section 8.1: two zeros, SSRC, and index, over the salt.
	binary.BigEndian.PutUint64(g.iv[0:], g.saltHigh^(uint64(s.ssrc)<<16|index>>32))
	binary.BigEndian.PutUint32(g.iv[8:], g.saltLow^uint32(index))
	head := dst[at : at+len(header)]
	copy(head, header)
	sealed := g.aead.Seal(dst[:at+len(header)], g.iv[:], payload, head)
	return finish(s, sealed, at, index, again)
}

// finish lets a packet out, unless it is another one under a number that was used.
//
// hot:
func finish(s *stream, sealed []byte, at int, index uint64, again bool) ([]byte, error) {
	if !s.came(index, binary.BigEndian.Uint64(sealed[len(sealed)-8:]), again) {
		clear(sealed[at:])
		return sealed[:at], ErrReused
	}
	return sealed, nil
}

// Generic seals with what pion/srtp offers, for the other protection profiles.
type Generic struct {
	numbers  numbers
	context  *srtp.Context
	overhead int
	header   rtp.Header
}

// maxGeneric is what any profile adds at the most, in bytes.
const maxGeneric = 16

// NewGeneric takes a context that nobody else seals RTP with, and what NewGCM says
// of repeats.
func NewGeneric(c *srtp.Context, repeats int) *Generic {
	return &Generic{numbers: newNumbers(repeats), context: c, overhead: maxGeneric}
}

// Overhead implements Sealer.
func (g *Generic) Overhead() int { return g.overhead }

// Seal implements Sealer.
//
// hot:
func (g *Generic) Seal(dst, header, payload []byte) ([]byte, error) {
	at := len(dst)
	if len(header) < 12 {
		return dst, ErrBadPacket
	}
	if cap(dst)-at < len(header)+len(payload)+g.overhead {
		return dst, ErrNoRoom
	}
	s := g.numbers.stream(binary.BigEndian.Uint32(header[8:]))
	index, again, err := s.take(binary.BigEndian.Uint16(header[2:]))
	if err != nil {
		return dst, err
	}
	packet := dst[at : at+len(header)+len(payload)]
	copy(packet[len(header):], payload)
	copy(packet, header)
	sealed, err := g.context.EncryptRTP(packet[:0:cap(packet)], packet, &g.header)
	if err != nil {
		return dst, fmt.Errorf("seal a packet: %w", err)
	}
	if len(sealed) > cap(dst)-at || len(sealed) < 8 {
		return dst, ErrNoRoom
	}
	return finish(s, dst[:at+len(sealed)], at, index, again)
}
