package token

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-live/sluice/media"
)

const (
	audience = "sluice"
	// leeway forgives clocks that differ; NTP keeps them within a second.
	leeway = 10 * time.Second
	// maxToken bounds what is parsed at all; ours have about 300 bytes.
	maxToken = 8 << 10
	// maxSubject bounds what a foreign jti adds to each log line.
	maxSubject = 64
)

// Claims are what a token says (ARCHITECTURE section 5).
type Claims struct {
	jwt.RegisteredClaims
	Publish []media.Pattern `json:"publish,omitempty"`
	Play    []media.Pattern `json:"play,omitempty"`
	Admin   bool            `json:"admin,omitempty"`
}

// check holds the registered claims against the time (RFC 7519 section 4.1).
func (c Claims) check(now time.Time, expired bool) error {
	switch {
	case !slices.Contains(c.Audience, audience):
		return refuse("its audience is not %q", audience)
	case c.ExpiresAt == nil:
		return refuse("it has no expiry")
	case !expired && now.After(c.ExpiresAt.Add(leeway)):
		return refuse("it expired at %s", c.ExpiresAt.UTC().Format(time.RFC3339))
	case c.NotBefore != nil && now.Add(leeway).Before(c.NotBefore.Time):
		return refuse("it is not valid before %s", c.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// grant turns claims into leave; raw names a token that has no jti.
func (c Claims) grant(raw string) Grant {
	name := c.ID
	if name == "" {
		sum := sha256.Sum256([]byte(raw))
		name = hex.EncodeToString(sum[:8])
	}
	if len(name) > maxSubject {
		name = strings.ToValidUTF8(name[:maxSubject], "")
	}
	return Grant{Subject: "token:" + name, Publish: c.Publish, Play: c.Play, Admin: c.Admin, Expires: c.ExpiresAt.Time}
}

// refuse says in a sentence why a token is not valid.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", media.ErrUnauthorized, fmt.Sprintf(format, args...))
}
