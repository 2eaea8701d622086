package sfu

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/sluice-live/sluice/sfu/negotiate"
)

// maxAddresses bounds the addresses of an answer; a machine with many
// (temporary IPv6 ones, bridges) would make clients check them all.
const maxAddresses = 8

// candidates returns the answer's candidates, the most reachable first, because
// some clients (FFmpeg) try no other.
func (s *SFU) candidates(arrived, remote netip.Addr) []string {
	addrs := announced(s.config.Public, interfaces(), arrived.Unmap().WithZone(""), remote.Unmap())
	v4, v6 := s.endpoint.Families()
	var lines []string
	for _, tcp := range []bool{false, true} {
		for i, ip := range addrs {
			if ip.Is4() && v4 || ip.Is6() && v6 {
				lines = append(lines, negotiate.Candidate(ip, s.endpoint.Port(), tcp, 65535-i))
			}
		}
	}
	return lines
}

// again returns the one candidate that the answer to a restart names, as
// several break a widely used client library: the first one that suits the way
// which the session has had. Who got through over TCP alone would not over UDP;
// an address of one family pairs with none of the other; and Firefox pairs no
// address with one on loopback.
func again(own []string, network string, client netip.Addr) []string {
	if !client.IsValid() {
		return own[:min(len(own), 1)] // nothing is known yet
	}
	var best []string
	most := -1
	for i, line := range own {
		f := strings.Fields(line) // foundation, component, transport, priority, address, port …
		at, err := netip.ParseAddr(f[4])
		if err != nil {
			continue
		}
		points := 0
		for _, suits := range [...]bool{f[2] == network, at.Is4() == client.Is4(), at.IsLoopback() == client.IsLoopback()} {
			points *= 2
			if suits {
				points++
			}
		}
		if points > most {
			most, best = points, own[i:i+1]
		}
	}
	return best
}

// Reach is where this machine reaches its own media port over UDP and IPv4 or
// IPv6; invalid when the port is not open there.
func (s *SFU) Reach(v6 bool) netip.AddrPort { return s.endpoint.Local(v6) }

// Announced are all addresses that answers may name, the public ones first and
// those told only to clients on this machine last.
func (s *SFU) Announced() []netip.Addr {
	addrs := append(slices.Clone(s.config.Public), interfaces()...)
	addrs = append(addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback())
	for _, v6 := range []bool{false, true} { // a port that is open on one address only
		if at := s.endpoint.Local(v6); at.IsValid() {
			addrs = append(addrs, at.Addr())
		}
	}
	return addrs
}

// announced orders our addresses for one client: the public ones; then the one
// at which its request arrived, as it is known to work; then the rest.
// Loopback is told only to clients on this machine.
func announced(public, own []netip.Addr, arrived, remote netip.Addr) []netip.Addr {
	addrs := slices.Clone(public)
	local := remote.IsValid() && (remote.IsLoopback() || slices.Contains(own, remote))
	if slices.Contains(own, arrived) || local && arrived.IsLoopback() {
		addrs = append(addrs, arrived)
	}
	v4 := slices.DeleteFunc(slices.Clone(own), func(a netip.Addr) bool { return !a.Is4() })
	v6 := slices.DeleteFunc(slices.Clone(own), func(a netip.Addr) bool { return a.Is4() })
	addrs = append(append(addrs, v4...), v6...)
	if local && len(addrs) == 0 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	unique := addrs[:0:0]
	for _, a := range addrs {
		if a = a.Unmap(); !slices.Contains(unique, a) && len(unique) < maxAddresses {
			unique = append(unique, a)
		}
	}
	return unique
}

// interfaces returns the machine's unicast addresses without loopback and link-local ones.
func interfaces() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if ip := prefix.Addr().Unmap(); ip.IsGlobalUnicast() {
			own = append(own, ip)
		}
	}
	return own
}
