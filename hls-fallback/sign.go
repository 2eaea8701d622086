package hlsfallback

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Key signs play tokens. ID tells keys apart in tokens: [A-Za-z0-9_-], at most 16.
type Key struct {
	ID     string
	Secret []byte // 16 bytes or more
}

func (k Key) validate() error {
	if k.ID == "" || len(k.ID) > 16 || strings.Trim(k.ID, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return fmt.Errorf("key %.20q: its name has 1 to 16 letters, digits, _ and -", k.ID)
	}
	if len(k.Secret) < 16 {
		return fmt.Errorf("key %s: the secret has %d bytes, at least 16 are needed", k.ID, len(k.Secret))
	}
	return nil
}

// Grant is what a signed token allows.
type Grant struct {
	// Videos tells that Name is an asset, else a stream.
	Videos bool
	Name   string
	// Expires is when the token ceases to count, to the second.
	Expires time.Time
	// Remote binds the token to one address; the zero Addr to none.
	Remote netip.Addr
}

// signed is how such tokens begin; a JWT begins with "ey".
const signed = "sl1"

// Sign makes a token that opens one stream or asset until it expires, for
// ?token=, the header or the cookie. The token's length does not depend on the name.
func Sign(k Key, g Grant) string {
	bound := "0"
	if g.Remote.IsValid() {
		bound = "1"
	}
	body := signed + "." + k.ID + "." + strconv.FormatInt(g.Expires.Unix(), 36) + "." + bound
	return body + "." + base64.RawURLEncoding.EncodeToString(mac(k, body, g))
}

// mac covers what the token says and what it is for. Neither name nor address can
// hold a newline, which keeps the fields apart.
func mac(k Key, body string, g Grant) []byte {
	kind := "live"
	if g.Videos {
		kind = "videos"
	}
	h := hmac.New(sha256.New, k.Secret)
	fmt.Fprintf(h, "sluice play\n%s\n%s\n%s\n", body, kind, g.Name)
	if g.Remote.IsValid() {
		fmt.Fprintf(h, "%s\n", g.Remote.Unmap())
	}
	return h.Sum(nil)
}

var (
	errSignature = fmt.Errorf("%w: the link's signature is not valid for this", media.ErrUnauthorized)
	errExpired   = fmt.Errorf("%w: the link has expired", media.ErrUnauthorized)
)

// ErrForeign says that a token was not made by Sign.
var ErrForeign = errors.New("not a signed token")

// Verify checks whether a token that Sign made opens what g names, for g.Remote,
// and returns when it ends; ErrForeign when it is another kind, else what wraps
// media.ErrUnauthorized.
func Verify(keys []Key, token string, g Grant, now time.Time) (expires time.Time, err error) {
	rest, ok := strings.CutPrefix(token, signed+".")
	if !ok {
		return expires, ErrForeign
	}
	fields := strings.Split(rest, ".")
	if len(fields) != 4 {
		return expires, errSignature
	}
	until, err := strconv.ParseInt(fields[1], 36, 64)
	given, err2 := base64.RawURLEncoding.DecodeString(fields[3])
	if err != nil || err2 != nil || fields[2] != "0" && fields[2] != "1" {
		return expires, errSignature
	}
	if fields[2] == "0" {
		g.Remote = netip.Addr{}
	}
	for _, k := range keys {
		body := token[:len(token)-len(fields[3])-1]
		if k.ID == fields[0] && subtle.ConstantTimeCompare(mac(k, body, g), given) == 1 {
			if now.Unix() >= until {
				return expires, errExpired
			}
			return time.Unix(until, 0), nil
		}
	}
	return expires, errSignature
}
