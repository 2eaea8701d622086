package token_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

func TestAnotherMachineVerifiesTokens(t *testing.T) {
	cfg := token.DefaultConfig()
	cfg.Dir = t.TempDir()
	node, err := token.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	edge, err := token.NewVerifier(token.VerifierConfig{SigningKey: filepath.Join(cfg.Dir, "signing.key")})
	if err != nil {
		t.Fatal(err)
	}
	text, err := node.Issue(token.Claims{Play: []media.Pattern{"a*"}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	g, err := edge.Grant(context.Background(), text)
	if err != nil || !g.MayPlay("abc") || g.MayPlay("b") || g.Subject == "" {
		t.Errorf("%+v, %v", g, err)
	}
	sign := func(method jwt.SigningMethod, key any, life time.Duration) string {
		s, err := jwt.NewWithClaims(method, jwt.MapClaims{"aud": "sluice", "exp": time.Now().Add(life).Unix(), "play": []string{"*"}}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	_, stream, err := node.Keys().Create([]media.Pattern{"*"})
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"another key":   sign(jwt.SigningMethodHS256, make([]byte, 32), time.Hour),
		"the empty key": sign(jwt.SigningMethodHS256, []byte{}, time.Hour), "no algorithm": sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, time.Hour),
		"a stream key": stream, "nothing": "", "nonsense": "abc",
	} {
		if _, err := edge.Grant(context.Background(), bad); !errors.Is(err, media.ErrUnauthorized) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without a secret no HMAC counts: not even one by the empty key.
func TestAVerifierWithoutASecretTakesNoHMAC(t *testing.T) {
	jwks := token.DefaultConfig().JWKS
	jwks.URL = "https://127.0.0.1:1/keys"
	edge, err := token.NewVerifier(token.VerifierConfig{JWKS: jwks})
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"aud": "sluice", "exp": time.Now().Add(time.Hour).Unix(), "admin": true}).SignedString([]byte{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edge.Grant(context.Background(), text); !errors.Is(err, media.ErrUnauthorized) {
		t.Errorf("a token signed by the empty key: %v", err)
	}
	short := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(short, []byte("abcd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]token.VerifierConfig{"nobody": {}, "no file": {SigningKey: "/nowhere"}, "a short key": {SigningKey: short}} {
		if _, err := token.NewVerifier(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
