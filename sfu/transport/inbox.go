package transport

import (
	"net"
	"net/netip"
)

// inbox reads what comes to a UDP socket.
type inbox interface {
	// read waits for messages and returns how many came.
	read() (int, error)
	// message returns the datagrams of message i of the last read, one after the
	// other, each of size bytes, the last one possibly shorter.
	message(i int) (b []byte, size int, from netip.AddrPort)
}

// single reads one datagram at a time, as every system can.
type single struct {
	pc   *net.UDPConn
	buf  [maxDatagram]byte
	n    int
	from netip.AddrPort
}

func (in *single) read() (int, error) {
	n, from, err := in.pc.ReadFromUDPAddrPort(in.buf[:])
	if err != nil {
		return 0, err
	}
	in.n, in.from = n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	return 1, nil
}

func (in *single) message(int) (b []byte, size int, from netip.AddrPort) {
	return in.buf[:in.n], in.n, in.from
}
