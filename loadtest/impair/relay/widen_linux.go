package relay

import (
	"net"

	"golang.org/x/sys/unix"
)

// widen asks for a large buffer, with force where that is allowed.
func widen(c *net.UDPConn) {
	_ = c.SetReadBuffer(socketBuffer) // the kernel's limit stands, if it is lower
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer) // root only; else as above
	})
}
