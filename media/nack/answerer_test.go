package nack_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media/nack"
)

// generous is a configuration in which the budget never decides.
func generous() nack.AnswererConfig {
	cfg := nack.DefaultAnswererConfig()
	cfg.Floor, cfg.Burst = 1<<30, 1<<30
	return cfg
}

func TestThreeResendsPerPacket(t *testing.T) {
	a := nack.NewAnswerer(generous())
	for n, want := range []bool{true, true, true, false, false} {
		if got := a.Allow(7, 1200, 30*ms, at(time.Duration(n)*40*ms)); got != want {
			t.Errorf("resend %d: %v", n+1, got)
		}
	}
	if !a.Allow(8, 1200, 30*ms, at(160*ms)) {
		t.Error("another packet was refused")
	}
}

func TestResendsKeepTheirDistance(t *testing.T) {
	for _, c := range []struct{ rtt, early, late time.Duration }{
		{0, 20 * ms, 21 * ms}, // 20 ms, and one tick of 100 µs to be sure
		{100 * ms, 100 * ms, 101 * ms},
	} {
		a := nack.NewAnswerer(generous())
		a.Allow(7, 1200, c.rtt, at(0))
		if a.Allow(7, 1200, c.rtt, at(c.early)) {
			t.Errorf("round-trip time %v: again after %v", c.rtt, c.early)
		}
		if !a.Allow(7, 1200, c.rtt, at(c.late)) {
			t.Errorf("round-trip time %v: not after %v", c.rtt, c.late)
		}
	}
}

// The number comes round: it is another packet, with a count of its own.
func TestTrap05_TheSameNumberLaterIsAnotherPacket(t *testing.T) {
	a := nack.NewAnswerer(generous())
	for n := range 4 {
		a.Allow(7, 1200, 0, at(time.Duration(n)*30*ms))
	}
	if a.Allow(7, 1200, 0, at(9*time.Second)) {
		t.Error("a fourth resend within the life of the packet")
	}
	if !a.Allow(7, 1200, 0, at(20*time.Second)) {
		t.Error("refused a packet that only has the number of an old one")
	}
}

// Numbers 512 apart share a place. The newer packet takes it; the older one is
// refused from then on rather than counted anew.
func TestSharedPlaceNeverForgetsACount(t *testing.T) {
	a := nack.NewAnswerer(generous())
	now := epoch
	for _, s := range []struct {
		seq  uint16
		want bool
	}{{65500, true}, {476, true}, {65500, false}, {476, true}, {988, true}, {476, false}} {
		now = now.Add(50 * ms)
		if got := a.Allow(s.seq, 1200, 0, now); got != s.want {
			t.Errorf("%d: %v", s.seq, got)
		}
	}
}

func TestIdleViewerMayAskForTheBurst(t *testing.T) {
	a := nack.NewAnswerer(nack.DefaultAnswererConfig())
	a.Sent(1200, at(0))
	n := 0
	for a.Allow(uint16(n), 1200, 0, at(time.Hour)) {
		n++
	}
	if n != 12 {
		t.Errorf("an hour of silence saved up %d packets", n)
	}
}

// Clocks step: nothing is granted for it, nothing explodes.
func TestAnswererClockStepsBack(t *testing.T) {
	a := nack.NewAnswerer(nack.DefaultAnswererConfig())
	a.Sent(1200, at(time.Hour))
	n := 0
	for i := range 1000 {
		if a.Allow(uint16(i), 1200, 0, at(time.Duration(i)*ms)) {
			n++
		}
	}
	if n != 12 {
		t.Errorf("resent %d packets", n)
	}
}

// A client asks for all of the last 500 packets a thousand times per second,
// for ten seconds: it gets a fifth of the media on top, and no packet more than
// three times.
func TestTrap15_NACKStormIsBoundedByTheBudget(t *testing.T) {
	a := nack.NewAnswerer(nack.DefaultAnswererConfig())
	var sent, resent int
	count := map[uint16]int{}
	seq := uint16(65000)
	for now := time.Duration(0); now < 5*time.Second; now += ms {
		if now%(4*ms) == 0 {
			a.Sent(1250, at(now)) // 2.5 Mbit/s
			sent += 1250
			seq++
		}
		for back := range uint16(500) {
			if a.Allow(seq-back, 1250, 10*ms, at(now)) {
				resent += 1250
				count[seq-back]++
			}
		}
	}
	for seq, n := range count {
		if n > 3 {
			t.Fatalf("%d was resent %d times", seq, n)
		}
	}
	// The burst was there at the start; the floor must not come on top.
	if limit := sent/5 + 15_000; resent > limit || resent < sent/6 {
		t.Errorf("resent %d bytes of %d, may be %d", resent, sent, limit)
	}
}

// spend is one event: bytes of media or of a resend.
type spend struct {
	at          time.Duration
	media, back int
}

// mostPerSecond returns the most media bytes in any second.
func mostPerSecond(events []spend) (most int) {
	for i := range events {
		sum := 0
		for _, e := range events[i:] {
			if e.at >= events[i].at+time.Second {
				break
			}
			sum += e.media
		}
		most = max(most, sum)
	}
	return most
}

// In any window, the resends stay within what was saved up, the share of the
// media in it, and the floor; no packet goes out more than three times.
func TestBudgetHoldsInAnyWindow(t *testing.T) { rapid.Check(t, budgetHoldsInAnyWindow) }

func budgetHoldsInAnyWindow(t *rapid.T) {
	cfg := nack.DefaultAnswererConfig()
	a := nack.NewAnswerer(cfg)
	var events []spend
	count := map[uint16]int{}
	now, seq := time.Duration(0), rapid.Uint16().Draw(t, "first")
	for range rapid.IntRange(1, 250).Draw(t, "steps") {
		now += time.Duration(rapid.IntRange(0, 35).Draw(t, "ms")) * ms
		for range rapid.IntRange(0, 10).Draw(t, "media") {
			size := rapid.IntRange(50, 1250).Draw(t, "size")
			a.Sent(size, at(now))
			events = append(events, spend{at: now, media: size})
			seq++
		}
		for range rapid.IntRange(0, 10).Draw(t, "asked") {
			s := seq - rapid.Uint16Range(0, 700).Draw(t, "back")
			if a.Allow(s, 1000, 0, at(now)) {
				events = append(events, spend{at: now, back: 1000})
				if count[s]++; count[s] > 3 {
					t.Fatalf("%d was resent %d times", s, count[s])
				}
			}
		}
	}
	saved := max(float64(cfg.Burst), cfg.Share*float64(mostPerSecond(events)))
	for i := range events {
		var media, back int
		for _, e := range events[i:] {
			media, back = media+e.media, back+e.back
			limit := saved + cfg.Share*float64(media) + float64(cfg.Floor)*(e.at-events[i].at).Seconds()
			if float64(back) > limit+1 {
				t.Fatalf("%d bytes resent in %v–%v, may be %.0f", back, events[i].at, e.at, limit)
			}
		}
	}
}

// link is a queue of a given rate and length, in bytes.
type link struct {
	rate, limit, queued float64
	last                time.Duration
}

func (l *link) take(size int, now time.Duration) bool {
	l.queued = max(0, l.queued-l.rate*(now-l.last).Seconds())
	l.last = now
	if l.queued+float64(size) > l.limit {
		return false
	}
	l.queued += float64(size)
	return true
}

// thin runs 30 s of media over a link of 500 kbit/s; the receiver asks for all
// that it misses, each 20 ms. It returns media bytes lost in the last ten seconds
// and resent and sent bytes in all.
func thin(load float64, burst time.Duration) (lost, resent, sent int) {
	const rate, size, rtt = 62_500.0, 625, 50 * ms
	a, l := nack.NewAnswerer(nack.DefaultAnswererConfig()), &link{rate: rate, limit: rate / 10}
	rng := rand.New(rand.NewPCG(1, 2))
	missing := map[uint16]bool{} // fewer than 65536 packets are sent
	seq, due := uint16(0), 0.0
	for now := time.Duration(0); now < 30*time.Second; now += ms {
		due += load * rate / 1000
		if 5*time.Second <= now && now < 5*time.Second+burst {
			due += rate / 1000 // twice the link for a moment: a scene change
		}
		for ; due >= size; due -= size {
			seq++
			sent += size
			a.Sent(size, at(now))
			if !l.take(size, now) {
				missing[seq] = true
				if now > 20*time.Second {
					lost += size
				}
			}
		}
		if now%(20*ms) != 0 {
			continue
		}
		for s := seq - 400; s != seq; s++ {
			switch {
			case !missing[s]:
			case rng.IntN(2) == 0 && a.Allow(s, size, rtt, at(now)):
				resent += size
				if l.take(size, now) {
					delete(missing, s)
				}
			}
		}
	}
	return lost, resent, sent
}

// A short overload on a thin link heals: the resends do not keep it going, even
// where the media alone fills 98 % of it.
func TestTrap15_NoStormOnAThinLink(t *testing.T) {
	for _, load := range []float64{0.9, 0.95, 0.98} {
		lost, resent, sent := thin(load, 500*ms)
		if lost != 0 {
			t.Errorf("load %v: 15 s after half a second of overload media is still lost, %d bytes; resent %d of %d", load, lost, resent, sent)
		}
		if resent == 0 {
			t.Errorf("load %v: nothing was repaired: the test shows nothing", load)
		}
	}
	// A link that is too thin for the media stays overloaded, but not by resends.
	lost, resent, sent := thin(1.3, 0)
	if lost == 0 || float64(resent) > 0.2*float64(sent)+20_000 {
		t.Errorf("lost %d, resent %d of %d bytes", lost, resent, sent)
	}
}

func TestAnswererDoesNotAllocate(t *testing.T) {
	a := nack.NewAnswerer(nack.DefaultAnswererConfig())
	a.Allow(0, 1200, 0, epoch)
	now, seq := epoch, uint16(0)
	if got := testing.AllocsPerRun(5000, func() {
		seq++
		now = now.Add(ms)
		a.Sent(1200, now)
		a.Allow(seq-20, 1200, 30*ms, now)
	}); got != 0 {
		t.Errorf("%v allocations per packet", got)
	}
}

func BenchmarkSent(b *testing.B) {
	a := nack.NewAnswerer(nack.DefaultAnswererConfig())
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(ms)
		a.Sent(1200, now)
	}
}

func BenchmarkAllow(b *testing.B) {
	a := nack.NewAnswerer(nack.DefaultAnswererConfig())
	now, seq := epoch, uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(100 * time.Microsecond)
		seq++
		a.Allow(seq, 1200, 30*ms, now)
	}
}

func FuzzAnswerer(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte("\x01\x80\x01\xff\x00\x00\x00\x00\x00\x00\x00\x00\x02\x02\x02\x02\x09\x09\x09\x09"))
	f.Fuzz(rapid.MakeFuzz(budgetHoldsInAnyWindow))
}
