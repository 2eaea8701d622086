package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// Timing of checks: the first leaves at once, then as RFC 8445 section 14.3
// would with a small RTO, until one is answered; then consent each 5 s (RFC
// 7675 section 5.1).
const (
	checkInterval   = 100 * time.Millisecond
	consentInterval = 5 * time.Second
)

// Config is what a Peer needs.
type Config struct {
	Certificate Certificate
	Local       Credentials
	Answer      Answer
	Remote      netip.AddrPort // instead of the answer's first candidate, when valid
	// RTP and RTCP are called from the peer's own goroutine with plain packets;
	// either may be nil. The slices are valid during the call only.
	RTP  func(h *rtp.Header, payload []byte, at time.Time)
	RTCP func([]rtcp.Packet)
}

// Peer is one connected light client on a socket of its own. Writes may come
// from any goroutine.
type Peer struct {
	c       Config
	sock    *net.UDPConn
	remote  netip.AddrPort
	pipe    *Pipe
	conn    *dtls.Conn
	checked chan struct{} // closed at the first answered check
	done    chan struct{} // closed when the socket's reader has ended
	gone    chan struct{} // closed when the other side ended DTLS

	mu      sync.Mutex // guards checker and out
	checker *Checker
	keys    Keys

	in      atomic.Pointer[Keys]
	answers atomic.Uint64 // answered checks
	once    sync.Once
}

// Dial checks, shakes hands and returns a peer that can send.
func Dial(ctx context.Context, c Config) (*Peer, error) {
	remote := c.Remote
	if !remote.IsValid() {
		if len(c.Answer.Candidates) == 0 {
			return nil, errors.New("dial: the answer has no UDP candidate")
		}
		remote = c.Answer.Candidates[0]
	}
	sock, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return nil, fmt.Errorf("dial %v: %w", remote, err)
	}
	// A key frame's burst at 20 Mbit/s must fit; the kernel may give less.
	_ = sock.SetReadBuffer(1 << 20)
	p := &Peer{c: c, sock: sock, remote: remote, checker: NewChecker(c.Local, c.Answer.Remote),
		checked: make(chan struct{}), done: make(chan struct{}), gone: make(chan struct{})}
	p.pipe = NewPipe(net.UDPAddrFromAddrPort(remote), func(b []byte) error { _, err := sock.Write(b); return err })
	go p.read()    // ends with the socket; Close waits for done
	go p.consent() // ends with done
	if err := p.connect(ctx); err != nil {
		p.Close(false)
		return nil, fmt.Errorf("dial %v: %w", remote, err)
	}
	return p, nil
}

func (p *Peer) connect(ctx context.Context) error {
	select {
	case <-p.checked:
	case <-ctx.Done():
		return fmt.Errorf("no check was answered: %w", context.Cause(ctx))
	}
	conn, keys, err := Handshake{Conn: p.pipe, Remote: p.pipe.remote, Certificate: p.c.Certificate, Server: p.c.Answer.Setup == "active",
		Algorithm: p.c.Answer.Algorithm, Fingerprint: p.c.Answer.Fingerprint}.Run(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.conn, p.keys = conn, keys
	p.mu.Unlock()
	p.in.Store(&keys)
	go p.watch(conn) // ends with conn, which Close closes
	return nil
}

// watch notices the other side's close_notify.
func (p *Peer) watch(conn *dtls.Conn) {
	var b [1500]byte
	for {
		if _, err := conn.Read(b[:]); err != nil {
			close(p.gone)
			return
		}
	}
}

// Gone is closed when the other side has ended the DTLS session.
func (p *Peer) Gone() <-chan struct{} { return p.gone }

// Profile is the SRTP profile that was agreed on.
func (p *Peer) Profile() string { return p.keys.Profile }

// Answers counts the checks that the server answered.
func (p *Peer) Answers() uint64 { return p.answers.Load() }

// Remote is the server's media address.
func (p *Peer) Remote() netip.AddrPort { return p.remote }

// Restart goes on with new credentials of both sides, and checks at once.
func (p *Peer) Restart(local, remote Credentials) {
	p.mu.Lock()
	p.checker.Restart(local, remote)
	p.mu.Unlock()
	p.check()
}

// Send writes a raw datagram to the server.
func (p *Peer) Send(b []byte) error { _, err := p.sock.Write(b); return err }

// Seal encrypts one RTP packet, appended to dst.
func (p *Peer) Seal(dst []byte, h *rtp.Header, payload []byte) ([]byte, error) {
	plain, err := (&rtp.Packet{Header: *h, Payload: payload}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("marshal RTP: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := p.keys.Out.EncryptRTP(dst, plain, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt RTP: %w", err)
	}
	return out, nil
}

// WriteRTCP encrypts and sends one compound packet.
func (p *Peer) WriteRTCP(packets ...rtcp.Packet) error {
	plain, err := rtcp.Marshal(packets)
	if err != nil {
		return fmt.Errorf("marshal RTCP: %w", err)
	}
	p.mu.Lock()
	out, err := p.keys.Out.EncryptRTCP(nil, plain, nil)
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("encrypt RTCP: %w", err)
	}
	return p.Send(out)
}

// Close ends the peer; with goodbye it sends DTLS close_notify first.
func (p *Peer) Close(goodbye bool) {
	p.once.Do(func() {
		if !goodbye {
			p.pipe.Mute()
		}
		p.mu.Lock()
		conn := p.conn
		p.mu.Unlock()
		if conn != nil {
			_ = conn.Close()
		}
		_ = p.pipe.Close()
		_ = p.sock.Close()
	})
	<-p.done
}

func (p *Peer) check() {
	p.mu.Lock()
	request, err := p.checker.Request()
	p.mu.Unlock()
	if err == nil {
		_ = p.Send(request) // lost or refused: the next one follows
	}
}

func (p *Peer) consent() {
	for {
		p.check()
		interval := checkInterval
		if p.answers.Load() > 0 {
			interval = consentInterval
		}
		t := time.NewTimer(interval)
		select {
		case <-t.C:
		case <-p.done:
			t.Stop()
			return
		}
	}
}

func (p *Peer) read() {
	defer close(p.done)
	buf := make([]byte, 2048)
	for {
		n, err := p.sock.Read(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // ICMP says "refused": the server may not listen yet
		}
		p.datagram(buf[:n], time.Now())
	}
}

func (p *Peer) datagram(b []byte, at time.Time) {
	switch Classify(b) {
	case STUN:
		p.mu.Lock()
		reply, answered := p.checker.Read(b, p.remote)
		p.mu.Unlock()
		if reply != nil {
			_ = p.Send(reply)
		}
		if answered && p.answers.Add(1) == 1 {
			close(p.checked)
		}
	case DTLS:
		p.pipe.Push(b)
	case RTP:
		p.rtp(b, at)
	case RTCP:
		p.rtcp(b)
	}
}

func (p *Peer) rtp(b []byte, at time.Time) {
	keys := p.in.Load()
	if keys == nil || p.c.RTP == nil {
		return
	}
	var h rtp.Header
	plain, err := keys.In.DecryptRTP(nil, b, &h)
	if err != nil {
		return
	}
	payload := plain[h.MarshalSize():]
	if h.Padding && len(payload) > 0 {
		payload = payload[:len(payload)-min(len(payload), int(payload[len(payload)-1]))]
	}
	p.c.RTP(&h, payload, at)
}

func (p *Peer) rtcp(b []byte) {
	keys := p.in.Load()
	if keys == nil || p.c.RTCP == nil {
		return
	}
	plain, err := keys.In.DecryptRTCP(nil, b, nil)
	if err != nil {
		return
	}
	if packets, err := rtcp.Unmarshal(plain); err == nil {
		p.c.RTCP(packets)
	}
}
