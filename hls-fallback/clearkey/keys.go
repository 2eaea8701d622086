package clearkey

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/sluice-live/sluice/media"
)

// Format is Clear Key's KEYFORMAT in HLS, and its name as a key system.
const Format = "org.w3.clearkey"

const (
	// systemID is Clear Key's in DASH (DASH-IF Interoperability Points 4.3 section 7.6.2.4).
	systemID   = "e2719d58-a985-b3c9-781a-b030af78d30e"
	systemName = "ClearKey1.0"
	// MinSecret in bytes: as long as the keys that are derived.
	MinSecret = 16
)

// common is the system of pssh boxes that only name keys, which all browsers read
// (W3C "cenc" Initialization Data Format, section 4).
var common = [16]byte{0x10, 0x77, 0xef, 0xec, 0xc0, 0xb2, 0x4d, 0x02, 0xac, 0xe3, 0x3c, 0x1e, 0x52, 0xe2, 0xfb, 0x4b}

// Keys derives the keys of all streams from one secret (HKDF-SHA256, RFC 5869): nothing
// has to be kept, and nodes with the same secret give the same keys.
type Keys struct{ secret []byte }

// New returns the keys of a secret.
func New(secret []byte) (*Keys, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("derive content keys: the secret has less than %d bytes", MinSecret)
	}
	return &Keys{append([]byte(nil), secret...)}, nil
}

// Key returns the key of one kind of media of an incarnation.
func (k *Keys) Key(a media.KeyAsk) (*media.ContentKey, error) {
	var key media.ContentKey
	for _, one := range []struct {
		what string
		to   []byte
	}{{"id", key.KeyID[:]}, {"key", key.Secret[:]}, {"iv", key.IV[:]}} {
		if err := k.derive(one.to, one.what, a, a.Kind); err != nil {
			return nil, err
		}
	}
	// The box names the keys of both kinds: a player that makes one session for all that
	// it plays asks for all that it needs (hls.js 1.7 does). It stands for itself, because
	// dash.js 5.2 takes a box beneath Clear Key's descriptor for a list of identifiers.
	var ids []media.KeyID
	for _, kind := range []media.RenditionKind{media.VideoRendition, media.AudioRendition} {
		var id media.KeyID
		if err := k.derive(id[:], "id", a, kind); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	// DASH is not told of the licence's address: players take a path for one of the page's
	// own site, and Shaka Player 5.2 takes it before what the page says.
	key.Systems = []media.KeySystem{
		{Format: Format, URI: a.Licence, Versions: "1", ID: systemID, Name: systemName},
		{PSSH: pssh(ids)},
	}
	return &key, nil
}

// derive fills to. What the key is for has lengths before it, so that no two asks are
// one.
func (k *Keys) derive(to []byte, what string, a media.KeyAsk, kind media.RenditionKind) error {
	info := fmt.Sprintf("sluice content key 1 %d %d:%s %d:%s %s", kind, len(a.Stream), a.Stream, len(a.Incarnation), a.Incarnation, what)
	b, err := hkdf.Key(sha256.New, k.secret, nil, info, len(to))
	if err != nil {
		return fmt.Errorf("derive a content key: %w", err)
	}
	copy(to, b)
	return nil
}

// pssh is a box of version 1 without data (ISO/IEC 23001-7 section 8.1).
func pssh(ids []media.KeyID) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+4+16+4+16*len(ids)+4))
	b = append(append(b, "pssh\x01\x00\x00\x00"...), common[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(ids)))
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return binary.BigEndian.AppendUint32(b, 0)
}
