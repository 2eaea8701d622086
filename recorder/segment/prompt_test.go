package segment_test

import (
	"math/rand/v2"
	"testing"
	"time"
)

// browser is a publisher as Chromium is one: it leaves pictures out, and answers a wish for a key
// frame with the first picture behind a time that is not always the same. Wishes come to it at
// least half a second apart, and two in two seconds.
type browser struct {
	out  int           // of a thousand pictures, how many are left out
	most time.Duration // from a wish to the key frame, at most; 30 ms at least
	way  time.Duration // what pictures have behind them when the encoder takes them up
}

// publish shows a minute of it with sound, in layers that leave out the same pictures.
func (b browser) publish(t reporter, layers int, seed uint64) []*source {
	const every, least = time.Second / 30, 30 * ms
	s := sliverStage(t, 500*ms, false)
	camera := func(n int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(n))) }
	shake := rand.New(rand.NewPCG(seed, 11))
	var sources []*source
	for range layers {
		v := s.video(every, 20*ms)
		var passed []time.Duration // wishes
		wanted, heeded, due := false, 0, time.Duration(0)
		v.quiet = func(time.Duration) bool { return v.n > 1 && camera(v.n).IntN(1000) < b.out }
		v.dress = func(f *shot) {
			f.key = v.n == 1
			for ; heeded < len(v.asked) && v.asked[heeded] <= f.at; heeded++ {
				wanted = true
			}
			n := len(passed)
			held := n > 0 && f.at-passed[n-1] < 500*ms || n > 1 && f.at-passed[n-2] < 2*time.Second
			if wanted && due == 0 && !held {
				passed, wanted = append(passed, f.at), false
				due = max(v.asked[heeded-1], f.at-every) + least + time.Duration(shake.Int64N(int64(b.most-least)+1))
			}
			if due > 0 && f.at >= due {
				f.key, due = true, 0
			}
			f.at = max(f.at+time.Duration(camera(-v.n).IntN(7)-3)*ms, 0)
			f.delay = time.Duration(8+shake.IntN(6)) * ms
			if f.key {
				f.delay += 15 * ms
			}
			f.at, f.delay = max(f.at-b.way, 0), f.delay+b.way
		}
		sources = append(sources, v)
	}
	sources = append(sources, s.sound())
	s.play(time.Minute, sources...)
	s.end()
	return sources
}

// A part that is shown more than 20 ms after its last picture came waited for the one behind it. Where that was left out
// which should have been its last, or a key frame did not come where it was expected, this cannot be helped: the last
// part of a segment is known to be that when the key frame is there.
func TestFewPartsOfABrowserWait(t *testing.T) {
	for _, c := range []struct {
		browser
		layers, most int // of a thousand parts
	}{
		{browser{out: 0, most: 40 * ms}, 1, 10},
		{browser{out: 0, most: 60 * ms}, 1, 20},                 // 25 before the lead was looked for between two that were wrong
		{browser{out: 10, most: 50 * ms}, 1, 15},                // 27 before what is left out was
		{browser{out: 30, most: 30 * ms}, 1, 30},                // 47
		{browser{out: 30, most: 50 * ms}, 1, 30},                // 58
		{browser{out: 30, most: 50 * ms}, 2, 40},                // 60
		{browser{out: 10, most: 50 * ms, way: 60 * ms}, 1, 50},  // 173
		{browser{out: 10, most: 50 * ms, way: 100 * ms}, 1, 50}, // 101, in segments of 5 s
	} {
		waited, parts := 0, 0
		for seed := range uint64(8) {
			for _, v := range c.publish(t, c.layers, seed)[:c.layers] {
				waited, parts = waited+v.waited, parts+len(v.readied)
			}
		}
		t.Logf("%+v, layers %d: %d of %d parts waited", c.browser, c.layers, waited, parts)
		if waited*1000 > c.most*parts {
			t.Errorf("%+v, layers %d: %d of %d parts waited", c.browser, c.layers, waited, parts)
		}
	}
}

// The picture that would have been a part's last is left out: the part takes the one behind it, and the parts behind it
// are as long as ever. Only what is left out before a key frame is known with that.
func TestAPictureThatIsLeftOutLetsNoPartWaitButTheLastOfASegment(t *testing.T) {
	const every = time.Second / 30
	waited := 0
	for n := range 60 {
		s := sliverStage(t, 500*ms, false)
		v, a := s.video(every, 20*ms), s.sound()
		v.dress = func(f *shot) { f.delay = 20 * ms }
		before := 0
		v.quiet = func(at time.Duration) bool {
			if v.n == 301 {
				before = v.waited
			}
			return v.n == 301+n
		}
		s.play(16*time.Second, v, a)
		s.end()
		s.agree(60 * ms)
		waited += v.waited - before
		for _, g := range v.segs[3 : len(v.segs)-1] {
			if last := g.parts[len(g.parts)-1]; len(g.parts) != 4 || v.time(last.Duration) < 460*ms || !g.independent {
				t.Errorf("picture %d is left out: segment %d of %v has %d parts, the last of %v", n, g.msn, g.dur, len(g.parts), v.time(last.Duration))
			}
		}
	}
	if waited > 1 {
		t.Errorf("%d parts waited in 60 runs", waited)
	}
}
