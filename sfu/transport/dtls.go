package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"

	"github.com/sluice-live/sluice/media"
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

// Inbound returns a context that opens what the client sends, each packet once.
func (k Keys) Inbound() (*srtp.Context, error) {
	c, err := srtp.CreateContext(k.remoteKey, k.remoteSalt, k.profile,
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(128))
	if err != nil {
		return nil, fmt.Errorf("make the opening context: %w", err)
	}
	return c, nil
}

// run shakes hands, hands the keys out, and waits for the end.
func (c *Conn) run() {
	conn, err := c.dtls()
	if err == nil {
		err = c.establish(conn)
	}
	if err != nil {
		c.e.log.Debug("DTLS handshake failed", "error", err)
		c.Close(fmt.Errorf("%w: %w", media.ErrGone, err))
	}
	if conn != nil {
		_ = conn.Close() // sends close_notify
	}
	_ = c.in.Close()
}

func (c *Conn) establish(conn *dtls.Conn) error {
	ctx, cancel := context.WithTimeout(c.ctx, handshakeTime)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("shake hands: %w", err)
	}
	keys, err := exportKeys(conn, c.p.Active)
	if err != nil {
		return err
	}
	c.ready.Store(true)
	if calls := c.calls.Load(); calls != nil {
		calls.ready(keys)
	}
	stop := context.AfterFunc(c.ctx, func() { _ = conn.Close() })
	defer stop()
	buf := make([]byte, maxDatagram)
	for {
		if _, err := conn.Read(buf); err != nil { // close_notify, or our own Close
			c.Close(media.ErrHangup)
			return nil
		}
	}
}

func (c *Conn) dtls() (*dtls.Conn, error) {
	certs := dtls.WithCertificates(c.e.certificate)
	profiles := dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	verify := dtls.WithVerifyPeerCertificate(verifier(c.p.Fingerprints))
	pc := &records{c: c}
	if c.p.Active {
		return dtls.ClientWithOptions(pc, pc.remote(), certs, profiles, verify,
			dtls.WithInsecureSkipVerify(true), dtls.WithFlightInterval(flight),
			dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret))
	}
	return dtls.ServerWithOptions(pc, pc.remote(), certs, profiles, verify,
		dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithFlightInterval(flight),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithInsecureSkipVerifyHello(true)) // ICE has validated the address
}

func exportKeys(conn *dtls.Conn, client bool) (Keys, error) {
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

// records lets DTLS read and write through the session's selected path.
type records struct{ c *Conn }

func (r *records) remote() net.Addr {
	if l := r.c.selected.Load(); l != nil {
		return net.UDPAddrFromAddrPort(l.addr)
	}
	return &net.UDPAddr{}
}

// ReadFrom reads one DTLS record.
func (r *records) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := r.c.in.Read(b)
	return n, r.remote(), err
}

// WriteTo sends one DTLS record; the address is the selected path's.
func (r *records) WriteTo(b []byte, _ net.Addr) (int, error) {
	if err := r.c.Send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close ends reading; the socket is shared and stays open.
func (r *records) Close() error { return r.c.in.Close() }

// LocalAddr is the address of the port that all sessions share.
func (r *records) LocalAddr() net.Addr { return r.c.e.udp[0].pc.LocalAddr() }

// SetDeadline bounds reads; writes never block.
func (r *records) SetDeadline(t time.Time) error { return r.c.in.SetReadDeadline(t) }

// SetReadDeadline bounds reads.
func (r *records) SetReadDeadline(t time.Time) error { return r.c.in.SetReadDeadline(t) }

// SetWriteDeadline does nothing, as writes never block.
func (r *records) SetWriteDeadline(time.Time) error { return nil }
