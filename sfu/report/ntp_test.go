package report_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/sfu/report"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestNTPKnownTimes(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want uint64
	}{
		{time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), 2208988800 << 32},
		{time.Date(1970, 1, 1, 0, 0, 0, 5e8, time.UTC), 2208988800<<32 | 1<<31},
		{time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC), 0}, // the second era begins
	} {
		if got := report.NTP(c.at); got != c.want {
			t.Errorf("%v: %x, want %x", c.at, got, c.want)
		}
	}
}

func TestNTPThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64Range(0, 4e18).Draw(t, "ns") // 1970 to 2096
		at := time.Unix(0, ns).UTC()
		if got := report.FromNTP(report.NTP(at)); !got.Equal(at) {
			t.Fatalf("%v became %v", at, got)
		}
		b := report.AbsCapture(at)
		if got, err := report.ParseAbsCapture(b[:]); err != nil || !got.Equal(at) {
			t.Fatalf("%v became %v, %v", at, got, err)
		}
	})
}

func FuzzParseAbsCapture(f *testing.F) {
	b := report.AbsCapture(start)
	f.Add(b[:])
	f.Add(append(b[:], 0, 0, 0, 0, 0, 0, 0, 1))
	f.Add([]byte{})
	f.Add(make([]byte, 8))
	f.Add(make([]byte, 9))
	f.Fuzz(func(t *testing.T, b []byte) {
		at, err := report.ParseAbsCapture(b)
		if (err == nil) != (!at.IsZero()) {
			t.Fatalf("%x: %v, %v", b, at, err)
		}
		if err == nil && len(b) != 8 && len(b) != 16 {
			t.Fatalf("%x was taken", b)
		}
		if again := report.AbsCapture(at); err == nil && report.NTP(at) != 0 && at.Year() < 2104 { // at an era's ends half a nanosecond rounds over them
			// The fraction has more bits than a nanosecond: the value is kept to the nanosecond.
			if back, err := report.ParseAbsCapture(again[:]); err != nil || !back.Equal(at) {
				t.Fatalf("%x: %v became %v, %v", b, at, back, err)
			}
		}
	})
}

func TestExtrapolate(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		rate uint32
		want uint32
	}{
		{time.Second, 90000, 90990}, {-10 * time.Millisecond, 48000, 510}, {0, 90000, 990},
		{24 * time.Hour, 90000, 990 + 24*3600*90000%(1<<32)},
	} {
		if got := report.Extrapolate(990, start, start.Add(c.d), c.rate); got != c.want {
			t.Errorf("%v at %d: %d, want %d", c.d, c.rate, got, c.want)
		}
	}
}
