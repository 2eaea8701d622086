package egress

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pion/srtp/v3"
)

var (
	// ErrForged means that a packet is not from who it says, or was changed.
	ErrForged = errors.New("open a control packet: it is not authentic")
	// ErrReplayed means that a packet came before, or is too old to tell.
	ErrReplayed = errors.New("open a control packet: it came before")
)

const (
	labelControlEncryption = 0x03
	labelControlSalt       = 0x05
	// controlTrailer is the E flag and the SRTCP index (RFC 3711 section 3.4).
	controlTrailer = 4
	// controlHeader is what stays readable: the first header and its SSRC.
	controlHeader = 8
	// maxSenders bounds the SSRCs that one session may send control packets under.
	maxSenders  = 8
	lastControl = 1<<31 - 1
)

// ControlSealer seals one session's RTCP, each packet under an index of its own.
type ControlSealer interface {
	// SealControl appends the sealed compound packet to dst.
	SealControl(dst, packet []byte) ([]byte, error)
}

// ControlOpener opens what the other side sends, each packet once.
type ControlOpener interface {
	// OpenControl appends the plain compound packet to dst.
	OpenControl(dst, sealed []byte) ([]byte, error)
}

// controlKey is one direction of AEAD_AES_128_GCM for RTCP (RFC 7714 section 9).
type controlKey struct {
	aead cipher.AEAD
	salt [12]byte
	iv   [12]byte
	aad  [controlHeader + controlTrailer]byte
}

func newControlKey(key, salt []byte) (controlKey, error) {
	var k controlKey
	if len(key) != 16 || len(salt) != 12 {
		return k, fmt.Errorf("make a control key: key and salt have %d and %d bytes, not 16 and 12", len(key), len(salt))
	}
	session, err := derive(key, salt, labelControlEncryption, len(key))
	if err != nil {
		return k, err
	}
	block, err := aes.NewCipher(session)
	if err == nil {
		k.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		return k, fmt.Errorf("make the control key's cipher: %w", err)
	}
	own, err := derive(key, salt, labelControlSalt, len(salt))
	copy(k.salt[:], own)
	return k, err
}

// aim sets nonce and associated data for one packet (RFC 7714 sections 9.1 and 9.3).
func (k *controlKey) aim(header []byte, trailer uint32) {
	clear(k.iv[:])
	copy(k.iv[2:6], header[4:8])
	binary.BigEndian.PutUint32(k.iv[8:], trailer&lastControl)
	for i, b := range k.salt {
		k.iv[i] ^= b
	}
	copy(k.aad[:], header[:controlHeader])
	binary.BigEndian.PutUint32(k.aad[controlHeader:], trailer)
}

// ControlGCM seals RTCP by AEAD_AES_128_GCM. There must be only one for a key.
type ControlGCM struct {
	key   controlKey
	index uint32
}

// NewControlGCM takes the master key and salt, of 16 and 12 bytes.
func NewControlGCM(key, salt []byte) (*ControlGCM, error) {
	k, err := newControlKey(key, salt)
	return &ControlGCM{key: k}, err
}

// SealControl implements ControlSealer.
func (c *ControlGCM) SealControl(dst, packet []byte) ([]byte, error) {
	if len(packet) < controlHeader {
		return dst, ErrBadPacket
	}
	if c.index == lastControl {
		return dst, ErrExhausted
	}
	c.index++
	trailer := 1<<31 | c.index
	c.key.aim(packet, trailer)
	dst = append(dst, packet[:controlHeader]...)
	dst = c.key.aead.Seal(dst, c.key.iv[:], packet[controlHeader:], c.key.aad[:])
	return binary.BigEndian.AppendUint32(dst, trailer), nil
}

// ControlGCMOpener opens RTCP sealed by AEAD_AES_128_GCM.
type ControlGCMOpener struct {
	key     controlKey
	senders []sender
}

// sender is what came of one SSRC: the highest index, and which of the 64 up to it.
type sender struct {
	ssrc, top uint32
	seen      uint64
}

// NewControlGCMOpener takes the other side's master key and salt.
func NewControlGCMOpener(key, salt []byte) (*ControlGCMOpener, error) {
	k, err := newControlKey(key, salt)
	return &ControlGCMOpener{key: k}, err
}

// OpenControl implements ControlOpener.
func (c *ControlGCMOpener) OpenControl(dst, sealed []byte) ([]byte, error) {
	body := len(sealed) - controlTrailer
	if body < controlHeader+gcmTag {
		return dst, ErrBadPacket
	}
	trailer := binary.BigEndian.Uint32(sealed[body:])
	if trailer>>31 == 0 { // browsers never send RTCP in the clear
		return dst, ErrForged
	}
	ssrc, index := binary.BigEndian.Uint32(sealed[4:]), trailer&lastControl
	s := c.sender(ssrc)
	if s != nil && s.replayed(index) {
		return dst, ErrReplayed
	}
	c.key.aim(sealed, trailer)
	at := len(dst)
	dst = append(dst, sealed[:controlHeader]...)
	out, err := c.key.aead.Open(dst, c.key.iv[:], sealed[controlHeader:body], c.key.aad[:])
	if err != nil {
		return dst[:at], ErrForged
	}
	if s == nil {
		if len(c.senders) == maxSenders {
			return dst[:at], ErrForged
		}
		c.senders = append(c.senders, sender{ssrc: ssrc, top: index})
		s = &c.senders[len(c.senders)-1]
	}
	s.note(index)
	return out, nil
}

func (c *ControlGCMOpener) sender(ssrc uint32) *sender {
	for i := range c.senders {
		if c.senders[i].ssrc == ssrc {
			return &c.senders[i]
		}
	}
	return nil
}

func (s *sender) replayed(index uint32) bool {
	if index > s.top {
		return false
	}
	back := s.top - index
	return back >= 64 || s.seen>>back&1 != 0
}

func (s *sender) note(index uint32) {
	if index > s.top {
		s.seen <<= min(index-s.top, 64)
		s.top = index
	}
	s.seen |= 1 << (s.top - index)
}

// GenericControl seals or opens with what pion/srtp offers, for the other
// protection profiles.
type GenericControl struct{ Context *srtp.Context }

// SealControl implements ControlSealer.
func (g GenericControl) SealControl(dst, packet []byte) ([]byte, error) {
	at := len(dst)
	sealed, err := g.Context.EncryptRTCP(nil, packet, nil)
	if err != nil {
		return dst[:at], fmt.Errorf("seal a control packet: %w", err)
	}
	return append(dst, sealed...), nil
}

// OpenControl implements ControlOpener.
func (g GenericControl) OpenControl(dst, sealed []byte) ([]byte, error) {
	plain, err := g.Context.DecryptRTCP(nil, sealed, nil)
	if err != nil {
		return dst, fmt.Errorf("open a control packet: %w", err)
	}
	return append(dst, plain...), nil
}
