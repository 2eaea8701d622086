package token_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

func open(t testing.TB, dir string) *token.Tokens {
	t.Helper()
	cfg := token.DefaultConfig()
	cfg.Dir = dir
	tokens, err := token.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func issue(t testing.TB, tokens *token.Tokens, c token.Claims) string {
	t.Helper()
	s, err := tokens.Issue(c, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signed makes a token as somebody with the node's secret could.
func signed(t testing.TB, dir string, claims map[string]any) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims)).SignedString(secret(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func secret(t testing.TB, dir string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func later() int64  { return time.Now().Add(time.Hour).Unix() }
func before() int64 { return time.Now().Add(-time.Hour).Unix() }

func TestTokensAllowWhatTheySay(t *testing.T) {
	tokens := open(t, t.TempDir())
	pub := issue(t, tokens, token.Claims{Publish: []media.Pattern{"demo"}, Play: []media.Pattern{"class.*"}})
	admin := issue(t, tokens, token.Claims{Admin: true})
	for _, c := range []struct {
		name string
		req  token.Request
		want error
	}{
		{"publish the named stream", token.Request{Action: token.Publish, Stream: "demo", Token: pub}, nil},
		{"play by prefix", token.Request{Action: token.Play, Stream: "class.a", Token: pub}, nil},
		{"look", token.Request{Action: token.Look, Token: pub}, nil},
		{"publish another stream", token.Request{Action: token.Publish, Stream: "demo2", Token: pub}, media.ErrForbidden},
		{"publish what one may only play", token.Request{Action: token.Publish, Stream: "class.a", Token: pub}, media.ErrForbidden},
		{"play what one may only publish", token.Request{Action: token.Play, Stream: "demo", Token: pub}, media.ErrForbidden},
		{"administer", token.Request{Action: token.Admin, Token: pub}, media.ErrForbidden},
		{"administrator publishes", token.Request{Action: token.Publish, Stream: "x", Token: admin}, nil},
		{"administrator plays", token.Request{Action: token.Play, Stream: "x", Token: admin}, nil},
		{"administrator administers", token.Request{Action: token.Admin, Token: admin}, nil},
		{"no token", token.Request{Action: token.Look}, media.ErrUnauthorized},
		{"a word", token.Request{Action: token.Look, Token: "letmein"}, media.ErrUnauthorized},
		{"a huge token", token.Request{Action: token.Look, Token: strings.Repeat("a", 9000)}, media.ErrUnauthorized},
	} {
		if _, err := tokens.Authorize(t.Context(), c.req); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestClaimsAreChecked(t *testing.T) {
	dir := t.TempDir()
	tokens := open(t, dir)
	for _, c := range []struct {
		name   string
		claims map[string]any
		want   error
		says   string
	}{
		{"all good", map[string]any{"aud": "sluice", "exp": later(), "play": []string{"x"}}, nil, ""},
		{"one of several audiences", map[string]any{"aud": []string{"other", "sluice"}, "exp": later(), "play": []string{"x"}}, nil, ""},
		{"expired", map[string]any{"aud": "sluice", "exp": before(), "play": []string{"x"}}, media.ErrUnauthorized, "expired"},
		{"no expiry", map[string]any{"aud": "sluice", "play": []string{"x"}}, media.ErrUnauthorized, "no expiry"},
		{"another audience", map[string]any{"aud": "others", "exp": later(), "play": []string{"x"}}, media.ErrUnauthorized, "audience"},
		{"no audience", map[string]any{"exp": later(), "play": []string{"x"}}, media.ErrUnauthorized, "audience"},
		{"not yet valid", map[string]any{"aud": "sluice", "exp": later(), "nbf": later(), "play": []string{"x"}}, media.ErrUnauthorized, "not valid before"},
		{"wrong stream", map[string]any{"aud": "sluice", "exp": later(), "play": []string{"y"}}, media.ErrForbidden, ""},
		{"pattern with a star inside", map[string]any{"aud": "sluice", "exp": later(), "play": []string{"*x"}}, media.ErrForbidden, ""},
		{"claims of a wrong type", map[string]any{"aud": "sluice", "exp": later(), "play": "x"}, media.ErrUnauthorized, ""},
	} {
		_, err := tokens.Authorize(t.Context(), token.Request{Action: token.Play, Stream: "x", Token: signed(t, dir, c.claims)})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q does not say %q", c.name, err, c.says)
		}
	}
}

// A session outlives its token: what ends it accepts a token that was valid
// once, and nothing else about it is forgiven.
func TestExpiredTokensCountWhereAllowed(t *testing.T) {
	dir := t.TempDir()
	tokens := open(t, dir)
	for _, c := range []struct {
		name   string
		claims map[string]any
		want   error
	}{
		{"expired", map[string]any{"aud": "sluice", "exp": before(), "play": []string{"x"}}, nil},
		{"expired, another audience", map[string]any{"aud": "others", "exp": before(), "play": []string{"x"}}, media.ErrUnauthorized},
		{"expired, another stream", map[string]any{"aud": "sluice", "exp": before(), "play": []string{"y"}}, media.ErrForbidden},
		{"never valid", map[string]any{"aud": "sluice", "play": []string{"x"}}, media.ErrUnauthorized},
	} {
		req := token.Request{Action: token.Play, Stream: "x", Token: signed(t, dir, c.claims), Expired: true}
		if _, err := tokens.Authorize(t.Context(), req); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// The classic confusions of JSON web tokens (RFC 8725 section 2.1).
func TestAlgorithmConfusionIsRefused(t *testing.T) {
	dir := t.TempDir()
	tokens := open(t, dir)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{"aud": "sluice", "exp": later(), "admin": true}
	sign := func(m jwt.SigningMethod, k crypto.PrivateKey) string {
		s, err := jwt.NewWithClaims(m, claims).SignedString(k)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	good := sign(jwt.SigningMethodHS256, secret(t, dir))
	parts := strings.Split(good, ".")
	for name, tok := range map[string]string{
		"none":                          sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"None in other letters":         header(t, "NoNe") + "." + parts[1] + ".",
		"our header, no signature":      parts[0] + "." + parts[1] + ".",
		"HS256 by an RSA public key":    sign(jwt.SigningMethodHS256, public),
		"HS256 by the key's DER":        sign(jwt.SigningMethodHS256, der),
		"HS384 by our own secret":       sign(jwt.SigningMethodHS384, secret(t, dir)),
		"RS256 with no provider set":    sign(jwt.SigningMethodRS256, key),
		"RS256 header on our signature": header(t, "RS256") + "." + parts[1] + "." + parts[2],
		"HS256 by an empty key":         sign(jwt.SigningMethodHS256, []byte{}),
		"another payload":               parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"aud":"sluice","exp":9999999999,"admin":true}`)) + "." + parts[2],
	} {
		if _, err := tokens.Authorize(t.Context(), token.Request{Action: token.Admin, Token: tok}); !errors.Is(err, media.ErrUnauthorized) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := tokens.Authorize(t.Context(), token.Request{Action: token.Admin, Token: good}); err != nil {
		t.Errorf("the good one was refused: %v", err)
	}
}

func header(t *testing.T, alg string) string {
	b, err := json.Marshal(map[string]string{"alg": alg, "typ": "JWT"})
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func TestSubjectsNameTheTokenAndNeverShowIt(t *testing.T) {
	dir := t.TempDir()
	tokens := open(t, dir)
	for name, c := range map[string]struct{ jti, want string }{
		"jti":      {"abc", "token:abc"},
		"long jti": {strings.Repeat("x", 500), "token:" + strings.Repeat("x", 64)},
	} {
		g, err := tokens.Authorize(t.Context(), token.Request{Token: signed(t, dir, map[string]any{"aud": "sluice", "exp": later(), "jti": c.jti})})
		if err != nil || g.Subject != c.want {
			t.Errorf("%s: got %q, %v", name, g.Subject, err)
		}
	}
	tok := signed(t, dir, map[string]any{"aud": "sluice", "exp": later()})
	g, err := tokens.Authorize(t.Context(), token.Request{Token: tok})
	if err != nil || len(g.Subject) != len("token:")+16 || strings.Contains(tok, g.Subject[6:]) {
		t.Errorf("without jti: got %q, %v", g.Subject, err)
	}
}

func TestIssueRefusesNonsense(t *testing.T) {
	tokens := open(t, t.TempDir())
	if _, err := tokens.Issue(token.Claims{}, 0); err == nil {
		t.Error("a token that is over at once was issued")
	}
	if _, err := tokens.Issue(token.Claims{Play: []media.Pattern{"a/b"}}, time.Hour); err == nil {
		t.Error("a pattern that matches nothing was taken")
	}
}

func TestSecretsAreForTheirOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	tokens := open(t, dir)
	if _, _, err := tokens.Keys().Create([]media.Pattern{"x"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"signing.key", "admin.token", "keys.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "signing.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if info, err := os.Stat(filepath.Join(dir, "signing.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a key that others could read stayed so: %v, %v", info.Mode(), err)
	}
}

func TestASecondStartKeepsKeyAndAdminToken(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	tok := issue(t, first, token.Claims{Admin: true})
	second := open(t, dir)
	if first.Admin() != second.Admin() {
		t.Error("the admin token changed")
	}
	for _, tok := range []string{tok, second.Admin()} {
		if _, err := second.Authorize(t.Context(), token.Request{Action: token.Admin, Token: tok}); err != nil {
			t.Error(err)
		}
	}
}

func TestAnAdminTokenThatNoLongerCountsIsReplaced(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	if err := os.Remove(filepath.Join(dir, "signing.key")); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	if _, err := second.Authorize(t.Context(), token.Request{Action: token.Admin, Token: second.Admin()}); err != nil {
		t.Errorf("the new one: %v", err)
	}
	if _, err := second.Authorize(t.Context(), token.Request{Action: token.Admin, Token: first.Admin()}); !errors.Is(err, media.ErrUnauthorized) {
		t.Errorf("the old one: %v", err)
	}
}

// serve and a command may start at the same time in an empty directory.
func TestStartsAtOnceAgreeOnTheKey(t *testing.T) {
	dir := t.TempDir()
	all := make(chan *token.Tokens)
	for range 8 {
		go func() {
			cfg := token.DefaultConfig()
			cfg.Dir = dir
			tokens, err := token.Open(cfg)
			if err != nil {
				t.Error(err)
			}
			all <- tokens
		}()
	}
	var opened []*token.Tokens
	for range 8 {
		opened = append(opened, <-all)
	}
	if t.Failed() {
		return
	}
	for _, a := range opened {
		tok := issue(t, a, token.Claims{Admin: true})
		if _, err := opened[0].Authorize(t.Context(), token.Request{Action: token.Admin, Token: tok}); err != nil {
			t.Errorf("two keys are in use: %v", err)
		}
	}
}

func TestABrokenSigningKeyIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "signing.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := token.DefaultConfig()
	cfg.Dir = dir
	if _, err := token.Open(cfg); err == nil || !strings.Contains(err.Error(), "signing") {
		t.Errorf("got %v", err)
	}
}

// Nothing that a stranger sends is let in, and nothing makes it panic.
func FuzzAuthorize(f *testing.F) {
	dir := f.TempDir()
	tokens := open(f, dir)
	good := issue(f, tokens, token.Claims{Admin: true})
	_, key, err := tokens.Keys().Create([]media.Pattern{"*"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[:len(good)-2])
	f.Add("eyJhbGciOiJub25lIn0.eyJhdWQiOiJzbHVpY2UiLCJhZG1pbiI6dHJ1ZSwiZXhwIjo5OTk5OTk5OTk5fQ.")
	f.Add("eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AAAA")
	f.Add("sk_abc_def")
	f.Add("sk__")
	f.Add(key[:len(key)-1])
	f.Add("..")
	f.Fuzz(func(t *testing.T, tok string) {
		if tok == good || tok == key {
			return
		}
		g, err := tokens.Authorize(t.Context(), token.Request{Action: token.Look, Token: tok, Expired: true})
		if err == nil {
			t.Fatalf("%q was let in as %+v", tok, g)
		}
		if !errors.Is(err, media.ErrUnauthorized) {
			t.Fatalf("%v does not wrap ErrUnauthorized", err)
		}
	})
}
