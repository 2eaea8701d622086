package sfu

import (
	"net"
	"net/netip"
	"slices"

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
