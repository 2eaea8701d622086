package media

import "encoding/hex"

// Protect says whether and how the media of a stream are encrypted for HLS and DASH.
type Protect string

// Media are clear, or encrypted with keys that the node itself gives to whoever may
// play (W3C Encrypted Media Extensions, Clear Key).
const (
	ProtectNone     Protect = "none"
	ProtectClearKey Protect = "clearkey"
)

// KeyID names a content key: default_KID of common encryption (ISO/IEC 23001-7).
type KeyID [16]byte

// String writes the identifier as a UUID.
func (k KeyID) String() string {
	b := make([]byte, 0, 36)
	for i, part := range [...][]byte{k[:4], k[4:6], k[6:8], k[8:10], k[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return string(b)
}

// ContentSecret is a content key: it opens media, and has no text.
type ContentSecret [16]byte

// String gives nothing away.
func (ContentSecret) String() string { return "(secret)" }

// GoString gives nothing away.
func (ContentSecret) GoString() string { return "(secret)" }

// MarshalText gives nothing away.
func (ContentSecret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Protection is what players are told of the key of a rendition. Its scheme is always
// cbcs, which is the one that all players know.
type Protection struct {
	KeyID   KeyID
	Systems []KeySystem
}

// KeySystem is one way for players to the key: a system of digital rights management.
type KeySystem struct {
	// Format is KEYFORMAT of EXT-X-KEY, URI its URI and Versions its KEYFORMATVERSIONS;
	// HLS does not tell of a system without a Format.
	Format, URI, Versions string
	// ID is the system's UUID and Name its usual name (DASH, ContentProtection), Licence
	// the address of its licences; DASH does not tell of a system without an ID.
	ID, Name, Licence string
	// PSSH is a whole pssh box, which stands in initialisation sections; nil has none.
	PSSH []byte
}

// ContentKey is what media of one kind are encrypted with.
type ContentKey struct {
	Protection
	Secret ContentSecret
	// IV is the constant initialisation vector.
	IV [16]byte
}

// KeyAsk says which key is wanted.
type KeyAsk struct {
	Stream StreamID
	// Incarnation is that of the Presentation.
	Incarnation string
	Kind        RenditionKind
	// Licence is the path under which the node's own licences are had.
	Licence string
}
