package token_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

// issuer is an identity provider with one key of each kind.
type issuer struct {
	rsa  *rsa.PrivateKey
	ec   *ecdsa.PrivateKey
	ed   ed25519.PrivateKey
	url  string
	keys atomic.Value // the []map[string]string that it publishes
	asks atomic.Int32
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := new(issuer)
	var err error
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, i.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	point, err := i.ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	i.keys.Store([]map[string]string{
		{"kty": "RSA", "kid": "r", "alg": "RS256", "n": b64(i.rsa.N.Bytes()), "e": b64(big.NewInt(int64(i.rsa.E)).Bytes())},
		{"kty": "EC", "kid": "e", "alg": "ES256", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
		{"kty": "OKP", "kid": "d", "alg": "EdDSA", "crv": "Ed25519", "x": b64(i.ed.Public().(ed25519.PublicKey))},
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asks.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.keys.Load()})
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func (i *issuer) sign(t *testing.T, m jwt.SigningMethod, kid string, key crypto.PrivateKey) string {
	t.Helper()
	tok := jwt.NewWithClaims(m, jwt.MapClaims{"iss": "https://id.example", "aud": "sluice", "exp": later(), "play": []string{"x"}})
	tok.Header["kid"] = kid
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trusting opens tokens that believe the issuer, and runs them.
func trusting(t *testing.T, cfg token.JWKS) *token.Tokens {
	t.Helper()
	all := token.DefaultConfig()
	all.Dir = t.TempDir()
	all.JWKS = cfg
	tokens, err := token.Open(all)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	go func() { over <- tokens.Run(ctx, func(string) {}) }()
	t.Cleanup(func() { cancel(); <-over })
	return tokens
}

func private(url string) token.JWKS {
	cfg := token.DefaultConfig().JWKS
	cfg.URL, cfg.Private, cfg.Issuer = url, true, "https://id.example"
	return cfg
}

func play(t *testing.T, tokens *token.Tokens, tok string) error {
	t.Helper()
	_, err := tokens.Authorize(t.Context(), token.Request{Action: token.Play, Stream: "x", Token: tok})
	return err
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if ok() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("it never came true that %s", what)
}

func TestProvidersTokensCount(t *testing.T) {
	i := newIssuer(t)
	tokens := trusting(t, private(i.url))
	eventually(t, "the keys are there", func() bool { return play(t, tokens, i.sign(t, jwt.SigningMethodRS256, "r", i.rsa)) == nil })
	if err := play(t, tokens, i.sign(t, jwt.SigningMethodES256, "e", i.ec)); err != nil {
		t.Errorf("ES256: %v", err)
	}
	if err := play(t, tokens, i.sign(t, jwt.SigningMethodEdDSA, "d", i.ed)); err != nil {
		t.Errorf("EdDSA: %v", err)
	}
	if err := play(t, tokens, issue(t, tokens, token.Claims{Play: []media.Pattern{"x"}})); err != nil {
		t.Errorf("our own: %v", err)
	}
}

// HS256 "signed" with the provider's public key, or by another of its keys.
func TestProvidersKeysVerifyNothingElse(t *testing.T) {
	i := newIssuer(t)
	tokens := trusting(t, private(i.url))
	eventually(t, "the keys are there", func() bool { return play(t, tokens, i.sign(t, jwt.SigningMethodRS256, "r", i.rsa)) == nil })
	stranger := newIssuer(t)
	for name, tok := range map[string]string{
		"HS256 by the modulus":        i.sign(t, jwt.SigningMethodHS256, "r", i.rsa.N.Bytes()),
		"RS256 by a stranger":         i.sign(t, jwt.SigningMethodRS256, "r", stranger.rsa),
		"RS512 with the RS256 key":    i.sign(t, jwt.SigningMethodRS512, "r", i.rsa),
		"EdDSA naming the RSA key":    i.sign(t, jwt.SigningMethodEdDSA, "r", i.ed),
		"none":                        i.sign(t, jwt.SigningMethodNone, "r", jwt.UnsafeAllowNoneSignatureType),
		"a key that is not published": i.sign(t, jwt.SigningMethodRS256, "other", stranger.rsa),
	} {
		if err := play(t, tokens, tok); !errors.Is(err, media.ErrUnauthorized) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAnotherIssuerIsRefused(t *testing.T) {
	i := newIssuer(t)
	cfg := private(i.url)
	cfg.Issuer = "https://other.example"
	tokens := trusting(t, cfg)
	eventually(t, "the keys were asked for", func() bool { return i.asks.Load() > 0 })
	if err := play(t, tokens, i.sign(t, jwt.SigningMethodRS256, "r", i.rsa)); !errors.Is(err, media.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
}

// A provider takes a new key into use: its first token asks for it.
func TestANewKeyIsFetchedWhenNamed(t *testing.T) {
	i := newIssuer(t)
	tokens := trusting(t, private(i.url))
	eventually(t, "the keys were fetched", func() bool { return i.asks.Load() == 1 })
	next := newIssuer(t)
	keys := i.keys.Load().([]map[string]string)
	fresh := next.keys.Load().([]map[string]string)[0]
	fresh["kid"] = "next"
	i.keys.Store(append(keys[:3:3], fresh))
	if err := play(t, tokens, i.sign(t, jwt.SigningMethodRS256, "next", next.rsa)); err != nil {
		t.Errorf("got %v", err)
	}
}

// Anybody can name unknown keys: that must not make us knock each time.
func TestUnknownKeysDoNotFloodTheProvider(t *testing.T) {
	i := newIssuer(t)
	tokens := trusting(t, private(i.url))
	eventually(t, "the keys are there", func() bool { return play(t, tokens, i.sign(t, jwt.SigningMethodRS256, "r", i.rsa)) == nil })
	for range 50 {
		if play(t, tokens, i.sign(t, jwt.SigningMethodRS256, "nobody", i.rsa)) == nil {
			t.Fatal("an unknown key was taken")
		}
	}
	if n := i.asks.Load(); n > 3 {
		t.Errorf("asked %d times", n)
	}
}

// Without leave, plain http and private addresses are out of reach, also by a
// redirect or a name.
func TestPrivateAddressesAreOutOfReach(t *testing.T) {
	for _, url := range []string{"http://id.example/jwks", "ftp://id.example", "https://", "https://user@id.example/", "::"} {
		cfg := token.DefaultConfig()
		cfg.JWKS.URL = url
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s was taken", url)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Bool
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for c, err := listener.Accept(); err == nil; c, err = listener.Accept() {
			asked.Store(true)
			_ = c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	cfg := token.DefaultConfig().JWKS
	i := newIssuer(t)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		cfg.URL = "https://" + host + ":" + port
		// By its answer the fetch is over: Authorize waits for it.
		if err := play(t, trusting(t, cfg), i.sign(t, jwt.SigningMethodRS256, "r", i.rsa)); !errors.Is(err, media.ErrUnauthorized) {
			t.Errorf("%s: got %v", cfg.URL, err)
		}
	}
	_ = listener.Close()
	<-accepting
	if asked.Load() {
		t.Error("a private address was dialled")
	}
}

func TestPublicAddresses(t *testing.T) {
	for addr, ok := range map[string]bool{
		"192.0.2.7:443": true, "[2001:db8::1]:443": true, "8.8.8.8:443": true,
		"127.0.0.1:443": false, "[::1]:443": false, "10.1.2.3:443": false, "172.16.0.1:443": false, "192.168.1.1:443": false,
		"169.254.169.254:80": false, "[fe80::1]:443": false, "[fd00::1]:443": false, "0.0.0.0:443": false, "[::]:443": false,
		"100.64.0.1:443": false, "[::ffff:10.0.0.1]:443": false, "[64:ff9b::a00:1]:443": false, "224.0.0.1:443": false, "nonsense": false,
	} {
		if err := token.Public(addr); (err == nil) != ok {
			t.Errorf("%s: got %v", addr, err)
		}
	}
}

func TestAHugeKeySetIsNotRead(t *testing.T) {
	i := newIssuer(t)
	cfg := private(i.url)
	cfg.MaxSize = 100
	tokens := trusting(t, cfg)
	eventually(t, "the keys were asked for", func() bool { return i.asks.Load() > 0 })
	if err := play(t, tokens, i.sign(t, jwt.SigningMethodRS256, "r", i.rsa)); !errors.Is(err, media.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
}
