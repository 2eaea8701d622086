//go:build !linux

package transport

import (
	"net"
	"net/netip"
)

// inbox reads one datagram at a time: only Linux reads many in one call.
type inbox struct {
	pc   *net.UDPConn
	buf  [maxDatagram]byte
	n    int
	from netip.AddrPort
}

func newInbox(pc *net.UDPConn) (*inbox, error) { return &inbox{pc: pc}, nil }

// read waits for messages and returns how many came.
func (in *inbox) read() (int, error) {
	n, from, err := in.pc.ReadFromUDPAddrPort(in.buf[:])
	if err != nil {
		return 0, err
	}
	in.n, in.from = n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	return 1, nil
}

// message returns the datagrams of message i, each of size bytes.
func (in *inbox) message(int) (b []byte, size int, from netip.AddrPort) {
	return in.buf[:in.n], in.n, in.from
}
