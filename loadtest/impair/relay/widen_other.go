//go:build !linux

package relay

import "net"

// widen asks for a large buffer.
func widen(c *net.UDPConn) {
	_ = c.SetReadBuffer(socketBuffer) // the kernel's limit stands, if it is lower
}
