package signaling_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/signaling"
)

// run runs the door until the bubble's test ends.
func (d *door) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error)
	go func() { over <- d.server.Run(ctx) }()
	return func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
}

// A thousand sessions from as many addresses leave nothing behind.
func TestEverythingIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, limits(func(l *signaling.Limits) { l.Publishes = 0 }))
		defer d.run(t)()
		for i := range 1000 {
			from := with(asPub, "Content-Type", sdpType, "Remote", fmt.Sprintf("10.0.%d.%d:1", i/256, i%256))
			at := d.want(201, "POST", "/whip/x", offer+fmt.Sprint(i), from...).Header.Get("Location")
			d.want(200, "DELETE", at, "", from...)
		}
		if n := d.server.Remembered(); n < 3000 {
			t.Errorf("only %d things are remembered", n)
		}
		time.Sleep(90 * time.Second)
		if n := d.server.Remembered(); n != 0 {
			t.Errorf("%d things are still remembered", n)
		}
	})
}

// The sweep forgets full buckets only: a guesser is not let off by it.
func TestTheSweepKeepsWhoIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		defer d.run(t)()
		for range 10 {
			d.want(401, "POST", "/whip/x", offer, "Content-Type", sdpType, "Authorization", "Bearer guess")
		}
		time.Sleep(11 * time.Second)
		d.want(401, "POST", "/whip/x", offer, "Content-Type", sdpType, "Authorization", "Bearer guess")
		d.want(429, "POST", "/whip/x", offer, "Content-Type", sdpType, "Authorization", "Bearer guess")
	})
}
