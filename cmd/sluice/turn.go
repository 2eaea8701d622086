package main

import (
	"cmp"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/sluice-live/sluice/sfu/turn"
	"github.com/sluice-live/sluice/signaling"
)

// openTurn opens the relay, if there is to be one.
func (h *house) openTurn() (err error) {
	if h.cfg.Turn == "" && h.cfg.TurnTLS == "" {
		return nil
	}
	h.turn, err = turn.New(turn.Config{
		Listen:  h.cfg.Turn,
		Secure:  h.cfg.TurnTLS,
		TLS:     h.cert.TLS(),
		Host:    h.cfg.TurnHost,
		Public:  h.cfg.Public,
		Media:   h.sfu,
		Metrics: h.registry,
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s (turn): another program has this port; stop it, or choose another with --turn and --turn-tls: %w",
			cmp.Or(h.cfg.Turn, h.cfg.TurnTLS), syscall.EADDRINUSE)
	}
	return err
}

// relays hands a client who may come in its ticket to the relay.
func (h *house) relays() func(signaling.At) []signaling.ICEServer {
	if h.turn == nil {
		return nil
	}
	return func(at signaling.At) []signaling.ICEServer {
		t := h.turn.Ticket(at.Host, time.Now())
		servers := make([]signaling.ICEServer, len(t.URLs))
		for i, url := range t.URLs {
			servers[i] = signaling.ICEServer{URL: url, Username: t.Username, Credential: t.Password}
		}
		return servers
	}
}
