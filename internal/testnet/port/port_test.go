package port_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/sluice-live/sluice/internal/testnet/port"
)

// Ports are free for both, and none is one that the system gives away.
func TestPortsAreNobodyElses(t *testing.T) {
	for range 50 {
		p := port.Free(t)
		if p >= 32768 || p < 1024 {
			t.Fatalf("port %d", p)
		}
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

// A port that nobody listens at yet is given to nobody else: of six thousand, a
// hundred would repeat one nearly each time. It comes free with its test.
func TestNoPortComesTwice(t *testing.T) {
	seen := map[int]bool{}
	for range 3 {
		t.Run("a test", func(t *testing.T) {
			mine := map[int]bool{}
			for range 300 {
				p := port.Free(t)
				if mine[p] {
					t.Fatalf("port %d came twice", p)
				}
				mine[p], seen[p] = true, true
			}
		})
	}
	if len(seen) == 900 {
		t.Error("ports of tests that are over are not used again")
	}
}
