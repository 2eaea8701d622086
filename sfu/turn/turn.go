// Package turn lends clients whose network lets neither UDP nor the media port
// through a way to it: TURN (RFC 8656) over UDP, TCP and TLS. It promises that
// nothing is relayed but to and from this node's own media port, that only
// holders of a ticket of the last ten minutes begin, and that nobody takes more
// than a bounded share. A Server owns its sockets; cmd hands its tickets out.
package turn

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// realm names the domain of the credentials (RFC 8489 section 9.2); clients
	// take it from the server's answer.
	realm = "sluice"
	// ticketLife is how long a ticket may begin an allocation: a join takes
	// seconds, a page that sleeps asks again.
	ticketLife = 10 * time.Minute
	// longest is how long an allocation may be refreshed with the ticket that
	// began it: a day of classes, after which the session is made anew.
	longest = 12 * time.Hour
	// longestFrame is the largest message taken over TCP: a media datagram and
	// the header of a Send indication fit well.
	longestFrame = 1500
	// mtu is what pion reads at once; a message of this size or more counts as cut.
	mtu = 1600
)

// Media is the node's media port as the relay needs to know it.
type Media interface {
	// Reach is where this machine reaches its own media port over IPv4 or IPv6;
	// invalid when the port is not open there.
	Reach(v6 bool) netip.AddrPort
	// Announced are the addresses that clients may have been told of.
	Announced() []netip.Addr
}

// Config sets a Server up.
type Config struct {
	// Listen is host:port of UDP and TCP; empty is off.
	Listen string
	// Secure is host:port of TLS; empty is off.
	Secure string
	// TLS holds the certificate for Secure.
	TLS *tls.Config
	// Host stands in the URLs told to clients; empty: Public, or the name under
	// which a client reached the node.
	Host string
	// Public are the node's public addresses.
	Public []netip.Addr
	Media  Media
	Limits Limits
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

// Limits bound what is lent, and to whom. A zero field takes DefaultLimits' value.
type Limits struct {
	// Allocations in all, of one address (IPv6: one /64) and of one ticket.
	Allocations, PerAddress, PerTicket int
	// Strangers is how many messages a second are read from those without an
	// allocation, in all; one address may send a tenth of them.
	Strangers int
	// Bytes per second that one allocation may send to the media port.
	Bytes int
}

// DefaultLimits suit a node of a few thousand viewers, of whom one in ten needs
// a relay; a browser makes up to three allocations for each of its interfaces.
func DefaultLimits() Limits {
	return Limits{Allocations: 2000, PerAddress: 500, PerTicket: 16, Strangers: 2000,
		// A publisher at the default limit of 20 Mbit/s, and repairs.
		Bytes: 4 << 20}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	for _, f := range []struct {
		at    *int
		usual int
	}{{&l.Allocations, d.Allocations}, {&l.PerAddress, d.PerAddress}, {&l.PerTicket, d.PerTicket}, {&l.Strangers, d.Strangers}, {&l.Bytes, d.Bytes}} {
		if *f.at <= 0 {
			*f.at = f.usual
		}
	}
	return l
}

// Server is a TURN server. Safe for concurrent use.
type Server struct {
	cfg       Config
	secret    secret
	udp       []*net.UDPConn
	tcp       []net.Listener // plain
	tls       []net.Listener
	strangers *window
	metrics   *metrics

	mu       sync.Mutex // guards all below; never held across I/O
	closing  bool
	hops     int
	users    map[string]*user
	places   map[netip.Prefix]int
	clients  map[tuple]struct{}
	streams  map[tuple]*stream
	lent     sync.WaitGroup // hops and streams
	accepted map[netip.Prefix]int
}

// New opens the ports; Run serves them.
func New(c Config) (*Server, error) {
	if c.Media == nil || c.Secure != "" && c.TLS == nil {
		return nil, errors.New("set TURN up: Media, and TLS for a secure address, are needed")
	}
	c.Limits = c.Limits.orDefault()
	s := &Server{cfg: c, secret: make(secret, 32), strangers: newWindow(c.Limits.Strangers),
		users: map[string]*user{}, places: map[netip.Prefix]int{}, clients: map[tuple]struct{}{},
		streams: map[tuple]*stream{}, accepted: map[netip.Prefix]int{}}
	_, _ = rand.Read(s.secret) // never fails
	s.metrics = newMetrics(s, c.Metrics)
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) open() error {
	if s.cfg.Listen != "" {
		err := eachFamily(s.cfg.Listen, func(family, addr string) error {
			at, err := net.ResolveUDPAddr("udp"+family, addr)
			if err != nil {
				return err
			}
			pc, err := net.ListenUDP("udp"+family, at)
			if err == nil {
				s.udp = append(s.udp, pc)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("open the TURN port over UDP: %w", err)
		}
		if s.tcp, err = listen(s.cfg.Listen); err != nil {
			return fmt.Errorf("open the TURN port over TCP: %w", err)
		}
	}
	if s.cfg.Secure != "" {
		var err error
		if s.tls, err = listen(s.cfg.Secure); err != nil {
			return fmt.Errorf("open the TURN port over TLS: %w", err)
		}
	}
	return nil
}

func listen(addr string) (all []net.Listener, err error) {
	err = eachFamily(addr, func(family, addr string) error {
		l, err := net.Listen("tcp"+family, addr)
		if err == nil {
			all = append(all, l)
		}
		return err
	})
	return all, err
}

// eachFamily opens an address for IPv4 and for IPv6, as a relayed address is of
// the family of its socket (RFC 8656 section 7.2). One of them is enough.
func eachFamily(addr string, open func(family, addr string) error) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	families := []string{"4", "6"}
	if ip, err := netip.ParseAddr(host); err == nil {
		families = []string{"6"}
		if ip.Unmap().Is4() {
			families = []string{"4"}
		}
	}
	var failed error
	for _, f := range families {
		failed = errors.Join(failed, open(f, addr))
	}
	if failed != nil && len(families) == 2 && !errors.Is(failed, errInUse) {
		return nil // a machine without IPv6, or without IPv4
	}
	return failed
}

// Close closes the ports of a Server that was never run.
func (s *Server) Close() {
	for _, pc := range s.udp {
		_ = pc.Close()
	}
	for _, l := range append(s.tcp, s.tls...) {
		_ = l.Close()
	}
}

// Run serves until ctx ends, and returns when every allocation is gone.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	server, err := pion.NewServer(s.settings(ctx))
	if err != nil {
		return fmt.Errorf("start TURN: %w", err)
	}
	<-ctx.Done()
	_ = server.Close() // closes the ports; each read loop then lets its allocations go
	s.mu.Lock()
	s.closing = true
	left := make([]*stream, 0, len(s.streams))
	for _, c := range s.streams {
		left = append(left, c)
	}
	s.mu.Unlock()
	for _, c := range left {
		_ = c.Close()
	}
	s.lent.Wait()
	return nil
}

func (s *Server) settings(ctx context.Context) pion.ServerConfig {
	c := pion.ServerConfig{
		Realm: realm, InboundMTU: mtu, AuthHandler: s.key, QuotaHandler: s.quota,
		// What pion logs names users: nothing of it is kept.
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
		EventHandler: pion.EventHandler{
			OnAllocationCreated: func(src, dst net.Addr, _, _, _ string, _ net.Addr, _ int) { s.began(tupleOf(src, dst)) },
			OnAllocationDeleted: func(src, dst net.Addr, _, _, _ string) { s.ended(tupleOf(src, dst)) },
		},
	}
	for _, pc := range s.udp {
		c.PacketConnConfigs = append(c.PacketConnConfigs, pion.PacketConnConfig{
			PacketConn: &packets{UDPConn: pc, s: s}, RelayAddressGenerator: hops{s}, PermissionHandler: s.permit})
	}
	for i, l := range append(s.tcp[:len(s.tcp):len(s.tcp)], s.tls...) {
		in := &listener{Listener: l, s: s, ctx: ctx}
		if i >= len(s.tcp) {
			in.secure = s.cfg.TLS
		}
		c.ListenerConfigs = append(c.ListenerConfigs, pion.ListenerConfig{Listener: in, RelayAddressGenerator: hops{s}, PermissionHandler: s.permit})
	}
	return c
}

// Ticket is what a client needs to use the relay, for ten minutes.
type Ticket struct {
	URLs               []string
	Username, Password string
}

// Ticket makes a ticket for a client that reached the node under a name, which
// may be empty. Without a host to name there are no URLs.
func (s *Server) Ticket(name string, now time.Time) Ticket {
	if !plain(name) {
		name = ""
	}
	public := ""
	if len(s.cfg.Public) > 0 {
		public = s.cfg.Public[0].String()
	}
	var t Ticket
	// Behind a balancer or a proxy the name is not this machine's: its address is.
	if host := cmp.Or(s.cfg.Host, public, name); host != "" && len(s.udp) > 0 {
		at := "turn:" + net.JoinHostPort(host, port(s.udp[0].LocalAddr()))
		t.URLs = append(t.URLs, at+"?transport=udp", at+"?transport=tcp")
	}
	// The certificate is for the name.
	if host := cmp.Or(s.cfg.Host, name, public); host != "" && len(s.tls) > 0 {
		t.URLs = append(t.URLs, "turns:"+net.JoinHostPort(host, port(s.tls[0].Addr()))+"?transport=tcp")
	}
	t.Username, t.Password = s.secret.mint(now.Add(ticketLife))
	return t
}

func port(a net.Addr) string { return strconv.Itoa(int(addrPort(a).Port())) }
