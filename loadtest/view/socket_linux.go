package view

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How much is read at once, and how much the kernel may hold for one viewer:
// a key frame's burst, as far as net.core.rmem_max allows.
const (
	batch      = 16
	datagram   = 1 << 16 // a run of datagrams that came as one (UDP_GRO)
	control    = 128     // SCM_TIMESTAMPNS, UDP_GRO and SO_RXQ_OVFL
	receiveBuf = 1 << 20
)

// poller reads many UDP sockets from one goroutine: epoll, recvmmsg, UDP_GRO
// and the kernel's receive times. As the kernel keeps the times, the reader may
// be lazy: nobody sleeps on the epoll, so that a packet wakes nobody, neither
// here nor at the cost of the server's own send call.
type poller struct {
	ep, wakeup int
	gro        bool
	dropped    uint32 // of the socket that was read last: what its buffer had no room for, ever
	events     [512]unix.EpollEvent
	waits      [2]unix.PollFd
	messages   [batch]message
	vectors    [batch]unix.Iovec
	buffers    [batch][datagram]byte
	controls   [batch][control]byte
}

// message is struct mmsghdr.
type message struct {
	header unix.Msghdr
	size   uint32
	_      [4]byte
}

func newPoller(gro bool) (*poller, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	wakeup, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	p := &poller{ep: ep, wakeup: wakeup, gro: gro}
	p.waits = [2]unix.PollFd{{Fd: int32(wakeup), Events: unix.POLLIN}, {Fd: int32(ep), Events: unix.POLLIN}}
	for i := range p.messages {
		p.vectors[i].Base = &p.buffers[i][0]
		p.vectors[i].SetLen(datagram)
		h := &p.messages[i].header
		h.Iov = &p.vectors[i]
		h.SetIovlen(1)
		h.Control = &p.controls[i][0]
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.wakeup)
	_ = unix.Close(p.ep)
}

// wake makes wait return; callable from any goroutine.
func (p *poller) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(p.wakeup, one[:]) // full means it is awake
}

// open connects a socket to the server, with receive times.
func (p *poller) open(remote netip.AddrPort) (int, error) {
	domain := unix.AF_INET6
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(remote.Port()), Addr: remote.Addr().As16()}
	if remote.Addr().Unmap().Is4() {
		domain = unix.AF_INET
		to = &unix.SockaddrInet4{Port: int(remote.Port()), Addr: remote.Addr().Unmap().As4()}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make a socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuf)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("ask for receive times: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1) // without it, what this reader loses counts as the server's loss only
	if p.gro {
		_ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) // before Linux 5.0 each datagram comes alone
	}
	if err := unix.Connect(fd, to); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect to %v: %w", remote, err)
	}
	return fd, nil
}

func (p *poller) add(fd int) error {
	// By edges: what was read empty is not looked at again until more comes.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(p.ep, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	return nil
}

// ignore stops reading a socket, which stays open.
func (p *poller) ignore(fd int) { _ = unix.EpollCtl(p.ep, unix.EPOLL_CTL_DEL, fd, nil) } // it was added

// drop closes a socket; the kernel forgets it in the epoll too.
func (p *poller) drop(fd int) { _ = unix.Close(fd) }

// wait sleeps until wake or the timeout, and if eager until any socket has
// something to read; then it calls ready for each socket that has.
func (p *poller) wait(timeout time.Duration, eager bool, ready func(fd int)) error {
	waits := p.waits[:1]
	if eager {
		waits = p.waits[:2]
	}
	if _, err := unix.Poll(waits, int(timeout.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
		return os.NewSyscallError("poll", err)
	}
	if waits[0].Revents != 0 {
		var b [8]byte
		_, _ = unix.Read(p.wakeup, b[:]) // resets the counter
	}
	for {
		n, err := unix.EpollWait(p.ep, p.events[:], 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("epoll_wait", err)
		}
		for i := range max(n, 0) {
			ready(int(p.events[i].Fd))
		}
		if n < len(p.events) {
			return nil
		}
	}
}

// read hands everything that waits in a socket to take, datagram by datagram;
// the bytes are valid during the call. It returns how many the socket's buffer
// had no room for since it was opened, 0 where the kernel does not tell.
//
// hot: once per viewer and frame at best.
func (p *poller) read(fd int, take func(b []byte, at Instant)) (dropped uint32) {
	p.dropped = 0
	for {
		for i := range p.messages {
			p.messages[i].header.SetControllen(control)
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&p.messages[0])), batch, unix.MSG_DONTWAIT, 0, 0) //nolint:gosec // the kernel's structures, of this process's own arrays
		if errno != 0 {
			if errno == syscall.ECONNREFUSED || errno == syscall.EINTR {
				continue // ICMP for something sent before the server listened
			}
			return p.dropped
		}
		for i := range int(n) {
			at, size := p.received(i)
			b := p.buffers[i][:p.messages[i].size]
			for size > 0 && len(b) > size {
				take(b[:size:size], at)
				b = b[size:]
			}
			take(b, at)
		}
		if int(n) < batch {
			return p.dropped
		}
	}
}

// received reads what the kernel says of a message: when it came, and how long
// each datagram of a run is, 0 where it is no run.
func (p *poller) received(i int) (at Instant, size int) {
	const head = unix.SizeofCmsghdr
	b := p.controls[i][:min(int(p.messages[i].header.Controllen), control)]
	for len(b) >= head {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0])) //nolint:gosec // the kernel's structures, of this process's own arrays
		n := int(h.Len)
		if n < head || n > len(b) {
			break
		}
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && n >= head+int(unsafe.Sizeof(unix.Timespec{})):
			at = Instant((*unix.Timespec)(unsafe.Pointer(&b[head])).Nano()) //nolint:gosec // likewise
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && n >= head+4:
			p.dropped = *(*uint32)(unsafe.Pointer(&b[head])) //nolint:gosec // likewise
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && n >= head+4:
			size = int(*(*int32)(unsafe.Pointer(&b[head]))) //nolint:gosec // likewise
		}
		b = b[min(len(b), unix.CmsgSpace(n-head)):]
	}
	if at == 0 {
		at = InstantOf(time.Now()) // the best guess
	}
	return at, size
}

// send writes one datagram; a full socket drops it, as the network may.
func (p *poller) send(fd int, b []byte) error {
	if _, err := unix.Write(fd, b); err != nil && !errors.Is(err, unix.EAGAIN) {
		return os.NewSyscallError("write", err)
	}
	return nil
}
