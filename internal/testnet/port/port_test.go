package port_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/sluice-live/sluice/internal/testnet/port"
)

// Ports are free for both, one that is used does not come again, and none is one that the system gives away.
func TestPortsAreNobodyElses(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		p := port.Free(t)
		if seen[p] || p >= 32768 || p < 1024 {
			t.Fatalf("port %d", p)
		}
		seen[p] = true
		at := net.JoinHostPort("127.0.0.1", strconv.Itoa(p))
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
}
