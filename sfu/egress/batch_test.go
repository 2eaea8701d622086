package egress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v4/vnet"
)

// listen opens a socket on loopback.
func listen(t testing.TB, network, address string) *net.UDPConn {
	t.Helper()
	ap := netip.MustParseAddrPort(address)
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(ap))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadBuffer(4 << 20)
	return c
}

func addrOf(c net.PacketConn) *Addr { return NewAddr(c.LocalAddr().(*net.UDPAddr).AddrPort()) }

// read returns the next datagram; it fails the test when none comes.
func read(t testing.TB, c net.PacketConn) []byte {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 1<<16)
	n, _, err := c.ReadFrom(b)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return b[:n]
}

// run makes a message of n datagrams of size bytes, the last one of last, that
// begin with rising numbers from first.
func run(to *Addr, first uint32, n, size, last int) Msg {
	m := Msg{To: to, Size: size}
	for i := range n {
		length := size
		if i == n-1 {
			length = last
		}
		d := bytes.Repeat([]byte{byte(first) + byte(i)}, length)
		binary.BigEndian.PutUint32(d, first+uint32(i))
		m.Buf = append(m.Buf, d...)
	}
	return m
}

// maker makes a Batch of a socket: the implementations that are held to the same.
type maker struct {
	name string
	make func(t testing.TB, c *net.UDPConn) Batch
}

func makers() []maker {
	return append(systemMakers(),
		maker{"portable", func(_ testing.TB, c *net.UDPConn) Batch { return NewPortable(c) }},
		maker{"best", func(_ testing.TB, c *net.UDPConn) Batch { return New(c) }})
}

// Every Batch does the same on every kind of socket.
func TestBatchesConform(t *testing.T) {
	kinds := []struct{ name, network, from, to string }{
		{"v4", "udp4", "127.0.0.1:0", "127.0.0.1:0"},
		{"v6", "udp6", "[::1]:0", "[::1]:0"},
		{"both to v4", "udp", "[::]:0", "127.0.0.1:0"},
		{"both to v6", "udp", "[::]:0", "[::1]:0"},
	}
	for _, m := range makers() {
		for _, k := range kinds {
			t.Run(m.name+"/"+k.name, func(t *testing.T) {
				network := "udp4"
				if k.to[0] == '[' {
					network = "udp6"
				}
				a, b := listen(t, network, k.to), listen(t, network, k.to)
				conform(t, m.make(t, listen(t, k.network, k.from)), a, b)
			})
		}
	}
}

// Pion's virtual network is no socket of the system; time is virtual on it, too.
func TestVirtualNetworksConform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/8", LoggerFactory: logging.NewDefaultLoggerFactory()})
		if err != nil {
			t.Fatal(err)
		}
		var socks [3]net.PacketConn
		var hosts [3]*vnet.Net
		for i := range hosts {
			if hosts[i], err = vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{fmt.Sprintf("10.0.0.%d", i+1)}}); err != nil {
				t.Fatal(err)
			}
			if err := router.AddNet(hosts[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := router.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = router.Stop() }()
		for i, h := range hosts {
			if socks[i], err = h.ListenPacket("udp4", fmt.Sprintf("10.0.0.%d:5000", i+1)); err != nil {
				t.Fatal(err)
			}
			defer socks[i].Close()
		}
		conform(t, New(socks[0]), socks[1], socks[2])
	})
}

func conform(t *testing.T, batch Batch, a, b net.PacketConn) {
	t.Helper()
	toA, toB := addrOf(a), addrOf(b)
	cases := []struct {
		name string
		msgs []Msg
	}{
		{"nothing", nil},
		{"an empty message", []Msg{{To: toA}}},
		{"one", []Msg{run(toA, 1, 1, 1200, 1200)}},
		{"one of its own size", []Msg{{To: toA, Buf: []byte("short"), Size: 1200}}},
		{"no size", []Msg{{To: toA, Buf: []byte("whole")}}},
		{"two", []Msg{run(toA, 1, 2, 1200, 1200)}},
		{"the last one shorter", []Msg{run(toA, 1, 9, 1200, 77)}},
		{"64 of them", []Msg{run(toA, 1, 64, 900, 900)}},
		{"small ones", []Msg{run(toA, 1, 64, 40, 12)}},
		{"to two in turn", []Msg{run(toA, 1, 3, 1000, 1000), run(toB, 10, 4, 500, 100), {To: toA}, run(toA, 4, 1, 60, 60), run(toB, 14, 2, 70, 70)}},
	}
	many := []Msg{}
	for i := range 150 {
		many = append(many, run([]*Addr{toA, toB}[i%2], uint32(i*10), 1+i%5, 100+i, 50+i))
	}
	cases = append(cases, struct {
		name string
		msgs []Msg
	}{"150 messages", many})
	for _, tc := range cases {
		want := map[*Addr][][]byte{}
		total := 0
		for _, m := range tc.msgs {
			for i := range m.Count() {
				want[m.To] = append(want[m.To], m.Datagram(i))
				total++
			}
		}
		sent, err := batch.Write(tc.msgs)
		if err != nil || sent != total {
			t.Fatalf("%s: sent %d of %d: %v", tc.name, sent, total, err)
		}
		for to, c := range map[*Addr]net.PacketConn{toA: a, toB: b} {
			for i, d := range want[to] {
				if got := read(t, c); !bytes.Equal(got, d) {
					t.Fatalf("%s: datagram %d of %d has %d bytes, not these %d", tc.name, i, len(want[to]), len(got), len(d))
				}
			}
		}
	}
}

// A message that cannot be sent is lost, and none of its neighbours.
func TestOneBadMessageLosesOnlyItself(t *testing.T) {
	for _, m := range makers() {
		t.Run(m.name, func(t *testing.T) {
			to := listen(t, "udp4", "127.0.0.1:0")
			batch := m.make(t, listen(t, "udp4", "127.0.0.1:0"))
			nowhere := NewAddr(netip.MustParseAddrPort("[2001:db8::1]:9")) // not by this socket
			big := NewAddr(netip.MustParseAddrPort("127.0.0.1:9"))
			sent, err := batch.Write([]Msg{run(addrOf(to), 1, 2, 100, 100), run(nowhere, 1, 3, 100, 100), run(addrOf(to), 3, 2, 100, 100),
				{To: big, Buf: make([]byte, 70_000)}, run(addrOf(to), 5, 1, 100, 100)})
			if sent != 5 || err == nil {
				t.Errorf("sent %d: %v, want 5 and an error", sent, err)
			}
			for i := range uint32(5) {
				if got := binary.BigEndian.Uint32(read(t, to)); got != i+1 {
					t.Errorf("datagram %d is number %d", i+1, got)
				}
			}
		})
	}
}

func TestAClosedSocketIsAnError(t *testing.T) {
	for _, m := range makers() {
		c := listen(t, "udp4", "127.0.0.1:0")
		batch, to := m.make(t, c), addrOf(c)
		_ = c.Close()
		if sent, err := batch.Write([]Msg{run(to, 1, 4, 100, 100), run(to, 5, 4, 100, 100)}); sent != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: sent %d, %v", m.name, sent, err)
		}
	}
}

// Goroutines that share a Batch do not disturb each other.
func TestABatchServesSeveralAtOnce(t *testing.T) {
	const writers, writes = 4, 40
	for _, m := range makers() {
		t.Run(m.name, func(t *testing.T) {
			batch := m.make(t, listen(t, "udp4", "127.0.0.1:0"))
			var to [writers]*net.UDPConn
			done := make(chan error, writers)
			for w := range writers {
				to[w] = listen(t, "udp4", "127.0.0.1:0")
				addr := addrOf(to[w])
				go func() { // waited for below
					for i := range writes {
						n := uint32(w<<16 + i*8)
						if sent, err := batch.Write([]Msg{run(addr, n, 6, 200, 60), run(addr, n+6, 2, 300, 300)}); sent != 8 {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range writers {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			for w, c := range to {
				for i := range uint32(writes * 8) {
					if got := binary.BigEndian.Uint32(read(t, c)); got != uint32(w<<16)+i {
						t.Fatalf("writer %d: datagram %d is number %x", w, i, got)
					}
				}
			}
		})
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	for _, m := range systemMakers() {
		c := listen(t, "udp4", "127.0.0.1:0")
		batch := m.make(t, c)
		msgs := []Msg{run(addrOf(c), 1, 8, 1200, 700), run(addrOf(c), 1, 2, 1200, 700)}
		if n := testing.AllocsPerRun(200, func() { _, _ = batch.Write(msgs) }); n != 0 {
			t.Errorf("%s: %v allocations for each write", m.name, n)
		}
	}
}
