package turn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// nameLength is the random part of a user name: 96 bits in base64url.
const nameLength = 16

// secret makes passwords out of user names, so that nothing needs to be kept
// for a ticket that is never used ("A REST API For Access To TURN Services",
// draft-uberti-behave-turn-rest-00 section 2.2).
type secret []byte

// mint makes the credentials that count until expiry.
func (s secret) mint(expiry time.Time) (username, password string) {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	username = strconv.FormatInt(expiry.Unix(), 10) + ":" + base64.RawURLEncoding.EncodeToString(b[:])
	return username, s.password(username)
}

func (s secret) password(username string) string {
	mac := hmac.New(sha256.New, s)
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// verify returns the password of a user name whose time has not come, or came
// no longer than grace ago. Whether the user knows it is for the caller to see.
func (s secret) verify(username string, now time.Time, grace time.Duration) (password string, ok bool) {
	expiry, ok := expires(username)
	if !ok || now.After(expiry.Add(grace)) || expiry.After(now.Add(ticketLife+time.Second)) {
		return "", false
	}
	return s.password(username), true
}

// expires reads a user name: unix seconds, a colon, and what makes it unique.
func expires(username string) (time.Time, bool) {
	digits, name, ok := strings.Cut(username, ":")
	if !ok || len(name) != nameLength || len(digits) == 0 || len(digits) > 11 || digits[0] == '0' {
		return time.Time{}, false
	}
	if strings.Trim(digits, "0123456789") != "" || strings.ContainsFunc(name, func(r rune) bool { return !inURL(r) }) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return time.Unix(n, 0), err == nil
}

func inURL(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// plain reports whether a name can stand in a URL: it came from a client.
func plain(name string) bool {
	return len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool { return !inURL(r) && r != '.' && r != ':' })
}
