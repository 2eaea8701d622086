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
	batch      = 32
	datagram   = 2048
	control    = 64 // one SCM_TIMESTAMPNS
	receiveBuf = 1 << 20
)

// poller reads many UDP sockets from one goroutine: epoll, recvmmsg, and the
// kernel's receive times.
type poller struct {
	ep, wakeup int
	events     [128]unix.EpollEvent
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

func newPoller() (*poller, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	wakeup, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	p := &poller{ep: ep, wakeup: wakeup}
	for i := range p.messages {
		p.vectors[i].Base = &p.buffers[i][0]
		p.vectors[i].SetLen(datagram)
		h := &p.messages[i].header
		h.Iov = &p.vectors[i]
		h.SetIovlen(1)
		h.Control = &p.controls[i][0]
	}
	if err := p.add(wakeup); err != nil {
		p.close()
		return nil, err
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
	if err := unix.Connect(fd, to); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect to %v: %w", remote, err)
	}
	return fd, nil
}

func (p *poller) add(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(p.ep, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	return nil
}

// drop closes a socket; the kernel forgets it in the epoll too.
func (p *poller) drop(fd int) { _ = unix.Close(fd) }

// wait calls ready for each socket with something to read.
func (p *poller) wait(timeout time.Duration, ready func(fd int)) error {
	n, err := unix.EpollWait(p.ep, p.events[:], int(timeout.Milliseconds()))
	if err != nil {
		if errors.Is(err, unix.EINTR) {
			return nil
		}
		return os.NewSyscallError("epoll_wait", err)
	}
	for _, e := range p.events[:n] {
		if int(e.Fd) == p.wakeup {
			var b [8]byte
			_, _ = unix.Read(p.wakeup, b[:]) // resets the counter
			continue
		}
		ready(int(e.Fd))
	}
	return nil
}

// read hands everything that waits in a socket to take; the bytes are valid
// during the call.
func (p *poller) read(fd int, take func(b []byte, at Instant)) {
	for {
		for i := range p.messages {
			p.messages[i].header.SetControllen(control)
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&p.messages[0])), batch, unix.MSG_DONTWAIT, 0, 0) //nolint:gosec // the kernel's structures, of this process's own arrays
		if errno != 0 {
			if errno == syscall.ECONNREFUSED || errno == syscall.EINTR {
				continue // ICMP for something sent before the server listened
			}
			return
		}
		for i := range int(n) {
			take(p.buffers[i][:p.messages[i].size], p.received(i))
		}
		if int(n) < batch {
			return
		}
	}
}

// received reads SCM_TIMESTAMPNS of a message; where there is none, now is the best guess.
func (p *poller) received(i int) Instant {
	const head = unix.SizeofCmsghdr
	if p.messages[i].header.Controllen >= head+uint64(unsafe.Sizeof(unix.Timespec{})) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&p.controls[i][0])) //nolint:gosec // the kernel's structures, of this process's own arrays
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS {
			return Instant((*unix.Timespec)(unsafe.Pointer(&p.controls[i][head])).Nano()) //nolint:gosec // the kernel's structures, of this process's own arrays
		}
	}
	return InstantOf(time.Now())
}

// send writes one datagram; a full socket drops it, as the network may.
func (p *poller) send(fd int, b []byte) error {
	if _, err := unix.Write(fd, b); err != nil && !errors.Is(err, unix.EAGAIN) {
		return os.NewSyscallError("write", err)
	}
	return nil
}
