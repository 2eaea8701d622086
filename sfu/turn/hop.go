package turn

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pion "github.com/pion/turn/v5"
	"golang.org/x/time/rate"
)

// settle is how long a hop's peer must have been left alone before another of
// the node's addresses takes its place.
const settle = 3 * time.Second

var (
	errNotOurs = errors.New("relay: only this node's media port is a peer")
	errFull    = errors.New("relay: all allocations are in use")
	errNoPort  = errors.New("relay: the media port is not open for this family")
	errOnlyUDP = errors.New("relay: peers are reached over UDP only")
)

// hop is the relayed side of one allocation: a socket that the kernel connects
// to the media port on this machine. Whatever a client asks for, it can send
// nowhere else and hears from nobody else.
//
// Clients check each address of an answer. All of them lead to the same port,
// so the first one is taken for the peer, whose name goes on what comes back;
// the others stay silent, as unreachable addresses do.
type hop struct {
	*net.UDPConn
	s     *Server
	user  string
	limit *rate.Limiter
	done  sync.Once
	from  atomic.Pointer[net.UDPAddr]

	mu   sync.Mutex // guards what follows
	peer netip.AddrPort
	at   time.Time // of the last datagram to the peer
}

// WriteTo sends to the media port what a client sent to one of its addresses.
// What is too much or comes at a bad time is dropped, as networks do.
func (h *hop) WriteTo(b []byte, to net.Addr) (int, error) {
	peer := addrPort(to)
	now := time.Now()
	ours, taken := h.take(peer, now)
	if !ours {
		h.s.metrics.refused.WithLabelValues("peer").Inc()
		return 0, errNotOurs
	}
	if !taken {
		return len(b), nil
	}
	if !h.limit.AllowN(now, len(b)) {
		h.s.metrics.refused.WithLabelValues("rate").Inc()
		return len(b), nil
	}
	h.s.metrics.bytes.WithLabelValues("in").Add(float64(len(b)))
	_, _ = h.Write(b) // a full buffer loses a datagram
	return len(b), nil
}

// take reports whether peer is the node's media port, and whether it is, or now
// became, the one that this hop speaks with.
func (h *hop) take(peer netip.AddrPort, now time.Time) (ours, taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if peer == h.peer {
		h.at = now
		return true, true
	}
	if !h.s.ours(peer) {
		return false, false
	}
	if h.peer.IsValid() && now.Sub(h.at) < settle {
		return true, false
	}
	h.peer, h.at = peer, now
	h.from.Store(net.UDPAddrFromAddrPort(peer))
	return true, true
}

// ReadFrom returns what the media port sent, under the name of the peer.
func (h *hop) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, err := h.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return 0, nil, err
		}
		from := h.from.Load()
		if err != nil || from == nil { // a connected socket also reports that nobody listens
			continue
		}
		h.s.metrics.bytes.WithLabelValues("out").Add(float64(n))
		return n, from, nil
	}
}

// Close ends the hop, and frees its place once.
func (h *hop) Close() error {
	h.done.Do(func() {
		_ = h.UDPConn.Close()
		h.s.giveBack(h.user)
	})
	return nil
}

// hops makes the relayed side of allocations for pion.
type hops struct{ s *Server }

// Validate finds nothing wrong.
func (hops) Validate() error { return nil }

// AllocatePacketConn makes a hop. The port that a client may ask for does not
// matter: nobody but the media port ever sends to it.
func (g hops) AllocatePacketConn(c pion.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	v6 := c.Network == "udp6"
	reach := g.s.cfg.Media.Reach(v6)
	if !reach.IsValid() {
		return nil, nil, errNoPort
	}
	if !g.s.lend(c.UserID) {
		g.s.metrics.refused.WithLabelValues("full").Inc()
		return nil, nil, errFull
	}
	pc, err := net.DialUDP(c.Network, nil, net.UDPAddrFromAddrPort(reach))
	if err != nil {
		g.s.giveBack(c.UserID)
		return nil, nil, err
	}
	_ = pc.SetReadBuffer(hopBuffer)
	h := &hop{UDPConn: pc, s: g.s, user: c.UserID, limit: rate.NewLimiter(rate.Limit(g.s.cfg.Limits.Bytes), g.s.cfg.Limits.Bytes)}
	return h, g.s.told(pc.LocalAddr(), v6), nil
}

// hopBuffer holds a key frame on its way to a client behind TCP.
const hopBuffer = 1 << 20

// AllocateListener refuses RFC 6062: media is datagrams.
func (hops) AllocateListener(pion.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errOnlyUDP
}

// AllocateConn refuses it as well.
func (hops) AllocateConn(pion.AllocateConnConfig) (net.Conn, error) { return nil, errOnlyUDP }

// told is the relayed address that a client is told. Nothing is ever sent to it
// from outside, so it need not be reachable; but browsers look askance at
// loopback addresses.
func (s *Server) told(local net.Addr, v6 bool) net.Addr {
	port := addrPort(local).Port()
	for _, ip := range s.cfg.Media.Announced() {
		if ip.Unmap().Is6() == v6 {
			return net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), port))
		}
	}
	return local
}

// ours reports whether clients are told of peer as this node's media port.
func (s *Server) ours(peer netip.AddrPort) bool {
	reach := s.cfg.Media.Reach(peer.Addr().Is6())
	return reach.IsValid() && reach.Port() == peer.Port() && s.announced(peer.Addr())
}

func (s *Server) announced(ip netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.Media.Announced(), func(a netip.Addr) bool { return a.Unmap() == ip })
}

// permit is asked for each address that a client wants to send to.
func (s *Server) permit(_ net.Addr, peer net.IP) bool {
	ip, ok := netip.AddrFromSlice(peer)
	if ok && s.announced(ip.Unmap()) {
		return true
	}
	s.metrics.refused.WithLabelValues("peer").Inc()
	return false
}
