package sfu

import (
	"net/netip"
	"slices"
	"testing"
)

func TestARestartNamesTheAddressThatSuitsTheSession(t *testing.T) {
	own := []string{
		"1 1 udp 2130706431 127.0.0.1 8189 typ host",
		"2 1 udp 2130706175 192.0.2.2 8189 typ host",
		"3 1 udp 2130705919 2001:db8::2 8189 typ host",
		"4 1 tcp 1526726655 127.0.0.1 8189 typ host tcptype passive",
		"5 1 tcp 1526726399 192.0.2.2 8189 typ host tcptype passive",
		"6 1 tcp 1526726143 2001:db8::2 8189 typ host tcptype passive",
	}
	for _, c := range []struct {
		what, network, client, want string
	}{
		{"on loopback", "udp", "127.0.0.1", own[0]},
		{"a local Firefox, which pairs nothing with loopback", "udp", "192.0.2.2", own[1]},
		{"over IPv6", "udp", "2001:db8::7", own[2]},
		{"behind a wall without UDP", "tcp", "198.51.100.7", own[4]},
		{"behind such a wall, over IPv6", "tcp", "2001:db8::7", own[5]},
	} {
		if got := again(own, c.network, netip.MustParseAddr(c.client)); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	if got := again(own[1:], "", netip.Addr{}); !slices.Equal(got, own[1:2]) {
		t.Errorf("before there is a path: %q", got)
	}
	if got := again(own[1:2], "tcp", netip.MustParseAddr("2001:db8::7")); !slices.Equal(got, own[1:2]) {
		t.Errorf("without a choice: %q", got)
	}
	if got := again(nil, "udp", netip.Addr{}); len(got) != 0 {
		t.Errorf("without an address: %q", got)
	}
}
