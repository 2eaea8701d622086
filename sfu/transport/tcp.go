package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"

	"github.com/sluice-live/sluice/sfu/icelite"
)

const (
	// maxStreams bounds open ICE-TCP connections, authenticated or not.
	maxStreams = 4096
	// maxWaiting bounds the connections of one address that have not shown a check:
	// a school behind one address fits, one host cannot take all places.
	maxWaiting = 64
	// acceptPause is how long accepting rests after an error.
	acceptPause = 50 * time.Millisecond
	// firstCheck is how soon a TCP connection must show a valid check.
	firstCheck = 5 * time.Second
	// streamIdle ends a TCP connection on which nothing comes any more.
	streamIdle = 30 * time.Second
)

func (e *Endpoint) accept(ctx context.Context) {
	for {
		c, err := e.tcp.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil { // out of descriptors, most likely: others must close first
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		if e.tcpOpen.Add(1) > maxStreams {
			e.tcpOpen.Add(-1)
			_ = c.Close()
			continue
		}
		e.running.Go(func() { // ended by the connection's close: its peer, its idle time, or ctx
			defer e.tcpOpen.Add(-1)
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer stop()
			e.serve(c)
		})
	}
}

// serve reads frames of one TCP connection until it ends.
func (e *Endpoint) serve(c net.Conn) {
	defer c.Close()
	remote, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil || !e.greet(remote.Addr().Unmap()) {
		return
	}
	greeted := true
	part := func() {
		if greeted {
			greeted = false
			e.part(remote.Addr().Unmap())
		}
	}
	defer part()
	s := &stream{id: int(e.ids.Add(1)), conn: c, queue: make(chan []byte, streamQueue), done: make(chan struct{})}
	l := &link{stream: s, addr: netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())}
	e.running.Go(s.writer) // ended by done
	defer close(s.done)

	var owner *Conn
	var guest *Guest
	var memory slab
	in := bufio.NewReaderSize(c, 4<<10)
	buf := make([]byte, maxDatagram)
	_ = c.SetReadDeadline(time.Now().Add(firstCheck))
	for {
		b, err := frame(in, buf)
		if err != nil {
			return
		}
		now := time.Now()
		if owner != nil && owner.closed() {
			return
		}
		switch first := b[0]; {
		case owner == nil && (guest != nil || e.guests.count.Load() > 0 && first < 4 && stun.IsMessage(b) && e.lodges(b)):
			if guest = e.streamed(b, l, guest, &memory, now); guest == nil || guest.over.Load() {
				return
			}
			part()
			_ = c.SetReadDeadline(now.Add(streamIdle))
		case first < 4:
			if owner = e.streamCheck(b, l, owner, now); owner == nil {
				return
			}
			part()
			_ = c.SetReadDeadline(now.Add(streamIdle))
		case owner == nil:
			return
		case first >= 128 && first < 192:
			owner.note(b)
			owner.deliver([]Datagram{{memory.copy(b), now, owner.asideBy(l, now)}})
			_ = c.SetReadDeadline(now.Add(streamIdle))
		case first >= 20 && first < 64:
			owner.handshake(b, l, now)
		}
	}
}

// greet counts a connection that has shown nothing yet; false: its address has
// too many of them.
func (e *Endpoint) greet(from netip.Addr) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting[from] >= maxWaiting {
		return false
	}
	e.waiting[from]++
	return true
}

func (e *Endpoint) part(from netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting[from]--; e.waiting[from] <= 0 {
		delete(e.waiting, from)
	}
}

// streamCheck handles a STUN message of a TCP connection and returns its
// session, or nil when the connection has no business here.
func (e *Endpoint) streamCheck(b []byte, l *link, owner *Conn, now time.Time) *Conn {
	if !stun.IsMessage(b) {
		return nil
	}
	ufrag, ok := icelite.LocalUfrag(b)
	if !ok {
		if owner != nil {
			owner.answer(b, l, now)
		}
		return owner
	}
	c := e.lookup(ufrag)
	if c == nil || c.closed() || c.check(b, l, now) == forged {
		e.rejected.Add(1)
		return owner
	}
	return c
}

// frame reads one frame into buf (RFC 4571 section 2).
func frame(in *bufio.Reader, buf []byte) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n == 0 || n > len(buf) {
		return nil, errors.New("read a frame: its length is out of range")
	}
	_, err := io.ReadFull(in, buf[:n])
	return buf[:n], err
}
