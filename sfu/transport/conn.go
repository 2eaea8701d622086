package transport

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v4/packetio"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/egress"
	"github.com/sluice-live/sluice/sfu/icelite"
)

// maxEarly bounds the DTLS records that are kept for an address which has not
// answered our check yet: a ClientHello and its company.
const maxEarly = 4

// ErrNoPath means that the client has not shown yet where it is.
var ErrNoPath = errors.New("send to the client: it has no address yet")

// Datagram is one SRTP or SRTCP packet as it came.
type Datagram struct {
	B     []byte
	At    time.Time
	Aside bool // it came by another way than the selected one
}

// Params open a Conn.
type Params struct {
	Credentials  icelite.Credentials
	Fingerprints []Fingerprint
	Active       bool // we start the DTLS handshake (the offer said a=setup:passive)

	// Receive gets SRTP and SRTCP datagrams, those that came together at once, and
	// owns them. It is called by the socket's goroutine and must not block.
	Receive func([]Datagram)
	// Ready is called once, with the keys, when DTLS is done.
	Ready func(Keys)
	// Closed is called once, with the reason. No callback comes after it returns,
	// but a Receive that is under way may still end.
	Closed func(error)
}

// Conn is the transport of one session.
type Conn struct {
	e      *Endpoint
	p      Params // without the callbacks
	calls  atomic.Pointer[callbacks]
	over   atomic.Bool
	opened time.Time

	selected atomic.Pointer[link]
	way      atomic.Pointer[Way]
	ufrag    atomic.Pointer[string]
	heard    atomic.Int64 // unix nanoseconds of the last authentic packet, told by the owner
	ready    atomic.Bool

	mu     sync.Mutex // guards what checks touch; never taken for media
	agent  *icelite.Agent
	early  [][]byte
	began  bool
	in     *packetio.Buffer // DTLS records for the handshake; nil once it is over
	ufrags []string         // guarded by Endpoint.mu
	rtt    atomic.Int64
	done   sync.Once
	places []icelite.Path // at our sockets, oldest first; guarded by mu
	shake  func()         // ends a handshake that is under way; guarded by mu

	awake    atomic.Pointer[dtls.Conn] // until the client was heard
	asleep   bool                      // DTLS is over; this and the rest are guarded by mu
	farewell []byte                    // its close_notify, to be sent at the end
	flight   [][]byte                  // its last flight, while the client may lack it
	resent   time.Time                 // when that was sent again
	doubted  time.Time                 // when the client seemed to say good-bye

	roam roam
}

// callbacks are let go when the Conn is closed: whoever still knows the Conn
// does not keep its owner and all its packets alive.
type callbacks struct {
	receive func([]Datagram)
	ready   func(Keys)
	closed  func(error)
}

// doubtTime is how long a client that seems to have said good-bye may take to
// show that it has not.
const doubtTime = 2500 * time.Millisecond

// doubtMargin is by how much what the client sent before its good-bye may be
// overtaken by it.
const doubtMargin = 100 * time.Millisecond

// maxPlaces bounds the addresses of one session that a socket remembers.
const maxPlaces = 16

type verdict uint8

const (
	forged verdict = iota
	authentic
	validated
)

// Open registers a session; it connects when the client's checks come.
func (e *Endpoint) Open(p Params) (*Conn, error) {
	var tie [8]byte
	_, _ = rand.Read(tie[:]) // never fails
	now := time.Now()
	c := &Conn{e: e, opened: now, in: packetio.NewBuffer(),
		agent: icelite.New(p.Credentials, binary.BigEndian.Uint64(tie[:]), now), ufrags: []string{p.Credentials.Ufrag}}
	c.calls.Store(&callbacks{p.Receive, p.Ready, p.Closed})
	p.Receive, p.Ready, p.Closed = nil, nil, nil
	c.p = p
	c.in.SetLimitSize(64 << 10) // a handshake's worth of records
	c.ufrag.Store(&p.Credentials.Ufrag)
	if err := e.register(p.Credentials.Ufrag, c); err != nil {
		return nil, err
	}
	return c, nil
}

// Restart begins a new ICE generation; media stays on the path in use until
// the client has nominated a new one (RFC 8445 section 9).
func (c *Conn) Restart(n icelite.Credentials) error {
	if c.closed() {
		return media.ErrNoSession
	}
	if err := c.e.register(n.Ufrag, c); err != nil {
		return err
	}
	c.e.mu.Lock()
	c.ufrags = append(c.ufrags, n.Ufrag)
	if len(c.ufrags) > 2 { // the previous generation is still answered, older ones are not
		delete(c.e.conns, c.ufrags[0])
		c.ufrags = c.ufrags[1:]
	}
	if c.closed() { // meanwhile: Close has forgotten the other names
		for _, ufrag := range c.ufrags {
			delete(c.e.conns, ufrag)
		}
		c.e.mu.Unlock()
		return media.ErrNoSession
	}
	c.e.mu.Unlock()
	c.ufrag.Store(&n.Ufrag)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agent.Restart(n)
	return nil
}

// Credentials returns the ICE generation in force.
func (c *Conn) Credentials() icelite.Credentials {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agent.Credentials()
}

// Send writes one datagram to the selected path.
//
// hot:
func (c *Conn) Send(b []byte) error {
	l := c.selected.Load()
	if l == nil {
		return ErrNoPath
	}
	return l.write(b)
}

// Way is where a session's media goes. Nobody writes to it.
type Way struct {
	Batch egress.Batch
	To    *egress.Addr
}

// Way returns the selected path as senders of many datagrams want it, another one
// whenever the path has changed; nil before the client has an address.
//
// hot:
func (c *Conn) Way() *Way { return c.way.Load() }

// Heard tells that an authentic packet came, not a repeated one, when, and whether
// aside, as its Datagram says: it keeps the session alive, and may move it.
//
// hot:
func (c *Conn) Heard(at time.Time, aside bool) {
	c.heard.Store(at.UnixNano())
	if c.roam.on.Load() {
		c.locate(at, aside)
	}
	if c.awake.Load() != nil {
		c.heardFirst()
	}
}

// RTT returns the round-trip time of the last answered check; 0 is unknown.
func (c *Conn) RTT() time.Duration { return time.Duration(c.rtt.Load()) }

// Network returns "udp", "tcp", or "" before the client connected.
func (c *Conn) Network() string {
	if l := c.selected.Load(); l != nil {
		return l.network()
	}
	return ""
}

// Remote returns the client's address on the selected path; invalid before there is one.
func (c *Conn) Remote() netip.Addr {
	if l := c.selected.Load(); l != nil {
		return l.addr.Addr().Unmap()
	}
	return netip.Addr{}
}

// Close ends the session, tells the client by a DTLS alert, and calls Closed.
func (c *Conn) Close(why error) {
	c.done.Do(func() {
		c.over.Store(true)
		c.e.forget(c)
		c.mu.Lock()
		for _, s := range c.e.udp {
			for _, p := range c.places {
				if p.Socket == s.id {
					s.leaves(p.Addr)
				}
			}
		}
		if c.asleep {
			c.sayGoodbye()
		}
		if !c.began {
			_ = c.in.Close()
			c.in = nil
		}
		if c.shake != nil {
			c.shake()
		}
		if c.roam.alarm != nil {
			c.roam.alarm.Stop()
		}
		c.mu.Unlock()
		c.heardFirst() // DTLS waits for nobody any more
		if calls := c.calls.Swap(nil); calls != nil {
			calls.closed(why)
		}
	})
}

// hot:
func (c *Conn) closed() bool { return c.over.Load() }

// hot:
func (c *Conn) deliver(batch []Datagram) {
	if calls := c.calls.Load(); calls != nil {
		calls.receive(batch)
	}
}

// placed notes an address of this session at a socket, and returns the one that
// makes room for it.
func (c *Conn) placed(socket int, at netip.AddrPort) (evicted netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, here := icelite.Path{Socket: socket, Addr: at}, 0
	for _, known := range c.places {
		if known == p {
			return netip.AddrPort{}
		}
		if known.Socket == socket {
			here++
		}
	}
	if here == maxPlaces {
		oldest := slices.IndexFunc(c.places, func(known icelite.Path) bool { return known.Socket == socket })
		evicted = c.places[oldest].Addr
		c.places = slices.Delete(c.places, oldest, oldest+1)
	}
	c.places = append(c.places, p)
	return evicted
}

// check handles a Binding request.
func (c *Conn) check(b []byte, l *link, now time.Time) verdict {
	m := &stun.Message{Raw: append([]byte(nil), b...)}
	if m.Decode() != nil {
		return forged
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touch()
	out := c.agent.Request(m, len(b), l.path(), now)
	for _, b := range out.Send {
		if b != nil {
			_ = l.write(b)
		}
	}
	return c.settle(out, l)
}

// answer handles an answer to a check of ours.
func (c *Conn) answer(b []byte, l *link, now time.Time) verdict {
	m := &stun.Message{Raw: append([]byte(nil), b...)}
	if m.Decode() != nil || m.Type != stun.BindingSuccess {
		return forged
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touch()
	out := c.agent.Response(m, l.path(), now)
	if out.Authentic {
		c.rtt.Store(int64(c.agent.RTT()))
	}
	return c.settle(out, l)
}

// settle acts on what the agent decided. The caller holds c.mu.
func (c *Conn) settle(out icelite.Outcome, l *link) verdict {
	if !out.Authentic {
		return forged
	}
	c.follow(l, out.Selected, time.Now())
	valid := c.agent.Validated(l.path())
	if valid && out.Validated {
		for _, b := range c.early {
			if c.in != nil {
				_, _ = c.in.Write(b)
			}
		}
		c.early = nil
	}
	if c.selected.Load() != nil && !c.began && !c.closed() {
		c.began = true
		c.e.shaking.Go(c.run) // ended by Close
	}
	if valid {
		return validated
	}
	return authentic
}

// handshake takes a DTLS record. Records from an address that has not answered
// yet wait for its answer.
func (c *Conn) handshake(b []byte, l *link, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agent.Validated(l.path()) {
		if c.in != nil {
			_, _ = c.in.Write(b) // full: the handshake retransmits
		} else {
			c.late(b, now)
		}
		return
	}
	if c.in == nil {
		return
	}
	if len(c.early) < maxEarly {
		c.early = append(c.early, append([]byte(nil), b...))
	}
	if check := c.agent.Retry(l.path(), len(b), now); check != nil {
		_ = l.write(check)
	}
}

// tick sends consent checks and notices who is gone.
func (c *Conn) tick(now time.Time) {
	c.mu.Lock()
	b := c.agent.Consent(now)
	heard := c.agent.Heard()
	doubted := c.doubted
	c.settled(now)
	c.mu.Unlock()
	if b != nil {
		_ = c.Send(b)
	}
	if at := time.Unix(0, c.heard.Load()); at.After(heard) {
		heard = at
	}
	if !doubted.IsZero() && now.Sub(doubted) > doubtTime {
		if !heard.After(doubted.Add(doubtMargin)) {
			c.Close(media.ErrHangup)
			return
		}
		c.mu.Lock()
		c.doubted = time.Time{} // it answered: somebody else wrote that alert
		c.mu.Unlock()
	}
	lost := c.ready.Load() && now.Sub(heard) > silence
	limit := connectTime
	if heard.Equal(c.opened) { // not one check
		limit = checkTime
	}
	if never := !c.ready.Load() && now.Sub(c.opened) > limit; lost || never {
		c.Close(media.ErrGone)
	}
}
