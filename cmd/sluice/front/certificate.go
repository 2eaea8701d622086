package front

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

const (
	// ownLife is the longest that browsers take for a certificate (398 days).
	ownLife = 397 * 24 * time.Hour
	// renewBefore is when a certificate of our own is replaced.
	renewBefore = 30 * 24 * time.Hour
	// lookEvery is how often certificate files are looked at.
	lookEvery = 5 * time.Second
)

// Certificate is a certificate and its key from two files, read again when they
// change. A pair that cannot be read leaves the one before in place.
type Certificate struct {
	cert, key string
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]
	seen      stamp
}

// stamp tells whether files changed, by what a rename or a copy changes.
type stamp struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

// OpenCertificate reads the pair for the first time.
func OpenCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key, log: log}
	var err error
	if c.seen, err = look(cert, key); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s and key %s: %w", cert, key, err)
	}
	c.current.Store(&pair)
	return c, nil
}

// TLS is a configuration that serves the newest certificate.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}

// Run looks at the files now and then until ctx is done.
func (c *Certificate) Run(ctx context.Context) error { return c.run(ctx, lookEvery) }

func (c *Certificate) run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.reload()
		}
	}
}

// reload reads the pair when its files changed. Certificate and key are two
// files and cannot change at once: a pair that does not fit is tried again when
// the second has changed too.
func (c *Certificate) reload() {
	now, err := look(c.cert, c.key)
	if err != nil || now == c.seen {
		return // a file that is missing for a moment is about to be replaced
	}
	c.seen = now
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		c.log.Warn("certificate kept: the changed files cannot be used", "cert", c.cert, "error", err)
		return
	}
	c.current.Store(&pair)
	c.log.Info("certificate read again", "cert", c.cert, "expires", pair.Leaf.NotAfter)
}

func look(cert, key string) (stamp, error) {
	a, err := os.Stat(cert)
	if err != nil {
		return stamp{}, fmt.Errorf("read certificate: %w", err)
	}
	b, err := os.Stat(key)
	if err != nil {
		return stamp{}, fmt.Errorf("read certificate's key: %w", err)
	}
	return stamp{a.ModTime(), b.ModTime(), a.Size(), b.Size()}, nil
}

// OwnCertificate makes the node's self-signed certificate in dir, or keeps the
// one that is there while it lasts. It returns the paths of certificate and key.
func OwnCertificate(dir string, hosts []string, now time.Time) (cert, key string, err error) {
	cert, key = filepath.Join(dir, "node.crt"), filepath.Join(dir, "node.key")
	pair, err := tls.LoadX509KeyPair(cert, key)
	switch {
	case err == nil && now.Before(pair.Leaf.NotAfter.Add(-renewBefore)):
		return cert, key, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", "", fmt.Errorf("read the node's own certificate (remove %s and %s to get a new one): %w", cert, key, err)
	}
	certPEM, keyPEM, err := selfSigned(hosts, now)
	if err != nil {
		return "", "", fmt.Errorf("make the node's certificate: %w", err)
	}
	if err := writeFile(key, keyPEM, 0o600); err != nil {
		return "", "", fmt.Errorf("write the node's key: %w", err)
	}
	if err := writeFile(cert, certPEM, 0o644); err != nil {
		return "", "", fmt.Errorf("write the node's certificate: %w", err)
	}
	return cert, key, nil
}

func selfSigned(hosts []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("draw serial number: %w", err)
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Sluice node"},
		// A client whose clock is an hour late shall not be refused.
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(ownLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(ip.WithZone("").AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), nil
}

// writeFile puts a file in place whole or not at all.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	next := path + ".new"
	if err := os.WriteFile(next, content, mode); err != nil {
		return err
	}
	// An old file of that name may have had another mode.
	if err := os.Chmod(next, mode); err != nil {
		return err
	}
	return os.Rename(next, path)
}
