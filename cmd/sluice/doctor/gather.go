package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-live/sluice/cmd/sluice/config"
)

// patience bounds each question to the machine.
const patience = 3 * time.Second

// Examine gathers and judges everything that the configuration touches.
func Examine(ctx context.Context, cfg config.Config) []Verdict {
	var out []Verdict
	for _, p := range []struct{ name, addr, scheme string }{{"http", cfg.HTTP, "http"}, {"https", cfg.HTTPS, "https"}, {"admin", cfg.Admin, "http"}} {
		if p.addr == "" {
			continue
		}
		err := tryTCP(p.addr)
		out = append(out, Port(p.name, p.addr, err, err != nil && alive(ctx, p.scheme, p.addr)))
	}
	// A media port that is taken belongs to the Sluice that answers at the others.
	served := cfg.Admin != "" && alive(ctx, "http", cfg.Admin)
	err := errors.Join(tryUDP(cfg.Media), tryTCP(cfg.Media))
	out = append(out, Port("media", cfg.Media, err, err != nil && served))

	if cfg.Turn != "" {
		err := errors.Join(tryUDP(cfg.Turn), tryTCP(cfg.Turn))
		out = append(out, Port("turn", cfg.Turn, err, err != nil && served))
	}
	if cfg.TurnTLS != "" {
		err := tryTCP(cfg.TurnTLS)
		out = append(out, Port("turn-tls", cfg.TurnTLS, err, err != nil && served))
		out = append(out, Relay(cfg.TLS.Cert)...)
	}

	_, port, _ := net.SplitHostPort(cfg.Media) // validated with the configuration
	out = append(out, Addresses(Network{Public: cfg.Public, Interfaces: interfaces(), Container: container(), Port: port})...)
	out = append(out, Buffers(kernelNumber("net/core/rmem_max"), kernelNumber("net/core/wmem_max")))
	synchronised, known := clock()
	out = append(out, Clock(synchronised, known, time.Now()))
	leaf, err := certificate(cfg)
	out = append(out, Certificate(cfg.HTTPS != "", cfg.TLS.Cert, leaf, err, time.Now()))
	open, err := data(cfg.Data)
	out = append(out, Data(cfg.Data, err, open))
	out = append(out, Files(files()))
	return append(out, FFmpeg(ffmpeg(ctx)))
}

func tryTCP(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}

func tryUDP(addr string) error {
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// alive reports whether a Sluice answers at the address.
func alive(ctx context.Context, scheme, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return false
	}
	// Only whether somebody answers is asked; the certificate may be self-signed.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing secret is sent or believed
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	text := make([]byte, 3)
	n, _ := resp.Body.Read(text)
	return resp.StatusCode == http.StatusOK && strings.HasPrefix(string(text[:n]), "ok")
}

// interfaces lists the addresses that the media port would be announced at.
func interfaces() []netip.Addr {
	var out []netip.Addr
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out
}

// container reports whether this looks like the inside of one.
func container() bool {
	for _, sign := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(sign); err == nil {
			return true
		}
	}
	return os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

func kernelNumber(name string) int {
	text, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text))) // 0 means unknown
	return n
}

func files() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return l.Cur
}

func certificate(cfg config.Config) (*x509.Certificate, error) {
	cert, key := cfg.TLS.Cert, cfg.TLS.Key
	if cert == "" {
		cert, key = filepath.Join(cfg.Data, "node.crt"), filepath.Join(cfg.Data, "node.key")
		if _, err := os.Stat(cert); errors.Is(err, fs.ErrNotExist) {
			return nil, nil // made at the first start
		}
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	return pair.Leaf, err
}

// data tries to write, and lists secrets that others may read.
func data(dir string) (open []string, err error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	for _, name := range []string{"signing.key", "admin.token", "keys.json", "node.key"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			open = append(open, path)
		}
	}
	return open, nil
}

func ffmpeg(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffmpeg", "-version").Output()
	line, _, _ := strings.Cut(string(out), "\n")
	line, _, _ = strings.Cut(line, " Copyright")
	return line, err
}
