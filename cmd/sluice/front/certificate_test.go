package front

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func own(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	cert, key, err := OwnCertificate(dir, []string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func serial(t *testing.T, cert, key string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.SerialNumber.String()
}

func TestOwnCertificateIsMadeOnceAndKeepsItsKeySecret(t *testing.T) {
	dir := t.TempDir()
	cert, key := own(t, dir)
	first := serial(t, cert, key)
	own(t, dir)
	if serial(t, cert, key) != first {
		t.Error("a second start makes another certificate")
	}
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v, %v", info.Mode(), err)
	}
	pair, _ := tls.LoadX509KeyPair(cert, key)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		if err := pair.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
}

func TestOwnCertificateIsRenewedBeforeItEnds(t *testing.T) {
	dir := t.TempDir()
	cert, key := own(t, dir)
	first := serial(t, cert, key)
	if _, _, err := OwnCertificate(dir, nil, time.Now().Add(ownLife-renewBefore-time.Hour)); err != nil || serial(t, cert, key) != first {
		t.Errorf("renewed too early, %v", err)
	}
	if _, _, err := OwnCertificate(dir, nil, time.Now().Add(ownLife-renewBefore+time.Hour)); err != nil || serial(t, cert, key) == first {
		t.Errorf("not renewed, %v", err)
	}
}

func TestDamagedOwnCertificateIsNotReplacedSilently(t *testing.T) {
	dir := t.TempDir()
	cert, _ := own(t, dir)
	if err := os.WriteFile(cert, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OwnCertificate(dir, nil, time.Now()); err == nil || !strings.Contains(err.Error(), "remove") {
		t.Errorf("got %v", err)
	}
}

// serve runs an https server with the pair and returns its address.
func serve(t *testing.T, c *Certificate) string {
	t.Helper()
	s, err := Listen("https", "127.0.0.1:0", named("hello"), c.TLS(), silent())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run() }() // ended by the cleanup, which waits for it
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

func peerSerial(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestCertificateFilesAreReadAgainWhenTheyChange(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	cert, key := own(t, dir)
	c, err := OpenCertificate(cert, key, silent())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.run(ctx, time.Millisecond) }() // waited for below
	addr := serve(t, c)
	first := peerSerial(t, addr)

	if err := os.WriteFile(cert, []byte("half a certifi"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := peerSerial(t, addr); got != first {
		t.Error("a broken file replaced the certificate")
	}

	newCert, newKey := own(t, other)
	want := serial(t, newCert, newKey)
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for peerSerial(t, addr) != want {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not served")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHTTPSSpeaksHTTP2(t *testing.T) {
	cert, key := own(t, t.TempDir())
	c, err := OpenCertificate(cert, key, silent())
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, c)
	roots := x509.NewCertPool()
	pem, _ := os.ReadFile(cert)
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("served by %s", resp.Proto)
	}
}

func TestMissingCertificateFiles(t *testing.T) {
	if _, err := OpenCertificate(filepath.Join(t.TempDir(), "no"), "no", silent()); err == nil {
		t.Error("no error")
	}
}

func TestTakenPortIsExplainedInOneLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Listen("admin", l.Addr().String(), named("x"), nil, silent())
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "--admin") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}
