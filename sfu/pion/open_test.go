package pion_test

import (
	"context"
	"testing"

	"github.com/sluice-live/sluice/sfu/pion"
	"github.com/sluice-live/sluice/sfu/transport"
)

func TestASessionMayBeOpenedWhileTheEndpointEnds(t *testing.T) {
	for range 100 {
		e, err := transport.Listen(transport.Config{Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		h := pion.New(pion.Config{Endpoint: e})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { _ = e.Run(ctx); close(done) }() // ended by cancel
		go cancel()
		c, err := h.Open(transport.Params{Credentials: creds, Ready: func(transport.Keys) {}, Closed: func(error) {},
			Receive: func([]transport.Datagram) {}}, pion.Client{})
		if err != nil {
			t.Fatal(err)
		}
		<-done
		c.Close(nil) // the endpoint may have ended before it was open
	}
}
