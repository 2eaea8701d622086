package testnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/vnet"

	"github.com/sluice-live/sluice/loadtest/impair"
	"github.com/sluice-live/sluice/loadtest/impair/relay"
)

// subnet is where the hosts of a network live.
const subnet = "10.0.0.0/8"

// ipHeaders are what IPv4 and UDP add to a datagram.
const ipHeaders = 28

// Network is hosts for Pion without sockets, and links between them: in a
// synctest bubble everything on it happens in virtual time. A host is Pion's
// view of the network: SettingEngine.SetNet takes it.
//
// Links sit before Pion's own virtual router, which then only delivers.
type Network struct {
	t      testing.TB
	router *vnet.Router
	wheel  *relay.Wheel
	seed   uint64

	mu    sync.Mutex // guards links
	links map[way]*meteredLink
}

// way is one direction between two hosts.
type way struct{ from, to netip.Addr }

type meteredLink struct {
	link  *impair.Link
	meter impair.Meter
}

// NewNetwork makes a network that lives until the test ends.
func NewNetwork(t testing.TB, seed uint64) *Network {
	t.Helper()
	router, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: subnet, LoggerFactory: logging.NewDefaultLoggerFactory()})
	if err != nil {
		t.Fatal(err)
	}
	n := &Network{t: t, router: router, wheel: relay.NewWheel(), seed: seed, links: map[way]*meteredLink{}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { n.wheel.Run(ctx); close(done) }() // the cleanup waits for it
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		<-done
		if err := router.Stop(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// Host adds a host with that address. Hosts are added before the first is used.
func (n *Network) Host(addr string) *Host {
	n.t.Helper()
	h, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{addr}})
	if err == nil {
		err = n.router.AddNet(h)
	}
	if err != nil {
		n.t.Fatalf("add the host %s: %v", addr, err)
	}
	return &Host{Net: h, addr: netip.MustParseAddr(addr), network: n}
}

// Impair lets the way from one host to another take a course from now on.
func (n *Network) Impair(from, to *Host, c Course) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(way{from.addr, to.addr})
	l.link.Begin(c, time.Now())
	l.meter.Begin(time.Now())
}

// Apply lets a profile begin now between a client and a server.
func (n *Network) Apply(client, server *Host, p Profile) {
	n.Impair(server, client, p.Down)
	n.Impair(client, server, p.Up)
}

// Total counts what passed from one host to another since Impair.
func (n *Network) Total(from, to *Host) impair.Count {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link(way{from.addr, to.addr}).meter.Total()
}

// link finds or makes the link of a way; each has dice of its own.
func (n *Network) link(w way) *meteredLink {
	l := n.links[w]
	if l == nil {
		from, to := w.from.As16(), w.to.As16()
		seed := n.seed
		for i := range from {
			seed = seed*31 + uint64(from[i])<<8 + uint64(to[i])
		}
		l = &meteredLink{link: impair.New(nil, seed, time.Now())}
		n.links[w] = l
	}
	return l
}

// send takes a datagram over its link; it is copied.
func (n *Network) send(w way, b []byte, out relay.Outlet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, now := n.link(w), time.Now()
	f := l.link.Offer(len(b)+ipHeaders, now)
	l.meter.Take(len(b)+ipHeaders, f, now)
	b = append([]byte(nil), b...)
	for _, at := range []time.Time{f.At, f.Again} {
		if !at.IsZero() {
			n.wheel.At(at, b, out)
		}
	}
}

// Host is one machine of a network, as Pion sees it.
type Host struct {
	*vnet.Net
	addr    netip.Addr
	network *Network
}

var _ transport.Net = (*Host)(nil)

// ListenUDP opens a socket whose packets take the network's links.
func (h *Host) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	c, err := h.Net.ListenUDP(network, local)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", h.addr, err)
	}
	return &socket{c, h}, nil
}

// ListenPacket is ListenUDP by another name.
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	local, err := h.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return h.ListenUDP(network, local)
}

// socket is a UDP socket of a host.
type socket struct {
	transport.UDPConn
	host *Host
}

// errWayless says that a socket has nowhere to write to.
var errWayless = errors.New("write to a virtual socket: the address is no UDP address")

// WriteTo sends over the network's link.
func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, errWayless
	}
	w := way{s.host.addr, u.AddrPort().Addr().Unmap()}
	if w.to.IsLoopback() {
		return s.UDPConn.WriteTo(b, to)
	}
	s.host.network.send(w, b, landing{s.UDPConn, u})
	return len(b), nil
}

// WriteToUDP sends over the network's link.
func (s *socket) WriteToUDP(b []byte, to *net.UDPAddr) (int, error) { return s.WriteTo(b, to) }

// landing is the end of a link: Pion's router delivers at once.
type landing struct {
	c  transport.UDPConn
	to *net.UDPAddr
}

// Emit delivers.
func (l landing) Emit(b []byte) {
	_, _ = l.c.WriteTo(b, l.to) // a socket that was closed meanwhile loses it
}
