package upload

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// URL returns the path and query under which a part is let in until it expires.
func (s *Store) URL(i Info, n int, now time.Time) (path string, expires time.Time) {
	expires = now.Add(s.cfg.URLs).Truncate(time.Second)
	q := url.Values{"expires": {strconv.FormatInt(expires.Unix(), 10)}, "signature": {s.sign(i, n, expires.Unix())}}
	return fmt.Sprintf("/v1/uploads/%s/parts/%d?%s", i.ID, n, q.Encode()), expires
}

// Check tells whether a URL's query lets in a part.
func (s *Store) Check(i Info, n int, q url.Values, now time.Time) error {
	expires, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	if err != nil || !hmac.Equal([]byte(q.Get("signature")), []byte(s.sign(i, n, expires))) {
		return ErrSignature
	}
	if now.Unix() > expires {
		return ErrExpired
	}
	return nil
}

// sign covers all that the bearer of the URL could want to be different.
func (s *Store) sign(i Info, n int, expires int64) string {
	mac := hmac.New(sha256.New, s.key)
	_, _ = fmt.Fprintf(mac, "PUT\n%q\n%d\n%d\n%q\n%d", i.ID, n, i.PartSize(n), i.Type, expires) // a hash takes everything
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
