package egress

import "errors"

const (
	// window is how far behind the newest packet another may be sealed: browsers'
	// replay windows are 1,024 packets, later ones would be thrown away there.
	window = 1024
	// lastIndex is the last packet of one key (RFC 3711 section 9.2).
	lastIndex = 1<<48 - 1
)

var (
	// ErrReused means that this number was sealed before: its nonce is spent.
	ErrReused = errors.New("seal a packet: its number was used before")
	// ErrLate means that the packet is so far behind that nobody knows whether its
	// number was used.
	ErrLate = errors.New("seal a packet: it is too far behind the newest one")
	// ErrExhausted means that the key has sealed all that it may.
	ErrExhausted = errors.New("seal a packet: the key is used up")
	// ErrBadPacket means that the header is no RTP header.
	ErrBadPacket = errors.New("seal a packet: its header is too short")
	// ErrNoRoom means that the packet does not fit where it should go.
	ErrNoRoom = errors.New("seal a packet: no room for it")
)

// numbers gives each packet of a key its 48-bit index and sees to it that none is
// used twice. Few SSRCs are one viewer's: they lie in a row.
type numbers struct {
	streams []stream
	last    int
	repeats int
}

// stream is what is known of one SSRC.
type stream struct {
	ssrc  uint32
	begun bool
	top   uint64              // the highest index so far
	seen  [window / 64]uint64 // by index modulo window: of those up to top
	marks []uint64            // ends of what was sealed, by index modulo their number
}

// newNumbers remembers the last so many packets of each SSRC well enough to seal
// them again; it is rounded up to a power of two.
func newNumbers(repeats int) numbers {
	n := 0
	for n < min(repeats, window) {
		n = max(1, 2*n)
	}
	return numbers{streams: make([]stream, 0, 3), repeats: n}
}

// hot:
func (n *numbers) stream(ssrc uint32) *stream {
	if n.last < len(n.streams) && n.streams[n.last].ssrc == ssrc {
		return &n.streams[n.last]
	}
	for i := range n.streams {
		if n.streams[i].ssrc == ssrc {
			n.last = i
			return &n.streams[i]
		}
	}
	n.last = len(n.streams)
	n.streams = append(n.streams, stream{ssrc: ssrc, marks: make([]uint64, n.repeats)})
	return &n.streams[n.last]
}

// take finds the index of a number and spends it. again: it was spent before, and
// the packet may leave only if it comes out as it did then.
//
// hot:
func (s *stream) take(seq uint16) (index uint64, again bool, err error) {
	if !s.begun {
		s.begun, s.top = true, uint64(seq)
		s.mark(s.top)
		return s.top, false, nil
	}
	index = s.guess(seq)
	switch {
	case index > s.top:
		if index > lastIndex {
			return 0, false, ErrExhausted
		}
		s.advance(index)
	case s.top-index >= window:
		return 0, false, ErrLate
	case s.seen[index%window/64]>>(index%64)&1 != 0:
		if s.top-index >= uint64(len(s.marks)) {
			return 0, false, ErrReused
		}
		return index, true, nil
	}
	s.mark(index)
	return index, false, nil
}

// guess is what the receiver will guess (RFC 3711 section 3.3.1): the index with
// this number that is nearest to the newest one. Near the beginning there is no
// cycle before: receivers take the number as it is, and so do we.
//
// hot:
func (s *stream) guess(seq uint16) uint64 {
	const half = 1 << 15
	if s.top <= half {
		return uint64(seq)
	}
	index := s.top&^0xffff | uint64(seq)
	switch at := int(s.top & 0xffff); {
	case at < half && int(seq)-at > half:
		index -= 1 << 16
	case at >= half && at-half > int(seq):
		index += 1 << 16
	}
	return index
}

// advance makes index the newest one and forgets what leaves the window.
//
// hot:
func (s *stream) advance(index uint64) {
	if index-s.top >= window {
		s.seen = [window / 64]uint64{}
	} else {
		for i := s.top + 1; i < index; i++ {
			s.seen[i%window/64] &^= 1 << (i % 64)
		}
	}
	s.top = index
}

// hot:
func (s *stream) mark(index uint64) { s.seen[index%window/64] |= 1 << (index % 64) }

// came notes what a packet came out as, told from others by its last eight bytes:
// they are of a tag that depends on all the rest. same: it had come out so before.
//
// hot:
func (s *stream) came(index uint64, end uint64, again bool) (same bool) {
	if s.top-index >= uint64(len(s.marks)) {
		return !again
	}
	at := &s.marks[index&uint64(len(s.marks)-1)]
	if again {
		return *at == end
	}
	*at = end
	return true
}
