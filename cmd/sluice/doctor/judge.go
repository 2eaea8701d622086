package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// wantBuffer is what the media port asks the kernel for.
const wantBuffer = 8 << 20

// wantFiles leaves room for ICE-TCP viewers and pages, a descriptor each.
const wantFiles = 4096

// Port judges whether an address can be opened. err is what trying gave;
// running tells that a Sluice answers there.
func Port(name, addr string, err error, running bool) Verdict {
	switch {
	case err == nil:
		return fine(name, "%s is free", addr)
	case running:
		return fine(name, "%s is served by a running Sluice", addr)
	case errors.Is(err, syscall.EADDRINUSE):
		return Verdict{Problem, name, addr + " is taken by another program",
			fmt.Sprintf("stop it (ss -tulpn | grep '%s' names it), or choose another address with --%s", addr[strings.LastIndexByte(addr, ':'):], name)}
	case errors.Is(err, syscall.EACCES):
		return Verdict{Problem, name, addr + " needs more rights: ports below 1024 are root's",
			"setcap cap_net_bind_service=+ep $(command -v sluice), or choose a port above 1023"}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return Verdict{Problem, name, "this machine does not have the address of " + addr, "listen on :PORT for all addresses"}
	}
	return Verdict{Problem, name, fmt.Sprintf("%s cannot be opened: %v", addr, err), "choose another address with --" + name}
}

// Relay judges the certificate of the relay over TLS, which browsers check
// without asking anybody.
func Relay(cert string) []Verdict {
	if cert != "" {
		return nil
	}
	return []Verdict{{Note, "turn-tls", "the certificate is the node's own: browsers will not use the relay over TLS",
		"set tls.cert and tls.key to a certificate that they trust"}}
}

// Network is what decides under which addresses clients find the media port.
type Network struct {
	Public     []netip.Addr // configured
	Interfaces []netip.Addr // without loopback and link-local
	Container  bool
	Port       string // of the media address
}

// Addresses judges the addresses that would be announced to clients: the most
// frequent reason of all for "it connects, but there is no picture".
func Addresses(n Network) []Verdict {
	var out []Verdict
	forward := fmt.Sprintf("forward port %s, UDP and TCP, to this machine", n.Port)
	if n.Container {
		forward = fmt.Sprintf("publish the media port as it is: -p %s:%s/udp -p %s:%s/tcp", n.Port, n.Port, n.Port, n.Port)
	}
	if len(n.Public) > 0 {
		out = append(out, fine("addresses", "announced first: %s", join(n.Public)))
		for _, ip := range n.Public {
			if !contains(n.Interfaces, ip) && !ip.IsLoopback() {
				out = append(out, Verdict{Note, "addresses", ip.String() + " is not an address of this machine: it is behind NAT or in a container", forward})
			}
		}
		return append(out, reach(n.Public)...)
	}
	if len(n.Interfaces) == 0 {
		return append(out, Verdict{Problem, "addresses", "there is no address but loopback: only this machine can watch", "connect it to a network, or set --public"})
	}
	out = append(out, fine("addresses", "announced: %s", join(n.Interfaces)))
	if n.Container && private(n.Interfaces) {
		return append(out, Verdict{Problem, "addresses", "this is a container: clients cannot send to its own addresses",
			"set --public to the host's address (SLUICE_PUBLIC=203.0.113.7) and " + forward + "; with --network host all is well"})
	}
	return append(out, reach(n.Interfaces)...)
}

// reach says who can send to the addresses at all.
func reach(addrs []netip.Addr) []Verdict {
	if !private(addrs) {
		return nil
	}
	return []Verdict{{Note, "addresses", "all of them are private: viewers outside this network cannot reach the media port",
		"for the internet set --public to the address that the router or cloud gives this machine (curl -4 https://icanhazip.com shows it)"}}
}

// private reports whether no address can be reached from everywhere.
func private(addrs []netip.Addr) bool {
	for _, ip := range addrs {
		if !ip.IsPrivate() && !ip.IsLoopback() && !carrierNAT.Contains(ip) {
			return false
		}
	}
	return true
}

// carrierNAT is shared address space (RFC 6598): as private as RFC 1918's.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// Buffers judges the largest socket buffers that the kernel grants; zero means
// that they could not be read.
func Buffers(receive, send int) Verdict {
	if receive == 0 || send == 0 {
		return Verdict{Note, "UDP buffers", "their limits cannot be read on this system", "make sure that sockets may have 8 MB"}
	}
	if receive >= wantBuffer && send >= wantBuffer {
		return fine("UDP buffers", "up to %d KB in, %d KB out", receive>>10, send>>10)
	}
	return Verdict{Note, "UDP buffers", fmt.Sprintf("at most %d KB in, %d KB out: bursts may be lost before we see them", receive>>10, send>>10),
		fmt.Sprintf("sysctl -w net.core.rmem_max=%d net.core.wmem_max=%d   (and a file in /etc/sysctl.d to keep it)", wantBuffer, wantBuffer)}
}

// Clock judges whether the machine's clock follows others. known is false when
// the system does not tell.
func Clock(synchronised, known bool, now time.Time) Verdict {
	const built = 2026 // a clock before the first release is wrong for sure
	switch {
	case now.Year() < built:
		return Verdict{Problem, "clock", fmt.Sprintf("it says %s: tokens will not count", now.Format(time.DateOnly)), "set the clock, and install chrony or systemd-timesyncd"}
	case !known:
		return Verdict{Note, "clock", "the system does not tell whether it is synchronised", "make sure that chrony or systemd-timesyncd runs"}
	case !synchronised:
		return Verdict{Note, "clock", "it is not synchronised: tokens of other issuers and latency across machines need it",
			"apt-get install chrony   (in a container or VM the host may do it; then all is well)"}
	}
	return fine("clock", "synchronised, %s UTC", now.UTC().Format(time.DateTime))
}

// FFmpeg judges whether ffmpeg can be run; version is its first line.
func FFmpeg(version string, err error) Verdict {
	if err != nil {
		return Verdict{Note, "ffmpeg", "not found: the server does not need it, 'sluice load' does", "apt-get install ffmpeg"}
	}
	return fine("ffmpeg", "%s", version)
}

// Certificate judges what https will show; leaf is nil when https is off or the
// certificate cannot be read.
func Certificate(https bool, file string, leaf *x509.Certificate, err error, now time.Time) Verdict {
	switch {
	case !https:
		return Verdict{Note, "certificate", "https is off: browsers give pages a camera on localhost only",
			"serve --https :8443, with tls.cert and tls.key in the configuration; or let a proxy do TLS"}
	case err != nil && file == "":
		return Verdict{Problem, "certificate", fmt.Sprintf("the node's own cannot be used: %v", err), "remove node.crt and node.key from the data directory"}
	case err != nil:
		return Verdict{Problem, "certificate", fmt.Sprintf("%s cannot be used: %v", file, err), "tls.cert wants the chain in PEM, tls.key its key"}
	case file == "":
		return Verdict{Note, "certificate", "self-signed: browsers warn, OBS refuses", "name a real one in tls.cert and tls.key (certbot, lego or your provider make one)"}
	case now.After(leaf.NotAfter):
		return Verdict{Problem, "certificate", fmt.Sprintf("%s ended on %s", file, leaf.NotAfter.Format(time.DateOnly)), "renew it; Sluice reads the new file by itself"}
	case now.Before(leaf.NotBefore):
		return Verdict{Problem, "certificate", fmt.Sprintf("%s begins on %s", file, leaf.NotBefore.Format(time.DateOnly)), "look at the clock"}
	case now.Add(14 * 24 * time.Hour).After(leaf.NotAfter):
		return Verdict{Note, "certificate", fmt.Sprintf("%s ends on %s", file, leaf.NotAfter.Format(time.DateOnly)), "renew it; Sluice reads the new file by itself"}
	}
	return fine("certificate", "%s for %s, until %s", file, strings.Join(leaf.DNSNames, ", "), leaf.NotAfter.Format(time.DateOnly))
}

// Data judges the data directory: err is what writing a file gave, open lists
// secret files that others may read.
func Data(dir string, err error, open []string) Verdict {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fine("data", "%s will be made at the first start", dir)
	case err != nil:
		return Verdict{Problem, "data", fmt.Sprintf("%s cannot be written: %v", dir, err), "chown it to the user that runs Sluice, or choose another with --data"}
	case len(open) > 0:
		return Verdict{Problem, "data", "others may read " + strings.Join(open, ", "), "chmod 600 " + strings.Join(open, " ")}
	}
	return fine("data", "%s", dir)
}

// Files judges the limit of open files; zero means unknown.
func Files(limit uint64) Verdict {
	if limit == 0 || limit >= wantFiles {
		return fine("open files", "%s", many(limit))
	}
	return Verdict{Note, "open files", fmt.Sprintf("at most %d: each page, and each viewer over TCP, needs one", limit), fmt.Sprintf("ulimit -n %d, or LimitNOFILE= in the systemd unit", 65536)}
}

func many(limit uint64) string {
	if limit == 0 {
		return "no limit known"
	}
	return fmt.Sprintf("up to %d", limit)
}

func contains(list []netip.Addr, ip netip.Addr) bool {
	for _, a := range list {
		if a.Unmap() == ip.Unmap() {
			return true
		}
	}
	return false
}

func join(list []netip.Addr) string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}
