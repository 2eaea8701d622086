package nack_test

import (
	"slices"
	"testing"

	"github.com/pion/rtcp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media/nack"
)

func TestTrap05_RequestsAcrossTheWrap(t *testing.T) {
	got := nack.Pairs([]uint64{1<<16 | 65534, 1<<16 | 65535, 2 << 16, 2<<16 | 14, 2<<16 | 15}, nil)
	want := []rtcp.NackPair{{PacketID: 65534, LostPackets: 1 | 1<<1 | 1<<15}, {PacketID: 15}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestNoPairs(t *testing.T) {
	if got := nack.Pairs(nil, nil); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// What another author reads from the wire is what was written.
func TestPairsSayWhatWasAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seq := uint64(1<<16 | int(rapid.Uint16().Draw(t, "first")))
		var seqs []uint64
		var want []uint16
		for _, gap := range rapid.SliceOf(rapid.Uint64Range(1, 40)).Draw(t, "gaps") {
			seq += gap
			seqs = append(seqs, seq)
			want = append(want, uint16(seq))
		}
		pairs := nack.Pairs(seqs, nil)
		wire, err := (&rtcp.TransportLayerNack{Nacks: pairs}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var read rtcp.TransportLayerNack
		if len(seqs) == 0 {
			return
		}
		if err := read.Unmarshal(wire); err != nil {
			t.Fatal(err)
		}
		var got []uint16
		for _, p := range read.Nacks {
			got = append(got, p.PacketList()...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("asked for %v, says %v", want, got)
		}
		if len(pairs) > len(seqs) {
			t.Fatalf("%d pairs for %d packets", len(pairs), len(seqs))
		}
	})
}

func TestPairsDoNotAllocate(t *testing.T) {
	seqs := []uint64{70000, 70001, 70020, 70100}
	dst := make([]rtcp.NackPair, 0, 4)
	if got := testing.AllocsPerRun(100, func() { dst = nack.Pairs(seqs, dst[:0]) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
