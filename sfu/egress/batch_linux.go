package egress

import (
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// patience is how long one Write waits for a full socket: a shard serves others
	// too, and a frame is 16 ms.
	patience = 5 * time.Millisecond
	// spares is how much scratch memory waits for its next use: one for each
	// goroutine that writes at once, on most machines.
	spares = 16
)

// New returns the best Batch that this socket and system can do.
func New(pc net.PacketConn) Batch {
	if udp, ok := pc.(*net.UDPConn); ok {
		if l, err := NewLinux(udp); err == nil {
			return l
		}
	}
	return NewPortable(pc)
}

// Linux is the Batch of a UDP socket on Linux: sendmmsg(2) of messages that the
// kernel cuts into datagrams (UDP_SEGMENT, udp(7)). One walk through the stack
// then serves a whole run, which is what sending costs. Writers do not wait for
// each other.
type Linux struct {
	raw   syscall.RawConn
	six   bool        // the socket is of IPv6
	plain atomic.Bool // this machine cannot cut: found out once
	sys   system
	free  [spares]atomic.Pointer[scratch]
}

// system is what is asked of the kernel.
type system struct {
	// send is sendmmsg(2): how many messages were taken, or the first one's error.
	send func(fd uintptr, msgs []mmsghdr) (int, syscall.Errno)
	// wait returns when the socket takes more, or the time is over.
	wait func(fd uintptr, most time.Duration)
}

// NewLinux returns the fast Batch of a socket.
func NewLinux(pc *net.UDPConn) (*Linux, error) {
	raw, err := pc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("reach the socket: %w", err)
	}
	l := &Linux{raw: raw, sys: system{send: sendmmsg, wait: poll}}
	var domain int
	var failed error
	err = raw.Control(func(fd uintptr) { domain, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the socket's family: %w", err)
	}
	l.six = domain == unix.AF_INET6
	return l, nil
}

// Segments reports whether the kernel still cuts messages into datagrams for us.
func (l *Linux) Segments() bool { return !l.plain.Load() }

// Write implements Batch.
//
// hot:
func (l *Linux) Write(msgs []Msg) (int, error) {
	s := l.take()
	s.msgs, s.sent, s.err, s.full = msgs, 0, nil, time.Time{}
	// Control and not Write: that one would let one goroutine in at a time.
	err := l.raw.Control(s.run)
	if err == nil {
		err = s.err
	}
	sent := s.sent
	s.msgs = nil
	l.put(s)
	return sent, err
}

func (l *Linux) take() *scratch {
	for i := range l.free {
		if s := l.free[i].Swap(nil); s != nil {
			return s
		}
	}
	return newScratch(l)
}

func (l *Linux) put(s *scratch) {
	for i := range l.free {
		if l.free[i].CompareAndSwap(nil, s) {
			return
		}
	}
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// control is the control message of a run: into how large pieces it is cut.
type control struct {
	head unix.Cmsghdr
	size uint16
	_    [6]byte // unix.CmsgSpace(2) on any machine
}

// frame is the memory of one system call.
type frame struct {
	hdrs    [maxMessages]mmsghdr
	iovs    [maxMessages]unix.Iovec
	control [maxMessages]control
}

// scratch is the memory of one Write.
type scratch struct {
	l    *Linux
	run  func(fd uintptr) // s.write, made once: a new one each time would be allocated
	msgs []Msg
	sent int
	err  error
	full time.Time // until when a full socket is waited for

	whole  frame
	single frame
	cut    [maxMessages]Msg // datagrams, each a message of its own
}

func newScratch(l *Linux) *scratch {
	s := &scratch{l: l}
	s.run = s.write
	return s
}

// hot:
func (s *scratch) write(fd uintptr) {
	for at := 0; at < len(s.msgs); at += maxMessages {
		part := s.msgs[at:min(at+maxMessages, len(s.msgs))]
		if s.l.plain.Load() {
			if _, ok := s.split(fd, part); !ok {
				return
			}
		} else if !s.send(fd, &s.whole, part) {
			return
		}
	}
}

// send writes at most maxMessages messages; false when the socket stays full.
//
// hot:
func (s *scratch) send(fd uintptr, f *frame, msgs []Msg) bool {
	n := 0
	var which [maxMessages]uint8 // the message of each header
	for i := range msgs {
		m := &msgs[i]
		if len(m.Buf) == 0 {
			continue
		}
		if !s.l.six && !m.To.is4 {
			s.fail(unix.EAFNOSUPPORT)
			continue
		}
		s.prepare(f, n, m)
		which[n] = uint8(i)
		n++
	}
	for at := 0; at < n; {
		done, errno := s.l.sys.send(fd, f.hdrs[at:n])
		if errno == 0 {
			for ; done > 0 && at < n; done-- {
				s.sent += msgs[which[at]].Count()
				at++
			}
			continue
		}
		m := &msgs[which[at]]
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			if !s.wait(fd) {
				s.fail(errno)
				return false
			}
			continue
		case m.Count() > 1 && uncut(errno):
			if !s.mend(fd, msgs[which[at]:which[at]+1], errno) {
				return false
			}
		default: // of this message only
			s.fail(errno)
		}
		at++
	}
	return true
}

// mend sends the datagrams of a message that the kernel did not cut, each on its
// own. If that works, and neither their size nor their number was to blame, cutting
// is not tried again: a bad address fails either way and must not slow all others.
func (s *scratch) mend(fd uintptr, m []Msg, errno syscall.Errno) bool {
	sent, ok := s.split(fd, m)
	if sent > 0 && errno != unix.EMSGSIZE && m[0].Count() <= maxSegments {
		s.l.plain.Store(true)
	}
	return ok
}

// uncut tells errors of kernels and drivers that cannot cut messages: EIO comes
// from devices that do no checksums, on kernels before 6.11. EMSGSIZE comes where
// the path is too narrow for one datagram: alone it may leave in fragments.
func uncut(errno syscall.Errno) bool {
	switch errno {
	case unix.EIO, unix.EINVAL, unix.EOPNOTSUPP, unix.ENOPROTOOPT, unix.EMSGSIZE:
		return true
	}
	return false
}

// split sends each datagram as a message of its own; false when the socket stays full.
//
// hot:
func (s *scratch) split(fd uintptr, msgs []Msg) (sent int, ok bool) {
	before, n := s.sent, 0
	ok = true
	for i := range msgs {
		m := &msgs[i]
		for k := range m.Count() {
			b := m.Datagram(k)
			s.cut[n] = Msg{To: m.To, Buf: b, Size: len(b)}
			if n++; n == maxMessages {
				if ok = s.send(fd, &s.single, s.cut[:n]); !ok {
					return s.sent - before, false
				}
				n = 0
			}
		}
	}
	if n > 0 {
		ok = s.send(fd, &s.single, s.cut[:n])
	}
	return s.sent - before, ok
}

// prepare writes the i-th header of a system call.
//
// hot:
func (s *scratch) prepare(f *frame, i int, m *Msg) {
	h, iov := &f.hdrs[i].hdr, &f.iovs[i]
	iov.Base = &m.Buf[0]
	iov.SetLen(len(m.Buf))
	h.Iov = iov
	h.SetIovlen(1)
	switch {
	case s.l.six:
		h.Name, h.Namelen = &m.To.v6[0], unix.SizeofSockaddrInet6
	default:
		h.Name, h.Namelen = &m.To.v4[0], unix.SizeofSockaddrInet4
	}
	h.Control = nil
	h.SetControllen(0)
	if len(m.Buf) > m.Size && m.Size > 0 { // only then: some paths dislike it
		c := &f.control[i]
		c.head.SetLen(unix.CmsgLen(2))
		c.head.Level, c.head.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		c.size = uint16(m.Size)
		h.Control = (*byte)(unsafe.Pointer(c)) //nolint:gosec // the kernel reads it during the call
		h.SetControllen(unix.CmsgSpace(2))
	}
}

// wait waits for a full socket; false when this Write has waited enough.
func (s *scratch) wait(fd uintptr) bool {
	now := time.Now()
	if s.full.IsZero() {
		s.full = now.Add(patience)
	}
	left := s.full.Sub(now)
	if left <= 0 {
		return false
	}
	s.l.sys.wait(fd, left)
	return true
}

func (s *scratch) fail(errno syscall.Errno) {
	if s.err == nil {
		s.err = errno
	}
}

// hot:
func sendmmsg(fd uintptr, msgs []mmsghdr) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), 0, 0, 0) //nolint:gosec // the kernel reads it during the call
	return int(n), errno
}

func poll(fd uintptr, most time.Duration) {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	_, _ = unix.Poll(fds[:], int(most/time.Millisecond)+1) // an error is found by the next send
}
