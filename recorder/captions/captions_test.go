package captions_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media/webvtt"
	"github.com/sluice-live/sluice/recorder/captions"
)

const ms = time.Millisecond

func TestWhenACaptionIsShown(t *testing.T) {
	for _, c := range []struct{ start, end, open, from, to time.Duration }{
		{5000 * ms, 9000 * ms, 4000 * ms, 5000 * ms, 9000 * ms}, // what it belongs to is not published yet
		{4000 * ms, 8000 * ms, 4000 * ms, 4000 * ms, 8000 * ms},
		{4000 * ms, 8000 * ms, 5000 * ms, 5000 * ms, 8000 * ms},  // most of it is left
		{4000 * ms, 8000 * ms, 6001 * ms, 6001 * ms, 10001 * ms}, // nobody could read it
		{1000 * ms, 2000 * ms, 9000 * ms, 9000 * ms, 10000 * ms},
	} {
		from, to, late := captions.Place(c.start, c.end, c.open)
		if from != c.from || to != c.to || late != (c.start < c.open) {
			t.Errorf("%+v: from %v to %v, late %v", c, from, to, late)
		}
	}
}

// Whatever comes when: each caption stands in each segment that it overlaps, with the
// same times, and made again from what was kept the segments are the same.
func TestNothingIsLostAtBoundaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type shown struct {
			from, to time.Duration
			text     string
		}
		var track, again captions.Track
		var bounds []time.Duration
		var bytes [][]byte
		var all []shown
		open := time.Duration(0)
		for range rapid.IntRange(1, 12).Draw(t, "segments") {
			for range rapid.IntRange(0, 4).Draw(t, "captions") {
				start := max(0, open+time.Duration(rapid.IntRange(-9000, 9000).Draw(t, "start"))*ms)
				end := start + time.Duration(rapid.IntRange(1, 9000).Draw(t, "length"))*ms
				from, to, _ := captions.Place(start, end, open)
				if from < open || to <= from || to-from > end-start {
					t.Fatalf("[%v %v) is shown [%v %v) from %v on", start, end, from, to, open)
				}
				one := shown{from, to, fmt.Sprint("caption ", len(all))}
				if err := track.Add(from, to, one.text); err != nil {
					t.Fatal(err)
				}
				all = append(all, one)
			}
			next := open + time.Duration(rapid.IntRange(1, 6000).Draw(t, "duration"))*ms
			bounds, bytes = append(bounds, open), append(bytes, track.Segment(open, next))
			open = next
		}
		for _, one := range all {
			again.Restore(one.from, one.to, one.text)
		}
		bounds = append(bounds, open)
		for i, b := range bytes {
			f, err := webvtt.Parse(b)
			if err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			has := map[shown]int{}
			for _, c := range f.Cues {
				has[shown{c.Start, c.End, c.Text}]++
			}
			for _, one := range all {
				want := 0
				if one.from < bounds[i+1] && one.to > bounds[i] {
					want = 1
				}
				if has[one] != want {
					t.Fatalf("segment [%v %v) has %v %d times, want %d", bounds[i], bounds[i+1], one, has[one], want)
				}
			}
			if same := again.Segment(bounds[i], bounds[i+1]); string(same) != string(b) {
				t.Fatalf("made again:\n%s\ninstead of\n%s", same, b)
			}
		}
	})
}

func TestWhatWaitsIsBounded(t *testing.T) {
	var track captions.Track
	for i := 0; ; i++ {
		err := track.Add(time.Hour, time.Hour+time.Second, "x")
		if errors.Is(err, captions.ErrFull) {
			return
		}
		if err != nil || i > 10_000 {
			t.Fatal(i, err)
		}
	}
}
