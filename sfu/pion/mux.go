package pion

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sluice-live/sluice/sfu/transport"
)

// lineQueue bounds the checks of one session that wait for its agent: clients send one
// each 20 to 50 ms. What does not fit is lost, as on the network.
const lineQueue = 64

// mux lets one agent use the endpoint's port (ice.UDPMux).
type mux struct {
	guest *transport.Guest
	local []*net.UDPAddr

	mu    sync.Mutex
	lines map[kind]*line // of the generation in force
}

type kind struct{ tcp, v4 bool }

func newMux(local []*net.UDPAddr) *mux {
	return &mux{local: local, lines: map[kind]*line{}}
}

// push gives a check to the agent.
func (m *mux) push(b []byte, from transport.Spot) {
	m.mu.Lock()
	l := m.lines[kind{from.TCP, from.At.Addr().Is4()}]
	m.mu.Unlock()
	if l == nil {
		return
	}
	select {
	case l.in <- parcel{b, from}:
	default:
	}
}

// GetConn implements ice.UDPMux.
func (m *mux) GetConn(_ string, at net.Addr) (net.PacketConn, error) {
	addr := at.(*net.UDPAddr)
	return m.line(kind{v4: addr.AddrPort().Addr().Unmap().Is4()}, addr), nil
}

func (m *mux) line(k kind, local net.Addr) *line {
	l := &line{guest: m.guest, tcp: k.tcp, local: local, in: make(chan parcel, lineQueue), done: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines[k] = l
	return l
}

// RemoveConnByUfrag implements ice.UDPMux; the agent closes its lines itself.
func (m *mux) RemoveConnByUfrag(string) {}

// Close implements ice.UDPMux.
func (m *mux) Close() error { return nil }

// GetListenAddresses implements ice.UDPMux.
func (m *mux) GetListenAddresses() []net.Addr {
	all := make([]net.Addr, len(m.local))
	for i, a := range m.local {
		all[i] = a
	}
	return all
}

// overTCP is the mux as the agent wants it for TCP (ice.TCPMux).
type overTCP struct{ *mux }

// GetConnByUfrag implements ice.TCPMux.
func (m overTCP) GetConnByUfrag(_ string, v6 bool, at net.IP) (net.PacketConn, error) {
	return m.line(kind{tcp: true, v4: !v6}, &net.TCPAddr{IP: at, Port: m.local[0].Port}), nil
}

type parcel struct {
	b    []byte
	from transport.Spot
}

// line is the agent's view of the port in one generation and one family.
type line struct {
	guest *transport.Guest
	tcp   bool
	local net.Addr
	in    chan parcel
	done  chan struct{}
	once  sync.Once
}

// ReadFrom returns the next check.
func (l *line) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-l.done:
		return 0, nil, io.EOF
	case p := <-l.in:
		if p.from.TCP {
			return copy(b, p.b), net.TCPAddrFromAddrPort(p.from.At), nil
		}
		return copy(b, p.b), net.UDPAddrFromAddrPort(p.from.At), nil
	}
}

// WriteTo sends what the agent wants to say, as far as the address may have it.
func (l *line) WriteTo(b []byte, to net.Addr) (int, error) {
	named, ok := to.(interface{ AddrPort() netip.AddrPort }) // *net.UDPAddr, *net.TCPAddr
	if !ok {
		return 0, transport.ErrUnknownPlace
	}
	at := named.AddrPort()
	if err := l.guest.Write(b, transport.Spot{TCP: l.tcp, At: netip.AddrPortFrom(at.Addr().Unmap(), at.Port())}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close ends the line; the port stays open.
func (l *line) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// LocalAddr is what the agent calls the port.
func (l *line) LocalAddr() net.Addr { return l.local }

// SetDeadline does nothing: Close ends a read, and writes never block.
func (l *line) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (l *line) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (l *line) SetWriteDeadline(time.Time) error { return nil }
