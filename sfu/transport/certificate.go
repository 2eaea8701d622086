package transport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Fingerprint is one a=fingerprint of the client (RFC 8122 section 5).
type Fingerprint struct{ Hash, Value string }

// newCertificate makes the certificate that all sessions of this run share:
// one key pair a process, not one a session (a P-256 key costs 20 µs and 2 KB).
func newCertificate(now time.Time) (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "sluice"},
		NotBefore:    now.Add(-24 * time.Hour), // clients' clocks differ
		NotAfter:     now.AddDate(10, 0, 0),    // lives as long as the process
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, colons(sum[:]), nil
}

func colons(b []byte) string {
	var s strings.Builder
	for i, c := range b {
		if i > 0 {
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02X", c)
	}
	return s.String()
}

// verifier accepts exactly the certificates whose hash the offer named; hashes
// that are broken (MD5, SHA-1) do not count (RFC 8122 section 5.1).
func verifier(prints []Fingerprint) func([][]byte, [][]*x509.Certificate) error {
	return func(raw [][]byte, _ [][]*x509.Certificate) error {
		if len(raw) == 0 {
			return errors.New("verify the client: it sent no certificate")
		}
		for _, f := range prints {
			want, err := hex.DecodeString(strings.ReplaceAll(f.Value, ":", ""))
			if err != nil {
				continue
			}
			if sum := digest(f.Hash, raw[0]); sum != nil && bytes.Equal(sum, want) {
				return nil
			}
		}
		return errors.New("verify the client: its certificate is not the one that its offer named")
	}
}

func digest(hash string, b []byte) []byte {
	switch strings.ToLower(hash) {
	case "sha-256":
		s := sha256.Sum256(b)
		return s[:]
	case "sha-384":
		s := sha512.Sum384(b)
		return s[:]
	case "sha-512":
		s := sha512.Sum512(b)
		return s[:]
	}
	return nil
}
