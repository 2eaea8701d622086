package link

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
)

// Certificate is a DTLS certificate with its fingerprint as SDP writes it.
// Many clients of one process may share one: making keys is not what is measured.
type Certificate struct {
	TLS         tls.Certificate
	Fingerprint string // upper-case hex with colons, SHA-256
}

// NewCertificate makes a self-signed ECDSA P-256 certificate.
func NewCertificate() (Certificate, error) {
	cert, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return Certificate{}, fmt.Errorf("read the certificate: %w", err)
	}
	fp, err := fingerprint.Fingerprint(leaf, crypto.SHA256)
	if err != nil {
		return Certificate{}, fmt.Errorf("hash the certificate: %w", err)
	}
	return Certificate{TLS: cert, Fingerprint: strings.ToUpper(fp)}, nil
}

// Credentials are one side's short-term ICE credentials (RFC 8445 section 5.3).
type Credentials struct{ Ufrag, Pwd string }

// NewCredentials makes fresh ones: 32 bits of ufrag and 128 of password, more
// than the 24 and 128 that RFC 8445 section 5.3 wants.
func NewCredentials() Credentials {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return Credentials{Ufrag: hex.EncodeToString(b[:4]), Pwd: hex.EncodeToString(b[4:])}
}
