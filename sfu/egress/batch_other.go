//go:build !linux

package egress

import (
	"net"
	"net/netip"
)

// New returns the best Batch that this socket and system can do.
func New(pc net.PacketConn) Batch { return NewPortable(pc) }

type sockaddr struct{}

func newSockaddr(netip.AddrPort) sockaddr { return sockaddr{} }
