package pion

import (
	"net/netip"
	"strings"
	"testing"
)

func host(ip string) string { return "1 1 udp 2130706431 " + ip + " 5000 typ host" }

func TestWhichCandidatesGetChecks(t *testing.T) {
	for _, c := range []struct{ what, line, client, want string }{
		{"a public one", host("203.0.113.9"), "198.51.100.7", "203.0.113.9:5000"},
		{"over IPv6", host("2001:db8::9"), "198.51.100.7", "[2001:db8::9]:5000"},
		{"behind a translator", "1 1 UDP 1 198.51.100.7 6000 typ srflx raddr 10.0.0.1 rport 5000", "198.51.100.7", "198.51.100.7:6000"},
		{"our own network, for one from outside", host("10.0.0.5"), "198.51.100.7", ""},
		{"likewise, over IPv6", host("fd00::5"), "198.51.100.7", ""},
		{"a carrier's network", host("100.64.1.1"), "198.51.100.7", ""},
		{"our own network, for one of it", host("10.0.0.5"), "10.0.0.9", "10.0.0.5:5000"},
		{"the cloud's metadata", host("169.254.169.254"), "10.0.0.9", ""},
		{"ourselves", host("127.0.0.1"), "10.0.0.9", ""},
		{"on this machine", host("127.0.0.1"), "127.0.0.1", "127.0.0.1:5000"},
		{"on this machine, in IPv6 clothes", host("::ffff:127.0.0.1"), "127.0.0.1", "127.0.0.1:5000"},
		{"many at once", host("224.0.0.1"), "198.51.100.7", ""},
		{"all at once", host("255.255.255.255"), "198.51.100.7", ""},
		{"nobody", host("0.0.0.0"), "0.0.0.0", ""},
		{"a name", host("abc.local"), "198.51.100.7", ""},
		{"a zone", host("fe80::1%eth0"), "198.51.100.7", ""},
		{"TCP", "1 1 tcp 1 203.0.113.9 9 typ host tcptype active", "198.51.100.7", ""},
		{"RTCP", "1 2 udp 1 203.0.113.9 5001 typ host", "198.51.100.7", ""},
		{"port 0", "1 1 udp 1 203.0.113.9 0 typ host", "198.51.100.7", ""},
		{"too short", "1 1 udp 1 203.0.113.9", "198.51.100.7", ""},
	} {
		var got []string
		for _, at := range Allowed([]string{c.line, c.line}, netip.MustParseAddr(c.client)) {
			got = append(got, at.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	var many []string
	for _, ip := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"} {
		many = append(many, host(ip))
	}
	if got := Allowed(many, netip.Addr{}); len(got) != MaxNamed {
		t.Errorf("%d of five get checks", len(got))
	}
}

func FuzzAllowed(f *testing.F) {
	f.Add("1 1 udp 2130706431 203.0.113.9 5000 typ host", "198.51.100.7")
	f.Add("1 1 udp 1 ::ffff:10.0.0.1 5000 typ host", "10.0.0.1")
	f.Fuzz(func(t *testing.T, line, from string) {
		client, _ := netip.ParseAddr(from)
		for _, at := range Allowed([]string{line}, client) {
			if ip := at.Addr(); ip.IsMulticast() || ip.IsUnspecified() || ip.IsLoopback() && !client.Unmap().IsLoopback() || ip.Is4In6() {
				t.Errorf("%v may get checks for %v", at, client)
			}
		}
	})
}
