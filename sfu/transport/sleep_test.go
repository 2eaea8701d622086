package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/stun/v4"

	"github.com/sluice-live/sluice/media"
)

// shaker is the socket of a client that answers checks and keeps DTLS records
// for a handshake.
type shaker struct {
	*net.UDPConn
	to      net.Addr
	lose    func(b []byte) bool // records that never arrive
	mutters bool                // it answers no more checks
}

func (s *shaker) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, err := s.Read(b)
		if err != nil {
			return n, s.to, err
		}
		if n > 0 && b[0] >= 20 && b[0] < 64 {
			if s.lose == nil || !s.lose(b[:n]) {
				return n, s.to, nil
			}
			continue
		}
		m := &stun.Message{Raw: append([]byte(nil), b[:n]...)}
		if m.Decode() == nil && m.Type == stun.BindingRequest && !s.mutters {
			answer := stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
				stun.NewShortTermIntegrity(creds.RemotePwd), stun.Fingerprint)
			_, _ = s.Write(answer.Raw)
		}
	}
}

func (s *shaker) WriteTo(b []byte, _ net.Addr) (int, error) { return s.Write(b) }

// shaken is a session whose DTLS handshake is done.
func shaken(t *testing.T, e *Endpoint) (opened, *dtls.Conn, *shaker) {
	t.Helper()
	certificate, fingerprint, err := newCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o := opened{got: make(chan []byte, 100), closed: make(chan error, 1)}
	ready := make(chan Keys, 1)
	o.Conn, err = e.Open(Params{Credentials: creds, Fingerprints: []Fingerprint{{"sha-256", fingerprint}},
		Receive: o.receive, Ready: func(k Keys) { ready <- k }, Closed: func(err error) { o.closed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, e)
	c.connect(creds)
	s := &shaker{UDPConn: c.pc, to: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), e.Port()))}
	_ = c.pc.SetReadDeadline(time.Time{})
	client := shake(t, s, certificate)
	<-ready
	return o, client, s
}

func shake(t *testing.T, s *shaker, certificate tls.Certificate) *dtls.Conn {
	t.Helper()
	client, err := dtls.ClientWithOptions(s, s.to, dtls.WithCertificates(certificate), dtls.WithInsecureSkipVerify(true),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM), dtls.WithFlightInterval(50*time.Millisecond))
	if err == nil {
		err = client.Handshake()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (c *Conn) sleeps() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asleep && c.in == nil
}

// Once the client was heard, a session has no goroutine; yet its end is told.
func TestDTLSSleepsAndSaysGoodbye(t *testing.T) {
	e := listen(t)
	o, client, _ := shaken(t, e)
	o.Heard(time.Now(), false)
	eventually(t, "DTLS sleeps", o.sleeps)
	e.shaking.Wait() // nothing of it runs
	o.Close(media.ErrShuttingDown)
	_ = client.SetReadDeadline(time.Now().Add(patience))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client was not told: %v", err)
	}
}

func TestAClientThatHangsUpWhileDTLSSleepsIsAskedAndLetGo(t *testing.T) {
	e := listen(t)
	o, client, s := shaken(t, e)
	o.Heard(time.Now(), false)
	eventually(t, "DTLS sleeps", o.sleeps)
	s.mutters = true
	_ = client.Close()
	select {
	case err := <-o.closed:
		if !errors.Is(err, media.ErrHangup) {
			t.Errorf("closed with %v", err)
		}
	case <-time.After(silence - 5*time.Second): // sooner than silence would tell
		t.Error("the session goes on")
	}
}

// The alert is not ours to read any more: somebody else may have written it.
func TestAForgedGoodbyeEndsNothing(t *testing.T) {
	e := listen(t)
	o, _, s := shaken(t, e)
	o.Heard(time.Now(), false)
	eventually(t, "DTLS sleeps", o.sleeps)
	doubts := func() bool { o.mu.Lock(); defer o.mu.Unlock(); return !o.doubted.IsZero() }
	eventually(t, "the session doubts", func() bool { // if nobody looks for a while, the doubt is over
		_, _ = s.Write([]byte{recordAlert, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0})
		return doubts()
	})
	deadline := time.After(doubtTime + patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for doubts() {
		select {
		case err := <-o.closed:
			t.Fatalf("closed by a forged alert: %v", err)
		case <-deadline:
			t.Fatal("the doubt stays")
		case <-tick.C:
		}
	}
}

// The last flight is lost, and DTLS sleeps already: it is sent again.
func TestTheLastFlightIsKept(t *testing.T) {
	e := listen(t)
	o, _, s := shaken(t, e)
	if conn := o.awake.Load(); conn != nil {
		_ = conn.SetReadDeadline(past) // as after awakeTime
	}
	eventually(t, "DTLS sleeps", o.sleeps)
	if len(o.flight) == 0 {
		t.Fatal("no flight was kept")
	}
	again := make(chan byte, 10)
	s.lose = func(b []byte) bool { again <- b[0]; return true }
	_, _ = s.Write([]byte{recordHandshake, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0})
	select {
	case first := <-again:
		if first != recordChangeCipherSpec && first != recordHandshake {
			t.Errorf("a record of type %d came", first)
		}
	case <-time.After(patience):
		t.Error("the last flight was not sent again")
	}
}
