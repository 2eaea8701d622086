package transport

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pion/srtp/v3"
)

// A client whose address has changed without its knowledge is found by what it
// sends: packets from an address that nobody knows are held against the sessions
// that may have sent them. What must be done then is decided by icelite.

const (
	// knownSenders is how many SSRCs of a client are told apart: sound, picture and
	// their like; one is enough to find a session by.
	knownSenders = 4
	// roamTime is how long after the last packet from another address a session's
	// packets are looked at one by one.
	roamTime = 10 * time.Second
	// maxTrials bounds the sessions that one packet is held against.
	maxTrials = 16
	// Packets from unknown addresses may cost so much a second, about 1 % of a core
	// each: sessions looked at (50 ns), and keys tried (3 µs and 3 KB).
	looksPerSecond, opensPerSecond = 200_000, 2_000
	// minStray is the smallest SRTP or SRTCP packet that has a tag.
	minStray = 8 + 16 + 4
)

// roam is what finds a client that has moved, and follows it.
type roam struct {
	on    atomic.Bool // packets come over another way than the selected one, too
	keys  strayKeys
	tops  [knownSenders]atomic.Uint64 // SSRC and highest SRTCP index, 32 bits each, as they were told; 0 is none
	other *link                       // the latest of these ways; it and the rest are guarded by Conn.mu
	rival *link                       // what may be selected soon
	seen  time.Time                   // when a packet came over another way
	alarm *time.Timer
}

// strayKeys are those of what the client sends. They are written before Conn.ready.
type strayKeys struct {
	profile srtp.ProtectionProfile
	key     [16]byte
	salt    [14]byte
	salted  uint8
	tail    uint8 // how far before a control packet's end its index begins
}

// keep keeps the keys; of no use if their sizes are others.
func (k *strayKeys) keep(keys Keys) {
	if len(keys.remoteKey) != len(k.key) || len(keys.remoteSalt) > len(k.salt) {
		return
	}
	k.profile, k.tail = keys.profile, 4
	if keys.profile != srtp.ProtectionProfileAeadAes128Gcm {
		k.tail = 4 + 10 // the tag follows (RFC 3711 section 3.4)
	}
	copy(k.key[:], keys.remoteKey)
	k.salted = uint8(copy(k.salt[:], keys.remoteSalt))
}

// opens reports whether a control packet was sealed by these keys.
func (k *strayKeys) opens(b []byte) bool {
	if k.tail == 0 {
		return false
	}
	opener, err := Keys{profile: k.profile, remoteKey: k.key[:], remoteSalt: k.salt[:k.salted]}.ControlOpener()
	if err != nil {
		return false
	}
	_, err = opener.OpenControl(nil, b)
	return err == nil
}

// sender returns the SSRC of an SRTP or SRTCP packet, and for the latter its index.
//
// hot:
func (k *strayKeys) sender(b []byte) (ssrc, index uint32, control bool) {
	if b[1] >= 192 && b[1] <= 223 {
		return binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[len(b)-int(max(k.tail, 4)):]) &^ (1 << 31), true
	}
	return binary.BigEndian.Uint32(b[8:]), 0, false
}

// note notes who speaks in a packet, and how far its numbers are. It may be forged:
// whoever writes the client's address can keep it from being found by its packets.
//
// hot:
func (c *Conn) note(b []byte) {
	if len(b) < minStray || !c.ready.Load() {
		return
	}
	ssrc, index, _ := c.roam.keys.sender(b)
	told := uint64(ssrc)<<32 | uint64(index)
	for i := range c.roam.tops {
		top := c.roam.tops[i].Load()
		if top != 0 && uint32(top>>32) != ssrc {
			continue
		}
		if told > top {
			c.roam.tops[i].Store(told)
		}
		return
	}
}

// spoke returns the highest SRTCP index of an SSRC of this client.
func (c *Conn) spoke(ssrc uint32) (index uint32, ok bool) {
	for i := range c.roam.tops {
		if top := c.roam.tops[i].Load(); top != 0 && uint32(top>>32) == ssrc {
			return uint32(top), true
		}
	}
	return 0, false
}

// wrote reports whether a packet from an address that nobody knows may be this
// client's: a control packet opens under its keys and is newer than all before, of
// a media packet its SSRC is known.
func (c *Conn) wrote(b []byte) bool {
	ssrc, index, control := c.roam.keys.sender(b)
	top, ok := c.spoke(ssrc)
	if !ok || !control {
		return ok
	}
	if index <= top || !c.roam.keys.opens(b) {
		return false
	}
	c.note(b)
	return true
}

// aside reports whether datagrams from an address come by another way than the
// selected one.
//
// hot:
func (c *Conn) aside(s *socket, from netip.AddrPort, now time.Time) bool {
	if l := c.selected.Load(); l == nil || l.socket == s && l.addr == from {
		return false
	}
	return c.asideBy(&link{socket: s, addr: from}, now)
}

func (c *Conn) asideBy(l *link, now time.Time) bool {
	if used := c.selected.Load(); used == nil || used.path() == l.path() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touch()
	c.roam.other, c.roam.seen = l, now
	c.roam.on.Store(true)
	return true
}

// touch tells the agent what was heard over the selected path. The caller holds c.mu.
func (c *Conn) touch() {
	if !c.roam.on.Load() {
		c.agent.Touch(time.Unix(0, c.heard.Load()))
	}
}

// locate tells the agent which way an authentic packet came.
func (c *Conn) locate(at time.Time, aside bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !aside {
		c.agent.Touch(at)
		return
	}
	if l := c.roam.other; l != nil {
		now := time.Now()
		c.follow(l, c.agent.Media(l.path(), at, now), now)
	}
}

// strayed takes a packet of this client from an address that has not answered yet.
func (c *Conn) strayed(l *link, size int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touch()
	if b := c.agent.Stray(l.path(), size, now); b != nil {
		_ = l.write(b)
	}
	c.follow(l, false, now)
}

// follow takes the way that was selected, and sees to it that the agent is woken.
// What it decided is due to l; nil is none. The caller holds c.mu.
func (c *Conn) follow(l *link, selected bool, now time.Time) {
	if selected {
		if l = c.selectable(l); l != nil {
			c.selected.Store(l)
			c.way.Store(l.way())
			c.roam.on.Store(false)
		}
	}
	if rival, ok := c.agent.Rival(); ok && l != nil && l.path() == rival {
		c.roam.rival = l
	}
	if next := c.agent.Next(); !next.IsZero() && !c.closed() {
		if c.roam.alarm == nil {
			c.roam.alarm = time.AfterFunc(next.Sub(now), c.wake) // stopped by Close
		} else {
			c.roam.alarm.Reset(next.Sub(now))
		}
	}
}

// selectable returns the way of the path that the agent has selected.
func (c *Conn) selectable(l *link) *link {
	at, _ := c.agent.Selected()
	for _, known := range [...]*link{l, c.roam.rival, c.roam.other} {
		if known != nil && known.path() == at {
			return known
		}
	}
	for _, s := range c.e.udp {
		if s.id == at.Socket {
			return &link{socket: s, addr: at.Addr}
		}
	}
	return nil
}

// wake does what the agent wants to be done now.
func (c *Conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed() {
		return
	}
	now := time.Now()
	c.touch()
	ask, selected := c.agent.Wake(now)
	if l := c.selected.Load(); ask != nil && l != nil {
		_ = l.write(ask)
	}
	c.follow(nil, selected, now)
}

// settled ends the close look at a client that uses one way only. The caller holds c.mu.
func (c *Conn) settled(now time.Time) {
	if c.roam.on.Load() && now.Sub(c.roam.seen) > roamTime {
		c.roam.on.Store(false)
		c.roam.other = nil
	}
}

// strays bounds what packets from unknown addresses cost.
type strays struct{ looks, opens budget }

// budget is what may be spent: at most a tenth of a second's worth at once.
type budget struct {
	left float64
	at   time.Time
}

func (b *budget) take(n, rate float64, now time.Time) bool {
	most := max(rate/10, n)
	if b.at.IsZero() {
		b.left = most
	}
	b.left = min(most, b.left+now.Sub(b.at).Seconds()*rate)
	b.at = now
	if b.left < n {
		return false
	}
	b.left -= n
	return true
}

// stray takes a packet from an address that nobody knows.
func (s *socket) stray(b []byte, from netip.AddrPort, now time.Time) {
	c := s.pending[from]
	if len(b) < minStray || c != nil && c.closed() {
		c = nil
	}
	switch {
	case len(b) < minStray:
	case c != nil:
		if !s.strays.opens.take(1, opensPerSecond, now) || !c.wrote(b) {
			c = nil
		}
	default:
		c = s.search(b, from, now)
	}
	if c == nil {
		s.e.unknown.Add(1)
		return
	}
	c.strayed(&link{socket: s, addr: from}, len(b), now)
	s.place(c, from, authentic)
}

// search finds the session that a packet belongs to, wherever it came from.
func (s *socket) search(b []byte, from netip.AddrPort, now time.Time) *Conn {
	found, n := s.candidates(b, from, now)
	if control := b[1] >= 192 && b[1] <= 223; !control {
		if n == 1 && found[0].wrote(b) {
			return found[0]
		}
		return nil
	}
	for _, c := range found[:n] {
		if !s.strays.opens.take(1, opensPerSecond, now) {
			return nil
		}
		if c.wrote(b) {
			return c
		}
	}
	return nil
}

// candidates returns the sessions that know the packet's SSRC: browsers that only
// watch all report under the same one. Those at the same host come first, as a NAT
// changes the port more often than the host, and then those that have been silent.
func (s *socket) candidates(b []byte, from netip.AddrPort, now time.Time) (found [maxTrials]*Conn, n int) {
	var heard [maxTrials]int64
	ssrc, _, _ := (&strayKeys{tail: 4}).sender(b)
	s.e.mu.RLock()
	defer s.e.mu.RUnlock()
	if !s.strays.looks.take(float64(len(s.e.conns)), looksPerSecond, now) {
		return found, 0
	}
	for ufrag, c := range s.e.conns {
		if !c.ready.Load() || c.closed() || *c.ufrag.Load() != ufrag { // once per Conn, also after a restart
			continue
		}
		if _, ok := c.spoke(ssrc); !ok {
			continue
		}
		at := c.heard.Load()
		if l := c.selected.Load(); l != nil && l.addr.Addr() == from.Addr() {
			at -= int64(time.Hour)
		}
		i := n
		for ; i > 0 && heard[i-1] > at; i-- {
			if i < maxTrials {
				found[i], heard[i] = found[i-1], heard[i-1]
			}
		}
		if i < maxTrials {
			found[i], heard[i] = c, at
			n = min(n+1, maxTrials)
		}
	}
	return found, n
}
