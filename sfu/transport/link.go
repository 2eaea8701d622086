package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/sluice-live/sluice/sfu/icelite"
)

// link is one way to a client: a UDP socket and an address, or a TCP connection.
type link struct {
	socket *socket
	stream *stream
	addr   netip.AddrPort
}

func (l *link) path() icelite.Path {
	if l.stream != nil {
		return icelite.Path{Socket: l.stream.id, Addr: l.addr}
	}
	return icelite.Path{Socket: l.socket.id, Addr: l.addr}
}

// write sends one datagram. A TCP client that does not read loses it.
//
// hot:
func (l *link) write(b []byte) error {
	if l.stream != nil {
		return l.stream.write(b)
	}
	_, err := l.socket.pc.WriteToUDPAddrPort(b, l.addr)
	return err
}

// writeRun sends datagrams of size bytes each, the last one possibly shorter,
// that lie one after the other in b. control is the caller's scratch memory.
//
// hot:
func (l *link) writeRun(b []byte, size int, control *[controlSize]byte) error {
	if segmentable && l.stream == nil && len(b) > size && !l.socket.whole.Load() {
		_, _, err := l.socket.pc.WriteMsgUDPAddrPort(b, segmentControl(control, size), l.addr)
		if err == nil || !unsegmentable(err) {
			return err
		}
		l.socket.whole.Store(true) // not on this machine: never again
	}
	var first error
	for len(b) > 0 {
		n := min(size, len(b))
		if err := l.write(b[:n]); err != nil && first == nil {
			first = err
		}
		b = b[n:]
	}
	return first
}

func (l *link) network() string {
	if l.stream != nil {
		return "tcp"
	}
	return "udp"
}

// streamQueue is how much a TCP client may lag before packets are dropped:
// about half a second of an HD stream.
const streamQueue = 256

var errStreamFull = errors.New("write to TCP client: its queue is full")

// stream is one ICE-TCP connection: datagrams framed by two bytes of length
// (RFC 4571 section 2). A stalled one blocks nobody: its own goroutine writes.
type stream struct {
	id    int
	conn  net.Conn
	queue chan []byte
	done  chan struct{}
}

func (s *stream) write(b []byte) error {
	framed := make([]byte, 2+len(b))
	binary.BigEndian.PutUint16(framed, uint16(len(b)))
	copy(framed[2:], b)
	select {
	case s.queue <- framed:
		return nil
	default:
		return errStreamFull
	}
}

// writer empties the queue until the connection or the reader ends.
func (s *stream) writer() {
	for {
		select {
		case <-s.done:
			return
		case b := <-s.queue:
			_ = s.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if _, err := s.conn.Write(b); err != nil {
				_ = s.conn.Close() // the reader sees it and ends
				return
			}
		}
	}
}
