package transport

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"

	"github.com/sluice-live/sluice/sfu/icelite"
)

const (
	// maxGuestPlaces bounds the addresses from which one generation of a guest's
	// checks is handed on: an agent keeps each of them for as long as it lives.
	maxGuestPlaces = 64
	// maxGuestChecks is how many of a guest's checks of one address may wait for
	// their answers.
	maxGuestChecks = 8
	// guestAmplification is how many times the bytes received from an address may be
	// sent to it before it has answered, as in sfu/icelite.
	guestAmplification = 3
	// namedBudget is how many bytes of checks an address gets that was only named to
	// us: 32 of some 120 bytes, which is 6 s of them. namedRest is how soon it may have
	// as many again, by being named again: a client that restarts ICE over and over
	// shall not send more to others than it sends itself.
	namedBudget = 4 << 10
	namedRest   = 30 * time.Second
)

// ErrUnknownPlace means that nobody has shown or named the address.
var ErrUnknownPlace = errors.New("write to the client: its address is not known")

// GuestParams open a Guest.
type GuestParams struct {
	Ufrag, RemotePwd string // our user fragment, and the client's password
	// Check gets each STUN message of the session and owns it, Record each DTLS record,
	// from addresses that answered only, and Receive is as in Params. All are called by a
	// socket's goroutine and must not block.
	Check   func(b []byte, from Spot)
	Record  func(b []byte)
	Receive func([]Datagram)
	// Shut is called when the endpoint ends before the guest.
	Shut func()
}

// Spot is an address of a client, over UDP or TCP.
type Spot struct {
	TCP bool
	At  netip.AddrPort
}

// Guest is a session at the endpoint's port whose ICE is decided elsewhere, by a
// full agent. The endpoint tells its datagrams from others', and promises of it what it
// does of a Conn: nothing is taken from an address, nor sent to it but a bounded
// number of checks, before it has answered one of the session's own.
type Guest struct {
	e    *Endpoint
	p    GuestParams
	over atomic.Bool
	rtt  atomic.Int64

	ufrags []string // guarded by guests.mu

	mu     sync.Mutex // guards what is below; never taken for media
	places map[Spot]*place
	early  [][]byte
	pwds   [2]string // the client's, of this generation and the one before it
}

// place is one address of a Guest.
type place struct {
	link           *link
	received, sent int       // bytes, before it has answered
	named          time.Time // when namedBudget was last added to received
	answered       bool
	checks         []check // under way, oldest first
}

type check struct {
	id [stun.TransactionIDSize]byte
	at time.Time
}

// guests are the sessions at one endpoint that decide their own ICE. Nobody reads the
// maps while there are none.
type guests struct {
	count   atomic.Int64
	mu      sync.RWMutex
	names   map[string]*Guest
	active  map[netip.AddrPort]*Guest // addresses that answered
	pending map[netip.AddrPort]*Guest // addresses that have not yet
}

// Lodge registers a guest; Leave ends it.
func (e *Endpoint) Lodge(p GuestParams) (*Guest, error) {
	g := &Guest{e: e, p: p, places: map[Spot]*place{}}
	if err := g.Rename(p.Ufrag, p.RemotePwd); err != nil {
		return nil, err
	}
	e.guests.count.Add(1)
	return g, nil
}

// Guests returns how many there are.
func (e *Endpoint) Guests() int { return int(e.guests.count.Load()) }

func (h *guests) all() []*Guest {
	h.mu.RLock()
	defer h.mu.RUnlock()
	all := make([]*Guest, 0, len(h.names))
	for ufrag, g := range h.names {
		if g.ufrags[len(g.ufrags)-1] == ufrag { // once each, also after a restart
			all = append(all, g)
		}
	}
	return all
}

// Go runs f for a session; Run returns when it has ended.
func (e *Endpoint) Go(f func()) { e.shaking.Go(f) }

// Sockets returns the local addresses of the UDP sockets.
func (e *Endpoint) Sockets() []netip.AddrPort {
	all := make([]netip.AddrPort, 0, len(e.udp))
	for _, s := range e.udp {
		all = append(all, s.local)
	}
	return all
}

// Rename makes checks reach the guest under another user fragment, and takes answers by
// another password of the client; those before them still count, older ones do not.
// Addresses that have not answered are forgotten, but for those that were named: what
// went there stays counted.
func (g *Guest) Rename(ufrag, remotePwd string) error {
	g.e.mu.RLock()
	_, taken := g.e.conns[ufrag]
	g.e.mu.RUnlock()
	h := &g.e.guests
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, twice := h.names[ufrag]; taken || twice || g.over.Load() {
		return errors.New("register the session: its user fragment is taken, or it is over")
	}
	h.names[ufrag] = g
	g.ufrags = append(g.ufrags, ufrag)
	if len(g.ufrags) > 2 {
		delete(h.names, g.ufrags[0])
		g.ufrags = g.ufrags[1:]
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pwds = [2]string{remotePwd, g.pwds[0]}
	for at, p := range g.places {
		if !p.answered && p.named.IsZero() {
			g.drop(at)
		}
	}
	return nil
}

// Leave forgets the guest; calls that are under way may still end.
func (g *Guest) Leave() {
	if g.over.Swap(true) {
		return
	}
	h := &g.e.guests
	h.count.Add(-1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ufrag := range g.ufrags {
		delete(h.names, ufrag)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for at := range g.places {
		g.drop(at)
	}
}

// drop forgets an address. The caller holds both locks.
func (g *Guest) drop(at Spot) {
	delete(g.places, at)
	for _, m := range [...]map[netip.AddrPort]*Guest{g.e.guests.active, g.e.guests.pending} {
		if !at.TCP && m[at.At] == g {
			delete(m, at.At)
		}
	}
}

// Name says that the client claims to be at an address over UDP, so that a bounded number of
// checks may be sent there. It tells whether there is a socket for it.
func (g *Guest) Name(at netip.AddrPort) bool {
	i := slices.IndexFunc(g.e.udp, func(s *socket) bool { return s.local.Addr().Is4() == at.Addr().Is4() })
	return i >= 0 && g.name(&link{socket: g.e.udp[i], addr: at}, time.Now())
}

func (g *Guest) name(l *link, now time.Time) bool {
	if !g.admit(l, 0) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.places[l.spot()]; p != nil && (p.named.IsZero() || now.Sub(p.named) >= namedRest) {
		p.named = now
		p.received += namedBudget / guestAmplification
	}
	return true
}

// admit notes an address, and so many bytes as received from it.
func (g *Guest) admit(l *link, bytes int) bool {
	at := l.spot()
	g.mu.Lock()
	p := g.places[at]
	if p != nil {
		p.received += bytes
		p.link = l // a TCP client may come again from the same port
	}
	g.mu.Unlock()
	if p != nil {
		return true
	}
	h := &g.e.guests
	h.mu.Lock()
	defer h.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over.Load() || len(g.places) >= maxGuestPlaces {
		return false
	}
	g.places[at] = &place{link: l, received: bytes}
	h.await(g, at)
	return true
}

// await lets an answer from an address find the guest. The caller holds its lock.
func (h *guests) await(g *Guest, at Spot) {
	if at.TCP || h.pending[at.At] == g {
		return
	}
	if len(h.pending) >= maxPending {
		for other := range h.pending { // any one: a flood must not starve newcomers for long
			delete(h.pending, other)
			break
		}
	}
	h.pending[at.At] = g
}

// expect is await once more, for an address that gets a check: others may have taken its
// place meanwhile, by whatever they claim.
func (g *Guest) expect(at Spot) {
	h := &g.e.guests
	h.mu.Lock()
	defer h.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.places[at]; p != nil && !p.answered && !g.over.Load() {
		h.await(g, at)
	}
}

// Answered reports whether the address has answered a check.
func (g *Guest) Answered(at Spot) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.places[at]
	return p != nil && p.answered
}

// Way returns how senders of many datagrams reach an address; nil before it has answered.
func (g *Guest) Way(to Spot) *Way {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.places[to]; p != nil && p.answered {
		return p.link.way()
	}
	return nil
}

// RTT returns the round-trip time of the last answered check; 0 is unknown.
func (g *Guest) RTT() time.Duration { return time.Duration(g.rtt.Load()) }

// Write sends one datagram to an address of the client: anything to one that has
// answered, else what its bytes allow.
func (g *Guest) Write(b []byte, to Spot) error {
	g.mu.Lock()
	p := g.places[to]
	if p == nil || !p.answered && p.sent+len(b) > guestAmplification*p.received {
		g.mu.Unlock()
		return ErrUnknownPlace
	}
	if !p.answered {
		p.sent += len(b)
	}
	if stun.IsMessage(b) && b[0] == 0 && b[1] == 1 { // a Binding request (RFC 8489 section 5)
		if len(p.checks) == maxGuestChecks {
			p.checks = slices.Delete(p.checks, 0, 1)
		}
		p.checks = append(p.checks, check{[stun.TransactionIDSize]byte(b[8:20]), time.Now()})
	}
	l, unanswered := p.link, !p.answered
	g.mu.Unlock()
	if unanswered {
		g.expect(to)
	}
	return l.write(b)
}

// of finds whose datagram it is: by the user fragment that a check names, else by
// the address.
func (h *guests) of(ufrag []byte, from netip.AddrPort) (active, pending *Guest) {
	if h.count.Load() == 0 {
		return nil, nil
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if ufrag != nil {
		return h.names[string(ufrag)], nil
	}
	return h.active[from], h.pending[from]
}

// guest takes a datagram that belongs to no Conn; false if it belongs to nobody else either.
func (s *socket) guest(b, ufrag []byte, from netip.AddrPort, now time.Time) bool {
	active, pending := s.e.guests.of(ufrag, from)
	switch first := b[0]; {
	case first >= 128 && active != nil:
		s.gather(active, b, from, now)
	case first < 4 && ufrag != nil && active != nil:
		if active.admit(&link{socket: s, addr: from}, len(b)) {
			active.p.Check(s.slab.copy(b), Spot{At: from})
		}
	case first < 4 && ufrag == nil:
		for _, g := range [...]*Guest{active, pending} {
			if g != nil && g.answer(b, Spot{At: from}, now) {
				delete(s.active, from) // the newer one has the address
				g.p.Check(s.slab.copy(b), Spot{At: from})
				return true
			}
		}
		return false
	case first >= 20 && first < 64 && active != nil:
		active.p.Record(s.slab.copy(b))
	case first >= 20 && first < 64 && pending != nil:
		pending.wait(b)
	default:
		return false
	}
	return true
}

// answer reports whether b answers a check of the guest's; if so, the address is its.
func (g *Guest) answer(b []byte, from Spot, now time.Time) bool {
	h := &g.e.guests
	g.mu.Lock()
	p := g.places[from]
	i := -1
	if p != nil {
		i = slices.IndexFunc(p.checks, func(c check) bool { return string(c.id[:]) == string(b[8:20]) })
	}
	if i < 0 || !authenticated(b, g.pwds) {
		g.mu.Unlock()
		return false
	}
	g.rtt.Store(int64(now.Sub(p.checks[i].at)))
	p.checks = slices.Delete(p.checks, i, i+1)
	first := !p.answered
	p.answered = true
	early := g.early
	g.early = nil
	g.mu.Unlock()
	if !from.TCP {
		h.mu.Lock()
		if !g.over.Load() {
			h.active[from.At] = g
		}
		if h.pending[from.At] == g {
			delete(h.pending, from.At)
		}
		h.mu.Unlock()
	}
	if first {
		for _, record := range early {
			g.p.Record(record)
		}
	}
	return true
}

// authenticated reports whether b is a success response by one of the passwords.
func authenticated(b []byte, pwds [2]string) bool {
	m := &stun.Message{Raw: slices.Clone(b)}
	if m.Decode() != nil || m.Type != stun.BindingSuccess {
		return false
	}
	return slices.ContainsFunc(pwds[:], func(pwd string) bool {
		return pwd != "" && stun.NewShortTermIntegrity(pwd).Check(m) == nil
	})
}

// wait keeps a DTLS record until the address has answered.
func (g *Guest) wait(b []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.early) < maxEarly {
		g.early = append(g.early, slices.Clone(b))
	}
}

func (g *Guest) aside(*socket, netip.AddrPort, time.Time) bool { return false }

func (g *Guest) note([]byte) {} // which way it uses is its agent's business

// hot:
func (g *Guest) deliver(batch []Datagram) {
	if !g.over.Load() {
		g.p.Receive(batch)
	}
}

// streamed takes a frame of a TCP connection that belongs to no Conn, and returns whose
// the connection is now; nil if it has no business here.
func (e *Endpoint) streamed(b []byte, l *link, g *Guest, memory *slab, now time.Time) *Guest {
	switch first := b[0]; {
	case first < 4:
		if ufrag, named := icelite.LocalUfrag(b); named {
			if g, _ = e.guests.of(ufrag, l.addr); g != nil && g.admit(l, len(b)) {
				g.p.Check(memory.copy(b), l.spot())
			}
		} else if g != nil && stun.IsMessage(b) && g.answer(b, l.spot(), now) {
			g.p.Check(memory.copy(b), l.spot())
		}
	case g == nil:
	case first >= 20 && first < 64 && g.Answered(l.spot()):
		g.p.Record(memory.copy(b))
	case first >= 20 && first < 64:
		g.wait(b)
	case first >= 128 && first < 192 && g.Answered(l.spot()):
		g.deliver([]Datagram{{B: memory.copy(b), At: now}})
	}
	return g
}

// lodges reports whether a check is for a guest.
func (e *Endpoint) lodges(b []byte) bool {
	ufrag, named := icelite.LocalUfrag(b)
	if !named {
		return false
	}
	g, _ := e.guests.of(ufrag, netip.AddrPort{})
	return g != nil
}
