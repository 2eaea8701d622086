package transport

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/srtp/v3"
	"github.com/pion/stun/v4"

	"github.com/sluice-live/sluice/sfu/egress"
)

// viewer is a session with keys whose client is at one address and then at another.
type viewer struct {
	opened
	t    *testing.T
	seal egress.ControlSealer
	pc   *net.UDPConn // where the client is now
	sent [][]byte     // what it sent
	ssrc uint32
}

// watching is a client that reports under an SSRC, and an owner that opens what it sends.
func watching(t *testing.T, e *Endpoint, name string, ssrc uint32) *viewer {
	t.Helper()
	return watchingBy(t, e, srtp.ProtectionProfileAeadAes128Gcm, name, ssrc)
}

func watchingBy(t *testing.T, e *Endpoint, profile srtp.ProtectionProfile, name string, ssrc uint32) *viewer {
	t.Helper()
	with := creds
	with.Ufrag = name
	v := &viewer{opened: opened{got: make(chan []byte, 100), closed: make(chan error, 1)}, t: t, ssrc: ssrc}
	keys := Keys{profile: profile, remoteKey: random(16), remoteSalt: random(12)}
	if profile != srtp.ProtectionProfileAeadAes128Gcm {
		keys.remoteSalt = random(14)
	}
	opener, err := keys.ControlOpener()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := Keys{profile: profile, localKey: keys.remoteKey, localSalt: keys.remoteSalt}.Sealers(0)
	if err != nil {
		t.Fatal(err)
	}
	v.seal = theirs.RTCP
	v.Conn, err = e.Open(Params{Credentials: with, Ready: func(Keys) {}, Closed: func(err error) { v.closed <- err },
		Receive: func(batch []Datagram) {
			for _, d := range batch {
				var err error
				if control := d.B[1] >= 192 && d.B[1] <= 223; control { // the media of these tests is not sealed
					_, err = opener.OpenControl(nil, d.B)
				}
				if err == nil {
					v.Heard(d.At, d.Aside)
					select {
					case v.got <- d.B:
					default: // more than anybody looks at
					}
				}
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	// As after a handshake.
	v.mu.Lock()
	v.began = true
	v.mu.Unlock()
	v.roam.keys.keep(keys)
	v.ready.Store(true)
	c := dial(t, e)
	c.connect(with)
	v.pc = c.pc
	eventually(t, "the path is selected", func() bool { return v.Way() != nil })
	v.report()
	<-v.got
	return v
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// report sends a receiver report from where the client is.
func (v *viewer) report() {
	plain := make([]byte, 32)
	copy(plain, []byte{0x81, 201, 0, 7})
	binary.BigEndian.PutUint32(plain[4:], v.ssrc)
	sealed, err := v.seal.SealControl(nil, plain)
	if err != nil {
		panic(err)
	}
	v.sent = append(v.sent, sealed)
	_, _ = v.pc.Write(sealed)
}

// move gives the client another address; the old one is dead. It answers checks and
// sends none.
func (v *viewer) move(t *testing.T, e *Endpoint) netip.AddrPort {
	t.Helper()
	_ = v.pc.Close()
	v.pc = dial(t, e).pc
	answers(t, v.pc)
	return v.pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

// arrives waits until the stream is where the client is, who goes on speaking as clients
// do: what was said just when the node stood still may be too old to count.
func (v *viewer) arrives(to netip.AddrPort, speak func()) {
	v.t.Helper()
	next := time.Now()
	eventually(v.t, "the stream is where the client is", func() bool {
		if now := time.Now(); !now.Before(next) {
			next = now.Add(100 * time.Millisecond)
			speak()
		}
		return v.at() == to
	})
}

// answers answers checks until the socket is closed.
func answers(t *testing.T, pc *net.UDPConn) {
	done := make(chan struct{})
	t.Cleanup(func() { _ = pc.Close(); <-done })
	go func() { // ended by the cleanup
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, err := pc.Read(buf)
			if err != nil {
				return
			}
			m := &stun.Message{Raw: append([]byte(nil), buf[:n]...)}
			if m.Decode() == nil && m.Type == stun.BindingRequest {
				_, _ = pc.Write(stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
					stun.NewShortTermIntegrity(creds.RemotePwd), stun.Fingerprint).Raw)
			}
		}
	}()
}

func (v *viewer) at() netip.AddrPort {
	if l := v.selected.Load(); l != nil {
		return l.addr
	}
	return netip.AddrPort{}
}

// Browsers that only watch all report under the same SSRC: who moved is told by the keys.
func TestAViewerThatMovedIsFoundByItsReports(t *testing.T) {
	e := listen(t)
	var all []*viewer
	for _, name := range []string{"viewer00", "viewer01", "viewer02", "viewer03", "viewer04", "viewer05"} {
		all = append(all, watching(t, e, name, 1))
	}
	for _, v := range all[2:4] {
		before := make([]netip.AddrPort, len(all))
		for i := range all {
			before[i] = all[i].at()
		}
		v.arrives(v.move(t, e), v.report)
		for i := range all {
			if all[i] != v && all[i].at() != before[i] {
				t.Errorf("viewer %d moved, too", i)
			}
		}
		v.report()
		eventually(t, "the session hears it there", func() bool { return len(v.got) > 0 })
		<-v.got
	}
}

// The index of a control packet stands elsewhere where the tag is not part of the text.
func TestAViewerThatMovedIsFoundUnderTheOtherProfile(t *testing.T) {
	e := listen(t)
	v := watchingBy(t, e, srtp.ProtectionProfileAes128CmHmacSha1_80, "viewer00", 1)
	thief := dial(t, e)
	_, _ = thief.pc.Write(v.sent[0])
	if b := thief.read(50 * time.Millisecond); b != nil {
		t.Errorf("a repeated report was answered: % x", b)
	}
	v.arrives(v.move(t, e), v.report)
}

// What was sent before, repeated from elsewhere, is not even answered.
func TestRepeatedReportsFromAForgedAddressAreNotAnswered(t *testing.T) {
	e := listen(t)
	v := watching(t, e, "viewer00", 1)
	at := v.at()
	thief := dial(t, e)
	before, _ := e.Rejected()
	for range 100 {
		for _, b := range v.sent {
			_, _ = thief.pc.Write(b)
		}
	}
	eventually(t, "they are counted", func() bool { n, _ := e.Rejected(); return n == before+100 })
	if b := thief.read(50 * time.Millisecond); b != nil {
		t.Errorf("the thief got %d bytes", len(b))
	}
	if v.at() != at {
		t.Error("the stream moved")
	}
}

// Somebody takes a packet on its way and sends it on from elsewhere: there is a
// question there, and nothing more.
func TestAStolenReportMovesNothing(t *testing.T) {
	e := listen(t)
	v := watching(t, e, "viewer00", 7)
	at := v.at()
	answers(t, v.pc)
	thief := dial(t, e)
	client := v.pc
	sent, got := 0, 0
	for end := time.Now().Add(patience); len(v.sent) < 30 || got == 0 && time.Now().Before(end); {
		v.pc = thief.pc
		v.report()
		sent += len(v.sent[len(v.sent)-1])
		v.pc = client
		for b := thief.read(30 * time.Millisecond); b != nil; b = thief.read(time.Millisecond) {
			got += len(b)
			if b[0] != 0 || b[1] != 1 {
				t.Fatalf("the thief got % x", b)
			}
		}
	}
	if got == 0 || got > 3*sent {
		t.Errorf("%d bytes for %d", got, sent)
	}
	if v.at() != at {
		t.Error("the stream moved")
	}
}

// A publisher's media is enough where its SSRC is known to one session.
func TestAPublisherThatMovedIsFoundByItsMedia(t *testing.T) {
	e := listen(t)
	p, other := watching(t, e, "publish0", 0xabcd), watching(t, e, "publish1", 0xef01)
	media := make([]byte, 1100)
	copy(media, []byte{128, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0xab, 0xcd})
	from := other.at()
	p.arrives(p.move(t, e), func() { _, _ = p.pc.Write(media) })
	if other.at() != from {
		t.Error("another session moved")
	}
}

// A flood of packets under a known SSRC from unknown addresses is bounded in what it
// costs, and moves nothing.
func TestAFloodFromUnknownAddressesIsBounded(t *testing.T) {
	var b budget
	now, took := time.Now(), 0
	for range 100_000 {
		now = now.Add(10 * time.Microsecond) // a second
		if b.take(1, opensPerSecond, now) {
			took++
		}
	}
	if took < opensPerSecond || took > opensPerSecond+opensPerSecond/10+1 {
		t.Errorf("%d were tried in a second", took)
	}
	e := listen(t)
	v := watching(t, e, "viewer00", 1)
	at := v.at()
	junk := dial(t, e)
	forged := make([]byte, 60)
	copy(forged, v.sent[0][:8])
	for i := range 5000 {
		binary.BigEndian.PutUint32(forged[56:], 1<<31|uint32(i+10))
		_, _ = junk.pc.Write(forged)
	}
	if got := junk.read(50 * time.Millisecond); got != nil || v.at() != at {
		t.Errorf("% x was answered, the stream is at %v", got, v.at())
	}
	// What came while the socket was full of junk is lost.
	eventually(t, "the client is heard", func() bool { v.report(); return len(v.got) > 0 })
}

func TestWhatComesOverTheSelectedPathCostsNoMemory(t *testing.T) {
	e := listen(t)
	v := watching(t, e, "viewer00", 1)
	from, now := v.at(), time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		if v.aside(e.udp[0], from, now) {
			t.Fatal("it counts as another path")
		}
		v.note(v.sent[0])
		v.Heard(now, false)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever comes from anywhere, the stream stays with the client, and nobody gets more
// than three times what it sent.
func FuzzStray(f *testing.F) {
	f.Add([]byte{0x81, 201, 0, 7, 0, 0, 0, 1, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 0x80, 0, 0, 9}, uint16(5))
	f.Add([]byte{128, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}, uint16(6))
	f.Add([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, uint16(7))
	f.Add([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0}, uint16(8))
	e, err := Listen(Config{Listen: "127.0.0.1:0"}) // not running: this goroutine is its reader
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(e.close)
	c, err := e.Open(Params{Credentials: creds, Receive: func([]Datagram) {}, Ready: func(Keys) {}, Closed: func(error) {}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { c.Close(nil) })
	s, home := e.udp[0], netip.MustParseAddrPort("127.0.0.1:9")
	c.selected.Store(&link{socket: s, addr: home})
	c.roam.keys.keep(Keys{profile: srtp.ProtectionProfileAeadAes128Gcm, remoteKey: random(16), remoteSalt: random(12)})
	c.ready.Store(true)
	c.note([]byte{0x81, 201, 0, 7, 0, 0, 0, 1, 27: 0})
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		if len(b) == 0 {
			return
		}
		s.handle(b, netip.AddrPortFrom(home.Addr(), max(10, port)), time.Now())
		s.hand()
		if c.selected.Load().addr != home {
			t.Fatal("the stream moved")
		}
		if len(s.pending) > maxPending {
			t.Fatal("the addresses that wait are not bounded")
		}
	})
}
