package doctor

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-live/sluice/cmd/sluice/config"
)

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// worst is the highest level, and all texts and advice.
func worst(verdicts ...Verdict) (Level, string) {
	var b strings.Builder
	return Print(&b, verdicts), b.String()
}

func TestAddressesThatClientsCannotReachAreNamed(t *testing.T) {
	for _, tc := range []struct {
		name  string
		net   Network
		level Level
		want  string
	}{
		{"server on the internet", Network{Interfaces: addrs("203.0.113.7")}, Fine, "announced: 203.0.113.7"},
		{"private and public", Network{Interfaces: addrs("10.0.0.2", "2001:db8::1")}, Fine, ""},
		{"behind a router", Network{Interfaces: addrs("192.168.1.5")}, Note, "set --public"},
		{"behind carrier NAT", Network{Interfaces: addrs("100.64.3.4")}, Note, "set --public"},
		{"cloud with 1:1 NAT", Network{Public: addrs("203.0.113.7"), Interfaces: addrs("10.0.0.2"), Port: "8189"}, Note, "forward port 8189, UDP and TCP"},
		{"public on the machine", Network{Public: addrs("203.0.113.7"), Interfaces: addrs("203.0.113.7")}, Fine, ""},
		{"container left alone", Network{Interfaces: addrs("172.17.0.2"), Container: true, Port: "8189"}, Problem, "-p 8189:8189/udp"},
		{"container told", Network{Public: addrs("203.0.113.7"), Interfaces: addrs("172.17.0.2"), Container: true, Port: "9"}, Note, "-p 9:9/udp -p 9:9/tcp"},
		{"container in a home", Network{Public: addrs("192.168.1.5"), Interfaces: addrs("172.17.0.2"), Container: true, Port: "9"}, Note, "private"},
		{"no network", Network{}, Problem, "loopback"},
	} {
		level, text := worst(Addresses(tc.net)...)
		if level != tc.level || !strings.Contains(text, tc.want) {
			t.Errorf("%s: %v\n%s", tc.name, level, text)
		}
	}
}

func TestEachProblemComesWithAdvice(t *testing.T) {
	now := time.Date(2027, 1, 10, 0, 0, 0, 0, time.UTC)
	leaf := &x509.Certificate{DNSNames: []string{"live.example"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 2, 0)}
	old := &x509.Certificate{NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, -1)}
	soon := &x509.Certificate{NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, 3)}
	later := &x509.Certificate{NotBefore: now.AddDate(0, 0, 1), NotAfter: now.AddDate(1, 0, 0)}
	for _, tc := range []struct {
		verdict Verdict
		level   Level
		want    string
	}{
		{Port("http", ":8080", nil, false), Fine, "free"},
		{Port("http", ":8080", syscall.EADDRINUSE, false), Problem, "ss -tulpn | grep ':8080'"},
		{Port("http", ":8080", syscall.EADDRINUSE, true), Fine, "running Sluice"},
		{Port("https", ":443", syscall.EACCES, false), Problem, "setcap"},
		{Port("media", "192.0.2.1:1", syscall.EADDRNOTAVAIL, false), Problem, ":PORT"},
		{Port("media", ":1", errors.New("odd"), false), Problem, "odd"},
		{Port("turn-tls", ":443", syscall.EADDRINUSE, false), Problem, "--turn-tls"},
		{Relay("")[0], Note, "tls.cert"},
		{Buffers(8<<20, 9<<20), Fine, "8192 KB in"},
		{Buffers(212992, 212992), Note, "sysctl -w net.core.rmem_max=8388608"},
		{Buffers(0, 0), Note, "cannot be read"},
		{Clock(true, true, now), Fine, "synchronised"},
		{Clock(false, true, now), Note, "chrony"},
		{Clock(false, false, now), Note, "does not tell"},
		{Clock(true, true, now.AddDate(-20, 0, 0)), Problem, "set the clock"},
		{FFmpeg("ffmpeg version 9", nil), Fine, "version 9"},
		{FFmpeg("", errors.New("no")), Note, "apt-get install ffmpeg"},
		{Certificate(false, "", nil, nil, now), Note, "https is off"},
		{Certificate(true, "", nil, nil, now), Note, "self-signed"},
		{Certificate(true, "", nil, errors.New("junk"), now), Problem, "remove node.crt"},
		{Certificate(true, "a.pem", leaf, nil, now), Fine, "live.example"},
		{Certificate(true, "a.pem", nil, errors.New("junk"), now), Problem, "PEM"},
		{Certificate(true, "a.pem", old, nil, now), Problem, "ended on 2027-01-09"},
		{Certificate(true, "a.pem", soon, nil, now), Note, "ends on 2027-01-13"},
		{Certificate(true, "a.pem", later, nil, now), Problem, "clock"},
		{Data("d", fs.ErrNotExist, nil), Fine, "first start"},
		{Data("d", fs.ErrPermission, nil), Problem, "chown"},
		{Data("d", nil, []string{"d/admin.token"}), Problem, "chmod 600 d/admin.token"},
		{Data("d", nil, nil), Fine, "d"},
		{Files(1024), Note, "ulimit -n"},
		{Files(0), Fine, "no limit known"},
		{Files(65536), Fine, "65536"},
	} {
		level, text := worst(tc.verdict)
		if level != tc.level || !strings.Contains(text, tc.want) {
			t.Errorf("%v, want %v with %q:\n%s", level, tc.level, tc.want, text)
		}
		if (level == Fine) != (tc.verdict.Advice == "") {
			t.Errorf("advice %q at level %v", tc.verdict.Advice, level)
		}
	}
}

func TestExamineThisMachine(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "signing.key"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	running := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("ok\n")) }))
	defer running.Close()
	stranger, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	go func() { _ = other.Serve(stranger) }() // ended by Close below
	defer other.Close()

	cfg := config.Default()
	cfg.Data, cfg.HTTP, cfg.HTTPS, cfg.Admin, cfg.Media = dir, running.Listener.Addr().String(), "", stranger.Addr().String(), "127.0.0.1:0"
	wanted := []string{"is served by a running Sluice", "taken by another program", "127.0.0.1:0 is free", "others may read", "UDP buffers", "clock", "certificate", "open files", "ffmpeg"}
	_, text := worst(Examine(t.Context(), cfg)...)
	for try := 0; try < 5 && !strings.Contains(text, wanted[0]); try++ { // it waits for three seconds: this machine may stand still
		_, text = worst(Examine(t.Context(), cfg)...)
	}
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("nothing about %q in\n%s", want, text)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".doctor-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
