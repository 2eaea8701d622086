package egress

import (
	"errors"
	"net"
)

const (
	// maxMessages bounds one system call: 64 messages of 8 datagrams are some
	// 100 µs of kernel time, and more would not be cheaper.
	maxMessages = 64
	// maxSegments is what older kernels cut one message into at the most
	// (UDP_MAX_SEGMENTS, 128 since Linux 6.9).
	maxSegments = 64
	// maxMessage keeps a message below the 65,507 bytes of a UDP datagram.
	maxMessage = 65_000
)

// Msg is a run of datagrams to one address, one after the other in Buf: of Size
// bytes each, the last one possibly shorter.
type Msg struct {
	To   *Addr
	Buf  []byte
	Size int
}

// Count returns the number of datagrams.
func (m *Msg) Count() int {
	if m.Size <= 0 || len(m.Buf) <= m.Size {
		return min(len(m.Buf), 1)
	}
	return (len(m.Buf) + m.Size - 1) / m.Size
}

// Datagram returns the i-th datagram, of those that there are.
//
// hot:
func (m *Msg) Datagram(i int) []byte {
	if m.Size <= 0 {
		return m.Buf
	}
	return m.Buf[i*m.Size : min((i+1)*m.Size, len(m.Buf))]
}

// Batch writes to one socket. It may be used by several goroutines.
type Batch interface {
	// Write sends the messages in order and returns how many datagrams the system
	// took, and the first error. What cannot be sent is lost, and only that; a full
	// socket is waited for a few milliseconds. The memory is the caller's again
	// when Write returns.
	Write(msgs []Msg) (sent int, err error)
}

// Portable is the Batch of any net.PacketConn: one call for each datagram.
type Portable struct{ pc net.PacketConn }

// NewPortable returns a Batch that needs nothing of the system.
func NewPortable(pc net.PacketConn) *Portable { return &Portable{pc} }

// Write implements Batch.
//
// hot:
func (p *Portable) Write(msgs []Msg) (sent int, err error) {
	for i := range msgs {
		m := &msgs[i]
		for k := range m.Count() {
			_, failed := p.pc.WriteTo(m.Datagram(k), m.To.udp)
			if failed == nil {
				sent++
				continue
			}
			if err == nil {
				err = failed
			}
			if errors.Is(failed, net.ErrClosed) {
				return sent, err
			}
		}
	}
	return sent, err
}
