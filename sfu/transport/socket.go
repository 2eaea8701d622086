package transport

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"

	"github.com/sluice-live/sluice/sfu/egress"
	"github.com/sluice-live/sluice/sfu/icelite"
)

const (
	// maxDatagram is the largest datagram that is read: an Ethernet frame's worth
	// and some, as DTLS certificates may come in larger pieces.
	maxDatagram = 2048
	// maxPending bounds the addresses that wait for their first answer.
	maxPending = 4096
	// leftQueue holds the addresses of sessions that were closed since a packet came.
	leftQueue = 1024
	// slabSize holds ten packets or more; a slab is never reused, the collector frees it.
	slabSize = 16 << 10
	// cellSize is how many datagrams are told of in one piece of memory.
	cellSize = 256
)

// party is who gets a batch: a Conn or a Guest.
type party interface {
	deliver(batch []Datagram)
	// aside reports whether datagrams from an address come by another way than the selected one.
	aside(s *socket, from netip.AddrPort, now time.Time) bool
	// note sees each of them.
	note(b []byte)
}

// socket is one UDP socket. Its maps and slab belong to the goroutine of run.
type socket struct {
	e     *Endpoint
	id    int
	pc    *net.UDPConn
	local netip.AddrPort

	active  map[netip.AddrPort]*Conn // addresses that answered us
	pending map[netip.AddrPort]*Conn // addresses that have not yet
	left    chan netip.AddrPort      // addresses of sessions that were closed
	batch   egress.Batch
	swept   int // inserts since closed sessions were last swept out
	slab    slab
	in      inbox
	strays  strays // what may be spent on addresses that nobody knows

	// What came for one session from one address without another between, to be
	// handed over at once.
	batchOf   party
	batchFrom netip.AddrPort
	batchSide bool // by another way than the selected one
	batched   int
	cells     []Datagram // the batch is their beginning; never reused
}

func newSocket(e *Endpoint, id int, pc *net.UDPConn) (*socket, error) {
	in, batch := inbox(&single{pc: pc}), egress.Batch(egress.NewPortable(pc))
	if !e.portable {
		var err error
		if in, err = newMany(pc); err != nil {
			return nil, err
		}
		batch = egress.New(pc)
	}
	return &socket{e: e, id: id, pc: pc, in: in, batch: batch, local: pc.LocalAddr().(*net.UDPAddr).AddrPort(),
		active: map[netip.AddrPort]*Conn{}, pending: map[netip.AddrPort]*Conn{}, left: make(chan netip.AddrPort, leftQueue)}, nil
}

func (s *socket) run() {
	for {
		n, err := s.in.read()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		now := time.Now()
		for i := range n {
			b, size, from := s.in.message(i)
			for len(b) > 0 {
				next := min(size, len(b))
				s.handle(b[:next], from, now)
				b = b[next:]
			}
		}
		s.hand()
		for len(s.left) > 0 {
			if addr := <-s.left; s.active[addr] != nil && s.active[addr].closed() {
				delete(s.active, addr)
			}
		}
	}
}

// gather adds a datagram to its session's batch.
//
// hot:
func (s *socket) gather(c party, b []byte, from netip.AddrPort, now time.Time) {
	if s.batchOf != c || s.batched == len(s.cells) || s.batchFrom != from {
		s.hand()
		s.batchOf, s.batchFrom, s.batchSide = c, from, c.aside(s, from, now)
	}
	if len(s.cells) == 0 {
		s.cells = make([]Datagram, cellSize)
	}
	s.cells[s.batched] = Datagram{s.slab.copy(b), now, s.batchSide}
	s.batched++
	c.note(b)
}

// hand gives the batch to its session.
//
// hot:
func (s *socket) hand() {
	if s.batched > 0 {
		s.batchOf.deliver(s.cells[:s.batched:s.batched])
		s.cells, s.batched = s.cells[s.batched:], 0
	}
	s.batchOf = nil
}

// leaves says that a session of this address was closed. When many are closed at
// once, the sweep finds the rest.
func (s *socket) leaves(addr netip.AddrPort) {
	select {
	case s.left <- addr:
	default:
	}
}

// handle tells the protocols apart by their first byte (RFC 7983 section 7).
//
// hot:
func (s *socket) handle(b []byte, from netip.AddrPort, now time.Time) {
	switch first := b[0]; {
	case len(b) > maxDatagram: // nobody's: queues are bounded in datagrams, and so in memory
		s.e.unknown.Add(1)
	case first >= 128 && first < 192:
		if c := s.owner(from); c != nil {
			s.gather(c, b, from, now)
			return
		}
		if !s.guest(b, nil, from, now) {
			s.stray(b, from, now)
		}
	case first < 4:
		s.check(b, from, now)
	case first >= 20 && first < 64:
		c := s.owner(from)
		if c == nil {
			c = s.pending[from]
		}
		if c == nil || c.closed() {
			s.stranger(b, nil, from, now)
			return
		}
		c.handshake(b, &link{socket: s, addr: from}, now)
	default:
		s.e.unknown.Add(1)
	}
}

// owner returns the session that the address belongs to, forgetting closed ones.
//
// hot:
func (s *socket) owner(from netip.AddrPort) *Conn {
	c := s.active[from]
	if c != nil && c.closed() {
		delete(s.active, from)
		return nil
	}
	return c
}

func (s *socket) check(b []byte, from netip.AddrPort, now time.Time) {
	if !stun.IsMessage(b) {
		s.e.unknown.Add(1)
		return
	}
	if ufrag, ok := icelite.LocalUfrag(b); ok {
		c := s.e.lookup(ufrag)
		if c == nil || c.closed() {
			s.stranger(b, ufrag, from, now)
			return
		}
		s.place(c, from, c.check(b, &link{socket: s, addr: from}, now))
		return
	}
	// An answer to a check of ours: from a known address, or from one that waits.
	for _, c := range [...]*Conn{s.owner(from), s.pending[from]} {
		if c == nil || c.closed() {
			continue
		}
		if v := c.answer(b, &link{socket: s, addr: from}, now); v != forged {
			s.place(c, from, v)
			return
		}
	}
	s.stranger(b, nil, from, now)
}

// stranger takes what belongs to no Conn.
func (s *socket) stranger(b, ufrag []byte, from netip.AddrPort, now time.Time) {
	if !s.guest(b, ufrag, from, now) {
		s.e.unknown.Add(1)
	}
}

// place notes which session an address belongs to. Only an answer to our own
// check can take an address over from another living session.
func (s *socket) place(c *Conn, from netip.AddrPort, v verdict) {
	switch v {
	case forged:
		s.e.rejected.Add(1)
	case validated:
		delete(s.pending, from)
		if s.active[from] == c {
			return
		}
		if old := c.placed(s.id, from); s.active[old] == c {
			delete(s.active, old)
		}
		s.active[from] = c
		s.sweep()
	case authentic:
		if s.active[from] == c {
			return
		}
		if len(s.pending) >= maxPending {
			for addr := range s.pending { // any one: a flood must not starve newcomers for long
				delete(s.pending, addr)
				break
			}
		}
		s.pending[from] = c
	}
}

// sweep drops closed sessions once as many addresses came as there are.
func (s *socket) sweep() {
	if s.swept++; s.swept <= len(s.active)/2+64 {
		return
	}
	s.swept = 0
	for _, m := range [...]map[netip.AddrPort]*Conn{s.active, s.pending} {
		for addr, c := range m {
			if c.closed() {
				delete(m, addr)
			}
		}
	}
}

// slab hands out copies that live as long as anyone keeps them.
type slab struct{ free []byte }

// copy returns a copy of b that nobody else writes to.
//
// hot:
func (s *slab) copy(b []byte) []byte {
	if len(b) > len(s.free) {
		s.free = make([]byte, max(slabSize, len(b)))
	}
	c := s.free[:len(b):len(b)]
	s.free = s.free[len(b):]
	copy(c, b)
	return c
}
