package pion

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// MaxNamed is how many candidates of one client get checks: an ICE-lite client has one
// for each of its addresses.
const MaxNamed = 4

// carrier is the address space that carriers' translators share (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// Allowed returns those of a client's candidates, values of a=candidate, that may get
// checks of ours. Whoever writes an offer could name anybody, so the list is short, and
// addresses that are no public ones count only where the client's own request came from
// such a network, or from that very address (RFC 8445 section 19.5.1).
func Allowed(candidates []string, client netip.Addr) []netip.AddrPort {
	client = client.Unmap().WithZone("")
	var all []netip.AddrPort
	for _, line := range candidates {
		at := parse(line)
		if at.IsValid() && allowed(at.Addr(), client) && !slices.Contains(all, at) && len(all) < MaxNamed {
			all = append(all, at)
		}
	}
	return all
}

// parse reads a UDP candidate of component 1 with an address in digits (RFC 8839 section
// 5.1); invalid if it is none.
func parse(line string) netip.AddrPort {
	f := strings.Fields(line) // foundation, component, transport, priority, address, port, "typ", type …
	if len(f) < 8 || f[1] != "1" || !strings.EqualFold(f[2], "udp") {
		return netip.AddrPort{}
	}
	ip, err := netip.ParseAddr(f[4])
	port, wrong := strconv.ParseUint(f[5], 10, 16)
	if err != nil || wrong != nil || port == 0 || ip.Zone() != "" {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(port))
}

func allowed(ip, client netip.Addr) bool {
	switch {
	case ip.IsUnspecified(), ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return false
	case ip == client:
		return true
	case ip.IsLoopback(), ip.IsLinkLocalUnicast():
		return false
	case inner(ip):
		return inner(client) || client.IsLoopback()
	}
	return ip.IsGlobalUnicast()
}

// inner reports whether an address belongs to somebody's own network.
func inner(ip netip.Addr) bool { return ip.IsPrivate() || carrier.Contains(ip) }
