package segment

import (
	"testing"
	"time"
)

// A segment from 10 s on, whose key frame is expected at 12 s; the one before it was half a second ago.
func TestTheFateOfASegmentAtAKeyFrame(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for _, c := range []struct {
		name   string
		passed time.Duration
		at     time.Duration
		whole  bool // what lies before it is long enough
		next   time.Duration
		until  time.Duration
		want   fate
	}{
		{name: "in time", at: 12 * s, whole: true, want: ends},
		{name: "a picture late, a part was shown as the last one", at: 12033 * ms, want: asks},
		{name: "much too early", at: 11600 * ms, want: expects},
		{name: "too early, but behind a whole part", at: 11600 * ms, whole: true, want: ends},
		{name: "as expected, for what differs by less than a picture", at: 11970 * ms, want: asks},
		{name: "of a beat", at: 12100 * ms, next: 14 * s, want: follows},
		{name: "of a beat that is expected to go on", at: 11600 * ms, next: 13600 * ms, want: expects},
		{name: "of a beat so slow that the segment would be too long", at: 12100 * ms, next: 15600 * ms, want: ends},
		{name: "that another rendition passed by", passed: 12020 * ms, at: 12040 * ms, want: passes},
		{name: "that another rendition passed by, behind a whole part", passed: 12020 * ms, at: 12040 * ms, whole: true, want: passes},
		{name: "the second that would be passed by", passed: 11600 * ms, at: 12300 * ms, until: 12500 * ms, want: expects},
		{name: "the third", passed: 12300 * ms, at: 13100 * ms, until: 13500 * ms, want: ends},
		{name: "behind one that was passed by", passed: 11600 * ms, at: 12 * s, whole: true, want: ends},
	} {
		k := course{anchor: 10500 * ms, step: 500 * ms, until: 12 * s, passed: c.passed}
		if c.until > 0 {
			k.until = c.until
		}
		got := k.meets(sight{at: c.at, interval: 33 * ms, sliver: !c.whole, next: c.next, late: 13 * s, most: 15500 * ms})
		if got != c.want {
			t.Errorf("a key frame %s: %d, want %d", c.name, got, c.want)
		}
		if got := (course{until: 12 * s}).meets(sight{at: c.at, interval: 33 * ms, sliver: !c.whole, next: c.next, most: 15500 * ms}); got != ends {
			t.Errorf("a key frame %s, of a grid without courses: %d", c.name, got)
		}
	}
}

// The wish for the key frame behind segment 7, through what may happen to it.
func TestAWishForAKeyFrame(t *testing.T) {
	const interval = 33 * time.Millisecond
	ask := func(k *keys) { k.asked, k.open, k.sent, k.goal = 8, true, 11900*time.Millisecond, 12*time.Second }
	early := func(k *keys) { k.came(11800*time.Millisecond, 11800*time.Millisecond, interval) }
	came := func(k *keys) { k.came(12*time.Second, 12*time.Second, interval) }
	wasted := func(k *keys) { k.wasted(7) }
	type steps []func(*keys)
	for _, c := range []struct {
		name  string
		steps steps
		want  wish
	}{
		{"nobody asked", steps{came}, unasked},
		{"asked", steps{ask}, open},
		{"asked, and one came that was captured before", steps{ask, early}, open},
		{"asked and answered", steps{ask, came}, answered},
		{"answered, but where no segment could end", steps{ask, came, wasted}, unasked},
		{"on its way while others' came where no segment could end", steps{ask, early, wasted}, open},
		{"asked anew before it came", steps{ask, (*keys).again}, unasked},
		{"asked anew and answered", steps{ask, came, (*keys).again, ask, came}, answered},
	} {
		k := &keys{}
		for _, step := range c.steps {
			step(k)
		}
		if got := k.wish(7); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
		if got := k.wish(8); got != unasked {
			t.Errorf("%s: %d for the segment behind the next", c.name, got)
		}
	}
}
