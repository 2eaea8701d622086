package link_test

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe/link"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// No script and no sender gets more through than the rate allows, nothing overtakes, and the queue holds its bound.
func TestALinkCarriesItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := link.Path{Rate: media.Bitrate(rapid.IntRange(100_000, 5_000_000).Draw(t, "rate")), Delay: 20 * time.Millisecond,
			Jitter: time.Duration(rapid.IntRange(0, 40).Draw(t, "jitter")) * time.Millisecond, Loss: rapid.Float64Range(0, 0.2).Draw(t, "loss")}
		l := link.New(start, rapid.Uint64().Draw(t, "seed"), link.Always(p))
		now, last, bytes := start, start, 0
		for range 2000 {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "gap")) * time.Microsecond)
			at, ok := l.Offer(1000, now)
			if !ok {
				continue
			}
			if at.Before(last) || at.Before(now.Add(p.Delay)) {
				t.Fatalf("arrived at %v after %v, sent %v", at, last, now)
			}
			if w := l.Waiting(now); w > 300*time.Millisecond+time.Duration(8e12/float64(p.Rate)) {
				t.Fatalf("waits %v", w)
			}
			last = at
			bytes += 1000
		}
		if most := float64(p.Rate)/8*last.Sub(start).Seconds() + 1000; float64(bytes) > most {
			t.Fatalf("%d bytes, at most %.0f", bytes, most)
		}
	})
}

// A report can be sent: what is read from the wire is what was built.
func TestReportsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := link.NewReceiver(start, 0)
		seq, at, got := rapid.Uint16().Draw(t, "first"), start, 0
		for range rapid.IntRange(1, 100).Draw(t, "packets") {
			at = at.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "gap")) * time.Millisecond)
			r.Arrive(seq, at)
			seq += uint16(rapid.IntRange(1, 12).Draw(t, "step"))
			got++
		}
		for _, cc := range r.Report() {
			raw, err := cc.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			packets, err := rtcp.Unmarshal(raw)
			if err != nil {
				t.Fatal(err)
			}
			again := packets[0].(*rtcp.TransportLayerCC)
			if len(again.RecvDeltas) != len(cc.RecvDeltas) || again.PacketStatusCount != cc.PacketStatusCount {
				t.Fatalf("sent %v, read %v", cc, again)
			}
			got -= len(again.RecvDeltas)
		}
		if got != 0 {
			t.Fatalf("%d packets were not reported", got)
		}
	})
}
