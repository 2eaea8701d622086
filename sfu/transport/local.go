package transport

import "net/netip"

// Local is where a program on this machine reaches the media port over UDP and
// IPv4 or IPv6; invalid when there is no such socket.
func (e *Endpoint) Local(v6 bool) netip.AddrPort {
	for _, s := range e.udp {
		at := netip.AddrPortFrom(s.local.Addr().Unmap(), s.local.Port())
		if at.Addr().Is6() != v6 {
			continue
		}
		if !at.Addr().IsUnspecified() {
			return at
		}
		if v6 {
			return netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
		}
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	return netip.AddrPort{}
}
