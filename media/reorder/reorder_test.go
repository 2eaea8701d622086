package reorder_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/reorder"
)

const budget = 250 * time.Millisecond

var (
	start = time.Unix(1_700_000_000, 0)
	body  = []byte{1}
)

func packet(seq uint64) *media.Packet { return &media.Packet{Seq: seq, Payload: body} }

func padding(seq uint64) *media.Packet { return &media.Packet{Seq: seq} }

type left struct {
	seq  uint64
	lost int
}

func pop(b *reorder.Buffer, now time.Time) (out []left) {
	for {
		p, lost, ok := b.Pop(now)
		if !ok {
			return out
		}
		out = append(out, left{p.Seq, lost})
	}
}

func expect(t *testing.T, got []left, want ...left) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("left %v, expected %v", got, want)
	}
}

func TestWhatIsInOrderLeavesAtOnce(t *testing.T) {
	b := reorder.New(reorder.Config{})
	for seq := uint64(70_000); seq < 80_000; seq++ {
		b.Push(packet(seq), start)
		expect(t, pop(b, start), left{seq, 0})
		if !b.Next().IsZero() {
			t.Fatal("waits for something although all is there")
		}
	}
}

func TestALatePacketIsPutBack(t *testing.T) {
	b := reorder.New(reorder.Config{Budget: budget})
	b.Push(packet(100), start)
	b.Push(packet(103), start.Add(10*time.Millisecond))
	expect(t, pop(b, start), left{100, 0})
	if want := start.Add(10*time.Millisecond + budget); !b.Next().Equal(want) {
		t.Errorf("gives up at %v, expected %v", b.Next(), want)
	}
	b.Push(packet(102), start)
	expect(t, pop(b, start))
	b.Push(packet(101), start)
	expect(t, pop(b, start), left{101, 0}, left{102, 0}, left{103, 0})
}

func TestWhatIsLateBeyondTheBudgetIsGivenUp(t *testing.T) {
	b := reorder.New(reorder.Config{Budget: budget})
	b.Push(packet(100), start)
	b.Push(packet(103), start)
	b.Push(packet(105), start.Add(100*time.Millisecond))
	expect(t, pop(b, start.Add(budget-1)), left{100, 0})
	expect(t, pop(b, start.Add(budget)), left{103, 2})
	b.Push(packet(101), start.Add(budget)) // too late
	expect(t, pop(b, start.Add(budget)))
	expect(t, pop(b, start.Add(budget+100*time.Millisecond)), left{105, 1})
}

func TestPaddingIsNoHole(t *testing.T) {
	b := reorder.New(reorder.Config{Budget: budget})
	b.Push(packet(100), start)
	b.Push(packet(103), start)
	b.Push(padding(102), start)
	b.Push(padding(101), start)
	expect(t, pop(b, start), left{100, 0}, left{103, 0})
	b.Push(padding(104), start)
	expect(t, pop(b, start))
	b.Push(packet(105), start)
	expect(t, pop(b, start), left{105, 0})
}

func TestWhatComesTwiceLeavesOnce(t *testing.T) {
	b := reorder.New(reorder.Config{Budget: budget})
	b.Push(packet(100), start)
	b.Push(packet(100), start)
	b.Push(packet(102), start)
	b.Push(packet(102), start)
	b.Push(packet(101), start)
	expect(t, pop(b, start), left{100, 0}, left{101, 0}, left{102, 0})
	b.Push(packet(101), start)
	expect(t, pop(b, start))
}

func TestTheWindowIsBounded(t *testing.T) {
	b := reorder.New(reorder.Config{Budget: time.Hour, Max: 8})
	b.Push(packet(100), start)
	expect(t, pop(b, start), left{100, 0})
	for seq := uint64(102); seq <= 108; seq++ { // 101 is missing
		b.Push(packet(seq), start)
	}
	expect(t, pop(b, start))
	b.Push(packet(109), start) // no place: 101 is given up
	got := pop(b, start)
	if len(got) != 8 || got[0] != (left{102, 1}) {
		t.Errorf("left %v", got)
	}
}

func TestARestartOfTheNumberingGoesOn(t *testing.T) {
	b := reorder.New(reorder.Config{Budget: budget})
	b.Push(packet(100), start)
	expect(t, pop(b, start), left{100, 0})
	b.Push(packet(1<<40), start)
	got := pop(b, start.Add(budget))
	if len(got) != 1 || got[0].seq != 1<<40 || got[0].lost == 0 {
		t.Errorf("left %v", got)
	}
}

func TestOrderingAllocatesNothing(t *testing.T) {
	b := reorder.New(reorder.Config{})
	packets := make([]*media.Packet, 4096)
	for i := range packets {
		packets[i] = &media.Packet{Payload: body}
	}
	seq := uint64(100)
	if n := testing.AllocsPerRun(2000, func() {
		for _, step := range [...]uint64{1, 0, 2} { // the first two swapped
			p := packets[(seq+step)%4096]
			p.Seq = seq + step
			b.Push(p, start)
			for {
				if _, _, ok := b.Pop(start); !ok {
					break
				}
			}
		}
		seq += 3
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever comes in whatever order: numbers rise, what leaves and what is told as
// lost are all numbers there are, and nothing waits beyond the budget.
func TestNothingIsForgottenNorInvented(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 64).Draw(t, "max")
		b := reorder.New(reorder.Config{Budget: budget, Max: size})
		now, next := start, uint64(1000)
		pushed := map[uint64]bool{}
		padded := map[uint64]bool{}
		last, first := uint64(0), uint64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "ms")) * time.Millisecond)
			seq := next + uint64(rapid.IntRange(0, 100).Draw(t, "jump")) - 30
			p := packet(seq)
			if rapid.IntRange(0, 4).Draw(t, "padding") == 0 {
				p = padding(seq)
			}
			if first == 0 {
				first, last = seq, seq-1
			}
			if !pushed[seq] {
				pushed[seq], padded[seq] = true, len(p.Payload) == 0
			}
			b.Push(p, now)
			next = max(next, seq+1)
			for {
				p, lost, ok := b.Pop(now)
				if !ok {
					break
				}
				if p.Seq <= last || !pushed[p.Seq] || padded[p.Seq] {
					t.Fatalf("%d left after %d", p.Seq, last)
				}
				silent := 0
				for between := last + 1; between < p.Seq; between++ {
					if padded[between] {
						silent++
					}
				}
				if hole := int(p.Seq - last - 1); lost > hole || lost < hole-silent {
					t.Fatalf("%d lost between %d and %d with %d of padding", lost, last, p.Seq, silent)
				}
				last = p.Seq
			}
			if at := b.Next(); !at.IsZero() && !at.After(now) {
				t.Fatal("something is overdue after Pop")
			}
		}
	})
}

func BenchmarkBuffer(b *testing.B) {
	buffer := reorder.New(reorder.Config{})
	packets := make([]*media.Packet, 4096)
	for i := range packets {
		packets[i] = &media.Packet{Payload: body}
	}
	b.ReportAllocs()
	for i := range b.N {
		p := packets[i%4096]
		p.Seq = uint64(i)
		buffer.Push(p, start)
		buffer.Pop(start)
	}
}
