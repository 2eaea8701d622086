package pion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/transport/v4/packetio"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/icelite"
	"github.com/sluice-live/sluice/sfu/transport"
)

// Conn is the transport of one session.
type Conn struct {
	host    *Host
	prints  []transport.Fingerprint
	active  bool
	lite    bool
	channel Channel
	calls   atomic.Pointer[callbacks]
	guest   *transport.Guest
	agent   *ice.Agent
	mux     *mux
	in      *packetio.Buffer // DTLS records

	path      atomic.Pointer[path]
	connected chan struct{} // closed with the first path
	gathered  chan struct{} // gets one when the agent has gathered
	once      sync.Once
	life      context.Context // ended by Close
	stop      context.CancelFunc
	done      sync.Once
	begun     sync.Once

	mu          sync.Mutex // guards the ICE generation; never taken for media
	credentials icelite.Credentials
	named       []netip.AddrPort
	begins      bool // the agent was set up
}

// path is where the client is. Nobody writes to it.
type path struct {
	way *transport.Way
	at  transport.Spot
}

// callbacks are let go when the Conn is closed: whoever still knows the Conn
// does not keep its owner and all its packets alive.
type callbacks struct {
	receive func([]transport.Datagram)
	ready   func(transport.Keys)
	closed  func(error)
}

// Begin lets the session connect. Its callbacks are called from now on.
func (c *Conn) Begin() {
	c.begun.Do(func() { c.host.endpoint.Go(c.run) }) // ended by Close
}

// run owns the agent and DTLS until Close.
func (c *Conn) run() {
	defer c.end()
	ctx, cancel := context.WithTimeout(c.life, connectTime)
	defer cancel()
	if err := c.connect(ctx); err != nil {
		c.Close(fmt.Errorf("%w: %w", media.ErrGone, err))
		return
	}
	conn, err := c.host.endpoint.DTLS(records{c}, &net.UDPAddr{}, c.prints, c.active)
	if err == nil {
		err = c.establish(ctx, conn)
	}
	if err != nil {
		c.host.log.Debug("DTLS handshake failed", "error", err)
		c.Close(fmt.Errorf("%w: %w", media.ErrGone, err))
	}
	if conn != nil {
		_ = conn.Close() // says good-bye
	}
}

// end gives back what the session had.
func (c *Conn) end() {
	_ = c.agent.GracefulClose() // its goroutines have ended
	c.guest.Leave()
	_ = c.in.Close()
}

// connect waits for the first path.
func (c *Conn) connect(ctx context.Context) error {
	a := c.agent
	err := errors.Join(a.SetRemoteICELite(c.lite), a.OnConnectionStateChange(c.state),
		a.OnSelectedCandidatePairChange(c.selected), a.OnCandidate(c.candidate))
	if err != nil {
		return fmt.Errorf("set the ICE agent up: %w", err)
	}
	c.mu.Lock()
	n := c.credentials
	c.begins = true
	err = a.GatherCandidates()
	c.tell(c.named)
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("gather candidates: %w", err)
	}
	start := a.StartAccept
	if c.lite {
		start = a.StartDial // RFC 8445 section 6.1.1: the full agent controls
	}
	if _, err := start(n.RemoteUfrag, n.RemotePwd); err != nil {
		return fmt.Errorf("begin with ICE: %w", err)
	}
	select {
	case <-c.connected:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("find a path: %w", ctx.Err())
	}
}

// candidate hears of the agent's own candidates, which nobody is told: the answer names
// the port. The last one is nil.
func (c *Conn) candidate(own ice.Candidate) {
	if own == nil {
		select {
		case c.gathered <- struct{}{}:
		default:
		}
	}
}

// state hears how the agent is doing.
func (c *Conn) state(s ice.ConnectionState) {
	if s == ice.ConnectionStateFailed {
		c.Close(media.ErrGone)
	}
}

// selected turns to another path. Before there is one after a restart, media stays on
// the path in use (RFC 8445 section 9).
func (c *Conn) selected(_, remote ice.Candidate) {
	ip, err := netip.ParseAddr(remote.Address())
	if err != nil {
		return
	}
	at := transport.Spot{TCP: remote.NetworkType().IsTCP(), At: netip.AddrPortFrom(ip.Unmap(), uint16(remote.Port()))}
	if way := c.guest.Way(at); way != nil {
		c.path.Store(&path{way, at})
		c.once.Do(func() { close(c.connected) })
	}
}

// establish shakes hands, hands the keys out, and waits until one side says good-bye.
func (c *Conn) establish(ctx context.Context, conn *dtls.Conn) error {
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("shake hands: %w", err)
	}
	keys, err := transport.ExportKeys(conn, c.active)
	if err != nil {
		return err
	}
	if calls := c.calls.Load(); calls != nil {
		calls.ready(keys)
	}
	if c.channel != nil {
		c.associate(conn)
		return nil
	}
	stop := context.AfterFunc(c.life, func() { _ = conn.SetReadDeadline(past) })
	defer stop()
	var buf [1]byte // nobody sends us data over DTLS
	for c.life.Err() == nil {
		if _, err := conn.Read(buf[:]); errors.Is(err, io.EOF) || errors.Is(err, dtls.ErrConnClosed) { // close_notify
			c.Close(media.ErrHangup)
		}
	}
	return nil
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

func (c *Conn) check(b []byte, from transport.Spot) { c.mux.push(b, from) }

func (c *Conn) record(b []byte) { _, _ = c.in.Write(b) } // full: the handshake retransmits

func (c *Conn) receive(batch []transport.Datagram) {
	if calls := c.calls.Load(); calls != nil {
		calls.receive(batch)
	}
}

// Restart begins a new ICE generation.
func (c *Conn) Restart(n icelite.Credentials) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return media.ErrNoSession
	}
	if err := c.guest.Rename(n.Ufrag, n.RemotePwd); err != nil {
		return err
	}
	c.credentials = n
	if c.begins { // an agent that gathers must not be restarted: it reads its user fragment without a lock
		select {
		case <-c.gathered:
		case <-c.life.Done():
			return media.ErrNoSession
		case <-time.After(gatherTime):
			return errors.New("restart ICE: the agent is still gathering")
		}
	}
	err := c.agent.Restart(n.Ufrag, n.Pwd)
	if err == nil && !c.begins {
		return nil
	}
	if err == nil {
		err = c.agent.SetRemoteCredentials(n.RemoteUfrag, n.RemotePwd)
	}
	if err == nil {
		err = c.agent.GatherCandidates()
	}
	if err != nil {
		return fmt.Errorf("restart ICE: %w", err)
	}
	c.tell(c.named)
	return nil
}

// Trickle takes more candidates of an ICE-lite client, of those of Allowed, as far as
// there is room.
func (c *Conn) Trickle(more []netip.AddrPort) {
	if !c.lite {
		return // it shows its address by checking ours
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range more {
		if len(c.named) < MaxNamed && !slices.Contains(c.named, at) {
			c.named = append(c.named, at)
			if c.begins {
				c.tell([]netip.AddrPort{at})
			}
		}
	}
}

// tell gives candidates to the agent. The caller holds c.mu.
func (c *Conn) tell(named []netip.AddrPort) {
	for _, at := range named {
		if !c.guest.Name(at) {
			continue
		}
		candidate, err := ice.NewCandidateHost(&ice.CandidateHostConfig{Network: "udp", Address: at.Addr().String(),
			Port: int(at.Port()), Component: ice.ComponentRTP})
		if err == nil {
			_ = c.agent.AddRemoteCandidate(candidate) // fails when the agent is closed
		}
	}
}

// Send writes one datagram to the path in use.
func (c *Conn) Send(b []byte) error {
	p := c.path.Load()
	if p == nil {
		return transport.ErrNoPath
	}
	return c.guest.Write(b, p.at)
}

// Way returns the path in use as senders of many datagrams want it, another one whenever
// it has changed; nil before there is one.
//
// hot:
func (c *Conn) Way() *transport.Way {
	if p := c.path.Load(); p != nil {
		return p.way
	}
	return nil
}

// Heard does nothing: consent is the agent's.
//
// hot:
func (c *Conn) Heard(time.Time, bool) {}

// RTT returns the round-trip time of the last answered check; 0 is unknown.
func (c *Conn) RTT() time.Duration { return c.guest.RTT() }

// Network returns "udp", "tcp", or "" before the client connected.
func (c *Conn) Network() string {
	switch p := c.path.Load(); {
	case p == nil:
		return ""
	case p.at.TCP:
		return "tcp"
	}
	return "udp"
}

// Remote returns the client's address on the path in use; invalid before there is one.
func (c *Conn) Remote() netip.Addr {
	if p := c.path.Load(); p != nil {
		return p.at.At.Addr()
	}
	return netip.Addr{}
}

// Close ends the session, tells the client by a DTLS alert, and calls Closed.
func (c *Conn) Close(why error) {
	c.done.Do(func() {
		calls := c.calls.Swap(nil)
		c.stop()
		c.begun.Do(func() { c.host.endpoint.Go(c.end) }) // it never began
		calls.closed(why)
	})
}

// records lets DTLS read and write through the session's path.
type records struct{ c *Conn }

// ReadFrom reads one DTLS record.
func (r records) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := r.c.in.Read(b)
	return n, &net.UDPAddr{}, err
}

// WriteTo sends one DTLS record; the address is the path's.
func (r records) WriteTo(b []byte, _ net.Addr) (int, error) {
	if err := r.c.Send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close ends reading; the port is shared and stays open.
func (r records) Close() error { return r.c.in.Close() }

// LocalAddr is the port that all sessions share.
func (r records) LocalAddr() net.Addr { return r.c.host.local[0] }

// SetDeadline bounds reads; writes never block.
func (r records) SetDeadline(t time.Time) error { return r.c.in.SetReadDeadline(t) }

// SetReadDeadline bounds reads.
func (r records) SetReadDeadline(t time.Time) error { return r.c.in.SetReadDeadline(t) }

// SetWriteDeadline does nothing, as writes never block.
func (r records) SetWriteDeadline(time.Time) error { return nil }
