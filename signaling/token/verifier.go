package token

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-live/sluice/media"
)

// VerifierConfig says whose tokens a Verifier believes.
type VerifierConfig struct {
	// SigningKey is a file: a copy of a node's signing.key. Empty: no such tokens.
	SigningKey string
	// JWKS is an identity provider; without a URL there is none.
	JWKS JWKS
	// Logger is told about broken providers; nil is silent.
	Logger *slog.Logger
}

// Verifier checks tokens of nodes elsewhere: it issues none, knows no stream keys
// and has no data directory.
type Verifier struct{ tokens Tokens }

// NewVerifier reads the key. It starts nothing.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	t := Tokens{log: cfg.Logger, cfg: Config{JWKS: cfg.JWKS}}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	var methods []string
	if cfg.SigningKey != "" {
		text, err := os.ReadFile(cfg.SigningKey)
		if err != nil {
			return nil, fmt.Errorf("read the signing key: %w", err)
		}
		if t.secret, err = hex.DecodeString(strings.TrimSpace(string(text))); err != nil || len(t.secret) < 32 {
			return nil, fmt.Errorf("read the signing key: %s must hold 64 or more hexadecimal digits", cfg.SigningKey)
		}
		// Only with a secret: without one anybody could sign by the empty key.
		methods = append(methods, jwt.SigningMethodHS256.Alg())
	}
	if cfg.JWKS.URL != "" {
		if err := cfg.JWKS.validate(); err != nil {
			return nil, fmt.Errorf("read jwks settings: %w", err)
		}
		t.jwks = newProvider(cfg.JWKS, t.log)
		methods = append(methods, publicMethods...)
	}
	if methods == nil {
		return nil, errors.New("verify tokens: neither a signing key nor a key set is named")
	}
	t.parser = jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithoutClaimsValidation())
	return &Verifier{t}, nil
}

// Grant tells what a token allows, or media.ErrUnauthorized.
func (v *Verifier) Grant(ctx context.Context, token string) (Grant, error) {
	if strings.HasPrefix(token, keyPrefix) {
		return Grant{}, fmt.Errorf("%w: stream keys do not play", media.ErrUnauthorized)
	}
	return v.tokens.grant(ctx, Request{Token: token})
}

// Run keeps published keys fresh until ctx is done.
func (v *Verifier) Run(ctx context.Context) error {
	if v.tokens.jwks != nil {
		v.tokens.jwks.run(ctx)
		return nil
	}
	<-ctx.Done()
	return nil
}
