package token

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-live/sluice/media"
)

// Tokens issues tokens and tells what they allow. Safe for concurrent use.
type Tokens struct {
	cfg    Config
	log    *slog.Logger
	secret []byte
	admin  string
	keys   *Keys
	jwks   *provider // nil without JWKS
	parser *jwt.Parser
}

// Open reads the data directory and makes what is missing in it: the signing
// key, an admin token, and later the stream keys. It starts nothing.
func Open(cfg Config) (*Tokens, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	t := &Tokens{cfg: cfg, log: cfg.Logger}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	methods := []string{"HS256"}
	if cfg.JWKS.URL != "" {
		t.jwks = newProvider(cfg.JWKS, t.log)
		methods = append(methods, publicMethods...)
	}
	// Claims are checked by Claims.check, which can forgive an expiry.
	t.parser = jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithoutClaimsValidation())
	return t, t.open()
}

func (t *Tokens) open() (err error) {
	if t.secret, err = signingKey(filepath.Join(t.cfg.Dir, "signing.key")); err != nil {
		return err
	}
	if t.keys, err = OpenKeys(filepath.Join(t.cfg.Dir, "keys.json")); err != nil {
		return err
	}
	return t.openAdmin(filepath.Join(t.cfg.Dir, "admin.token"))
}

// adminTTL is long, as scripts keep the file's content; the file is renewed at
// a start in the last month, or when the signing key has changed.
const (
	adminTTL   = 365 * 24 * time.Hour
	adminRenew = 30 * 24 * time.Hour
)

func (t *Tokens) openAdmin(path string) error {
	old, err := os.ReadFile(path)
	if err == nil {
		t.admin = strings.TrimSpace(string(old))
		g, err := t.Authorize(context.Background(), Request{Action: Admin, Token: t.admin})
		if err == nil && time.Until(g.Expires) > adminRenew {
			return private(path)
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the admin token: %w", err)
	}
	if t.admin, err = t.Issue(Claims{Admin: true}, adminTTL); err != nil {
		return err
	}
	return replace(path, []byte(t.admin+"\n"))
}

// Admin returns the token of data/admin.token.
func (t *Tokens) Admin() string { return t.admin }

// Keys returns the stream keys.
func (t *Tokens) Keys() *Keys { return t.keys }

// Issue signs a token with this node's key. It fills aud, iat, exp and jti.
func (t *Tokens) Issue(c Claims, ttl time.Duration) (string, error) {
	if ttl <= 0 {
		return "", fmt.Errorf("issue a token: a lifetime of %s is over at once", ttl)
	}
	for _, p := range append(append([]media.Pattern{}, c.Publish...), c.Play...) {
		if err := p.Valid(); err != nil {
			return "", fmt.Errorf("issue a token: %w", err)
		}
	}
	now := time.Now()
	c.Audience = jwt.ClaimStrings{audience}
	c.IssuedAt = jwt.NewNumericDate(now)
	c.ExpiresAt = jwt.NewNumericDate(now.Add(ttl))
	c.ID = rand.Text()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(t.secret)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return s, nil
}

// Authorize tells what the bearer of a token may do, and refuses with
// media.ErrUnauthorized or media.ErrForbidden what the token does not cover.
func (t *Tokens) Authorize(ctx context.Context, r Request) (Grant, error) {
	g, err := t.grant(ctx, r)
	if err != nil {
		return Grant{}, err
	}
	if err := g.Allows(r.Action, r.Stream); err != nil {
		return g, fmt.Errorf("%w (%s)", err, g.Subject)
	}
	return g, nil
}

func (t *Tokens) grant(ctx context.Context, r Request) (Grant, error) {
	switch {
	case r.Token == "":
		return Grant{}, refuse("send one as Authorization: Bearer")
	case len(r.Token) > maxToken:
		return Grant{}, refuse("it has more than %d bytes", maxToken)
	case strings.HasPrefix(r.Token, keyPrefix):
		return t.keys.grant(r.Token)
	}
	var c Claims
	_, err := t.parser.ParseWithClaims(r.Token, &c, func(tok *jwt.Token) (any, error) { return t.key(ctx, tok, &c) })
	if err != nil {
		return Grant{}, refuse("%s", reason(err))
	}
	if err := c.check(time.Now(), r.Expired); err != nil {
		return Grant{}, err
	}
	return c.grant(r.Token), nil
}

// key picks the key by the algorithm, so that neither can stand in for the
// other: our secret verifies HS256 only, a published key never an HMAC
// (RFC 8725 sections 2.1 and 3.1). A provider's issuer is checked before it is
// asked for a key.
func (t *Tokens) key(ctx context.Context, tok *jwt.Token, c *Claims) (any, error) {
	if tok.Method.Alg() == jwt.SigningMethodHS256.Alg() {
		return t.secret, nil
	}
	if t.cfg.JWKS.Issuer != "" && c.Issuer != t.cfg.JWKS.Issuer {
		return nil, errors.New("its issuer is not the configured one")
	}
	return t.jwks.key(ctx, tok)
}

// reason keeps the words of a parser's error that help its sender, and none
// that tell about keys.
func reason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "it is neither a JSON web token nor a stream key"
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return "its key or issuer is not known here"
	}
	return "its signature or algorithm is wrong"
}

// reload is how often keys.json is looked at: a revoked key works for at most
// about a second longer.
const reload = time.Second

// Run keeps stream keys and published keys fresh until ctx is done. It calls
// revoked with the subject of each stream key that ceased to count.
func (t *Tokens) Run(ctx context.Context, revoked func(subject string)) error {
	var fetching sync.WaitGroup
	if t.jwks != nil {
		// Run waits for it below.
		fetching.Go(func() { t.jwks.run(ctx) })
	}
	tick := time.NewTicker(reload)
	defer tick.Stop()
	seen := t.keys.active()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			seen = t.reload(seen, revoked)
		}
	}
	fetching.Wait()
	return nil
}

// reload looks at keys.json and returns the keys that count now.
func (t *Tokens) reload(seen map[string]bool, revoked func(string)) map[string]bool {
	if err := t.keys.Reload(); err != nil {
		t.log.Error("stream keys could not be read; the old ones stay", "err", err)
		return seen
	}
	now := t.keys.active()
	for id := range seen {
		if !now[id] {
			t.log.Info("stream key revoked", "key", id)
			revoked("key:" + id)
		}
	}
	return now
}
