// Package pion carries sessions by a full ICE agent and a DTLS connection that stays open, for clients that the node's
// own ICE-lite (sfu/transport) cannot serve: those that are ICE-lite themselves, and those that open data channels. It promises what that transport does: nothing is taken from or sent to an address that has not answered, but a bounded
// number of checks; every queue is bounded; when the endpoint's Run has returned, nothing of it is left.
//
// A Host lodges its sessions at the endpoint's UDP port. Each Conn belongs to whoever opened it.
package pion

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	pnet "github.com/pion/transport/v4"
	"github.com/pion/transport/v4/packetio"
	"github.com/pion/transport/v4/stdnet"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/icelite"
	"github.com/sluice-live/sluice/sfu/transport"
)

const (
	// connectTime is how long a client may take from POST to a finished DTLS handshake.
	connectTime = 30 * time.Second
	// lostTime and goneTime add up to the silence of sfu/transport: a client that answers
	// no check for so long is gone.
	lostTime, goneTime = 5 * time.Second, 10 * time.Second
	// keepalive is how often the path in use is checked; consent lasts 30 s (RFC 7675 section 5.1).
	keepalive = 2 * time.Second
	// checkInterval and maxChecks are how often and how many times a candidate is checked: an
	// ICE-lite client answers only once it has our answer, which may take its way 5 s.
	checkInterval = 200 * time.Millisecond
	maxChecks     = 25
	// gatherTime is how long an agent may take to gather; it asks nobody but the port.
	gatherTime = 5 * time.Second
	// inboxSize bounds the DTLS records that wait to be read.
	inboxSize = 256 << 10
)

// Config sets a Host up.
type Config struct {
	Endpoint *transport.Endpoint
	Log      *slog.Logger // may be nil
}

// Host opens sessions.
type Host struct {
	endpoint *transport.Endpoint
	log      *slog.Logger
	local    []*net.UDPAddr // one for each family
	net      *quiet
}

// New returns a Host at the endpoint.
func New(c Config) *Host {
	h := &Host{endpoint: c.Endpoint, log: c.Log, net: &quiet{}}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	for _, at := range c.Endpoint.Sockets() {
		ip := at.Addr().Unmap()
		if ip.IsUnspecified() { // the agent wants an address to name the socket by; nobody is told
			if ip = netip.IPv6Loopback(); at.Addr().Is4() {
				ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
			}
		}
		h.local = append(h.local, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, at.Port())))
	}
	h.net.port = named(h.local)
	return h
}

// Client is what an offer says of the client's own ICE agent.
type Client struct {
	// Lite: it is ICE-lite, so that we control and send the checks.
	Lite bool
	// Candidates are where it says it is: those of Allowed. A client that is a full agent
	// needs none, as it checks our address.
	Candidates []netip.AddrPort
	// Channel serves its data channels; nil: it has none.
	Channel Channel
}

// Open registers a session; Begin lets it connect.
func (h *Host) Open(p transport.Params, client Client) (*Conn, error) {
	c := &Conn{host: h, credentials: p.Credentials, prints: p.Fingerprints, active: p.Active, lite: client.Lite, channel: client.Channel,
		in: packetio.NewBuffer(), connected: make(chan struct{}), gathered: make(chan struct{}, 1), mux: newMux(h.local)}
	c.life, c.stop = context.WithCancel(context.Background())
	c.Trickle(client.Candidates)
	c.calls.Store(&callbacks{p.Receive, p.Ready, p.Closed})
	c.in.SetLimitSize(inboxSize)
	var err error
	if c.agent, err = h.agent(c.mux, p.Credentials); err != nil {
		return nil, err
	}
	opened := make(chan struct{}) // the endpoint may end meanwhile
	defer close(opened)
	c.guest, err = h.endpoint.Lodge(transport.GuestParams{Ufrag: p.Credentials.Ufrag, RemotePwd: p.Credentials.RemotePwd,
		Check: c.check, Record: c.record, Receive: c.receive, Shut: func() { <-opened; c.Close(media.ErrShuttingDown) }})
	if err != nil {
		_ = c.agent.Close() // it has not begun
		return nil, err
	}
	c.mux.guest = c.guest // before the agent asks for its lines
	return c, nil
}

func (h *Host) agent(m *mux, c icelite.Credentials) (*ice.Agent, error) {
	a, err := ice.NewAgentWithOptions(
		ice.WithLocalCredentials(c.Ufrag, c.Pwd),
		ice.WithUDPMux(m), ice.WithTCPMux(overTCP{m}), ice.WithNet(h.net),
		ice.WithIncludeLoopback(),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6, ice.NetworkTypeTCP4, ice.NetworkTypeTCP6}),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithDisableActiveTCP(),
		ice.WithDisconnectedTimeout(lostTime), ice.WithFailedTimeout(goneTime), ice.WithKeepaliveInterval(keepalive),
		ice.WithCheckInterval(checkInterval), ice.WithMaxBindingRequests(maxChecks),
		ice.WithPrflxAcceptanceMinWait(0),
		ice.WithLoggerFactory(silent{}),
	)
	if err != nil {
		return nil, fmt.Errorf("make the ICE agent: %w", err)
	}
	return a, nil
}

// silent throws Pion's lines away: they tell of each stray packet.
type silent struct{}

func (silent) NewLogger(string) logging.LeveledLogger {
	return logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, nil)
}

// quiet is the machine's network as agents see it: one interface that has an address of
// each family, so that an agent has one candidate over TCP for each, and does not ask the
// kernel for all interfaces.
type quiet struct {
	stdnet.Net
	port *pnet.Interface
}

func named(local []*net.UDPAddr) *pnet.Interface {
	i := pnet.NewInterface(net.Interface{Index: 1, Name: "media", MTU: 1500, Flags: net.FlagUp | net.FlagLoopback})
	for _, a := range local {
		i.AddAddress(&net.IPNet{IP: a.IP, Mask: net.CIDRMask(8*len(a.IP), 8*len(a.IP))})
	}
	return i
}

// Interfaces implements transport.Net.
func (q *quiet) Interfaces() ([]*pnet.Interface, error) { return []*pnet.Interface{q.port}, nil }
