// Package port finds ports for servers that want to be told theirs. It promises one
// that was free for TCP and UDP in this moment, that the system gives to nobody who
// asks for none in particular, and that no test gets twice until the one that asked
// is over, in whatever process. Tests own it.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// What the system gives to whoever asks for no port begins at 32768 (Linux's
// ip_local_port_range) or higher: such a port could be somebody's connection by the
// time the server asks for it. Beside each port is another that says whose it is:
// only one can listen there, of all processes that look for ports at the same time.
const (
	lowest  = 20000
	highest = 26000
	beside  = highest - lowest
)

// test is what Free needs of a testing.TB.
type test interface {
	Helper()
	Cleanup(end func())
	Fatal(args ...any)
}

// Free returns a port of 127.0.0.1 that is the test's until it ends.
func Free(t test) int {
	t.Helper()
	for range 1000 {
		port := lowest + rand.IntN(highest-lowest) //nolint:gosec // nobody gains by guessing it
		mark, err := net.Listen("tcp", at(port+beside))
		if err != nil {
			continue
		}
		if isFree(port) {
			t.Cleanup(func() { _ = mark.Close() }) // nobody connected
			return port
		}
		_ = mark.Close()
	}
	t.Fatal(fmt.Sprintf("no port between %d and %d is free", lowest, highest))
	return 0
}

// Address returns one as host and port.
func Address(t test) string {
	t.Helper()
	return at(Free(t))
}

func at(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func isFree(port int) bool {
	l, err := net.Listen("tcp", at(port))
	if err != nil {
		return false
	}
	defer func() { _ = l.Close() }() // nobody connected
	c, err := net.ListenPacket("udp", at(port))
	if err != nil {
		return false
	}
	return c.Close() == nil
}
