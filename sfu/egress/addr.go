package egress

import (
	"net"
	"net/netip"
)

// Addr is where datagrams go, in the forms that the systems want: made once for
// each path, so that sending converts nothing. Nobody writes to it.
type Addr struct {
	port netip.AddrPort
	udp  *net.UDPAddr
	sockaddr
}

// NewAddr prepares an address. An IPv4 address in IPv6 clothes is an IPv4 one.
func NewAddr(ap netip.AddrPort) *Addr {
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	return &Addr{port: ap, udp: net.UDPAddrFromAddrPort(ap), sockaddr: newSockaddr(ap)}
}

// AddrPort returns the address, without IPv6 clothes.
func (a *Addr) AddrPort() netip.AddrPort { return a.port }
