//go:build !linux

package transport

import "net"

// newMany: only Linux reads many in one call.
func newMany(pc *net.UDPConn) (inbox, error) { return &single{pc: pc}, nil }
