package impair_test

import (
	"math"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
	"github.com/sluice-live/sluice/media"
	"pgregory.net/rapid"
)

// epoch is when all links of these tests begin.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const ms = time.Millisecond

func at(d time.Duration) time.Time { return epoch.Add(d) }

// sent is one packet of a test.
type sent struct {
	size int
	at   time.Duration
	fate impair.Fate
}

// traffic draws packets in order of time, in bursts and with gaps.
func traffic(t *rapid.T, most int) []sent {
	n := rapid.IntRange(1, most).Draw(t, "packets")
	gap := rapid.SampledFrom([]int{0, 50, 1000, 5000}).Draw(t, "longest gap, µs")
	out := make([]sent, n)
	var now time.Duration
	for i := range out {
		now += time.Duration(rapid.IntRange(0, gap).Draw(t, "gap")) * time.Microsecond
		out[i] = sent{size: rapid.IntRange(40, 1500).Draw(t, "size"), at: now}
	}
	return out
}

func path(t *rapid.T) impair.Path {
	return impair.Path{
		Delay:     time.Duration(rapid.IntRange(0, 200).Draw(t, "delay")) * ms,
		Jitter:    time.Duration(rapid.IntRange(0, 100).Draw(t, "jitter")) * ms,
		Loss:      rapid.Float64Range(0, 0.3).Draw(t, "loss"),
		Burst:     impair.Burst{Loss: rapid.Float64Range(0, 0.3).Draw(t, "burst"), Length: rapid.Float64Range(1, 10).Draw(t, "length")},
		Reorder:   impair.Reorder{Share: rapid.Float64Range(0, 0.3).Draw(t, "reorder"), By: time.Duration(rapid.IntRange(0, 50).Draw(t, "by")) * ms},
		Duplicate: rapid.Float64Range(0, 0.3).Draw(t, "duplicate"),
		Rate:      media.Bitrate(rapid.SampledFrom([]int{0, 100_000, 1_000_000, 20_000_000}).Draw(t, "rate")),
		Queue:     rapid.SampledFrom([]int{0, 3000, 100_000}).Draw(t, "queue"),
		MTU:       rapid.SampledFrom([]int{0, 1200}).Draw(t, "MTU"),
		Down:      rapid.IntRange(0, 9).Draw(t, "down") == 0,
	}
}

func course(t *rapid.T) impair.Course {
	c := impair.Always(path(t))
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		c = append(c, impair.Change{At: c[len(c)-1].At + time.Duration(rapid.IntRange(0, 300).Draw(t, "after"))*ms, Path: path(t)})
	}
	return c
}

func run(c impair.Course, seed uint64, packets []sent) []sent {
	l := impair.New(c, seed, epoch)
	for i := range packets {
		packets[i].fate = l.Offer(packets[i].size, at(packets[i].at))
	}
	return packets
}

func TestOneSeedIsOneFate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, seed, packets := course(t), rapid.Uint64().Draw(t, "seed"), traffic(t, 200)
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		first := run(c, seed, append([]sent(nil), packets...))
		for i, p := range run(c, seed, packets) {
			if p.fate != first[i].fate {
				t.Fatalf("packet %d: %+v, then %+v", i, first[i].fate, p.fate)
			}
		}
	})
}

// What is lost at random is the same on a thin link and on a wide one: rows of
// a matrix differ by what they name.
func TestLossDoesNotDependOnTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, seed, packets := path(t), rapid.Uint64().Draw(t, "seed"), traffic(t, 300)
		p.Down = false
		wide := p
		wide.Rate = 0
		a, b := run(impair.Always(p), seed, append([]sent(nil), packets...)), run(impair.Always(wide), seed, packets)
		for i := range a {
			if (a[i].fate.Cause == impair.Lost) != (b[i].fate.Cause == impair.Lost) {
				t.Fatalf("packet %d: %v on the thin link, %v on the wide one", i, a[i].fate.Cause, b[i].fate.Cause)
			}
		}
	})
}

func TestNothingComesBeforeItsDelayAndOrderIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := course(t)
		for i := range c {
			c[i].Path.Reorder = impair.Reorder{}
		}
		var last time.Time
		for i, p := range run(c, rapid.Uint64().Draw(t, "seed"), traffic(t, 300)) {
			if p.fate.Cause != impair.Passed {
				if !p.fate.At.IsZero() || !p.fate.Again.IsZero() {
					t.Fatalf("packet %d is %v and arrives", i, p.fate.Cause)
				}
				continue
			}
			for _, came := range []time.Time{p.fate.At, p.fate.Again} {
				if came.IsZero() {
					continue
				}
				if came.Before(last) || came.Before(at(p.at)) {
					t.Fatalf("packet %d came at %v, after %v, sent %v", i, came, last, at(p.at))
				}
				last = came
			}
			shortest := c.At(p.at).Delay
			for _, change := range c {
				shortest = min(shortest, change.Path.Delay)
			}
			if took := p.fate.At.Sub(at(p.at)); took < shortest {
				t.Fatalf("packet %d took %v, the delay is %v", i, took, shortest)
			}
		}
	})
}

func TestTheRateIsNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := path(t)
		p.Jitter, p.Reorder, p.Down = 0, impair.Reorder{}, false
		p.Rate = media.Bitrate(rapid.IntRange(100_000, 20_000_000).Draw(t, "true rate"))
		type arrival struct {
			at   time.Time
			size int
		}
		var came []arrival
		for _, s := range run(impair.Always(p), rapid.Uint64().Draw(t, "seed"), traffic(t, 150)) {
			for _, at := range []time.Time{s.fate.At, s.fate.Again} {
				if !at.IsZero() {
					came = append(came, arrival{at, s.size})
				}
			}
		}
		for i := range came {
			bits := 0.0
			for _, a := range came[i+1:] {
				bits += float64(a.size) * 8
				// Times are whole nanoseconds: half a thousandth of a bit.
				if most := a.at.Sub(came[i].at).Seconds()*float64(p.Rate) + 0.05; bits > most {
					t.Fatalf("%v bits came in %v at %d bit/s", bits, a.at.Sub(came[i].at), p.Rate)
				}
			}
		}
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := course(t)
		for i := range c {
			c[i].Path.Rate = media.Bitrate(rapid.IntRange(100_000, 5_000_000).Draw(t, "rate"))
			c[i].Path.Down = false
		}
		l := impair.New(c, 1, epoch)
		for i, p := range traffic(t, 300) {
			f := l.Offer(p.size, at(p.at))
			now := c.At(p.at)
			limit := now.Queue
			if limit == 0 {
				limit = int(float64(now.Rate) * impair.QueueTime.Seconds() / 8)
			}
			// A first packet goes however long it is.
			if w := l.Waiting(at(p.at)); w > max(limit, 2*1500) {
				t.Fatalf("packet %d: %d bytes wait, the queue holds %d (%v)", i, w, limit, f)
			}
		}
	})
}

// The queue is full when the rate falls: what waits for longer than the new
// queue holds is dropped, as a router would that is set anew.
func TestAQueueShrinksWithTheRate(t *testing.T) {
	c := impair.Course{{Path: impair.Path{Rate: 4e6}}, {At: time.Second, Path: impair.Path{Rate: 5e5}}}
	l := impair.New(c, 1, epoch)
	var before, after time.Duration
	for i := range 2000 {
		now := at(time.Duration(i) * ms)
		f := l.Offer(1000, now) // twice what 4 Mbit/s carry
		switch {
		case f.Cause != impair.Passed:
		case i < 1000:
			before = max(before, f.Queued)
		default:
			after = max(after, f.Queued)
		}
	}
	// Who came before waits for one queue's time on each side of the change.
	if before > 2*impair.QueueTime || after > impair.QueueTime || after < impair.QueueTime-20*ms {
		t.Errorf("the longest waits were %v and %v", before, after)
	}
}

func TestAPacketIsCarriedAcrossAChangeOfRate(t *testing.T) {
	c := impair.Course{{Path: impair.Path{Rate: 8000}}, {At: 500 * ms, Path: impair.Path{Rate: 80_000}}}
	// 1000 bytes: half of them in half a second, the rest ten times as fast.
	if f := impair.New(c, 1, epoch).Offer(1000, epoch); f.At != at(550*ms) {
		t.Errorf("came after %v", f.At.Sub(epoch))
	}
}

func TestLossIsAsAsked(t *testing.T) {
	const n = 200_000
	for _, tc := range []struct {
		path         impair.Path
		share, burst float64
	}{
		{impair.Path{Loss: 0.05}, 0.05, 1 / 0.95},
		{impair.Path{Loss: 0.10}, 0.10, 1 / 0.90},
		{impair.Path{Burst: impair.Burst{Loss: 0.05, Length: 5}}, 0.05, 5},
		{impair.Path{Burst: impair.Burst{Loss: 0.01, Length: 20}}, 0.01, 20},
		{impair.Path{Burst: impair.Burst{Loss: 0.05, Length: 10, Bad: 0.5}}, 0.05, 0},
	} {
		l := impair.New(impair.Always(tc.path), 7, epoch)
		lost, runs, before := 0.0, 0.0, false
		for i := range n {
			gone := l.Offer(1200, at(time.Duration(i)*ms)).Cause == impair.Lost
			if gone {
				lost++
				if !before {
					runs++
				}
			}
			before = gone
		}
		if share := lost / n; math.Abs(share-tc.share) > 0.15*tc.share {
			t.Errorf("%v: a share of %v is lost", tc.path, share)
		}
		if mean := lost / runs; tc.burst > 0 && math.Abs(mean-tc.burst) > 0.15*tc.burst {
			t.Errorf("%v: %v in a row are lost", tc.path, mean)
		}
	}
}

func TestJitterWandersWithinItsBounds(t *testing.T) {
	const jitter = 30 * ms
	l := impair.New(impair.Always(impair.Path{Jitter: jitter}), 3, epoch)
	var sum, least, most time.Duration
	const n = 60_000
	least = time.Hour
	for i := range n {
		now := at(time.Duration(i) * ms)
		d := l.Offer(100, now).At.Sub(now)
		sum, least, most = sum+d, min(least, d), max(most, d)
	}
	if mean := sum / n; mean < 25*ms || mean > 35*ms || least > 6*ms || most < 54*ms || most > 60*ms {
		t.Errorf("mean %v, %v–%v", mean, least, most)
	}
}

func TestReorderingLetsLaterPacketsPass(t *testing.T) {
	l := impair.New(impair.Always(impair.Path{Reorder: impair.Reorder{Share: 0.1, By: 15 * ms}}), 5, epoch)
	var passed int
	var last time.Time
	const n = 10_000
	for i := range n {
		f := l.Offer(100, at(time.Duration(i)*ms))
		if f.At.Before(last) {
			passed++
		}
		last = maxTime(last, f.At)
	}
	if passed < n/20 || passed == n {
		t.Errorf("%d of %d packets came after later ones", passed, n)
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func TestAnOutageCutsAndEnds(t *testing.T) {
	p, err := impair.Named("outage3")
	if err != nil {
		t.Fatal(err)
	}
	l := impair.New(p.Down, 1, epoch)
	for _, tc := range []struct {
		at   time.Duration
		want impair.Cause
	}{{11 * time.Second, impair.Passed}, {12 * time.Second, impair.Cut}, {15*time.Second - 1, impair.Cut}, {15 * time.Second, impair.Passed}} {
		if f := l.Offer(100, at(tc.at)); f.Cause != tc.want {
			t.Errorf("at %v: %v", tc.at, f.Cause)
		}
	}
	// What waits when the path goes down is gone.
	l = impair.New(impair.Course{{Path: impair.Path{Rate: 8000}}, {At: 500 * ms, Path: impair.Path{Down: true}}}, 1, epoch)
	if f := l.Offer(1000, epoch); f.Cause != impair.Cut {
		t.Errorf("half a packet: %v", f.Cause)
	}
}

func TestTheMTUAndDuplicates(t *testing.T) {
	l := impair.New(impair.Always(impair.Path{MTU: 1200, Duplicate: 1}), 1, epoch)
	if f := l.Offer(1201, epoch); f.Cause != impair.TooLong {
		t.Errorf("a long packet: %v", f.Cause)
	}
	if f := l.Offer(1200, epoch); f.Cause != impair.Passed || f.Again.IsZero() {
		t.Errorf("a doubled packet: %+v", f)
	}
}

func TestAMeterAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := impair.New(course(t), 1, epoch)
		var m impair.Meter
		m.Begin(epoch)
		var bytes uint64
		packets := traffic(t, 300)
		for _, p := range packets {
			m.Take(p.size, l.Offer(p.size, at(p.at)), at(p.at))
			bytes += uint64(p.size)
		}
		total := m.Total()
		if total.Packets != uint64(len(packets)) || total.Bytes != bytes || total.Passed+total.Dropped() != total.Packets {
			t.Fatalf("%d packets of %d bytes: %+v", len(packets), bytes, total)
		}
		if sum := impair.Sum(m.Slots(), 0, time.Hour); sum != total {
			t.Fatalf("slots %+v, total %+v", sum, total)
		}
	})
}

func TestOfferAllocatesNothing(t *testing.T) {
	p, err := impair.Named("drop2m")
	if err != nil {
		t.Fatal(err)
	}
	l := impair.New(p.Down, 1, epoch)
	var now time.Duration
	offer := func() {
		now += 100 * time.Microsecond
		l.Offer(1200, at(now))
	}
	for range 10_000 {
		offer() // the ring finds its size
	}
	if n := testing.AllocsPerRun(1000, offer); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOffer(b *testing.B) {
	l := impair.New(impair.Always(impair.Path{Rate: 1e9, Jitter: 10 * ms, Loss: 0.05}), 1, epoch)
	var now time.Duration
	for b.Loop() {
		now += 10 * time.Microsecond
		l.Offer(1200, at(now))
	}
}
