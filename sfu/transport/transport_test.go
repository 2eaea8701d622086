package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/egress"
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
		b := c.read(5 * time.Second)
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

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(5 * time.Second)
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

func TestMediaFlowsOnlyAfterTheAddressAnswered(t *testing.T) {
	e := listen(t)
	o := open(t, e, creds)
	c := dial(t, e)
	c.check(creds)
	eventually(t, "the check was answered", func() bool { return c.read(time.Second) != nil })
	if err := o.Send([]byte{128, 1, 2}); !errors.Is(err, ErrNoPath) {
		t.Fatalf("media went to an address that has not answered: %v", err)
	}
	c.connect(creds)
	eventually(t, "the path is selected", func() bool { return o.Send([]byte{128, 96, 3}) == nil })
	_, _ = c.pc.Write([]byte{128, 96, 7})
	if got := <-o.got; !bytes.Equal(got, []byte{128, 96, 7}) {
		t.Errorf("got % x", got)
	}
}

// Somebody else replays a recorded check: neither the stream nor the path moves there.
func TestAReplayedCheckDoesNotStealThePath(t *testing.T) {
	e := listen(t)
	o := open(t, e, creds)
	c := dial(t, e)
	c.connect(creds)
	eventually(t, "the path is selected", func() bool { return o.Send([]byte{128, 96, 3}) == nil })
	recorded := c.check(creds)
	thief := dial(t, e)
	sent, got := 0, 0
	for range 20 {
		_, _ = thief.pc.Write(recorded)
		sent += len(recorded)
	}
	for b := thief.read(200 * time.Millisecond); b != nil; b = thief.read(200 * time.Millisecond) {
		got += len(b)
		if b[0] >= 128 {
			t.Fatal("the thief got media")
		}
	}
	if got > 3*sent {
		t.Errorf("%d bytes for %d", got, sent)
	}
	_ = o.Send([]byte{128, 96, 9})
	eventually(t, "media still goes to the client", func() bool { b := c.read(time.Second); return len(b) == 3 && b[2] == 9 })
	_, _ = thief.pc.Write([]byte{128, 96, 66})
	select {
	case b := <-o.got:
		t.Errorf("a packet of the thief reached the session: % x", b)
	case <-time.After(100 * time.Millisecond):
	}
}

// A flood of junk reaches no session and leaves nothing behind.
func TestTrap38_AFloodOfJunkReachesNobody(t *testing.T) {
	e := listen(t)
	o := open(t, e, creds)
	c := dial(t, e)
	c.connect(creds)
	eventually(t, "the path is selected", func() bool { return o.Send([]byte{128, 96, 3}) == nil })
	junk := dial(t, e)
	stranger := creds
	stranger.Ufrag = "nobody00"
	for i := range 20000 {
		switch i % 4 {
		case 0:
			b := make([]byte, 64)
			_, _ = rand.Read(b)
			_, _ = junk.pc.Write(b)
		case 1:
			_, _ = junk.pc.Write([]byte{128, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1})
		case 2:
			_, _ = junk.pc.Write([]byte{22, 254, 255, 0, 0, 0, 0})
		case 3:
			junk.check(stranger)
		}
	}
	eventually(t, "it was counted", func() bool { n, _ := e.Rejected(); return n > 1000 })
	if len(o.got) != 0 {
		t.Errorf("%d datagrams reached the session", len(o.got))
	}
	_, _ = c.pc.Write([]byte{128, 96, 7})
	select {
	case <-o.got:
	case <-time.After(5 * time.Second):
		t.Error("the session does not hear its client any more")
	}
	if b := junk.read(10 * time.Millisecond); b != nil {
		t.Errorf("junk was answered: % x", b)
	}
}

func TestCloseTellsOnceAndForgets(t *testing.T) {
	e := listen(t)
	o := open(t, e, creds)
	o.Close(media.ErrKicked)
	o.Close(media.ErrGone)
	if err := <-o.closed; !errors.Is(err, media.ErrKicked) {
		t.Errorf("got %v", err)
	}
	if len(o.closed) != 0 {
		t.Error("it was told twice")
	}
	if e.lookup([]byte(creds.Ufrag)) != nil {
		t.Error("the user fragment is still known")
	}
	if err := o.Restart(icelite.Credentials{Ufrag: "x"}); !errors.Is(err, media.ErrNoSession) {
		t.Errorf("restart after the end: %v", err)
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

// What senders of many datagrams write goes where the session is.
func TestTheWayLeadsToTheClient(t *testing.T) {
	e := listen(t)
	o := open(t, e, creds)
	if o.Way() != nil {
		t.Fatal("there is a way to a client that nobody has seen")
	}
	c := dial(t, e)
	c.connect(creds)
	eventually(t, "the path is selected", func() bool { return o.Way() != nil })
	for b := c.read(200 * time.Millisecond); b != nil; b = c.read(200 * time.Millisecond) {
	}
	way := o.Way()
	run := append(bytes.Repeat([]byte{200}, 1200), 201, 202)
	if n, err := way.Batch.Write([]egress.Msg{{To: way.To, Buf: run, Size: 1200}}); n != 2 || err != nil {
		t.Fatalf("%d were written: %v", n, err)
	}
	for i, n := range []int{1200, 2} {
		if b := c.read(5 * time.Second); len(b) != n || b[0] != byte(200+i) {
			t.Errorf("datagram %d has %d bytes", i, len(b))
		}
	}
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
