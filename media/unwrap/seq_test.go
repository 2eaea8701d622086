package unwrap_test

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media/unwrap"
)

type step struct {
	sn     uint16
	seq    uint64
	jumped bool
}

func run(t *testing.T, steps []step) {
	t.Helper()
	var u unwrap.Seq
	for i, s := range steps {
		seq, jumped := u.Unwrap(s.sn)
		if seq != s.seq || jumped != s.jumped {
			t.Fatalf("step %d: %d became %d (jumped %v), want %d (jumped %v)", i, s.sn, seq, jumped, s.seq, s.jumped)
		}
	}
}

func TestFirstNumber(t *testing.T) {
	run(t, []step{{0, 65536, false}, {1, 65537, false}})
	run(t, []step{{65535, 131071, false}, {0, 131072, false}})
}

func TestLatePacketsBeforeTheFirstStayPositive(t *testing.T) {
	run(t, []step{{2, 65538, false}, {65535, 65535, false}, {3, 65539, false}})
}

// Publishers start anywhere: a wrap right after the join, and one each 65536
// packets, with a loss at the border.
func TestTrap05_SequenceWrap(t *testing.T) {
	var u unwrap.Seq
	want := uint64(1<<16 | 65500)
	for range 4 * 65536 {
		if want%65536 == 3 || want%65536 == 65535 {
			want++ // lost at the border
		}
		seq, jumped := u.Unwrap(uint16(want))
		if seq != want || jumped {
			t.Fatalf("%d became %d, jumped %v", want, seq, jumped)
		}
		want++
	}
}

// A late packet and a duplicate get the number that they always had, also
// across a wrap, and do not move the numbering.
func TestTrap07_LateAndDuplicatePacketsKeepTheirNumber(t *testing.T) {
	run(t, []step{
		{65534, 131070, false}, {1, 131073, false}, {65535, 131071, false}, {1, 131073, false},
		{0, 131072, false}, {65534, 131070, false}, {2, 131074, false},
	})
}

func TestLossOf3000IsNoRestart(t *testing.T) {
	run(t, []step{{100, 65636, false}, {3100, 68636, false}, {6100, 71636, false}, {3101, 68637, false}})
}

func TestRestartIsConfirmedByASecondPacket(t *testing.T) {
	// Forward by 5000: the first one is in doubt and lands in the past.
	run(t, []step{{100, 65636, false}, {5100, 5100, false}, {5101, 70637, true}, {5102, 70638, false}})
	// Backward by 5000.
	run(t, []step{{6000, 71536, false}, {1000, 66536, false}, {1001, 132073, true}, {1002, 132074, false}})
}

// The second packet of a restart 3001 back is only 3000 back.
func TestRestartAtTheBorderIsConfirmed(t *testing.T) {
	run(t, []step{{6000, 71536, false}, {2999, 68535, false}, {3000, 134072, true}})
}

func TestTwoStrayPacketsAreNoRestart(t *testing.T) {
	run(t, []step{{100, 65636, false}, {5100, 5100, false}, {7000, 7000, false}, {5101, 5101, false}, {101, 65637, false}})
}

func TestRestartFarAwayIsTakenAtOnce(t *testing.T) {
	run(t, []step{{100, 65636, false}, {20100, 85636, true}, {20101, 85637, false}})
	run(t, []step{{40000, 105536, false}, {7, 131079, true}, {8, 131080, false}})
}

func TestStrayPacketMovesNothing(t *testing.T) {
	run(t, []step{{100, 65636, false}, {5100, 5100, false}, {101, 65637, false}, {5101, 5101, false}, {102, 65638, false}})
}

func TestLatePacketFromBeforeARestartKeepsItsNumber(t *testing.T) {
	run(t, []step{
		{30000, 95536, false}, {30002, 95538, false},
		{500, 131572, true}, {30001, 95537, false}, {501, 131573, false},
	})
}

// Any loss below the limit and any reordering: numbers are exact, no restart.
func TestNumbersAreExactUnderLossAndReordering(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var u unwrap.Seq
		top := uint64(1<<16 | int(rapid.Uint16().Draw(t, "first")))
		u.Unwrap(uint16(top))
		for _, d := range rapid.SliceOf(rapid.Int64Range(-3000, 3000)).Draw(t, "deltas") {
			want := uint64(int64(top) + d)
			if seq, jumped := u.Unwrap(uint16(want)); seq != want || jumped {
				t.Fatalf("%d became %d, jumped %v", want, seq, jumped)
			}
			top = max(top, want)
		}
	})
}

// checkSeq feeds any numbers and holds the promises that need no knowledge of
// the sender.
func checkSeq(fail func(string, ...any), sns []uint16) {
	var u unwrap.Seq
	var top uint64
	for i, sn := range sns {
		seq, jumped := u.Unwrap(sn)
		switch {
		case uint16(seq) != sn:
			fail("step %d: %d became %d", i, sn, seq)
		case jumped && seq <= top:
			fail("step %d: a restart gave %d, not above %d", i, seq, top)
		case jumped && seq > top+65536:
			fail("step %d: a restart went from %d to %d", i, top, seq)
		case !jumped && i > 0 && seq > top+3000:
			fail("step %d: went from %d to %d without saying so", i, top, seq)
		case jumped && i == 0:
			fail("the first packet was called a restart")
		}
		top = max(top, seq)
	}
}

func TestAnyNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkSeq(t.Fatalf, rapid.SliceOf(rapid.Uint16()).Draw(t, "sns"))
	})
}

// A restarted sender is followed within two packets, wherever it starts.
func TestRestartIsFollowedWithinTwoPackets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var u unwrap.Seq
		first := rapid.Uint16().Draw(t, "first")
		var before uint64
		for i := range uint16(600) {
			before, _ = u.Unwrap(first + i)
		}
		again := uint16(before) + uint16(rapid.IntRange(3001, 65536-3001).Draw(t, "jump"))
		_, one := u.Unwrap(again)
		seq, two := u.Unwrap(again + 1)
		if one == two {
			t.Fatalf("the restart at %d was told by %v, %v", again, one, two)
		}
		if seq <= before {
			t.Fatalf("the second packet got %d, not above %d", seq, before)
		}
	})
}

func FuzzSeq(f *testing.F) {
	f.Add([]byte{255, 254, 0, 1, 255, 255})
	f.Add([]byte{0, 100, 19, 236, 19, 237, 0, 101})
	f.Add([]byte{117, 48, 1, 244, 117, 47, 1, 245})
	f.Fuzz(func(t *testing.T, data []byte) {
		var sns []uint16
		for ; len(data) >= 2; data = data[2:] {
			sns = append(sns, binary.BigEndian.Uint16(data))
		}
		checkSeq(t.Fatalf, sns)
	})
}

func TestUnwrapDoesNotAllocate(t *testing.T) {
	var seq unwrap.Seq
	var ts unwrap.TS
	var n uint32
	if got := testing.AllocsPerRun(1000, func() {
		n += 7919
		seq.Unwrap(uint16(n))
		ts.Unwrap(n)
	}); got != 0 {
		t.Errorf("%v allocations per packet", got)
	}
}

func BenchmarkSeq(b *testing.B) {
	var u unwrap.Seq
	var sn uint16
	b.ReportAllocs()
	for b.Loop() {
		u.Unwrap(sn)
		sn++
	}
}
