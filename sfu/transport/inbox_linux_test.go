package transport

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a publisher writes as one burst is handed on as one: egress lives of it.
func TestABurstIsHandedOverAtOnce(t *testing.T) {
	e := listen(t)
	batches := make(chan []Datagram, 10)
	conn, err := e.Open(Params{Credentials: creds, Receive: func(b []Datagram) { batches <- b }, Ready: func(Keys) {}, Closed: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, e)
	c.connect(creds)
	eventually(t, "the path is selected", func() bool { return conn.Send([]byte{128, 96, 3}) == nil })
	raw, err := c.pc.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1200) })
	}
	if err != nil {
		t.Fatal(err)
	}
	var run []byte
	var sent [][]byte
	for i := range 8 {
		d := bytes.Repeat([]byte{128, 96, byte(i)}, 400)
		if i == 7 {
			d = d[:500]
		}
		run, sent = append(run, d...), append(sent, d)
	}
	if _, err := c.pc.Write(run); err != nil {
		t.Fatal(err)
	}
	var got []Datagram
	for len(got) < len(sent) {
		select {
		case batch := <-batches:
			if len(got) == 0 && len(batch) < len(sent) {
				t.Errorf("the burst came in pieces: %d first", len(batch))
			}
			got = append(got, batch...)
		case <-time.After(patience):
			t.Fatalf("%d of %d came", len(got), len(sent))
		}
	}
	for i, d := range got {
		if !bytes.Equal(d.B, sent[i]) {
			t.Errorf("datagram %d has %d bytes, sent %d", i, len(d.B), len(sent[i]))
		}
	}
}

func TestAddressesOfBothFamiliesAreRead(t *testing.T) {
	for _, want := range []string{"192.0.2.7:5004", "[2001:db8::7]:5004", "[fe80::7%3]:5004"} {
		to := netip.MustParseAddrPort(want)
		var a unix.RawSockaddrInet6
		if to.Addr().Is4() {
			four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a))
			four.Family, four.Addr = unix.AF_INET, to.Addr().As4()
		} else {
			a.Family, a.Addr = unix.AF_INET6, to.Addr().As16()
		}
		if to.Addr().Zone() != "" {
			a.Scope_id = 3
		}
		port := (*[2]byte)(unsafe.Pointer(&a.Port))
		port[0], port[1] = byte(to.Port()>>8), byte(to.Port())
		if got := addrPortOf(&a); got != to {
			t.Errorf("%v was read as %v", to, got)
		}
	}
}
