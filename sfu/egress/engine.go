package egress

import "sync/atomic"

// Config sizes an Engine.
type Config struct {
	// Arena is how many bytes of sealed packets are gathered before they are
	// written: what fits the second-level cache.
	Arena int
	// Run bounds the packets of one message: a message leaves at line rate, and a
	// key frame of 40 packets at once would overflow shallow queues.
	Run int
	// Round lengthens packets of 512 bytes or more to a multiple of so many bytes by
	// RTP padding, so that neighbours whose sizes differ by a little share a run; 0
	// is off. At most 128.
	Round int
}

// DefaultConfig is what a shard uses.
func DefaultConfig() Config { return Config{Arena: 1 << 20, Run: 16} }

// roundFrom is the size in bytes from which Round counts: below, a packet is
// audio or the rest of a frame, and padding would cost more than it brings.
const roundFrom = 512

// Dest is where one viewer's packets go, and what seals them. Nobody writes to it
// once it was given to an Engine.
type Dest struct {
	Batch  Batch
	To     *Addr
	Sealer Sealer
}

// Stats count what an Engine did since it was made.
type Stats struct {
	Packets  atomic.Uint64 // datagrams that the system took
	Lost     atomic.Uint64 // datagrams that it did not
	Refused  atomic.Uint64 // packets that could not be sealed
	Messages atomic.Uint64 // runs of datagrams: Packets for each tells how well they merge
	Writes   atomic.Uint64 // of messages to one socket
}

// Engine gathers sealed packets of many viewers and writes them together. It
// belongs to one goroutine, but for Stats.
type Engine struct {
	Stats Stats

	cfg   Config
	arena []byte // sealed packets, one after the other
	msgs  []Msg  // runs that are complete
	socks []Batch
	part  []Msg // those of one socket
	dest  *Dest
	over  int // what sealing for it adds
	start int // of the open run in the arena
	size  int // of its packets
	count int
}

// NewEngine makes an Engine; what is zero in the Config is as in DefaultConfig.
func NewEngine(c Config) *Engine {
	d := DefaultConfig()
	if c.Arena <= 0 {
		c.Arena = d.Arena
	}
	if c.Run <= 0 {
		c.Run = d.Run
	}
	c.Run = min(c.Run, maxSegments)
	c.Round = min(c.Round, 128)
	return &Engine{cfg: c, arena: make([]byte, 0, c.Arena), msgs: make([]Msg, 0, maxMessages),
		socks: make([]Batch, 0, maxMessages), part: make([]Msg, 0, maxMessages)}
}

// Begin says where the next packets go.
//
// hot:
func (e *Engine) Begin(d *Dest) {
	if d == e.dest {
		return
	}
	e.close()
	e.dest, e.over = d, 0
	if d.Sealer != nil {
		e.over = d.Sealer.Overhead()
	}
}

// Room returns empty memory for a packet of at most n bytes, there where it will
// leave from. What is built in it, the header or the whole packet, is not copied
// again by the Packet that follows. It is nil for a packet that never fits.
//
// hot:
func (e *Engine) Room(n int) []byte {
	if !e.ready(n) {
		return nil
	}
	at := len(e.arena)
	return e.arena[at : at : at+n]
}

// spare is how many runs one packet may complete: its own, and the one before it.
const spare = 2

// ready makes room for a packet, writing what there is if need be.
//
// hot:
func (e *Engine) ready(n int) bool {
	n += e.cfg.Round + e.over
	if len(e.arena)+n > cap(e.arena) || len(e.msgs)+spare >= maxMessages {
		e.Flush()
	}
	return n <= cap(e.arena)
}

// Packet seals one packet for the destination of Begin. Header and payload may be
// anywhere: a payload that many viewers get is sealed from where it lies. The error
// says why the packet is lost.
//
// hot:
func (e *Engine) Packet(header, payload []byte) error {
	if e.dest == nil || e.dest.Sealer == nil || len(header) < 12 {
		e.Stats.Refused.Add(1)
		return ErrBadPacket
	}
	at := len(e.arena)
	if !(at < cap(e.arena) && &e.arena[:at+1][at] == &header[0]) { // else Room made it ready
		if !e.ready(len(header) + len(payload)) {
			e.Stats.Refused.Add(1)
			return ErrNoRoom
		}
		at = len(e.arena)
	}
	if e.cfg.Round > 0 {
		header, payload = e.round(header, payload)
	}
	sealed, err := e.dest.Sealer.Seal(e.arena, header, payload)
	if err != nil {
		e.Stats.Refused.Add(1)
		return err
	}
	e.join(at, len(sealed)-at, sealed)
	return nil
}

// join takes the packet at the arena's end into the open run, or begins one.
//
// hot:
func (e *Engine) join(at, n int, sealed []byte) {
	if e.count > 0 && (n > e.size || at+n-e.start > maxMessage) {
		e.close()
	}
	e.arena = sealed
	if e.count++; e.count == 1 {
		e.start, e.size = at, n
	}
	if n < e.size || e.count == e.cfg.Run { // a shorter packet ends its run
		e.close()
	}
}

// close completes the open run.
//
// hot:
func (e *Engine) close() {
	if e.count == 0 {
		return
	}
	e.msgs = append(e.msgs, Msg{To: e.dest.To, Buf: e.arena[e.start:], Size: e.size})
	e.socks = append(e.socks, e.dest.Batch)
	e.count = 0
}

// round pads a packet (RFC 3550 section 5.1) to the next multiple of Config.Round.
// The same packet is always padded alike, so that a resend is, too.
//
// hot:
func (e *Engine) round(header, payload []byte) (padded, longer []byte) {
	n := len(header) + len(payload)
	add := (e.cfg.Round - n%e.cfg.Round) % e.cfg.Round
	at := len(e.arena)
	if n < roundFrom || add == 0 || header[0]&0x20 != 0 || n+add+e.over > cap(e.arena)-at {
		return header, payload
	}
	b := e.arena[at : at+n+add]
	copy(b[len(header):], payload)
	copy(b, header)
	clear(b[n:])
	b[0] |= 0x20
	b[len(b)-1] = byte(add)
	return b[:len(header)], b[len(header):]
}

// Flush writes all that was gathered: a shard calls it when nothing more waits.
//
// hot:
func (e *Engine) Flush() {
	e.close()
	for len(e.msgs) > 0 {
		e.flush()
	}
	e.arena = e.arena[:0]
}

// flush writes what goes to the first message's socket, and keeps the rest.
//
// hot:
func (e *Engine) flush() {
	batch, rest := e.socks[0], 0
	e.part = e.part[:0]
	for i := range e.msgs {
		if e.socks[i] == batch {
			e.part = append(e.part, e.msgs[i])
			continue
		}
		e.msgs[rest], e.socks[rest] = e.msgs[i], e.socks[i]
		rest++
	}
	e.msgs, e.socks = e.msgs[:rest], e.socks[:rest]
	total := 0
	for i := range e.part {
		total += e.part[i].Count()
	}
	sent, _ := batch.Write(e.part) // what is lost is counted, and repaired as on the way
	e.Stats.Packets.Add(uint64(sent))
	e.Stats.Lost.Add(uint64(total - sent))
	e.Stats.Messages.Add(uint64(len(e.part)))
	e.Stats.Writes.Add(1)
}
