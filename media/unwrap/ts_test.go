package unwrap_test

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/unwrap"
)

// A timestamp that starts one second before the wrap.
func TestTrap06_TimestampWrap(t *testing.T) {
	var u unwrap.TS
	const frame = 3000
	start := uint32(1<<32 - 90000)
	first := u.Unwrap(start)
	if first != 1<<32|media.Ticks(start) {
		t.Fatalf("the first time is %d", first)
	}
	for i := range 100 {
		if got := u.Unwrap(start + uint32(i*frame)); got != first+media.Ticks(i*frame) {
			t.Fatalf("frame %d is at %d", i, got-first)
		}
	}
}

func TestEarlierThanTheFirstIsPositive(t *testing.T) {
	var u unwrap.TS
	u.Unwrap(10)
	if got := u.Unwrap(1<<32 - 10); got != 1<<32-10 {
		t.Errorf("got %d", got)
	}
}

// Reordering below 2^31 ticks leaves every time exact.
func TestTimesAreExactUnderReordering(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var u unwrap.TS
		top := u.Unwrap(rapid.Uint32().Draw(t, "first"))
		for _, d := range rapid.SliceOf(rapid.Int64Range(-1<<31, 1<<31-1)).Draw(t, "deltas") {
			want := top + media.Ticks(d)
			if got := u.Unwrap(uint32(want)); got != want {
				t.Fatalf("%d became %d", want, got)
			}
			top = max(top, want)
		}
	})
}

func FuzzTS(f *testing.F) {
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 1})
	f.Add([]byte{127, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var u unwrap.TS
		var top media.Ticks
		for ; len(data) >= 4; data = data[4:] {
			ts := binary.BigEndian.Uint32(data)
			got := u.Unwrap(ts)
			if uint32(got) != ts || got <= 0 || top != 0 && (got-top >= 1<<31 || top-got > 1<<31) {
				t.Fatalf("%d became %d after %d", ts, got, top)
			}
			top = max(top, got)
		}
	})
}

func BenchmarkTS(b *testing.B) {
	var u unwrap.TS
	var ts uint32
	b.ReportAllocs()
	for b.Loop() {
		u.Unwrap(ts)
		ts += 3000
	}
}
