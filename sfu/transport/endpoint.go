// Package transport carries the sessions of one node over one UDP port and one
// TCP port: ICE-lite, DTLS and SRTP keys. It promises that media goes only to
// addresses that answered, that junk costs a bounded amount and reaches no
// session, and that nothing on the way of a packet takes a lock.
//
// The Endpoint owns the sockets; each Conn belongs to whoever opened it.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// socketBuffer absorbs a key frame to every viewer while the reader is busy.
	socketBuffer = 8 << 20
	// tick is how often consent and silence are looked at.
	tick = time.Second
	// silence is how long a client may say nothing at all before it is gone
	// (RFC 7675 section 5.1 expires consent after 30 s; a lite client that
	// vanished without a word frees its seat in half of that).
	silence = 15 * time.Second
	// goodbyeTime is how long closing alerts may take at a shutdown.
	goodbyeTime = time.Second
	// checkTime is how soon a client must have shown itself by a check: the POST is
	// answered within milliseconds, and checks follow at once.
	checkTime = 10 * time.Second
	// connectTime is how long a client may take from POST to a finished DTLS handshake.
	connectTime = 30 * time.Second
)

// Config says where to listen.
type Config struct {
	Listen string // host:port of UDP and TCP alike; the host may be empty
	Log    *slog.Logger
	// Portable uses nothing but what every system has: one call for each datagram.
	Portable bool
}

// Endpoint owns the media sockets of a node.
type Endpoint struct {
	log         *slog.Logger
	udp         []*socket
	tcp         net.Listener
	certificate tls.Certificate
	fingerprint string
	portable    bool
	port        uint16

	mu    sync.RWMutex // guards conns and links; taken by checks and joins, never by media
	conns map[string]*Conn
	ids   atomic.Int64 // socket numbers

	guests guests

	tcpOpen  atomic.Int64
	running  sync.WaitGroup
	shaking  sync.WaitGroup     // the DTLS side of sessions
	waiting  map[netip.Addr]int // TCP connections without a check, by address; guarded by mu
	unknown  atomic.Uint64
	rejected atomic.Uint64
}

// Listen opens the sockets; Run serves them.
func Listen(c Config) (*Endpoint, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("read media address %q: %w", c.Listen, err)
	}
	certificate, fingerprint, err := newCertificate(time.Now())
	if err != nil {
		return nil, fmt.Errorf("make the node's DTLS certificate: %w", err)
	}
	e := &Endpoint{log: c.Log, certificate: certificate, fingerprint: fingerprint, portable: c.Portable, conns: map[string]*Conn{}, waiting: map[netip.Addr]int{},
		guests: guests{names: map[string]*Guest{}, active: map[netip.AddrPort]*Guest{}, pending: map[netip.AddrPort]*Guest{}}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	tries := 1
	if port == "0" {
		tries = 10 // a port that is free for UDP may be taken for TCP
	}
	for range tries {
		if err = e.open(host, port); err == nil {
			return e, nil
		}
		e.close()
		e.udp, e.tcp = nil, nil
	}
	return nil, err
}

func (e *Endpoint) open(host, port string) error {
	networks := []string{"udp4", "udp6"}
	if ip, err := netip.ParseAddr(host); err == nil {
		networks = []string{"udp6"}
		if ip.Unmap().Is4() {
			networks = []string{"udp4"}
		}
	}
	var errs []error
	for _, network := range networks {
		addr, err := net.ResolveUDPAddr(network, net.JoinHostPort(host, port))
		if err != nil {
			return fmt.Errorf("read media address: %w", err)
		}
		pc, err := net.ListenUDP(network, addr)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		_ = pc.SetReadBuffer(socketBuffer)
		_ = pc.SetWriteBuffer(socketBuffer)
		// A port of 0 is chosen once, for every socket.
		e.port = pc.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		port = strconv.Itoa(int(e.port))
		s, err := newSocket(e, int(e.ids.Add(1)), pc)
		if err != nil {
			_ = pc.Close()
			return err
		}
		e.udp = append(e.udp, s)
	}
	if len(e.udp) == 0 {
		return fmt.Errorf("open the media port over UDP: %w", errors.Join(errs...))
	}
	tcp, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return fmt.Errorf("open the media port over TCP: %w", err)
	}
	e.tcp = tcp
	return nil
}

// Fingerprint is the SHA-256 fingerprint of the node's certificate as SDP writes it.
func (e *Endpoint) Fingerprint() string { return e.fingerprint }

// Port is the media port, UDP and TCP.
func (e *Endpoint) Port() uint16 { return e.port }

// Families tells which IP versions have a UDP socket.
func (e *Endpoint) Families() (v4, v6 bool) {
	for _, s := range e.udp {
		if s.local.Addr().Is4() {
			v4 = true
		} else {
			v6 = true
		}
	}
	return v4, v6
}

// Rejected returns how many datagrams were from nobody we know, and how many
// were known but not authentic.
func (e *Endpoint) Rejected() (unknown, forged uint64) { return e.unknown.Load(), e.rejected.Load() }

// Run serves the sockets until ctx ends, then closes every Conn and returns
// when all that was started is gone.
func (e *Endpoint) Run(ctx context.Context) error {
	for _, s := range e.udp {
		e.running.Go(s.run) // ended by close below
	}
	e.running.Go(func() { e.accept(ctx) }) // likewise
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	p := pulse{last: time.Now()}
	for {
		select {
		case <-ctx.Done():
			for _, c := range e.snapshot() {
				c.Close(media.ErrShuttingDown)
			}
			for _, g := range e.guests.all() {
				g.p.Shut()
			}
			e.goodbye()
			e.close()
			e.shaking.Wait()
			e.running.Wait()
			return nil
		case now := <-ticker.C:
			if p.paused(now) {
				continue
			}
			for _, c := range e.snapshot() {
				c.tick(now)
			}
		}
	}
}

// pulse notices that this node itself stood still: what clients said meanwhile still
// waits in the sockets, and whoever seems silent is judged a tick later, when it was
// read. Never twice in a row: a node that is always late must let go, too.
type pulse struct {
	last    time.Time
	skipped bool
}

func (p *pulse) paused(now time.Time) bool {
	p.skipped = !p.skipped && now.Sub(p.last) > 2*tick
	p.last = now
	return p.skipped
}

// goodbye waits until clients were told that their sessions end, but not long.
func (e *Endpoint) goodbye() {
	told := make(chan struct{})
	e.running.Go(func() { // ends when the sessions have, at the latest after the sockets closed
		e.shaking.Wait()
		close(told)
	})
	timer := time.NewTimer(goodbyeTime)
	defer timer.Stop()
	select {
	case <-told:
	case <-timer.C:
	}
}

func (e *Endpoint) close() {
	for _, s := range e.udp {
		_ = s.pc.Close()
	}
	if e.tcp != nil {
		_ = e.tcp.Close()
	}
}

func (e *Endpoint) snapshot() []*Conn {
	e.mu.RLock()
	defer e.mu.RUnlock()
	seen := make([]*Conn, 0, len(e.conns))
	for ufrag, c := range e.conns {
		if c.ufrag.Load() == nil || *c.ufrag.Load() == ufrag { // once per Conn, also after a restart
			seen = append(seen, c)
		}
	}
	return seen
}

func (e *Endpoint) register(ufrag string, c *Conn) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, taken := e.conns[ufrag]; taken {
		return errors.New("register the session: its user fragment is taken")
	}
	e.conns[ufrag] = c
	return nil
}

func (e *Endpoint) forget(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ufrag := range c.ufrags {
		delete(e.conns, ufrag)
	}
}

// lookup finds the session that a check is for; it allocates nothing.
func (e *Endpoint) lookup(ufrag []byte) *Conn {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.conns[string(ufrag)]
}
