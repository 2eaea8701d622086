package allocate_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/allocate"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	ms    = time.Millisecond
	audio = 80_000
)

// three is what a publisher of 180, 360 and 720 lines sends; not in order, as encoders do.
func three() []allocate.Option {
	all := func(l media.Layer, w, h int, b media.Bitrate) allocate.Option {
		return allocate.Option{Layer: l, Spatial: allocate.AllLayers, Temporal: allocate.AllLayers, Width: w, Height: h, Bitrate: b}
	}
	return []allocate.Option{all(0, 1280, 720, 2_500_000), all(2, 320, 180, 150_000), all(1, 640, 360, 700_000)}
}

func one(estimate media.Bitrate) allocate.Input {
	return allocate.Input{Estimate: estimate, Audio: audio, Videos: []allocate.Video{{Key: 1, Options: three()}}}
}

// height is what the only video shows; 0 when it is paused.
func height(r allocate.Result) int { return r.Choices[0].Option.Height }

// settle decides each 100 ms for a time.
func settle(a *allocate.Allocator, in allocate.Input, now *time.Time, d time.Duration) (r allocate.Result) {
	for end := now.Add(d); now.Before(end); *now = now.Add(100 * ms) {
		r = a.Decide(in, *now)
	}
	return r
}

// The story of one viewer: each line is an estimate for a time, and what is shown at its end.
func TestOneViewerStory(t *testing.T) {
	a, now := allocate.New(allocate.Config{}), start
	for i, line := range []struct {
		estimate media.Bitrate
		for_     time.Duration
		want     int
		why      string
	}{
		{1_000_000, 100 * ms, 360, "link 1.0 Mbit/s"}, // the beginning: no patience
		{3_100_000, 100 * ms, 720, "best quality"},
		{3_100_000, 20 * time.Second, 720, "best quality"},
		{470_000, 100 * ms, 180, "link 470 kbit/s"}, // down at once
		{470_000, 10 * time.Second, 180, "link 470 kbit/s"},
		{3_100_000, 1900 * ms, 180, "link 3.1 Mbit/s, trying more"}, // up with patience
		{3_100_000, 200 * ms, 720, "best quality"},
		{3_100_000, 20 * time.Second, 720, "best quality"},
		{2_350_000, time.Second, 720, "best quality"}, // a tenth less than needed is noise
		{2_100_000, 300 * ms, 720, "best quality"},    // a small shortage is borne for a moment
		{2_100_000, 100 * ms, 360, "link 2.1 Mbit/s"},
		{200_000, 100 * ms, 0, "link 200 kbit/s, too thin for the picture"}, // sound alone
		{60_000, 10 * time.Second, 0, "link 60 kbit/s, too thin for the picture"},
		{300_000, 100 * ms, 180, "link 300 kbit/s"}, // a picture after none comes at once
	} {
		r := settle(a, one(line.estimate), &now, line.for_)
		if height(r) != line.want || r.Choices[0].Reason.String() != line.why {
			t.Fatalf("line %d: %d lines, %q; want %d, %q", i, height(r), r.Choices[0].Reason, line.want, line.why)
		}
	}
}

// A step up that fails is tried ever more rarely, up to once a minute; one that holds ends that.
func TestFailedStepsAreTriedEverMoreRarely(t *testing.T) {
	a, now := allocate.New(allocate.Config{}), start
	settle(a, one(1_000_000), &now, 10*time.Second)
	var waits []time.Duration
	for range 7 {
		from := now
		for height(a.Decide(one(3_100_000), now)) != 720 {
			if now = now.Add(100 * ms); now.Sub(from) > 5*time.Minute {
				t.Fatal("never tried again")
			}
		}
		waits = append(waits, now.Sub(from))
		now = now.Add(time.Second)
		if r := a.Decide(one(1_000_000), now); height(r) != 360 {
			t.Fatal("the failed step is not left")
		}
	}
	want := []time.Duration{2000 * ms, 4000 * ms, 8000 * ms, 16000 * ms, 32000 * ms, time.Minute, time.Minute}
	if !slices.Equal(waits, want) {
		t.Errorf("waited %v, want %v", waits, want)
	}
	r := settle(a, one(3_100_000), &now, 10*time.Second)
	if height(r) != 360 || r.Choices[0].Reason.Code != allocate.Held {
		t.Errorf("%+v", r)
	}
	if need := float64(2_500_000 + audio); float64(r.Wanted) < 1.6*need {
		t.Errorf("wants %d, which lifts no hold", r.Wanted)
	}
	if r = settle(a, one(r.Wanted), &now, 3*time.Second); height(r) != 720 {
		t.Error("a link of twice the need does not lift the hold")
	}
	settle(a, one(3_100_000), &now, 11*time.Second)
	settle(a, one(1_000_000), &now, 5*time.Second)
	if r = settle(a, one(3_100_000), &now, 2200*ms); height(r) != 720 {
		t.Error("a step that held still counts as failed")
	}
	a.Decide(one(1_000_000), now)
	if r = settle(a, one(3_100_000), &now, 4200*ms); height(r) != 720 {
		t.Error("the first failure after one that held is held for long")
	}
}

// When a probe finds one layer after the other to fit, the viewer switches once.
func TestOneSwitchRatherThanTwo(t *testing.T) {
	a, now := allocate.New(allocate.Config{}), start
	settle(a, one(300_000), &now, 20*time.Second)
	settle(a, one(1_000_000), &now, 500*ms)
	var seen []int
	for range 40 {
		if h := height(a.Decide(one(3_100_000), now)); len(seen) == 0 || seen[len(seen)-1] != h {
			seen = append(seen, h)
		}
		now = now.Add(100 * ms)
	}
	if !slices.Equal(seen, []int{180, 720}) {
		t.Errorf("shown: %v", seen)
	}
}

// An estimate that wanders by a tenth either way changes nothing, whatever its mean is: at most two switches in 30 s.
func TestNoPendulumOnNoise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, now := allocate.New(allocate.Config{}), start
		mean := float64(rapid.IntRange(100_000, 5_000_000).Draw(t, "mean"))
		settle(a, one(media.Bitrate(mean)), &now, 10*time.Second)
		noise, switches, last := rapid.SliceOfN(rapid.Float64Range(0.9, 1.1), 30, 30).Draw(t, "noise"), 0, -1
		for i := range 300 {
			in := one(media.Bitrate(mean * noise[i/10]))
			for o := range in.Videos[0].Options {
				b := &in.Videos[0].Options[o].Bitrate
				*b = media.Bitrate(float64(*b) * (0.98 + 0.04*noise[(i+o)%30]/2.2))
			}
			h := height(a.Decide(in, now))
			if last >= 0 && h != last {
				switches++
			}
			last, now = h, now.Add(100*ms)
		}
		if switches > 2 {
			t.Fatalf("%d switches in 30 s around %.0f bit/s", switches, mean)
		}
	})
}

// many draws what a viewer of several videos wants.
func many(t *rapid.T) []allocate.Video {
	videos := make([]allocate.Video, rapid.IntRange(1, 6).Draw(t, "videos"))
	for i := range videos {
		videos[i] = allocate.Video{Key: uint32(i), Priority: rapid.IntRange(0, 2).Draw(t, "priority"), MaxHeight: rapid.SampledFrom([]int{0, 0, 200, 400}).Draw(t, "height")}
		rate := 0
		for l := range rapid.IntRange(0, 4).Draw(t, "options") {
			rate += rapid.IntRange(50_000, 900_000).Draw(t, "rate")
			videos[i].Options = append(videos[i].Options, allocate.Option{Layer: media.Layer(l), Width: 320 << l, Height: 180 << l, Bitrate: media.Bitrate(rate)})
		}
	}
	return videos
}

func sum(in allocate.Input, r allocate.Result) (b media.Bitrate) {
	b = in.Audio
	for _, c := range r.Choices {
		b += c.Option.Bitrate
	}
	return b
}

// Through any history the choice fits beside sound, which is always sent: within the margin of noise, or exactly while a
// queue stands; and for a moment's grace within a third more.
func TestTheChoiceFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, now, videos, over := allocate.New(allocate.Config{}), start, many(t), time.Duration(0)
		for range 60 {
			step := time.Duration(rapid.IntRange(1, 500).Draw(t, "ms")) * ms
			now = now.Add(step)
			if rapid.IntRange(0, 9).Draw(t, "new") == 0 {
				videos = many(t)
			}
			in := allocate.Input{Estimate: media.Bitrate(rapid.IntRange(0, 6_000_000).Draw(t, "estimate")), Audio: audio,
				Congested: rapid.Bool().Draw(t, "congested"), Stalled: rapid.IntRange(0, 9).Draw(t, "stalled") == 0, Videos: videos}
			r := a.Decide(in, now)
			if len(r.Choices) != len(videos) {
				t.Fatalf("%d choices for %d videos", len(r.Choices), len(videos))
			}
			spent, most := sum(in, r)-in.Audio, 1.15*float64(in.Estimate-in.Audio)
			if in.Congested {
				most = float64(in.Estimate - in.Audio)
			}
			if in.Stalled {
				most = 0
			}
			if over += step; spent == 0 || float64(spent) <= most+1 {
				over = 0
			}
			if float64(spent) > max(0, float64(in.Estimate-in.Audio)/0.75, most)+1 || over > 800*ms {
				t.Fatalf("%d of %.0f bit/s for %v", spent, most, over)
			}
			for i, c := range r.Choices {
				v := videos[i]
				if c.Key != v.Key || c.Paused != (c.Option == allocate.Option{}) {
					t.Fatalf("%+v for %+v", c, v)
				}
				if v.MaxHeight > 0 && c.Option.Height > v.MaxHeight && c.Option.Height > 180 {
					t.Fatalf("%d lines for who has use for %d", c.Option.Height, v.MaxHeight)
				}
				if c.Reason.String() == "unknown" {
					t.Fatal("no reason")
				}
			}
		}
	})
}

// levels says how much each video gets, in the order in which they are served.
func levels(r allocate.Result, videos []allocate.Video) []int {
	order := make([]int, len(videos))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return videos[b].Priority - videos[a].Priority })
	out := make([]int, len(order))
	for n, i := range order {
		out[n] = int(r.Choices[i].Option.Bitrate)
	}
	return out
}

// With a larger estimate nobody who comes first loses a picture, and one video alone never gets less.
func TestMoreIsNeverLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		videos := many(t)
		decide := func(b media.Bitrate) []int {
			return levels(allocate.New(allocate.Config{}).Decide(allocate.Input{Estimate: b, Audio: audio, Videos: videos}, start), videos)
		}
		low := rapid.IntRange(0, 5_000_000).Draw(t, "low")
		high := low + rapid.IntRange(0, 3_000_000).Draw(t, "more")
		a, b := decide(media.Bitrate(low)), decide(media.Bitrate(high))
		if len(videos) == 1 && b[0] < a[0] {
			t.Fatalf("%d for %d, %d for %d", a[0], low, b[0], high)
		}
		pictures := func(x []int) (n int) {
			for _, v := range x {
				if v > 0 {
					n++
				}
			}
			return n
		}
		if pictures(b) < pictures(a) {
			t.Fatalf("%v for %d, %v for %d", a, low, b, high)
		}
		for i := range a {
			if a[i] > 0 && b[i] == 0 {
				t.Fatalf("a picture is lost: %v for %d, %v for %d", a, low, b, high)
			}
		}
	})
}

// Nobody has a better picture while somebody of higher priority has a worse one that could be bettered for the same.
func TestPriorityIsRespected(t *testing.T) {
	in := allocate.Input{Estimate: 1_500_000, Audio: audio, Videos: []allocate.Video{
		{Key: 1, Options: three()}, {Key: 2, Priority: 1, Options: three()}, {Key: 3, Options: three()}}}
	r := allocate.New(allocate.Config{}).Decide(in, start)
	if r.Choices[1].Option.Height != 360 || r.Choices[0].Option.Height != 180 || r.Choices[2].Option.Height != 180 {
		t.Errorf("%+v", r.Choices)
	}
	// A newcomer of high priority takes what the others have too much.
	a, now := allocate.New(allocate.Config{}), start
	in.Videos = in.Videos[:1]
	settle(a, in, &now, 10*time.Second)
	in.Videos = append(in.Videos, allocate.Video{Key: 9, Priority: 5, Options: three()})
	r = settle(a, in, &now, 5*time.Second)
	if r.Choices[1].Option.Height != 360 || r.Choices[0].Option.Height != 180 {
		t.Errorf("%+v", r.Choices)
	}
}

func TestWhatTheViewerHasNoUseForIsLeftOut(t *testing.T) {
	in := one(10_000_000)
	in.Videos[0].MaxHeight = 400
	r := allocate.New(allocate.Config{}).Decide(in, start)
	if height(r) != 360 || r.Wanted != 0 || r.Choices[0].Reason.String() != "fits the player's size" {
		t.Errorf("%+v", r)
	}
	in.Videos[0].MaxHeight = 100
	if r = allocate.New(allocate.Config{}).Decide(in, start); height(r) != 180 {
		t.Errorf("%+v", r)
	}
	in.Videos[0].Options = nil
	if r = allocate.New(allocate.Config{}).Decide(in, start); !r.Choices[0].Paused || r.Choices[0].Reason.String() != "no picture is being sent" {
		t.Errorf("%+v", r)
	}
}

// A layer that vanishes is stood in for at once, and the picture comes back with it.
func TestLayersVanishAndReturn(t *testing.T) {
	a, now := allocate.New(allocate.Config{}), start
	settle(a, one(10_000_000), &now, 10*time.Second)
	gone := one(10_000_000)
	gone.Videos[0].Options = three()[1:]
	if r := a.Decide(gone, now); height(r) != 360 {
		t.Errorf("%+v", r)
	}
	if r := settle(a, one(10_000_000), &now, 3*time.Second); height(r) != 720 {
		t.Errorf("%+v", r)
	}
}

// While nothing comes back no picture is sent; afterwards it is the one from before, at once.
func TestSilencePausesThePicture(t *testing.T) {
	a, now := allocate.New(allocate.Config{}), start
	settle(a, one(3_100_000), &now, 15*time.Second)
	in := one(3_100_000)
	in.Stalled = true
	r := a.Decide(in, now)
	if !r.Choices[0].Paused || !r.Changed || r.Choices[0].Reason.String() != "no answer from the viewer" {
		t.Errorf("%+v", r)
	}
	if r = a.Decide(one(3_100_000), now.Add(3*time.Second)); height(r) != 720 || !r.Changed {
		t.Errorf("%+v", r)
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	a, now, in := allocate.New(allocate.Config{}), start, one(1_000_000)
	a.Decide(in, now)
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(100 * ms)
		in.Estimate = in.Estimate*7/5%5_000_000 + 100_000
		a.Decide(in, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	a, now, in := allocate.New(allocate.Config{}), start, one(1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(100 * ms)
		in.Estimate = in.Estimate*7/5%5_000_000 + 100_000
		a.Decide(in, now)
	}
}
