package media

import (
	"fmt"
	"strings"
)

// StreamID names what is published, whoever publishes it now:
// [A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*, at most 128 bytes.
type StreamID string

// MaxStreamID is the longest StreamID, in bytes.
const MaxStreamID = 128

// SessionID is the last path segment of one WHIP or WHEP resource: a node's
// tag and 128 random bits, base64url.
type SessionID string

// NodeID names one server of a cluster.
type NodeID string

// Epoch is one publisher session of a stream. It rises strictly per stream,
// across restarts and nodes; a new epoch is a source switch for viewers.
type Epoch uint64

// Bitrate is in bits per second.
type Bitrate int64

// Ticks is a media time in units of a track's clock rate, extended to 64 bits.
type Ticks int64

// ParseStreamID returns s as a StreamID, or an error that wraps ErrBadStreamID
// and says which rule s breaks.
func ParseStreamID(s string) (StreamID, error) {
	if s == "" {
		return "", fmt.Errorf("%w: it is empty", ErrBadStreamID)
	}
	if len(s) > MaxStreamID {
		return "", fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrBadStreamID, len(s), MaxStreamID)
	}
	for _, part := range strings.Split(s, ".") {
		if part == "" {
			return "", fmt.Errorf("%w: a dot needs a name on both sides", ErrBadStreamID)
		}
		for i := range len(part) {
			if !nameByte(part[i]) {
				return "", fmt.Errorf("%w: only letters, digits, '-', '_' and inner dots are allowed", ErrBadStreamID)
			}
		}
	}
	return StreamID(s), nil
}

func nameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		return true
	}
	return false
}

// Pattern is an exact stream name, or a prefix followed by "*".
type Pattern string

// Matches reports whether the pattern covers the stream.
func (p Pattern) Matches(id StreamID) bool {
	if prefix, ok := strings.CutSuffix(string(p), "*"); ok {
		return strings.HasPrefix(string(id), prefix)
	}
	return string(p) == string(id)
}

// Valid returns an error when the pattern can match no legal stream name.
func (p Pattern) Valid() error {
	prefix, wild := strings.CutSuffix(string(p), "*")
	if wild && prefix == "" {
		return nil
	}
	if wild {
		prefix = strings.TrimSuffix(prefix, ".")
	}
	if _, err := ParseStreamID(prefix); err != nil {
		return fmt.Errorf("read pattern %q: %w", string(p), err)
	}
	return nil
}
