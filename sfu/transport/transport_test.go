package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/icelite"
)

var creds = icelite.Credentials{Ufrag: "server01", Pwd: "serverpasswordserverpass", RemoteUfrag: "client01", RemotePwd: "clientpasswordclientpass"}

func listen(t *testing.T) *Endpoint {
	t.Helper()
	e, err := Listen(Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = e.Run(ctx); close(done) }() // ended by the cleanup below
	t.Cleanup(func() { cancel(); <-done })
	return e
}

// client is a UDP client that speaks STUN by hand.
type client struct {
	t  *testing.T
	pc *net.UDPConn
}

func dial(t *testing.T, e *Endpoint) *client {
	t.Helper()
	pc, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), e.Port())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	return &client{t, pc}
}

type nominate struct{}

func (nominate) AddTo(m *stun.Message) error { m.Add(stun.AttrUseCandidate, nil); return nil }

func (c *client) check(with icelite.Credentials) []byte {
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername(with.Ufrag+":"+with.RemoteUfrag), nominate{},
		stun.NewShortTermIntegrity(with.Pwd), stun.Fingerprint)
	_, _ = c.pc.Write(m.Raw)
	return m.Raw
}

// read returns the next datagram, or nil after the time.
func (c *client) read(within time.Duration) []byte {
	_ = c.pc.SetReadDeadline(time.Now().Add(within))
	buf := make([]byte, 2048)
	n, err := c.pc.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// connect checks and answers the server's check.
func (c *client) connect(with icelite.Credentials) {
	c.t.Helper()
	c.check(with)
	for range 4 {
		b := c.read(patience)
		m := &stun.Message{Raw: b}
		if b == nil || m.Decode() != nil {
			c.t.Fatalf("no STUN message came: % x", b)
		}
		if m.Type == stun.BindingRequest {
			answer := stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
				stun.NewShortTermIntegrity(with.RemotePwd), stun.Fingerprint)
			_, _ = c.pc.Write(answer.Raw)
			return
		}
	}
	c.t.Fatal("the server did not check the address")
}

type opened struct {
	*Conn
	got    chan []byte
	closed chan error
}

func (o *opened) receive(batch []Datagram) {
	for _, d := range batch {
		o.got <- d.B
	}
}

func open(t *testing.T, e *Endpoint, with icelite.Credentials) opened {
	t.Helper()
	o := opened{got: make(chan []byte, 100), closed: make(chan error, 1)}
	c, err := e.Open(Params{Credentials: with, Receive: o.receive, Ready: func(Keys) {},
		Closed: func(err error) { o.closed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	o.Conn = c
	return o
}

// patience is for what a machine that stands still may hold up.
const patience = 30 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}

func TestARestartForgetsAllButTheLastTwoGenerations(t *testing.T) {
	e := listen(t)
	o := open(t, e, creds)
	for _, name := range []string{"second00", "third000", "fourth00"} {
		n := creds
		n.Ufrag = name
		if err := o.Restart(n); err != nil {
			t.Fatal(err)
		}
	}
	for name, known := range map[string]bool{"server01": false, "second00": false, "third000": true, "fourth00": true} {
		if (e.lookup([]byte(name)) != nil) != known {
			t.Errorf("%s: known %v", name, !known)
		}
	}
	if n := len(e.snapshot()); n != 1 {
		t.Errorf("%d sessions are ticked, want 1", n)
	}
}

// Trap 17: a TCP client that does not read loses packets; the sender never waits.
func TestTrap17_AStalledTCPViewerBlocksNobody(t *testing.T) {
	here, there := net.Pipe() // nobody reads there
	defer there.Close()
	s := &stream{conn: here, queue: make(chan []byte, streamQueue), done: make(chan struct{})}
	ended := make(chan struct{})
	go func() { s.writer(); close(ended) }()
	full := 0
	began := time.Now()
	for range 10 * streamQueue {
		if errors.Is(s.write(make([]byte, 1200)), errStreamFull) {
			full++
		}
	}
	if full < 8*streamQueue || time.Since(began) > 5*time.Second {
		t.Errorf("%d packets were refused, in %v", full, time.Since(began))
	}
	close(s.done)
	_ = here.Close()
	<-ended
}

func TestAWrongCertificateIsRefused(t *testing.T) {
	certificate, print, err := newCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier([]Fingerprint{{"sha-256", print}})(certificate.Certificate, nil); err != nil {
		t.Errorf("the right one: %v", err)
	}
	for _, prints := range [][]Fingerprint{nil, {{"sha-256", "00:11"}}, {{"sha-1", print}}, {{"sha-256", "zz"}}, {{"sha-512", print}}} {
		if verifier(prints)(certificate.Certificate, nil) == nil {
			t.Errorf("%v was accepted", prints)
		}
	}
}

func FuzzHandle(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Add([]byte{128, 200, 0, 1})
	f.Add([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0})
	from := netip.MustParseAddrPort("192.0.2.1:5000")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		e, err := Listen(Config{Listen: "127.0.0.1:0"})
		if err != nil {
			return // the machine has run out of ports
		}
		defer e.close()
		if _, err := e.Open(Params{Credentials: creds, Receive: func([]Datagram) { t.Error("junk reached a session") }, Ready: func(Keys) {}, Closed: func(error) {}}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			e.udp[0].handle(b, from, time.Now())
		}
	})
}

// A node that stood still took all for gone that had spoken meanwhile.
func TestWhoSpokeWhileTheNodeStoodStillIsReadFirst(t *testing.T) {
	at := time.Unix(0, 0)
	p := pulse{last: at}
	for i, step := range []struct {
		after  time.Duration
		paused bool
	}{{tick, false}, {tick + tick/2, false}, {3 * tick, true}, {tick, false}, {9 * tick, true}, {9 * tick, false}, {9 * tick, true}} {
		at = at.Add(step.after)
		if got := p.paused(at); got != step.paused {
			t.Errorf("look %d, %v after the one before: %v", i, step.after, got)
		}
	}
}

// A closed session does not stay in its socket's table.
func TestAClosedSessionLeavesItsSocket(t *testing.T) {
	e := listen(t)
	o := open(t, e, creds)
	c := dial(t, e)
	c.connect(creds)
	eventually(t, "the path is selected", func() bool { return o.Send([]byte{128, 96, 3}) == nil })
	o.Close(media.ErrKicked)
	if len(e.udp[0].left) != 1 {
		t.Fatalf("%d addresses are on their way out", len(e.udp[0].left))
	}
	_, _ = c.pc.Write([]byte{128, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1})
	eventually(t, "the socket has forgotten it", func() bool { return len(e.udp[0].left) == 0 })
}

func TestADatagramLargerThanAnyPacketIsNobodys(t *testing.T) {
	e := listen(t)
	o := open(t, e, creds)
	c := dial(t, e)
	c.connect(creds)
	eventually(t, "the path is selected", func() bool { return o.Way() != nil })
	before, _ := e.Rejected()
	_, _ = c.pc.Write(append([]byte{128, 96}, make([]byte, maxDatagram)...))
	eventually(t, "it is counted", func() bool { n, _ := e.Rejected(); return n == before+1 })
	_, _ = c.pc.Write([]byte{128, 96, 7})
	if got := <-o.got; len(got) != 3 {
		t.Errorf("a session got %d bytes", len(got))
	}
}
