package transport

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// inboxSize is how many messages one system call reads at the most.
	inboxSize = 16
	// inboxBuffer holds what the kernel may merge into one message (UDP_GRO).
	inboxBuffer = 64 << 10
	// inboxControl holds one control message with the size of the merged datagrams.
	inboxControl = 64
)

// many reads all that waits at a UDP socket in one system call, and lets the
// kernel merge datagrams of equal size: what a publisher sends as one burst is
// then forwarded as one.
type many struct {
	raw      syscall.RawConn
	call     func(fd uintptr) bool
	got      int
	failed   syscall.Errno
	messages [inboxSize]mmsghdr
	vectors  [inboxSize]unix.Iovec
	names    [inboxSize]unix.RawSockaddrInet6
	controls [inboxSize][inboxControl]byte
	buffers  [inboxSize][]byte
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	size   uint32
	_      [4]byte
}

func newMany(pc *net.UDPConn) (inbox, error) {
	raw, err := pc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("reach the media socket: %w", err)
	}
	in := &many{raw: raw}
	memory := make([]byte, inboxSize*inboxBuffer)
	for i := range in.messages {
		in.buffers[i] = memory[i*inboxBuffer : (i+1)*inboxBuffer]
		in.vectors[i].Base = &in.buffers[i][0]
		in.vectors[i].SetLen(inboxBuffer)
		h := &in.messages[i].header
		h.Iov = &in.vectors[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&in.names[i])) //nolint:gosec // the kernel writes it during the call
		h.Control = &in.controls[i][0]
	}
	in.call = in.receive // made once: a closure each time would allocate
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) // older kernels: datagrams come one by one
	})
	return in, nil
}

// receive is one attempt; false means that nothing waits.
func (in *many) receive(fd uintptr) bool {
	for i := range in.messages {
		h := &in.messages[i].header
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(inboxControl)
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.messages[0])), inboxSize, unix.MSG_DONTWAIT, 0, 0) //nolint:gosec // the kernel fills it during the call
		switch errno {
		case 0:
			in.got, in.failed = int(n), 0
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			in.got, in.failed = 0, errno
			return true
		}
	}
}

// read waits for messages and returns how many came.
//
// hot:
func (in *many) read() (int, error) {
	if err := in.raw.Read(in.call); err != nil {
		return 0, err // closed
	}
	if in.failed != 0 {
		return 0, in.failed
	}
	return in.got, nil
}

// message returns the datagrams of message i, each of size bytes, the last one
// possibly shorter.
//
// hot:
func (in *many) message(i int) (b []byte, size int, from netip.AddrPort) {
	m := &in.messages[i]
	b = in.buffers[i][:min(int(m.size), inboxBuffer)]
	size = len(b)
	// struct cmsghdr: length, level, type, then the size as an int.
	if c := in.controls[i][:]; m.header.Controllen >= unix.SizeofCmsghdr+4 &&
		binary.NativeEndian.Uint32(c[unix.SizeofCmsghdr-8:]) == unix.SOL_UDP &&
		binary.NativeEndian.Uint32(c[unix.SizeofCmsghdr-4:]) == unix.UDP_GRO {
		if merged := int(binary.NativeEndian.Uint32(c[unix.SizeofCmsghdr:])); merged > 0 {
			size = merged
		}
	}
	return b, size, addrPortOf(&in.names[i])
}

// addrPortOf reads a socket address of either family.
//
// hot:
func addrPortOf(a *unix.RawSockaddrInet6) netip.AddrPort {
	port := (*[2]byte)(unsafe.Pointer(&a.Port)) //nolint:gosec // the two bytes in network order
	n := binary.BigEndian.Uint16(port[:])
	if a.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(a)).Addr), n) //nolint:gosec // the kernel wrote one of that family
	}
	ip := netip.AddrFrom16(a.Addr).Unmap()
	if a.Scope_id != 0 && ip.IsLinkLocalUnicast() { // rare, so it may allocate
		ip = ip.WithZone(strconv.FormatUint(uint64(a.Scope_id), 10))
	}
	return netip.AddrPortFrom(ip, n)
}
