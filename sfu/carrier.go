package sfu

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/icelite"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/pion"
	"github.com/sluice-live/sluice/sfu/transport"
)

// Carrier says what carries sessions: our own ICE-lite (sfu/transport), or Pion's full
// ICE agent (sfu/pion).
type Carrier string

const (
	// CarrierAuto is lite but for clients that it cannot serve.
	CarrierAuto Carrier = "auto"
	// CarrierLite refuses those clients.
	CarrierLite Carrier = "lite"
	// CarrierPion is for tests and comparisons: it carries all sessions.
	CarrierPion Carrier = "pion"
)

func (c Carrier) validate() error {
	switch c {
	case CarrierAuto, CarrierLite, CarrierPion:
		return nil
	}
	return fmt.Errorf("set the SFU up: the transport is %q, and must be auto, lite or pion", string(c))
}

// conn is what the SFU needs of a session's transport.
type conn interface {
	// Way is where the session's media goes; another one whenever the path has changed,
	// nil while there is none.
	Way() *transport.Way
	// Send writes one datagram.
	Send(b []byte) error
	// Heard tells that an authentic packet came, when, and whether aside: see transport.Datagram.
	Heard(at time.Time, aside bool)
	// RTT is that of the last check; 0 is unknown.
	RTT() time.Duration
	// Network is "udp", "tcp" or, while there is no path, "".
	Network() string
	// Remote is where the client is; invalid while there is no path.
	Remote() netip.Addr
	// Restart begins another ICE generation.
	Restart(c icelite.Credentials) error
	// Close ends the session and tells the client.
	Close(why error)
}

// carry opens the transport of a session. It connects when begin was called.
func (s *SFU) carry(o media.Offer, r *negotiate.Remote, p transport.Params) (c conn, begin func(), err error) {
	if !s.full(r) {
		c, err := s.endpoint.Open(p)
		return c, func() {}, err
	}
	client := pion.Client{Lite: r.Lite, Candidates: pion.Allowed(r.Candidates, o.Remote)}
	if r.Channels() {
		client.Channel = func(ctx context.Context, label string, send func([]byte) error) {
			s.config.Channel(ctx, o.Stream, label, send)
		}
	}
	full, err := s.pion.Open(p, client)
	if err != nil {
		return nil, nil, err
	}
	return full, full.Begin, nil
}

// full reports whether a session needs a full agent of ours.
func (s *SFU) full(r *negotiate.Remote) bool {
	return s.config.Carrier == CarrierPion || s.config.Carrier == CarrierAuto && (r.Lite || r.Channels())
}
