package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/sluice-live/sluice/sfu/egress"
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

func (l *link) spot() Spot { return Spot{l.stream != nil, l.addr} }

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

func (l *link) way() *Way {
	if l.stream != nil {
		return &Way{Batch: l.stream, To: egress.NewAddr(l.addr)}
	}
	return &Way{Batch: l.socket.batch, To: egress.NewAddr(l.addr)}
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

// Write implements egress.Batch.
func (s *stream) Write(msgs []egress.Msg) (sent int, err error) {
	for i := range msgs {
		for k := range msgs[i].Count() {
			if failed := s.write(msgs[i].Datagram(k)); failed != nil {
				err = failed
				continue
			}
			sent++
		}
	}
	return sent, err
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
