package link

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/pion/srtp/v3"
)

// Keys are one session's SRTP contexts. Each has one owner at a time.
type Keys struct {
	In, Out *srtp.Context
	Profile string
}

// Handshake is what one DTLS handshake needs.
type Handshake struct {
	Conn        net.PacketConn
	Remote      net.Addr
	Certificate Certificate
	Server      bool // we are the DTLS server: the answer says setup:active
	Algorithm   string
	Fingerprint string // of the other side
}

// Run shakes hands and derives SRTP keys. The returned connection is still
// open: close it to say goodbye, or mute its pipe first to leave silently.
func (h Handshake) Run(ctx context.Context) (*dtls.Conn, Keys, error) {
	conn, err := h.open()
	if err != nil {
		return nil, Keys{}, fmt.Errorf("start DTLS: %w", err)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, Keys{}, fmt.Errorf("shake hands: %w", err)
	}
	keys, err := derive(conn, !h.Server)
	if err != nil {
		_ = conn.Close()
		return nil, Keys{}, err
	}
	return conn, keys, nil
}

func (h Handshake) open() (*dtls.Conn, error) {
	shared := []dtls.Option{
		dtls.WithCertificates(h.Certificate.TLS),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithInsecureSkipVerify(true), // the fingerprint is the check (RFC 8827 section 6.5)
		dtls.WithVerifyPeerCertificate(h.verify),
		dtls.WithFlightInterval(200 * time.Millisecond),
	}
	if h.Server {
		options := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithInsecureSkipVerifyHello(true)}
		for _, o := range shared {
			options = append(options, o)
		}
		return dtls.ServerWithOptions(h.Conn, h.Remote, options...)
	}
	options := make([]dtls.ClientOption, 0, len(shared))
	for _, o := range shared {
		options = append(options, o)
	}
	return dtls.ClientWithOptions(h.Conn, h.Remote, options...)
}

func (h Handshake) verify(raw [][]byte, _ [][]*x509.Certificate) error {
	if len(raw) == 0 {
		return errors.New("the other side sent no certificate")
	}
	algorithms := map[string]crypto.Hash{"sha-256": crypto.SHA256, "sha-384": crypto.SHA384, "sha-512": crypto.SHA512}
	algorithm, ok := algorithms[h.Algorithm]
	if !ok {
		return fmt.Errorf("fingerprint algorithm %q is not known", h.Algorithm)
	}
	leaf, err := x509.ParseCertificate(raw[0])
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	got, err := fingerprint.Fingerprint(leaf, algorithm)
	if err != nil {
		return fmt.Errorf("hash the certificate: %w", err)
	}
	if !strings.EqualFold(got, h.Fingerprint) {
		return errors.New("the certificate does not match the fingerprint of the answer")
	}
	return nil
}

func derive(conn *dtls.Conn, client bool) (Keys, error) {
	profiles := map[dtls.SRTPProtectionProfile]srtp.ProtectionProfile{
		dtls.SRTP_AEAD_AES_128_GCM:       srtp.ProtectionProfileAeadAes128Gcm,
		dtls.SRTP_AEAD_AES_256_GCM:       srtp.ProtectionProfileAeadAes256Gcm,
		dtls.SRTP_AES128_CM_HMAC_SHA1_80: srtp.ProtectionProfileAes128CmHmacSha1_80,
	}
	chosen, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return Keys{}, errors.New("derive SRTP keys: no profile was agreed on")
	}
	c := srtp.Config{Profile: profiles[chosen]}
	state, ok := conn.ConnectionState()
	if !ok {
		return Keys{}, errors.New("derive SRTP keys: the handshake has no state")
	}
	if err := c.ExtractSessionKeysFromDTLS(&state, client); err != nil {
		return Keys{}, fmt.Errorf("derive SRTP keys: %w", err)
	}
	in, err := srtp.CreateContext(c.Keys.RemoteMasterKey, c.Keys.RemoteMasterSalt, c.Profile, srtp.SRTPNoReplayProtection())
	if err != nil {
		return Keys{}, fmt.Errorf("make the SRTP receiver: %w", err)
	}
	out, err := srtp.CreateContext(c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt, c.Profile)
	if err != nil {
		return Keys{}, fmt.Errorf("make the SRTP sender: %w", err)
	}
	return Keys{In: in, Out: out, Profile: c.Profile.String()}, nil
}

func insecure() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true} //nolint:gosec // test servers sign their own certificates
}
