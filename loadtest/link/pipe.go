package link

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Pipe is the packet connection that a DTLS handshake sees: whoever owns the
// socket pushes datagrams in, and writes go out by a function.
type Pipe struct {
	in     chan []byte
	done   chan struct{}
	once   sync.Once
	muted  atomic.Bool
	remote net.Addr
	send   func([]byte) error

	mu       sync.Mutex
	deadline time.Time
	changed  chan struct{} // closed and replaced at each SetReadDeadline
}

// pipeDepth holds a server's longest flight (certificate, key exchange,
// request, done: four records) several times over.
const pipeDepth = 32

// NewPipe makes a pipe to remote that sends by send.
func NewPipe(remote net.Addr, send func([]byte) error) *Pipe {
	return &Pipe{in: make(chan []byte, pipeDepth), done: make(chan struct{}), changed: make(chan struct{}), remote: remote, send: send}
}

// Push hands a received datagram in, as a copy. A full pipe drops it, as a full
// socket would: DTLS sends again.
func (p *Pipe) Push(b []byte) {
	select {
	case p.in <- append([]byte(nil), b...):
	default:
	}
}

// Mute drops everything that is written from now on, so that closing the DTLS
// connection sends no close_notify.
func (p *Pipe) Mute() { p.muted.Store(true) }

// ReadFrom waits for the next datagram, the deadline or the end.
func (p *Pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		p.mu.Lock()
		deadline, changed := p.deadline, p.changed
		p.mu.Unlock()
		var expired <-chan time.Time
		if !deadline.IsZero() {
			t := time.NewTimer(time.Until(deadline))
			defer t.Stop()
			expired = t.C
		}
		select {
		case d := <-p.in:
			return copy(b, d), p.remote, nil
		case <-p.done:
			return 0, nil, net.ErrClosed
		case <-expired:
			return 0, nil, os.ErrDeadlineExceeded
		case <-changed:
		}
	}
}

// WriteTo sends one datagram; the address is always the pipe's own.
func (p *Pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	if p.muted.Load() {
		return len(b), nil
	}
	if err := p.send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close ends reads.
func (p *Pipe) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// LocalAddr is unknown to the pipe.
func (p *Pipe) LocalAddr() net.Addr { return &net.UDPAddr{} }

// SetDeadline sets the read deadline; writes never wait.
func (p *Pipe) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline lets waiting reads look again.
func (p *Pipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// SetWriteDeadline does nothing: writes never wait.
func (p *Pipe) SetWriteDeadline(time.Time) error { return nil }
