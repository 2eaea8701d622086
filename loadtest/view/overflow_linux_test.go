package view

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What this process is too slow for must be told apart from a server's loss.
func TestAnOverflowOfTheOwnSocketIsTold(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	p, err := newPoller(true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	fd, err := p.open(server.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	defer p.drop(fd)
	if err := p.add(fd); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8192); err != nil {
		t.Fatal(err)
	}
	if err := p.send(fd, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1200)
	_, client, err := server.ReadFromUDP(b)
	if err != nil {
		t.Fatal(err)
	}
	const sent = 100
	var got, dropped int
	count := func(int) {
		dropped = max(dropped, int(p.read(fd, func(b []byte, at Instant) {
			if len(b) == 1200 && at != 0 {
				got++
			}
		})))
	}
	for range sent {
		if _, err := server.WriteToUDP(b, client); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for got+dropped < sent {
		if time.Now().After(deadline) {
			t.Fatalf("%d came, %d are told as dropped, %d were sent", got, dropped, sent)
		}
		if err := p.wait(time.Millisecond, true, count); err != nil {
			t.Fatal(err)
		}
		// The count comes with the next datagram that has room.
		if _, err := server.WriteToUDP(b[:1], client); err != nil {
			t.Fatal(err)
		}
	}
	if dropped == 0 {
		t.Error("100 datagrams fitted into 8 KB")
	}
}
