package egress

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// sockaddr holds the address as the kernel reads it, for sockets of either family:
// one of IPv6 that serves both wants IPv4 addresses mapped (RFC 4291 section 2.5.5.2).
type sockaddr struct {
	is4 bool
	v4  [unix.SizeofSockaddrInet4]byte
	v6  [unix.SizeofSockaddrInet6]byte
}

func newSockaddr(ap netip.AddrPort) sockaddr {
	s := sockaddr{is4: ap.Addr().Is4()}
	binary.NativeEndian.PutUint16(s.v4[0:], unix.AF_INET)
	binary.BigEndian.PutUint16(s.v4[2:], ap.Port())
	if s.is4 {
		four := ap.Addr().As4()
		copy(s.v4[4:], four[:])
	}
	binary.NativeEndian.PutUint16(s.v6[0:], unix.AF_INET6)
	binary.BigEndian.PutUint16(s.v6[2:], ap.Port())
	sixteen := ap.Addr().As16()
	copy(s.v6[8:], sixteen[:])
	binary.NativeEndian.PutUint32(s.v6[24:], zone(ap.Addr().Zone()))
	return s
}

// zone returns the number of the interface that a link-local address belongs to.
func zone(name string) uint32 {
	if name == "" {
		return 0
	}
	if i, err := net.InterfaceByName(name); err == nil {
		return uint32(i.Index)
	}
	n, _ := strconv.ParseUint(name, 10, 32)
	return uint32(n)
}
