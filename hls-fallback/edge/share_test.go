package edge_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluice-live/sluice/hls-fallback/edge"
)

// One client made up wishes until nobody else's question reached the origin.
func TestOneAddressCannotKeepAllOthersFromTheOrigin(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		w.edge("edge", func(c *edge.Config) { c.Fetches, c.Secret = 40, "s3cret" }, "origin")
		var all sync.WaitGroup
		wish := func(i int, header ...string) {
			all.Go(func() { w.get(fmt.Sprintf("edge/live/s/i1/v/0.0.m4s?start=%d", i), header...) })
			synctest.Wait()
		}
		for i := range 40 {
			wish(i)
		}
		if n := o.blocked(); n != 20 {
			t.Errorf("one address has %d questions at the origin of 40", n)
		}
		wish(100, edge.SecretHeader, "s3cret", "X-Forwarded-For", "198.51.100.1")
		if n := o.blocked(); n != 21 {
			t.Errorf("another cannot ask: %d wait", n)
		}
		o.publish()
		all.Wait()
		wish(101)
		if n := o.blocked(); n != 0 {
			t.Errorf("%d wait still", n)
		}
		w.want(200, "edge/live/s/i1/v/0.0.m4s?start=102")
	})
}
