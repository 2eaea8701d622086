package nack_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media/nack"
)

const ms = time.Millisecond

var epoch = time.Unix(1_800_000_000, 0)

func at(d time.Duration) time.Time { return epoch.Add(d) }

// asks holds what is asked for at a time against what should be.
func asks(t *testing.T, g *nack.Generator, rtt, now time.Duration, want ...uint64) {
	t.Helper()
	if got := g.Pending(nil, rtt, at(now)); !slices.Equal(got, want) {
		t.Fatalf("at %v asks for %v, want %v", now, got, want)
	}
}

func receive(g *nack.Generator, now time.Duration, seqs ...uint64) {
	for _, s := range seqs {
		g.Receive(s, false, at(now))
	}
}

func TestNothingIsMissing(t *testing.T) {
	g := nack.New(nack.Config{})
	asks(t, g, 0, 0)
	receive(g, 0, 70000, 70001, 70002)
	asks(t, g, 50*ms, time.Second)
	if !g.Next().IsZero() || g.Missing() != 0 || g.Lost() != 0 {
		t.Error("something is missing")
	}
}

// One loss from the gap to the repair: asked for when three newer packets have
// come, again after 1.5 round-trip times, not once more after it came.
func TestOneLoss(t *testing.T) {
	g := nack.New(nack.Config{})
	receive(g, 0, 70000, 70002)
	asks(t, g, 40*ms, 0)
	receive(g, 2*ms, 70003)
	asks(t, g, 40*ms, 2*ms)
	if got := g.Next(); got != at(10*ms) {
		t.Errorf("wants to be woken at %v", got.Sub(epoch))
	}
	receive(g, 4*ms, 70004)
	if got := g.Next(); got.After(at(4 * ms)) {
		t.Errorf("wants to be woken at %v", got.Sub(epoch))
	}
	asks(t, g, 40*ms, 4*ms, 70001)
	asks(t, g, 40*ms, 63*ms)
	if got := g.Next(); got != at(64*ms) {
		t.Errorf("wants to be woken at %v", got.Sub(epoch))
	}
	asks(t, g, 40*ms, 64*ms, 70001)
	receive(g, 100*ms, 70001)
	asks(t, g, 40*ms, 500*ms)
	if g.Repaired() != 1 || g.Lost() != 0 || g.Missing() != 0 {
		t.Errorf("repaired %d, lost %d, missing %d", g.Repaired(), g.Lost(), g.Missing())
	}
}

// The end of a burst: no newer packets come, the wait decides.
func TestLossBeforeAPause(t *testing.T) {
	g := nack.New(nack.Config{})
	receive(g, 0, 70000, 70002)
	asks(t, g, 40*ms, 9*ms)
	asks(t, g, 40*ms, 10*ms, 70001)
}

func TestSpacingIsAtLeast20ms(t *testing.T) {
	g := nack.New(nack.Config{Reorder: 1})
	receive(g, 0, 70000, 70002)
	asks(t, g, ms, 0, 70001)
	asks(t, g, ms, 19*ms)
	asks(t, g, ms, 20*ms, 70001)
}

func TestUnknownRoundTripTimeIsTakenFor100ms(t *testing.T) {
	g := nack.New(nack.Config{Reorder: 1})
	receive(g, 0, 70000, 70002)
	asks(t, g, 0, 0, 70001)
	asks(t, g, 0, 149*ms)
	asks(t, g, 0, 150*ms, 70001)
}

// A packet that never comes is asked for ten times and then given up.
func TestTenTries(t *testing.T) {
	g := nack.New(nack.Config{Reorder: 1})
	receive(g, 0, 70000, 70002)
	tries := 0
	for now := time.Duration(0); now < 5*time.Second; now += ms {
		tries += len(g.Pending(nil, 20*ms, at(now)))
	}
	if tries != 10 || g.Lost() != 1 || g.Missing() != 0 || !g.Next().IsZero() {
		t.Errorf("%d tries, %d lost, %d missing", tries, g.Lost(), g.Missing())
	}
}

func TestGivenUpAfterOneSecond(t *testing.T) {
	g := nack.New(nack.Config{Reorder: 1})
	receive(g, 0, 70000, 70002)
	asks(t, g, 800*ms, 0, 70001)
	asks(t, g, 800*ms, 999*ms)
	if asks(t, g, 800*ms, time.Second); g.Lost() != 1 {
		t.Error("not given up")
	}
}

// What lies before a key frame is not needed for long; but what was lost just before it is to be shown yet.
func TestKeyFrameEndsTheSearchAfterItsGrace(t *testing.T) {
	for _, c := range []struct{ rtt, grace time.Duration }{{40 * ms, 200 * ms}, {150 * ms, 300 * ms}} {
		g := nack.New(nack.Config{Reorder: 1})
		receive(g, 0, 70000, 70003)
		asks(t, g, c.rtt, 0, 70001, 70002)
		g.Receive(70006, true, at(100*ms))
		receive(g, 100*ms, 70008)
		asks(t, g, c.rtt, c.grace-1, 70001, 70002, 70004, 70005, 70007)
		if g.Lost() != 0 {
			t.Errorf("%d given up within the grace", g.Lost())
		}
		asks(t, g, c.rtt, c.grace)
		if g.Lost() != 2 || g.Missing() != 3 {
			t.Errorf("%d given up, %d missing", g.Lost(), g.Missing())
		}
		g.Pending(nil, c.rtt, at(100*ms+c.grace))
		if g.Lost() != 4 || g.Missing() != 1 {
			t.Errorf("%d given up, %d missing", g.Lost(), g.Missing())
		}
	}
}

// A resend that came sooner than half of a round-trip time measured on a bad day was taken for reordering, and from then
// on every loss was asked for late.
func TestAResendThatSaysSoIsNoReordering(t *testing.T) {
	g := nack.New(nack.Config{})
	for i := range uint64(500) {
		now := time.Duration(i) * 4 * ms
		if i%20 == 7 {
			continue
		}
		receive(g, now, 70000+i)
		for _, seq := range g.Pending(nil, 300*ms, at(now)) {
			if i < seq-70000+3 || i > seq-70000+4 {
				t.Fatalf("%d was asked for when %d had come", seq, 70000+i)
			}
			g.Resent(seq, false, at(now+5*ms))
		}
	}
	if g.Repaired() != 25 || g.Lost() != 0 {
		t.Errorf("%d repaired, %d lost", g.Repaired(), g.Lost())
	}
}

// Behind a gap of more than 3000 the sender restarted.
func TestRestartIsNotLoss(t *testing.T) {
	g := nack.New(nack.Config{Reorder: 1})
	receive(g, 0, 70000, 70002, 131072, 131074)
	asks(t, g, 40*ms, 0, 131073)
	if g.Lost() != 1 {
		t.Errorf("%d given up, want the one from before", g.Lost())
	}
}

func TestPendingIsBounded(t *testing.T) {
	g := nack.New(nack.Config{Reorder: 1, MaxPending: 100})
	receive(g, 0, 70000, 70051, 70112) // 50 and 60 missing
	if g.Missing() != 100 || g.Lost() != 10 {
		t.Fatalf("%d missing, %d lost", g.Missing(), g.Lost())
	}
	receive(g, 0, 73000)
	got := g.Pending(nil, 40*ms, at(0))
	if len(got) != 100 || got[0] != 72900 || got[99] != 72999 {
		t.Errorf("asks for %d packets from %d", len(got), got[0])
	}
}

// 20 % reordered within three packets, 5 % twice: nothing is asked for.
func TestTrap07_ReorderedAndDuplicatePacketsAreNotAskedFor(t *testing.T) {
	g := nack.New(nack.Config{})
	seq := uint64(1<<16 | 65000)
	for n := range 3000 {
		order := []uint64{seq, seq + 1, seq + 2}
		if n%5 == 0 {
			order = []uint64{seq + 2, seq + 1, seq}
		}
		if n%20 == 0 {
			order = append(order, seq+1)
		}
		for _, s := range order {
			now := time.Duration(n) * 4 * ms
			receive(g, now, s)
			asks(t, g, 40*ms, now)
		}
		seq += 3
	}
	if g.Missing() != 0 || g.Lost() != 0 || g.Repaired() != 0 {
		t.Errorf("missing %d, lost %d, repaired %d", g.Missing(), g.Lost(), g.Repaired())
	}
}

// A path that reorders by ten packets and 20 ms costs a few requests, then the
// Generator knows it; half a minute later it has forgotten.
func TestLearnsHowAPathReorders(t *testing.T) {
	g := nack.New(nack.Config{})
	requests := func(from time.Duration) (n int) {
		seq := uint64(70000 + from/ms*10)
		for now := from; now < from+time.Second; now += 40 * ms {
			for i := range uint64(12) {
				if i != 1 {
					receive(g, now+time.Duration(i)*2*ms, seq+i)
					n += len(g.Pending(nil, 60*ms, at(now+time.Duration(i)*2*ms)))
				}
			}
			receive(g, now+24*ms, seq+1)
			seq += 12
		}
		return n
	}
	if first := requests(0); first == 0 || first > 5 {
		t.Errorf("asked %d times in the first second", first)
	}
	if second := requests(time.Second); second != 0 {
		t.Errorf("asked %d times although the path is known", second)
	}
	for n := range 10 {
		g.Pending(nil, 60*ms, at(time.Duration(3+5*n)*time.Second))
	}
	receive(g, 60*time.Second, 90000, 90001, 90003, 90004, 90005)
	if got := g.Pending(nil, 60*ms, at(60*time.Second)); !slices.Contains(got, 90002) {
		t.Errorf("asks for %v", got)
	}
}

// Browsers probe with packets that are padding only: ingest counts them as
// received, so they are not asked for.
func TestTrap08_PaddingOnlyPacketsAreNoLoss(t *testing.T) {
	g := nack.New(nack.Config{})
	receive(g, 0, 70000)      // media
	receive(g, 0, 70001)      // padding
	receive(g, 0, 70002)      // padding
	receive(g, 50*ms, 70003)  // media
	asks(t, g, 40*ms, 100*ms) // nothing
}

// Pion's generator goes on asking for what came by RTX (interceptor #320).
func TestTrap16_RepairedPacketsAreNotAskedForAgain(t *testing.T) {
	g := nack.New(nack.Config{})
	for i := range uint64(2000) {
		now := time.Duration(i) * 4 * ms
		if i%20 != 7 {
			receive(g, now, 70000+i)
		}
		for _, seq := range g.Pending(nil, 30*ms, at(now)) {
			receive(g, now, seq) // the repair comes
			asks(t, g, 30*ms, now)
		}
	}
	if g.Lost() != 0 || g.Missing() > 1 {
		t.Errorf("lost %d, missing %d", g.Lost(), g.Missing())
	}
}

// ledger is an independent account of what was asked for and why that was
// allowed.
type ledger struct {
	arrived map[uint64]bool
	tries   map[uint64]int
	asked   map[uint64]time.Time
	newest  uint64
}

func (l *ledger) check(t *rapid.T, got []uint64, rtt time.Duration, now time.Time) {
	spacing := max(rtt*3/2, 20*ms)
	for i, seq := range got {
		switch {
		case i > 0 && seq <= got[i-1]:
			t.Fatalf("%v do not rise", got)
		case l.arrived[seq]:
			t.Fatalf("asks for %d, which is there", seq)
		case seq >= l.newest:
			t.Fatalf("asks for %d, beyond the newest", seq)
		case l.tries[seq] == 10:
			t.Fatalf("asks for %d an eleventh time", seq)
		case l.tries[seq] > 0 && now.Sub(l.asked[seq]) < spacing:
			t.Fatalf("asks for %d again after %v of %v", seq, now.Sub(l.asked[seq]), spacing)
		}
		l.tries[seq]++
		l.asked[seq] = now
	}
}

// Whatever arrives whenever: the promises of the package, and every packet of a
// gap is at last repaired, reordered, given up or missing.
func TestGeneratorKeepsItsPromises(t *testing.T) { rapid.Check(t, generatorKeepsItsPromises) }

func generatorKeepsItsPromises(t *rapid.T) {
	g := nack.New(nack.Config{MaxPending: rapid.SampledFrom([]int{5, 50, 1000}).Draw(t, "pending")})
	l := &ledger{arrived: map[uint64]bool{}, tries: map[uint64]int{}, asked: map[uint64]time.Time{}}
	rtt := time.Duration(rapid.IntRange(1, 300).Draw(t, "rtt")) * ms
	now, first := epoch, uint64(70000)
	for range rapid.IntRange(1, 300).Draw(t, "steps") {
		now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "ms")) * ms)
		if rapid.Bool().Draw(t, "receive") {
			delta := rapid.SampledFrom([]int{1, 1, 1, 1, 2, 3, 20, -1, -2, -5, -30, 0}).Draw(t, "delta")
			seq := max(first, uint64(int(max(l.newest, first-1))+delta))
			if l.newest == 0 {
				seq = first
			}
			take := g.Receive
			if seq < l.newest && rapid.Bool().Draw(t, "resent") {
				take = g.Resent
			}
			take(seq, rapid.IntRange(0, 40).Draw(t, "key") == 0, now)
			l.arrived[seq] = true
			l.newest = max(l.newest, seq)
		}
		l.check(t, g.Pending(nil, rtt, now), rtt, now)
		holes := int(l.newest-first) + 1 - len(l.arrived)
		if l.newest != 0 && holes > g.Missing()+int(g.Lost()) {
			t.Fatalf("%d holes, but %d missing and %d lost", holes, g.Missing(), g.Lost())
		}
	}
}

// Next tells the truth: before it Pending has nothing to do, at it it does
// something, and in the end nothing is missing.
func TestNextIsWhenSomethingHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := nack.New(nack.Config{})
		rtt := time.Duration(rapid.IntRange(1, 300).Draw(t, "rtt")) * ms
		now, seq := epoch, uint64(70000)
		for range rapid.IntRange(2, 30).Draw(t, "packets") {
			g.Receive(seq, rapid.IntRange(0, 10).Draw(t, "key") == 0, now)
			g.Pending(nil, rtt, now)
			seq += uint64(rapid.IntRange(1, 6).Draw(t, "gap"))
			now = now.Add(time.Duration(rapid.IntRange(0, 8).Draw(t, "ms")) * ms)
		}
		g.Pending(nil, rtt, now)
		for steps := 0; !g.Next().IsZero(); steps++ {
			next := g.Next()
			if !next.After(now) || steps > 5000 {
				t.Fatalf("step %d: wants to be woken %v from now", steps, next.Sub(now))
			}
			missing, lost := g.Missing(), g.Lost()
			if early := next.Add(-1); early.After(now) {
				if got := g.Pending(nil, rtt, early); len(got) != 0 || g.Missing() != missing {
					t.Fatalf("asks for %v before it wanted to be woken", got)
				}
			}
			now = next
			if got := g.Pending(nil, rtt, now); len(got) == 0 && g.Lost() == lost {
				t.Fatal("was woken for nothing")
			}
		}
		if g.Missing() != 0 {
			t.Fatalf("%d missing, and nothing planned", g.Missing())
		}
	})
}

func TestGeneratorDoesNotAllocate(t *testing.T) {
	g := nack.New(nack.Config{})
	seq, now := uint64(70000), epoch
	dst := make([]uint64, 0, 1000)
	step := func() {
		seq++
		if seq%10 == 0 {
			seq++
		}
		now = now.Add(4 * ms)
		g.Receive(seq, false, now)
		dst = g.Pending(dst[:0], 50*ms, now)
		g.Next()
	}
	for range 1000 {
		step()
	}
	if got := testing.AllocsPerRun(1000, step); got != 0 {
		t.Errorf("%v allocations per packet", got)
	}
}

func BenchmarkReceive(b *testing.B) {
	g := nack.New(nack.Config{})
	seq, now := uint64(70000), epoch
	b.ReportAllocs()
	for b.Loop() {
		g.Receive(seq, false, now)
		seq++
	}
}

// 5 % loss, never repaired: the worst that a generator has to carry.
func BenchmarkReceiveAndAskUnderLoss(b *testing.B) {
	g := nack.New(nack.Config{})
	seq, now := uint64(70000), epoch
	dst := make([]uint64, 0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if seq%20 == 0 {
			seq++
		}
		g.Receive(seq, false, now)
		if seq%5 == 0 {
			dst = g.Pending(dst[:0], 50*ms, now)
		}
		seq, now = seq+1, now.Add(4*ms)
	}
}

func FuzzGenerator(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte("\x01\x80\x01\xff\x00\x00\x00\x00\x00\x00\x00\x00\x02\x02\x02\x02\x09\x09\x09\x09"))
	f.Fuzz(rapid.MakeFuzz(generatorKeepsItsPromises))
}
