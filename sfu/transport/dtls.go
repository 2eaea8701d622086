package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v4/packetio"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/egress"
)

const (
	// handshakeTime bounds one DTLS handshake.
	handshakeTime = 20 * time.Second
	// flight is how soon a lost handshake flight is sent again. Pion's default of
	// a second would be the longest wait in a join over a lossy link.
	flight = 150 * time.Millisecond
	// replayWindow is wide enough for a retransmission on the same SSRC (OBS) at
	// 50 Mbit/s and one second of round trip.
	replayWindow = 4096
	// awakeTime is how long DTLS stays awake for a client that sends nothing, such as
	// a viewer of a stream that nobody publishes yet: its state and goroutines are
	// larger than all else of a viewer. What a client misses of the handshake later
	// it gets from the flight that is kept.
	awakeTime = time.Second
)

// Keys are what DTLS agreed on (RFC 5764 section 4.2).
type Keys struct {
	profile               srtp.ProtectionProfile
	localKey, localSalt   []byte
	remoteKey, remoteSalt []byte
}

// Outbound returns a context that seals what we send. There must be only one
// per session: two would use a nonce twice.
func (k Keys) Outbound() (*srtp.Context, error) {
	c, err := srtp.CreateContext(k.localKey, k.localSalt, k.profile)
	if err != nil {
		return nil, fmt.Errorf("make the sealing context: %w", err)
	}
	return c, nil
}

// Sealers seal all that one session sends, each packet's number once. There must
// be only one user of them.
type Sealers struct {
	RTP  egress.Sealer
	RTCP egress.ControlSealer
}

// Sealers makes what seals a viewer's packets; repeats is as in egress.NewGCM. They
// are made once per session.
func (k Keys) Sealers(repeats int) (Sealers, error) {
	if k.profile != srtp.ProtectionProfileAeadAes128Gcm {
		c, err := k.Outbound()
		return Sealers{egress.NewGeneric(c, repeats), egress.GenericControl{Context: c}}, err
	}
	media, err := egress.NewGCM(k.localKey, k.localSalt, repeats)
	if err != nil {
		return Sealers{}, err
	}
	control, err := egress.NewControlGCM(k.localKey, k.localSalt)
	return Sealers{media, control}, err
}

// ControlOpener returns what opens a viewer's RTCP, each packet once.
func (k Keys) ControlOpener() (egress.ControlOpener, error) {
	if k.profile == srtp.ProtectionProfileAeadAes128Gcm {
		return egress.NewControlGCMOpener(k.remoteKey, k.remoteSalt)
	}
	c, err := k.Inbound()
	return egress.GenericControl{Context: c}, err
}

// Inbound returns a context that opens what the client sends, each packet once.
func (k Keys) Inbound() (*srtp.Context, error) {
	c, err := srtp.CreateContext(k.remoteKey, k.remoteSalt, k.profile,
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(128))
	if err != nil {
		return nil, fmt.Errorf("make the opening context: %w", err)
	}
	return c, nil
}

// run shakes hands, hands the keys out, and lets DTLS sleep once the client has
// shown that it has them too: a connection that only keyed SRTP has nothing left
// to say but good-bye.
func (c *Conn) run() {
	pc := &records{c: c, in: c.in}
	conn, err := c.e.DTLS(pc, pc.remote(), c.p.Fingerprints, c.p.Active)
	if err == nil {
		err = c.establish(conn)
	}
	if err != nil {
		c.e.log.Debug("DTLS handshake failed", "error", err)
		c.Close(fmt.Errorf("%w: %w", media.ErrGone, err))
	}
	if conn != nil {
		if err == nil {
			pc.mute()
		}
		_ = conn.Close() // writes close_notify, which sleep keeps for later
	}
	if err == nil {
		c.sleep(pc)
	}
	c.drop()
}

func (c *Conn) establish(conn *dtls.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	c.shakes(cancel)
	err := conn.HandshakeContext(ctx)
	c.shakes(nil)
	if err != nil {
		return fmt.Errorf("shake hands: %w", err)
	}
	keys, err := ExportKeys(conn, c.p.Active)
	if err != nil {
		return err
	}
	c.roam.keys.keep(keys)
	_ = conn.SetReadDeadline(time.Now().Add(awakeTime))
	c.awake.Store(conn)
	defer c.awake.Store(nil)
	c.ready.Store(true)
	if calls := c.calls.Load(); calls != nil {
		calls.ready(keys)
	}
	if c.closed() { // meanwhile: nobody else ends the wait
		_ = conn.SetReadDeadline(past)
	}
	var buf [1]byte // nobody sends us data over DTLS
	for {
		_, err := conn.Read(buf[:])
		var late net.Error
		if errors.As(err, &late) && late.Timeout() { // the client has the keys, or our own Close
			return nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, dtls.ErrConnClosed) { // close_notify
			c.Close(media.ErrHangup)
			return nil
		}
	}
}

// shakes tells Close how to end the handshake that is under way; nil is none.
func (c *Conn) shakes(end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shake = end; end != nil && c.closed() {
		end()
	}
}

// heardFirst tells DTLS that the client has the keys.
func (c *Conn) heardFirst() {
	if conn := c.awake.Swap(nil); conn != nil {
		_ = conn.SetReadDeadline(past)
	}
}

// sleep keeps what is left of a DTLS connection that has ended on our side.
func (c *Conn) sleep(pc *records) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asleep = true
	if c.heard.Load() == 0 {
		c.flight = pc.flight // the client may have missed it
	}
	c.farewell = pc.farewell
	if c.closed() {
		c.sayGoodbye()
	}
}

// sayGoodbye sends the close_notify of a connection that sleeps. The caller
// holds c.mu.
func (c *Conn) sayGoodbye() {
	if c.farewell != nil {
		_ = c.Send(c.farewell)
		c.farewell = nil
	}
}

// drop lets the handshake's memory go.
func (c *Conn) drop() {
	_ = c.in.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in = nil
}

// late handles a record that came after DTLS fell asleep. The caller holds c.mu.
func (c *Conn) late(b []byte, now time.Time) {
	switch b[0] {
	case recordHandshake, recordChangeCipherSpec: // our last flight was lost
		if c.heard.Load() == 0 && now.Sub(c.resent) >= flight {
			c.resent = now
			for _, record := range c.flight {
				_ = c.Send(record)
			}
		}
	case recordAlert: // close_notify, most likely, that we can no longer read: ask whether the client is there
		if c.doubted.IsZero() {
			c.doubted = now
			c.agent.Doubt()
		}
	}
}

// Content types of DTLS records (RFC 6347 section 4.1, RFC 5246 section 6.2.1).
const (
	recordChangeCipherSpec = 20
	recordAlert            = 21
	recordHandshake        = 22
)

// DTLS makes one side of a DTLS-SRTP connection by the node's certificate with whoever
// has one of the certificates that the offer named; active: we begin. The address is a
// formality: what pc writes goes to the session's path.
func (e *Endpoint) DTLS(pc net.PacketConn, to net.Addr, prints []Fingerprint, active bool) (*dtls.Conn, error) {
	certs := dtls.WithCertificates(e.certificate)
	profiles := dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	verify := dtls.WithVerifyPeerCertificate(verifier(prints))
	if active {
		return dtls.ClientWithOptions(pc, to, certs, profiles, verify,
			dtls.WithInsecureSkipVerify(true), dtls.WithFlightInterval(flight),
			dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret))
	}
	return dtls.ServerWithOptions(pc, to, certs, profiles, verify,
		dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithFlightInterval(flight),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithInsecureSkipVerifyHello(true)) // ICE has validated the address
}

// ExportKeys takes the SRTP keys of a connection that has shaken hands; client: we
// began it.
func ExportKeys(conn *dtls.Conn, client bool) (Keys, error) {
	chosen, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return Keys{}, errors.New("read the SRTP profile: the client offered none that we know")
	}
	profile := srtp.ProtectionProfileAes128CmHmacSha1_80
	if chosen == dtls.SRTP_AEAD_AES_128_GCM {
		profile = srtp.ProtectionProfileAeadAes128Gcm
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return Keys{}, errors.New("read the DTLS state: there is none")
	}
	config := srtp.Config{Profile: profile}
	if err := config.ExtractSessionKeysFromDTLS(&state, client); err != nil {
		return Keys{}, fmt.Errorf("export the SRTP keys: %w", err)
	}
	k := config.Keys
	return Keys{profile: profile, localKey: k.LocalMasterKey, localSalt: k.LocalMasterSalt,
		remoteKey: k.RemoteMasterKey, remoteSalt: k.RemoteMasterSalt}, nil
}

// records lets DTLS read and write through the session's selected path. It
// remembers the last flight, and keeps the good-bye instead of sending it.
type records struct {
	c  *Conn
	in *packetio.Buffer

	mu       sync.Mutex
	flight   [][]byte // what was written since the last read
	read     bool
	muted    bool
	farewell []byte
}

// maxFlight bounds the records of a last flight: ChangeCipherSpec and Finished,
// or for a client its certificate and company, too.
const maxFlight = 8

// past is a deadline that is over.
var past = time.Unix(1, 0)

// mute keeps what is written from now on: the alert that says good-bye.
func (r *records) mute() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.muted = true
}

func (r *records) remote() net.Addr {
	if l := r.c.selected.Load(); l != nil {
		return net.UDPAddrFromAddrPort(l.addr)
	}
	return &net.UDPAddr{}
}

// ReadFrom reads one DTLS record.
func (r *records) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := r.in.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = true
	return n, r.remote(), err
}

// WriteTo sends one DTLS record; the address is the selected path's.
func (r *records) WriteTo(b []byte, _ net.Addr) (int, error) {
	if r.keep(b) {
		return len(b), nil
	}
	if err := r.c.Send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// keep remembers a record; true if it must not be sent.
func (r *records) keep(b []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.muted {
		r.farewell = bytes.Clone(b)
		return true
	}
	if r.read {
		r.read, r.flight = false, nil
	}
	if len(r.flight) < maxFlight {
		r.flight = append(r.flight, bytes.Clone(b))
	}
	return false
}

// Close ends reading; the socket is shared and stays open.
func (r *records) Close() error { return r.in.Close() }

// LocalAddr is the address of the port that all sessions share.
func (r *records) LocalAddr() net.Addr { return r.c.e.udp[0].pc.LocalAddr() }

// SetDeadline bounds reads; writes never block.
func (r *records) SetDeadline(t time.Time) error { return r.in.SetReadDeadline(t) }

// SetReadDeadline bounds reads.
func (r *records) SetReadDeadline(t time.Time) error { return r.in.SetReadDeadline(t) }

// SetWriteDeadline does nothing, as writes never block.
func (r *records) SetWriteDeadline(time.Time) error { return nil }
