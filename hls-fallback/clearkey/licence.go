package clearkey

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-live/sluice/media"
)

const (
	// MaxRequest bounds a licence request in bytes: one that asks for two keys has 100.
	MaxRequest = 4 << 10
	// maxKeys bounds the keys of one request.
	maxKeys = 16
)

// Why a licence request is refused.
var (
	ErrRequest = errors.New("read a licence request")
	ErrUnknown = errors.New("none of the keys is this stream's, or not any more")
)

// request is what a browser asks (section 9.1.3).
type request struct {
	KIDs []string `json:"kids"`
	Type string   `json:"type"`
}

// jwk is one key of a licence, JSON Web Key (section 9.1.4, RFC 7517).
type jwk struct {
	Kty string `json:"kty"`
	K   string `json:"k"`
	KID string `json:"kid"`
}

type licence struct {
	Keys []jwk  `json:"keys"`
	Type string `json:"type"`
}

// Parse reads which keys are asked for, of those that there are. The error tells what
// is wrong: ErrRequest.
func Parse(body []byte) ([]media.KeyID, error) {
	if len(body) > MaxRequest {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrRequest, MaxRequest)
	}
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf(`%w: it is not JSON such as {"kids":["…"],"type":"temporary"}`, ErrRequest)
	}
	switch {
	case r.Type != "" && r.Type != "temporary":
		return nil, fmt.Errorf("%w: only temporary licences are given", ErrRequest)
	case len(r.KIDs) == 0 || len(r.KIDs) > maxKeys:
		return nil, fmt.Errorf("%w: it asks for %d keys; 1 to %d are allowed", ErrRequest, len(r.KIDs), maxKeys)
	}
	var ids []media.KeyID
	for _, text := range r.KIDs {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(b) != len(media.KeyID{}) {
			return nil, fmt.Errorf("%w: a key's identifier is not 16 bytes in base64url without padding", ErrRequest)
		}
		if id := media.KeyID(b); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Licence is the answer for those of the keys that are asked for; ErrUnknown without
// any.
func Licence(ids []media.KeyID, keys []*media.ContentKey) ([]byte, error) {
	out := licence{Type: "temporary"}
	for _, k := range keys {
		if slices.Contains(ids, k.KeyID) {
			out.Keys = append(out.Keys, jwk{"oct", base64.RawURLEncoding.EncodeToString(k.Secret[:]), base64.RawURLEncoding.EncodeToString(k.KeyID[:])})
		}
	}
	if len(out.Keys) == 0 {
		return nil, ErrUnknown
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("write a licence: %w", err)
	}
	return b, nil
}
