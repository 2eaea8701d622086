package testnet

import (
	"context"
	"testing"

	"github.com/sluice-live/sluice/loadtest/impair"
	"github.com/sluice-live/sluice/loadtest/impair/relay"
)

// What loadtest/impair defines, for tests of the rooms.
type (
	// Profile is both directions of a path over time.
	Profile = impair.Profile
	// Course is one direction over time.
	Course = impair.Course
	// Change is a path that begins at a time.
	Change = impair.Change
	// Path is one direction for a while.
	Path = impair.Path
	// Burst is loss by the model of Gilbert and Elliott.
	Burst = impair.Burst
	// Reorder holds a share of packets back.
	Reorder = impair.Reorder
	// Link decides what becomes of each packet.
	Link = impair.Link
	// Fate is what becomes of one packet.
	Fate = impair.Fate
	// Relay impairs the media of sessions with a real server.
	Relay = relay.Relay
	// Session is a relay's place in one WHIP or WHEP session.
	Session = relay.Session
	// Proxy is a server's HTTP with a relay slipped into its answers.
	Proxy = relay.Proxy
	// Options are those of Serve.
	Options = relay.Options
)

// Functions of loadtest/impair.
var (
	NewLink  = impair.New
	Always   = impair.Always
	Profiles = impair.Profiles
	Parse    = impair.Parse
	Serve    = relay.Serve
)

// Named is a profile that is known to exist.
func Named(t testing.TB, name string) Profile {
	t.Helper()
	p, err := impair.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// NewRelay runs a relay with a profile until the test ends; chance is seeded
// with 1, so that it repeats.
func NewRelay(t testing.TB, p Profile) *Relay {
	t.Helper()
	r := relay.New(relay.Config{Profile: p, Seed: 1})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }() // the cleanup waits for it
	t.Cleanup(func() { stop(); <-done })
	return r
}

// NewProxy runs a proxy before a server until the test ends.
func NewProxy(t testing.TB, server string, p Profile) *Proxy {
	t.Helper()
	x, err := relay.NewProxy(relay.ProxyConfig{Server: server, Relay: relay.Config{Profile: p, Seed: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- x.Run(ctx) }() // the cleanup waits for it
	t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return x
}
