package turn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"
	"golang.org/x/time/rate"
)

const (
	// beginTime is how long a connection may stay without an allocation.
	beginTime = 10 * time.Second
	// writeTime is how long a client over TCP may take nothing: longer than any
	// stall that its media survives.
	writeTime = 10 * time.Second
	// asks and asksBurst bound the requests of one ticket: a browser asks for a
	// permission for each pair of allocation and candidate, then every few minutes.
	asks, asksBurst = 2, 256
	// acceptPause is the wait after a failed accept: descriptors may come free.
	acceptPause = 100 * time.Millisecond
)

var errInUse = syscall.EADDRINUSE

// tuple tells clients apart.
type tuple struct {
	src, dst netip.AddrPort
	tcp      bool
}

func tupleOf(src, dst net.Addr) tuple {
	_, tcp := src.(*net.TCPAddr)
	return tuple{addrPort(src), addrPort(dst), tcp}
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := netip.AddrPort{}
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// block is what limits count as one address: IPv6 clients own a /64 at least.
func block(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // fails for no address of these families
	return p
}

// user is who holds a ticket and has an allocation.
type user struct {
	hops int
	asks *rate.Limiter
}

// key gives pion what a request must be signed with (RFC 8489 section 9.2).
// A ticket begins allocations for ten minutes; those it began it may keep.
func (s *Server) key(r *pion.RequestAttributes) (string, []byte, bool) {
	now, grace := time.Now(), time.Duration(0)
	if r.Method != stun.MethodAllocate {
		grace = longest
	}
	password, ok := s.secret.verify(r.Username, now, grace)
	if !ok || r.Realm != realm {
		s.metrics.refused.WithLabelValues("ticket").Inc()
		return "", nil, false
	}
	s.mu.Lock()
	u := s.users[r.Username]
	s.mu.Unlock()
	if u != nil && !u.asks.AllowN(now, 1) {
		s.metrics.refused.WithLabelValues("rate").Inc()
		return "", nil, false
	}
	return r.Username, pion.GenerateAuthKey(r.Username, r.Realm, password), true
}

// quota is asked before an allocation is made.
func (s *Server) quota(name, _ string, src net.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[name]
	ok := s.places[block(addrPort(src).Addr())] < s.cfg.Limits.PerAddress && (u == nil || u.hops < s.cfg.Limits.PerTicket)
	if !ok {
		s.metrics.refused.WithLabelValues("quota").Inc()
	}
	return ok
}

// lend takes a place for a hop, if there is one.
func (s *Server) lend(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.hops >= s.cfg.Limits.Allocations {
		return false
	}
	u := s.users[name]
	if u == nil {
		u = &user{asks: rate.NewLimiter(asks, asksBurst)}
		s.users[name] = u
	}
	u.hops++
	s.hops++
	s.lent.Add(1)
	return true
}

func (s *Server) giveBack(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hops--
	if u := s.users[name]; u != nil {
		if u.hops--; u.hops == 0 {
			delete(s.users, name)
		}
	}
	s.lent.Done()
}

// began notes who has an allocation.
func (s *Server) began(t tuple) {
	s.mu.Lock()
	s.clients[t] = struct{}{}
	s.places[block(t.src.Addr())]++
	c := s.streams[t]
	s.mu.Unlock()
	if c != nil {
		_ = c.SetReadDeadline(time.Time{})
	}
}

// ended forgets who had one; a connection without has no purpose.
func (s *Server) ended(t tuple) {
	s.mu.Lock()
	if _, ok := s.clients[t]; ok {
		delete(s.clients, t)
		if p := block(t.src.Addr()); s.places[p] > 1 {
			s.places[p]--
		} else {
			delete(s.places, p)
		}
	}
	c := s.streams[t]
	s.mu.Unlock()
	if c != nil {
		_ = c.Close()
	}
}

func (s *Server) known(t tuple) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.clients[t]
	return ok
}

// window counts messages of strangers by the second: it is they who may lie
// about their address, and whom a challenge answers with more than they sent.
type window struct {
	mu    sync.Mutex
	limit int
	since time.Time
	all   int
	by    map[netip.Prefix]int
}

func newWindow(limit int) *window { return &window{limit: limit, by: map[netip.Prefix]int{}} }

func (w *window) take(ip netip.Addr, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.since) >= time.Second {
		w.since, w.all = now, 0
		clear(w.by)
	}
	p := block(ip)
	if w.all >= w.limit || w.by[p] >= max(1, w.limit/10) {
		return false
	}
	w.all++
	w.by[p]++
	return true
}

// packets is a UDP port that lets few strangers in.
type packets struct {
	*net.UDPConn
	s *Server
}

// ReadFrom returns the next datagram that is worth reading. pion stops reading
// at the first error, so only the end is one.
func (p *packets) ReadFrom(b []byte) (int, net.Addr, error) {
	local := addrPort(p.LocalAddr())
	for {
		n, from, err := p.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return 0, nil, err
		}
		if err != nil || n == 0 {
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if !p.s.known(tuple{from, local, false}) && !p.s.strangers.take(from.Addr(), time.Now()) {
			p.s.metrics.refused.WithLabelValues("stranger").Inc()
			continue
		}
		return n, net.UDPAddrFromAddrPort(from), nil
	}
}

// listener takes TCP connections, and as many of one address as it may have
// allocations.
type listener struct {
	net.Listener
	s      *Server
	ctx    context.Context
	secure *tls.Config
}

// Accept returns the next connection. pion stops accepting at the first error,
// so only the end is one.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil && (errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil) {
			return nil, err
		}
		if err != nil {
			pause := time.NewTimer(acceptPause)
			select {
			case <-pause.C:
			case <-l.ctx.Done():
				pause.Stop()
			}
			continue
		}
		if in := l.s.admit(c, l.secure); in != nil {
			return in, nil
		}
		l.s.metrics.refused.WithLabelValues("stranger").Inc()
		_ = c.Close()
	}
}

// stream is a TCP or TLS connection that gives pion one whole message at a time.
type stream struct {
	net.Conn // TLS, or the connection itself
	s        *Server
	at       tuple
	r        *bufio.Reader
	done     sync.Once
}

func (s *Server) admit(c net.Conn, secure *tls.Config) *stream {
	in := &stream{Conn: c, s: s, at: tupleOf(c.RemoteAddr(), c.LocalAddr())}
	if secure != nil {
		in.Conn = tls.Server(c, secure)
	}
	in.r = bufio.NewReaderSize(in.Conn, mtu)
	_ = c.SetReadDeadline(time.Now().Add(beginTime)) // also bounds the TLS handshake
	from := block(in.at.src.Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.accepted[from] >= s.cfg.Limits.PerAddress || len(s.streams) >= s.cfg.Limits.Allocations {
		return nil
	}
	s.streams[in.at] = in
	s.accepted[from]++
	s.lent.Add(1)
	return in
}

// Read returns one message; whatever else comes ends the connection.
func (c *stream) Read(b []byte) (int, error) { return readFrame(c.r, b) }

// Write gives a client that takes nothing up.
func (c *stream) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writeTime))
	n, err := c.Conn.Write(b)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

// Close ends the connection, and frees its place once.
func (c *stream) Close() error {
	c.done.Do(func() {
		_ = c.Conn.Close()
		from := block(c.at.src.Addr())
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		if c.s.streams[c.at] == c { // the client may have come again from the same port
			delete(c.s.streams, c.at)
		}
		if c.s.accepted[from]--; c.s.accepted[from] <= 0 {
			delete(c.s.accepted, from)
		}
		c.s.lent.Done()
	})
	return nil
}
