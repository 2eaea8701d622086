// Package port finds ports for servers that want to be told theirs. It promises one
// that was free for TCP and UDP in this moment, that the system gives to nobody who
// asks for none in particular, and that this process did not get before. Tests own it.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// What the system gives to whoever asks for no port begins at 32768 (Linux's
// ip_local_port_range) or higher: such a port could be somebody's connection by the
// time the server asks for it.
const (
	lowest  = 20000
	highest = 32000
)

// test is what Free needs of a testing.TB.
type test interface {
	Helper()
	Fatal(args ...any)
}

// Free returns a port of 127.0.0.1.
func Free(t test) int {
	t.Helper()
	for range 100 {
		if port := lowest + rand.IntN(highest-lowest); isFree(port) { //nolint:gosec // nobody gains by guessing it
			return port
		}
	}
	t.Fatal(fmt.Sprintf("no port between %d and %d is free", lowest, highest))
	return 0
}

// Address returns one as host and port.
func Address(t test) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(Free(t)))
}

func isFree(port int) bool {
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", at)
	if err != nil {
		return false
	}
	defer func() { _ = l.Close() }() // nobody connected
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		return false
	}
	return c.Close() == nil
}
