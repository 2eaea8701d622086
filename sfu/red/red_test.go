package red_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/red"
)

func packet(ts media.Ticks, payload ...byte) *media.Packet {
	return &media.Packet{TS: ts, Payload: payload, Codec: media.Opus}
}

func TestARedPacketHoldsTheOneBefore(t *testing.T) {
	got := red.Append(nil, 111, packet(1<<32+1920, 7, 8, 9), packet(1<<32+960, 1, 2))
	want := []byte{0x80 | 111, (960 << 10) >> 16 & 0xff, (960 << 10) >> 8 & 0xff, 2, 111, 1, 2, 7, 8, 9}
	if !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}

// What cannot be told in a block header is left out: too old, too large, empty, or none at all.
func TestWhatDoesNotFitIsLeftOut(t *testing.T) {
	p := packet(100000, 9)
	for name, earlier := range map[string]*media.Packet{"none": nil, "old": packet(100000-16384, 1), "large": packet(99000, make([]byte, 1024)...),
		"empty": packet(99000), "later": packet(100001, 1)} {
		if got := red.Append(nil, 111, p, earlier); !bytes.Equal(got, []byte{111, 9}) {
			t.Errorf("%s: % x", name, got)
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ts := media.Ticks(1 << 33)
		var earlier []*media.Packet
		for range rapid.IntRange(0, 3).Draw(t, "earlier") {
			earlier = append(earlier, packet(ts, rapid.SliceOfN(rapid.Byte(), 1, 1023).Draw(t, "copy")...))
			ts += media.Ticks(rapid.IntRange(120, 2880).Draw(t, "step"))
		}
		p := packet(ts, rapid.SliceOfN(rapid.Byte(), 1, 1200).Draw(t, "payload")...)
		raw := red.Append(nil, 111, p, earlier...)
		if len(raw) > red.Size(p, earlier...) {
			t.Fatalf("%d bytes, announced %d", len(raw), red.Size(p, earlier...))
		}
		blocks, err := red.Parse(nil, raw)
		if err != nil || len(blocks) != len(earlier)+1 {
			t.Fatalf("%d blocks, %v", len(blocks), err)
		}
		for i, e := range append(earlier, p) {
			if !bytes.Equal(blocks[i].Payload, e.Payload) || media.Ticks(blocks[i].Offset) != p.TS-e.TS || blocks[i].PT != 111 {
				t.Fatalf("block %d: %+v", i, blocks[i])
			}
		}
	})
}

func TestAppendAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 4096)
	p, e := packet(2000, make([]byte, 100)...), packet(1040, make([]byte, 100)...)
	if n := testing.AllocsPerRun(1000, func() { dst = red.Append(dst[:0], 111, p, e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(red.Append(nil, 111, packet(1920, 7, 8, 9), packet(960, 1, 2)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x6f})
	f.Fuzz(func(t *testing.T, raw []byte) {
		blocks, err := red.Parse(nil, raw)
		n := 0
		for _, b := range blocks {
			n += len(b.Payload)
		}
		if err == nil && (len(blocks) == 0 || n > len(raw)) {
			t.Fatalf("%d blocks of %d bytes out of %d", len(blocks), n, len(raw))
		}
	})
}
