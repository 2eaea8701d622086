package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
)

// Bounds of one session.
const (
	datagram = 2048
	// maxFlows is how many of a client's sockets the relay translates: a browser
	// has one per interface and protocol, and a new one after a restart.
	maxFlows = 16
	// socketBuffer holds what a sender lets go in one burst; the kernel may give
	// less. Loss here would be nobody's wish.
	socketBuffer = 4 << 20
)

// Session is the relay's place in one WHIP or WHEP session: a port that the
// client takes for the server, and sockets towards the server.
type Session struct {
	relay   *Relay
	front   *net.UDPConn
	server  netip.AddrPort
	up      *direction
	down    *direction
	profile impair.Profile
	wg      sync.WaitGroup
	heard   atomic.Int64 // Unix nanoseconds of the last packet either way

	mu     sync.Mutex // guards what follows
	flows  map[netip.AddrPort]*flow
	closed bool
}

// flow is one of the client's sockets as the server sees it.
type flow struct {
	session *Session
	client  netip.AddrPort
	back    atomic.Pointer[net.UDPConn] // connected to the server; Move replaces it
}

// toClient and toServer are the two ends of a flow.
type (
	toClient struct{ *flow }
	toServer struct{ *flow }
)

// Emit sends to the client.
func (o toClient) Emit(b []byte) {
	_, _ = o.session.front.WriteToUDPAddrPort(b, o.client) // lost like any datagram
}

// Emit sends to the server.
func (o toServer) Emit(b []byte) {
	_, _ = o.back.Load().Write(b) // likewise
}

// Addr is where the client shall send to.
func (s *Session) Addr() netip.AddrPort {
	addr := s.front.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// Begin starts the profile now, and the counting with it.
func (s *Session) Begin() { s.Switch(s.profile) }

// Switch goes over to another profile now.
func (s *Session) Switch(p impair.Profile) {
	now := time.Now()
	s.down.begin(p.Down, now)
	s.up.begin(p.Up, now)
}

// Down is what was sent towards the client.
func (s *Session) Down() Traffic { return s.down.traffic() }

// Up is what the client sent.
func (s *Session) Up() Traffic { return s.up.traffic() }

// Close ends the session and waits for its goroutines.
func (s *Session) Close() {
	s.mu.Lock()
	s.closed = true
	for _, f := range s.flows {
		_ = f.back.Load().Close()
	}
	s.mu.Unlock()
	_ = s.front.Close()
	s.wg.Wait()
	s.relay.forget(s)
}

// over reports whether the session was closed.
func (s *Session) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// readFront reads what the client sends, until Close.
func (s *Session) readFront() {
	buf := make([]byte, datagram)
	for {
		n, from, err := s.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // ICMP says "refused": a client's old socket
		}
		now := time.Now()
		s.heard.Store(now.UnixNano())
		if f := s.flow(from); f != nil {
			s.up.take(append([]byte(nil), buf[:n]...), now, toServer{f})
		}
	}
}

// flow finds or opens the way of one of the client's sockets.
func (s *Session) flow(client netip.AddrPort) *flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flows[client]
	if f != nil || s.closed || len(s.flows) >= maxFlows {
		return f
	}
	f = &flow{session: s, client: client}
	if !f.open() {
		return nil // as if the network could not be reached; the next check tries again
	}
	s.flows[client] = f
	return f
}

// Move lets the server see the client's sockets under new addresses, as a NAT
// does that has forgotten them: what is on its way to the old ones is lost. It
// returns how many there are.
func (s *Session) Move() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	moved := 0
	for _, f := range s.flows {
		if old := f.back.Load(); !s.closed && f.open() {
			_ = old.Close()
			moved++
		}
	}
	return moved
}

// open gives the flow a new address. The session's lock is held.
func (f *flow) open() bool {
	back, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(f.session.server))
	if err != nil {
		return false
	}
	widen(back)
	f.back.Store(back)
	f.session.wg.Go(func() { f.readBack(back) })
	return true
}

// readBack reads what the server sends to one address of a flow, until Close or Move.
func (f *flow) readBack(back *net.UDPConn) {
	buf := make([]byte, datagram)
	for {
		n, err := back.Read(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // ICMP says "refused": the server may be starting again
		}
		now := time.Now()
		f.session.heard.Store(now.UnixNano())
		f.session.down.take(append([]byte(nil), buf[:n]...), now, toClient{f})
	}
}

func openFront(addr netip.Addr) (*net.UDPConn, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, fmt.Errorf("open a relay port: %w", err)
	}
	widen(c)
	return c, nil
}
