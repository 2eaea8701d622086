package pion_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/egress"
	"github.com/sluice-live/sluice/sfu/icelite"
	"github.com/sluice-live/sluice/sfu/pion"
	"github.com/sluice-live/sluice/sfu/transport"
)

// conn is what both transports owe.
type conn interface {
	Way() *transport.Way
	Send(b []byte) error
	RTT() time.Duration
	Network() string
	Remote() netip.Addr
	Restart(c icelite.Credentials) error
	Close(why error)
}

// both holds our ICE-lite and Pion's full agent to the same promises.
func both(t *testing.T, f func(t *testing.T, h *house)) {
	for _, name := range []string{"lite", "pion"} {
		t.Run(name, func(t *testing.T) {
			e, err := transport.Listen(transport.Config{Listen: "127.0.0.1:0"})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { _ = e.Run(ctx); close(done) }() // ended by the cleanup below
			t.Cleanup(func() { cancel(); <-done })
			f(t, &house{t: t, name: name, e: e, host: pion.New(pion.Config{Endpoint: e})})
		})
	}
}

type house struct {
	t    *testing.T
	name string
	e    *transport.Endpoint
	host *pion.Host
}

type opened struct {
	conn
	got    chan []byte
	closed chan error
}

var creds = icelite.Credentials{Ufrag: "server01", Pwd: "serverpasswordserverpass", RemoteUfrag: "client01", RemotePwd: "clientpasswordclientpass"}

func (h *house) open(with icelite.Credentials) opened {
	h.t.Helper()
	o := opened{got: make(chan []byte, 100), closed: make(chan error, 2)}
	p := transport.Params{Credentials: with, Ready: func(transport.Keys) {}, Closed: func(err error) { o.closed <- err },
		Receive: func(batch []transport.Datagram) {
			for _, d := range batch {
				o.got <- d.B
			}
		}}
	var err error
	if h.name == "lite" {
		o.conn, err = h.e.Open(p)
	} else {
		var c *pion.Conn
		if c, err = h.host.Open(p, pion.Client{}); err == nil {
			o.conn = c
			c.Begin()
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

// client speaks STUN by hand.
type client struct {
	t  *testing.T
	pc *net.UDPConn
}

func (h *house) dial() *client {
	h.t.Helper()
	pc, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(h.e.Port())})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = pc.Close() })
	return &client{h.t, pc}
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

// answer answers what checks of the server's come; it returns what comes besides, or nil.
func (c *client) answer(pwd string, within time.Duration) []byte {
	b := c.read(within)
	m := &stun.Message{Raw: b}
	if b == nil || !stun.IsMessage(b) || m.Decode() != nil || m.Type != stun.BindingRequest {
		return b
	}
	_, _ = c.pc.Write(stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
		stun.NewShortTermIntegrity(pwd), stun.Fingerprint).Raw)
	return nil
}

// connect checks and answers until there is a path.
func (c *client) connect(o opened, with icelite.Credentials) {
	c.t.Helper()
	before := o.Way()
	eventually(c.t, "there is a path", func() bool {
		c.check(with)
		c.answer(with.RemotePwd, 20*time.Millisecond)
		return o.Way() != before
	})
}

// next returns the next datagram that is no check, answering those.
func (c *client) next() []byte {
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if b := c.answer(creds.RemotePwd, 50*time.Millisecond); b != nil && !stun.IsMessage(b) {
			return b
		}
	}
	c.t.Fatal("nothing came")
	return nil
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

func TestMediaFlowsOnlyAfterTheAddressAnswered(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		o, c := h.open(creds), h.dial()
		eventually(t, "the check was answered", func() bool { c.check(creds); return c.read(50*time.Millisecond) != nil })
		forged := creds
		forged.RemotePwd = "notthepasswordoftheclient"
		for range 10 { // answers that are not the client's do not count
			c.check(creds)
			c.answer(forged.RemotePwd, 20*time.Millisecond)
		}
		if err := o.Send([]byte{128, 1, 2}); !errors.Is(err, transport.ErrNoPath) || o.Way() != nil || o.Network() != "" || o.Remote().IsValid() {
			t.Fatalf("media went to an address that has not answered: %v", err)
		}
		_, _ = c.pc.Write([]byte{128, 96, 66})
		c.connect(o, creds)
		if o.Network() != "udp" || o.Remote() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) || o.RTT() <= 0 {
			t.Errorf("%s %v %v", o.Network(), o.Remote(), o.RTT())
		}
		_, _ = c.pc.Write([]byte{128, 96, 7})
		if got := <-o.got; !bytes.Equal(got, []byte{128, 96, 7}) {
			t.Errorf("got % x", got)
		}
	})
}

func TestTheWayLeadsToTheClient(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		o, c := h.open(creds), h.dial()
		c.connect(o, creds)
		way := o.Way()
		run := append(bytes.Repeat([]byte{200}, 1200), 201, 202)
		if n, err := way.Batch.Write([]egress.Msg{{To: way.To, Buf: run, Size: 1200}}); n != 2 || err != nil {
			t.Fatalf("%d were written: %v", n, err)
		}
		for i, n := range []int{1200, 2} {
			if b := c.next(); len(b) != n || b[0] != byte(200+i) {
				t.Errorf("datagram %d has %d bytes", i, len(b))
			}
		}
	})
}

// Somebody else replays a recorded check: neither the stream nor the path moves there, and he gets no more than three
// times what he sent.
func TestAReplayedCheckDoesNotStealThePath(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		o, c := h.open(creds), h.dial()
		c.connect(o, creds)
		way, recorded, thief := o.Way(), c.check(creds), h.dial()
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
		if o.Way() != way {
			t.Error("the path has moved")
		}
		_, _ = thief.pc.Write([]byte{128, 96, 66})
		_, _ = c.pc.Write([]byte{128, 96, 7})
		if b := <-o.got; b[2] != 7 {
			t.Errorf("a packet of the thief reached the session: % x", b)
		}
	})
}

// Trap 38: a flood of junk reaches no session and leaves nothing behind.
func TestTrap38_AFloodOfJunkReachesNobody(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		o, c := h.open(creds), h.dial()
		c.connect(o, creds)
		way, junk, stranger, wrong := o.Way(), h.dial(), creds, creds
		stranger.Ufrag, wrong.Pwd = "nobody00", "thewrongpasswordofours00"
		flood := func(n int) {
			for i := range n {
				switch i % 5 {
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
				case 4:
					junk.check(wrong)
				}
			}
		}
		flood(10000)
		// How many of them the socket had room for is chance.
		eventually(t, "it was counted", func() bool { flood(5); n, _ := h.e.Rejected(); return n > 1000 })
		if len(o.got) != 0 || o.Way() != way {
			t.Errorf("%d datagrams reached the session", len(o.got))
		}
		if b := junk.read(10 * time.Millisecond); b != nil {
			t.Errorf("junk was answered: % x", b)
		}
		eventually(t, "the session hears its client", func() bool { _, _ = c.pc.Write([]byte{128, 96, 7}); return len(o.got) > 0 })
	})
}

func TestARestartFindsAnotherAddress(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		o, c := h.open(creds), h.dial()
		c.connect(o, creds)
		way := o.Way()
		n := creds
		for _, name := range []string{"second00", "third000", "fourth00"} {
			n.Ufrag, n.Pwd, n.RemotePwd = name, "another"+name+name+name, "remote"+name+name+name
			if err := o.Restart(n); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = c.pc.Write([]byte{128, 96, 7}) // media goes on where it was
		if b := <-o.got; b[2] != 7 || o.Way() != way || o.Send([]byte{128, 1, 1}) != nil {
			t.Errorf("the path in use is gone")
		}
		other := h.dial()
		other.connect(o, n)
		if err := o.Send([]byte{128, 96, 9}); err != nil {
			t.Error(err)
		}
		if b := other.next(); len(b) != 3 || b[2] != 9 {
			t.Errorf("% x came", b)
		}
		late := h.dial()
		for range 3 { // of the first generation
			late.check(creds)
		}
		if b := late.read(50 * time.Millisecond); b != nil {
			t.Errorf("a generation long gone was answered: % x", b)
		}
	})
}

func TestCloseTellsOnceAndForgets(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		o, c := h.open(creds), h.dial()
		c.connect(o, creds)
		o.Close(media.ErrKicked)
		o.Close(media.ErrGone)
		if err := <-o.closed; !errors.Is(err, media.ErrKicked) {
			t.Errorf("got %v", err)
		}
		if len(o.closed) != 0 {
			t.Error("it was told twice")
		}
		if err := o.Restart(icelite.Credentials{Ufrag: "fresh000", Pwd: creds.Pwd, RemoteUfrag: creds.RemoteUfrag, RemotePwd: creds.RemotePwd}); !errors.Is(err, media.ErrNoSession) {
			t.Errorf("restart after the end: %v", err)
		}
		for len(o.got) > 0 {
			<-o.got
		}
		_, _ = c.pc.Write([]byte{128, 96, 7})
		eventually(t, "its name is free", func() bool { // at the latest when its goroutines have ended
			again := opened{}
			p := transport.Params{Credentials: creds, Receive: func([]transport.Datagram) {}, Ready: func(transport.Keys) {}, Closed: func(error) {}}
			if h.name == "lite" {
				l, err := h.e.Open(p)
				if err == nil {
					again.conn = l
				}
			} else if l, err := h.host.Open(p, pion.Client{}); err == nil {
				again.conn = l // it never begins
			}
			if again.conn == nil {
				return false
			}
			again.Close(nil)
			return true
		})
		if len(o.got) != 0 {
			t.Error("a packet came after the end")
		}
	})
}

// Sessions that come and go leave nothing behind, connected or not.
func TestNothingIsLeftOfASession(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		churn := func(n int) {
			for i := range n {
				o := h.open(creds)
				if i%2 == 0 {
					h.dial().connect(o, creds)
				}
				o.Close(nil)
				eventually(t, "it has left", func() bool { return h.e.Guests() == 0 })
			}
		}
		churn(2)
		var before int
		eventually(t, "the goroutines settle", func() bool {
			last := before
			before = runtime.NumGoroutine()
			return last == before
		})
		churn(20)
		eventually(t, "all goroutines ended", func() bool { return runtime.NumGoroutine() <= before })
	})
}
