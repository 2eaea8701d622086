// Package icelite decides the ICE side of one session: which checks are
// answered, which addresses may be used, and which path carries media. It
// announces itself as ICE-lite (RFC 8445 section 2.5), but before it uses an
// address it makes that address answer a Binding request of its own, so a
// replayed or spoofed check can neither steal nor amplify a stream.
//
// An Agent is a plain struct without clock, lock or socket. It is not safe for
// concurrent use; the session's transport owns it.
package icelite

import (
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v4"
)

const (
	// maxPaths bounds the addresses of one session: a dual-stack client with
	// several interfaces and NAT rebindings stays below it.
	maxPaths = 16
	// amplification is how many times the bytes received from an address may be
	// sent to it before it has answered a check (as RFC 9000 section 8.1 does).
	amplification = 3
	// consentInterval is the mean time between our checks of the selected path
	// (RFC 7675 section 5.1 asks for 5 s).
	consentInterval = 5 * time.Second
	// rebindSilence is how long the selected path must be silent before another
	// validated one replaces it without a nomination (NAT rebinding).
	rebindSilence = 3 * time.Second
	// maxChecks is how many checks of one path may be under way: a client that
	// checks each 50 ms makes us check as often, and the way there and back may take
	// longer than that.
	maxChecks = 8
	// checkTimeout is how long an answer to our check is awaited.
	checkTimeout = 5 * time.Second
)

// Path is one way to the client: the local socket and the remote address.
type Path struct {
	Socket int
	Addr   netip.AddrPort
}

// Credentials are one generation of ICE user fragments and passwords.
type Credentials struct {
	Ufrag, Pwd             string
	RemoteUfrag, RemotePwd string
}

// Outcome is what a check led to.
type Outcome struct {
	// Send holds datagrams for the path that the check came from, in order. Our
	// own check comes before the answer, so that a client which starts DTLS on
	// our answer has validated itself by then.
	Send [2][]byte
	// Authentic tells that the message carried the right credentials.
	Authentic bool
	// Validated tells that the path became usable with this message.
	Validated bool
	// Selected tells that the selected path changed; see Agent.Selected.
	Selected bool
}

type path struct {
	Path
	received, sent int // bytes, before validation
	validated      bool
	nominated      bool
	stray          bool // known by packets only, not by a check
	generation     int
	seen           time.Time
	proved         time.Time // when the client last showed itself here by what nobody can repeat
	checks         []check   // under way, oldest first
	checked        time.Time // when the last one was sent
}

// check is one of ours that has not been answered yet.
type check struct {
	id [stun.TransactionIDSize]byte
	at time.Time
}

// Agent is the ICE state of one session.
type Agent struct {
	current, previous Credentials
	generation        int
	tieBreaker        uint64

	paths    []path
	selected Path
	chosen   bool
	chosenIn int // generation in which the selected path was chosen

	consented time.Time // when the selected path was last checked by us
	heard     time.Time // last authentic message
	rtt       time.Duration

	doubt   doubt
	strayed time.Time // when a path that is known by packets only was last checked
}

// New returns an agent for one session. The tie breaker must be random.
func New(c Credentials, tieBreaker uint64, now time.Time) *Agent {
	return &Agent{current: c, tieBreaker: tieBreaker, heard: now}
}

// Credentials returns the generation in force.
func (a *Agent) Credentials() Credentials { return a.current }

// Selected returns the path that carries media.
func (a *Agent) Selected() (Path, bool) { return a.selected, a.chosen }

// RTT returns the round-trip time of the last answered check; 0 is unknown.
func (a *Agent) RTT() time.Duration { return a.rtt }

// Heard returns when the client last proved that it is there.
func (a *Agent) Heard() time.Time { return a.heard }

// Validated reports whether the path has answered a check of ours.
func (a *Agent) Validated(p Path) bool {
	known := a.find(p)
	return known != nil && known.validated
}

// Restart begins a new generation (RFC 8445 section 9). Media stays on the
// selected path, and checks of the previous generation are answered, until a
// path of the new one is nominated.
func (a *Agent) Restart(c Credentials) {
	a.previous = a.current
	a.current = c
	a.generation++
}

// Request handles an incoming Binding request of size bytes.
func (a *Agent) Request(m *stun.Message, size int, from Path, now time.Time) Outcome {
	c, generation, ok := a.match(m)
	if !ok || stun.NewShortTermIntegrity(c.Pwd).Check(m) != nil {
		return Outcome{}
	}
	p := a.admit(from)
	if p == nil {
		return Outcome{Authentic: true}
	}
	p.received += size
	p.seen, a.heard, p.stray = now, now, false
	p.generation = max(p.generation, generation)
	if m.Contains(stun.AttrUseCandidate) {
		for i := range a.paths { // the newest nomination holds: checks of an older one are only checks
			a.paths[i].nominated = false
		}
		p.nominated = true
	}
	out := Outcome{Authentic: true}
	n := 0
	if !p.validated || a.stale(p, now) {
		if b := a.check(p, now); b != nil {
			out.Send[n], n = b, n+1
		}
	}
	if b := answer(m, c.Pwd, from.Addr); p.allows(len(b)) {
		p.sent += len(b)
		out.Send[n] = b
	}
	out.Selected = !a.stale(p, now) && a.choose(p, now) || a.suspect(p, now, now)
	return out
}

// Response handles the answer to one of our checks.
func (a *Agent) Response(m *stun.Message, from Path, now time.Time) Outcome {
	p := a.find(from)
	if p == nil || !a.authentic(m) {
		return Outcome{}
	}
	at := p.answered(m.TransactionID, now)
	if at.IsZero() {
		// Asked on the selected path, and answered from elsewhere: no address is proved
		// by that (RFC 8445 section 7.2.5.2.1), but what we send there does arrive.
		if old := a.find(a.selected); a.chosen && old != nil && !old.answered(m.TransactionID, now).IsZero() {
			a.prove(old, now)
			return Outcome{Authentic: true}
		}
		return Outcome{}
	}
	a.rtt = now.Sub(at)
	p.seen, a.heard = now, now
	out := Outcome{Authentic: true, Validated: !p.validated}
	p.validated, p.stray = true, false
	a.prove(p, now)
	out.Selected = a.choose(p, now) || a.suspect(p, now, now)
	return out
}

// answered takes the check with this id out, and returns when it was sent; zero
// if there is none.
func (p *path) answered(id [stun.TransactionIDSize]byte, now time.Time) time.Time {
	for i := range p.checks {
		if p.checks[i].id != id {
			continue
		}
		at := p.checks[i].at
		p.checks = slices.Delete(p.checks, i, i+1)
		if now.Sub(at) > checkTimeout {
			return time.Time{}
		}
		return at
	}
	return time.Time{}
}

func (a *Agent) authentic(m *stun.Message) bool {
	if stun.NewShortTermIntegrity(a.current.RemotePwd).Check(m) == nil {
		return true
	}
	return a.previous.RemotePwd != "" && stun.NewShortTermIntegrity(a.previous.RemotePwd).Check(m) == nil
}

// Retry returns a check for a path that sends data before it has answered one,
// or nil when the byte budget of the path is used up or a check is under way.
func (a *Agent) Retry(from Path, size int, now time.Time) []byte {
	p := a.find(from)
	if p == nil || p.validated {
		return nil
	}
	p.received += size
	if now.Sub(p.checked) < checkPace {
		return nil
	}
	return a.check(p, now)
}

// Consent returns a check for the selected path when one is due, else nil.
func (a *Agent) Consent(now time.Time) []byte {
	if !a.chosen || now.Sub(a.consented) < consentInterval {
		return nil
	}
	p := a.find(a.selected)
	if p == nil {
		return nil
	}
	a.consented = now
	return a.check(p, now)
}

// Doubt makes the next check of the selected path due at once.
func (a *Agent) Doubt() { a.consented = time.Time{} }

// match finds the credentials that a request's USERNAME names.
func (a *Agent) match(m *stun.Message) (Credentials, int, bool) {
	name, err := m.Get(stun.AttrUsername)
	if err != nil {
		return Credentials{}, 0, false
	}
	for i, c := range [...]Credentials{a.current, a.previous} {
		if c.Ufrag != "" && string(name) == c.Ufrag+":"+c.RemoteUfrag {
			return c, a.generation - i, true
		}
	}
	return Credentials{}, 0, false
}

func (a *Agent) find(at Path) *path {
	for i := range a.paths {
		if a.paths[i].Path == at {
			return &a.paths[i]
		}
	}
	return nil
}

// admit returns the path's entry, making one if needed. When the table is full
// the longest silent path that is not selected makes room.
func (a *Agent) admit(at Path) *path {
	if p := a.find(at); p != nil {
		return p
	}
	if len(a.paths) < maxPaths {
		a.paths = append(a.paths, path{Path: at})
		return &a.paths[len(a.paths)-1]
	}
	var oldest *path
	for i := range a.paths {
		p := &a.paths[i]
		if a.chosen && p.Path == a.selected {
			continue
		}
		if oldest == nil || p.seen.Before(oldest.seen) {
			oldest = p
		}
	}
	*oldest = path{Path: at}
	return oldest
}

func (p *path) allows(n int) bool {
	return p.validated || p.sent+n <= amplification*p.received
}

// choose makes p the selected path if it may be used and is nominated, or if
// the selected one has fallen silent.
func (a *Agent) choose(p *path, now time.Time) bool {
	if !p.validated || a.chosen && a.selected == p.Path {
		return false
	}
	silent := true
	if old := a.find(a.selected); a.chosen && old != nil {
		silent = now.Sub(old.seen) > rebindSilence
	}
	renewed := p.nominated && (p.generation >= a.chosenIn || !a.chosen)
	if !renewed && !silent {
		return false
	}
	a.take(p, now)
	return true
}

// take makes p the selected path.
func (a *Agent) take(p *path, now time.Time) {
	a.selected, a.chosen, a.chosenIn = p.Path, true, p.generation
	a.consented, a.doubt = now, doubt{}
}

func (a *Agent) check(p *path, now time.Time) []byte {
	c := a.current
	if p.generation < a.generation && a.previous.Ufrag != "" {
		c = a.previous
	}
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest,
		stun.NewUsername(c.RemoteUfrag+":"+c.Ufrag), controlled(a.tieBreaker), priority{},
		stun.NewShortTermIntegrity(c.RemotePwd), stun.Fingerprint)
	if err != nil || !p.allows(len(m.Raw)) {
		return nil
	}
	p.sent += len(m.Raw)
	if len(p.checks) == maxChecks {
		p.checks = slices.Delete(p.checks, 0, 1)
	}
	p.checks = append(p.checks, check{m.TransactionID, now})
	p.checked = now
	return m.Raw
}

func answer(m *stun.Message, pwd string, to netip.AddrPort) []byte {
	addr := to.Addr().Unmap()
	r, err := stun.Build(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: addr.AsSlice(), Port: int(to.Port())},
		stun.NewShortTermIntegrity(pwd), stun.Fingerprint)
	if err != nil {
		return nil
	}
	return r.Raw
}
