package egress

import (
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func systemMakers() []maker {
	return []maker{
		{"segments", linux},
		{"plain", func(t testing.TB, c *net.UDPConn) Batch {
			l := linux(t, c).(*Linux)
			l.plain.Store(true)
			return l
		}},
		{"late", func(t testing.TB, c *net.UDPConn) Batch { // finds out at its first run
			l := linux(t, c).(*Linux)
			l.sys.send = func(fd uintptr, msgs []mmsghdr) (int, syscall.Errno) {
				for i := range msgs {
					if msgs[i].hdr.Controllen == 0 {
						continue
					}
					if i == 0 {
						return -1, unix.EIO
					}
					msgs = msgs[:i]
					break
				}
				return sendmmsg(fd, msgs)
			}
			return l
		}},
		{"dribbling", func(t testing.TB, c *net.UDPConn) Batch { // one message for each call, and interrupted
			l := linux(t, c).(*Linux)
			var calls atomic.Int64
			l.sys.send = func(fd uintptr, msgs []mmsghdr) (int, syscall.Errno) {
				if calls.Add(1)%3 == 0 {
					return -1, unix.EINTR
				}
				return sendmmsg(fd, msgs[:1])
			}
			return l
		}},
	}
}

func linux(t testing.TB, c *net.UDPConn) Batch {
	t.Helper()
	l, err := NewLinux(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// kernel is a made-up system: it notes what it is given, and fails as told.
type kernel struct {
	calls   int
	taken   []uint32 // first numbers of datagrams, or of runs
	cut     int      // runs among them
	waits   []time.Duration
	fail    func(call int, first uint32, segmented bool) syscall.Errno
	perCall int // messages that one call takes at the most; 0 is all
}

func (k *kernel) send(_ uintptr, msgs []mmsghdr) (int, syscall.Errno) {
	k.calls++
	for i := range msgs {
		h := &msgs[i].hdr
		first := binary.BigEndian.Uint32(unsafe.Slice(h.Iov.Base, h.Iov.Len))
		segmented := h.Controllen > 0
		if k.perCall > 0 && i == k.perCall {
			return i, 0
		}
		if k.fail != nil {
			if errno := k.fail(k.calls, first, segmented); errno != 0 {
				if i > 0 { // the error waits for the next call (sendmmsg(2))
					return i, 0
				}
				return -1, errno
			}
		}
		k.taken = append(k.taken, first)
		if segmented {
			k.cut++
		}
	}
	return len(msgs), 0
}

func (k *kernel) wait(_ uintptr, most time.Duration) { k.waits = append(k.waits, most) }

// faked returns a Batch whose system calls go to k.
func faked(t *testing.T, k *kernel) (*Linux, *Addr) {
	c := listen(t, "udp4", "127.0.0.1:0")
	l := linux(t, c).(*Linux)
	l.sys = system{send: k.send, wait: k.wait}
	return l, addrOf(c)
}

func numbered(to *Addr, runs ...int) []Msg {
	var msgs []Msg
	first := uint32(0)
	for _, n := range runs {
		msgs = append(msgs, run(to, first, n, 100, 100))
		first += uint32(n)
	}
	return msgs
}

func TestAFullSocketIsWaitedFor(t *testing.T) {
	full := 3
	k := &kernel{perCall: 1}
	k.fail = func(call int, _ uint32, _ bool) syscall.Errno {
		if call == 1 || full == 0 {
			return 0
		}
		full--
		return unix.EAGAIN
	}
	l, to := faked(t, k)
	sent, err := l.Write(numbered(to, 2, 2, 2))
	if sent != 6 || err != nil || len(k.waits) != 3 {
		t.Errorf("sent %d of 6: %v, after %d waits", sent, err, len(k.waits))
	}
}

// A shard must not hang: what a stuck socket does not take in time is lost.
func TestAStuckSocketIsGivenUp(t *testing.T) {
	k := &kernel{fail: func(_ int, first uint32, _ bool) syscall.Errno {
		if first >= 4 {
			return unix.EAGAIN
		}
		return 0
	}}
	l, to := faked(t, k)
	l.sys.wait = func(fd uintptr, most time.Duration) {
		k.wait(fd, most)
		if most > patience {
			t.Errorf("waits %v", most)
		}
	}
	sent, err := l.Write(numbered(to, 4, 4, 4))
	if sent != 4 || !errors.Is(err, unix.EAGAIN) || len(k.waits) == 0 {
		t.Errorf("sent %d: %v, after %d waits", sent, err, len(k.waits))
	}
	if !l.Segments() {
		t.Error("a full socket says nothing of segments")
	}
}

func TestAKernelThatCannotCutIsNotAskedAgain(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EIO, unix.EINVAL, unix.EOPNOTSUPP} {
		k := &kernel{fail: func(_ int, _ uint32, segmented bool) syscall.Errno {
			if segmented {
				return errno
			}
			return 0
		}}
		l, to := faked(t, k)
		if sent, err := l.Write(numbered(to, 1, 3, 4)); sent != 8 || err != nil {
			t.Errorf("%v: sent %d of 8: %v", errno, sent, err)
		}
		for i, n := range k.taken {
			if int(n) != i {
				t.Errorf("%v: datagrams came as %v", errno, k.taken)
				break
			}
		}
		if l.Segments() {
			t.Errorf("%v: it is still asked", errno)
		}
		k.calls = 0
		if sent, err := l.Write(numbered(to, 40, 40, 48)); sent != 128 || err != nil || k.calls != 2 {
			t.Errorf("%v: then sent %d of 128 in %d calls: %v", errno, sent, k.calls, err)
		}
	}
}

// An address that nothing can be sent to must not make all others slow.
func TestABadAddressSaysNothingOfSegments(t *testing.T) {
	k := &kernel{fail: func(_ int, first uint32, _ bool) syscall.Errno {
		if first >= 10 && first < 14 {
			return unix.EINVAL
		}
		return 0
	}}
	l, to := faked(t, k)
	sent, err := l.Write(numbered(to, 10, 4, 10))
	if sent != 20 || !errors.Is(err, unix.EINVAL) || !l.Segments() || k.cut != 2 {
		t.Errorf("sent %d of 24: %v; %d runs cut, segments %v", sent, err, k.cut, l.Segments())
	}
}

// The path may be too narrow for a run's datagrams, which alone leave in fragments.
func TestATooLargeRunIsSentInPieces(t *testing.T) {
	k := &kernel{fail: func(_ int, first uint32, segmented bool) syscall.Errno {
		if first >= 4 && first < 8 && (segmented || first == 6) {
			return unix.EMSGSIZE
		}
		return 0
	}}
	l, to := faked(t, k)
	sent, err := l.Write(numbered(to, 4, 4, 4))
	if sent != 11 || !errors.Is(err, unix.EMSGSIZE) || !l.Segments() {
		t.Errorf("sent %d, want 11: %v; segments %v", sent, err, l.Segments())
	}
}

func TestOneMessagesErrorSkipsOnlyThatOne(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EPERM, unix.ENETUNREACH, unix.ENOBUFS, unix.ECONNREFUSED} {
		k := &kernel{perCall: 3, fail: func(_ int, first uint32, _ bool) syscall.Errno {
			if first == 8 || first == 4 {
				return errno
			}
			return 0
		}}
		l, to := faked(t, k)
		sent, err := l.Write(numbered(to, 4, 4, 1, 3, 4, 4, 4))
		if sent != 19 || !errors.Is(err, errno) || !l.Segments() {
			t.Errorf("%v: sent %d, want 19: %v", errno, sent, err)
		}
	}
}

// What the kernel does not cut in one go is no reason never to try again.
func TestMoreDatagramsThanAKernelCutsAreSent(t *testing.T) {
	to := listen(t, "udp4", "127.0.0.1:0")
	l := linux(t, listen(t, "udp4", "127.0.0.1:0")).(*Linux)
	m := run(addrOf(to), 0, 200, 60, 60)
	if sent, err := l.Write([]Msg{m}); sent != 200 || err != nil || !l.Segments() {
		t.Errorf("sent %d of 200: %v; segments %v", sent, err, l.Segments())
	}
	for i := range uint32(200) {
		if got := binary.BigEndian.Uint32(read(t, to)); got != i {
			t.Fatalf("datagram %d is number %d", i, got)
		}
	}
}
