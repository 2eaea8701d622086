package pace_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/pace"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const ms = time.Millisecond

// owner keeps the packets, as a viewer does.
type owner struct {
	p      *pace.Pacer
	queues [pace.Padding + 1][]entry
	sent   []sent
}

type entry struct {
	size int
	at   time.Time
}

type sent struct {
	kind   pace.Kind
	size   int
	at     time.Time
	waited time.Duration
}

func (o *owner) push(size int, k pace.Kind, now time.Time) pace.Verdict {
	v := o.p.Push(size, k, now)
	switch v {
	case pace.Now:
		o.sent = append(o.sent, sent{k, size, now, 0})
	case pace.Wait:
		o.queues[k] = append(o.queues[k], entry{size, now})
	}
	return v
}

func (o *owner) drain(now time.Time) {
	for {
		k, ok := o.p.Due(now)
		if !ok {
			return
		}
		e := o.queues[k][0]
		o.queues[k] = o.queues[k][1:]
		o.p.Pop(e.size, k)
		o.sent = append(o.sent, sent{k, e.size, now, now.Sub(e.at)})
	}
}

// bytes of the kinds within a window that begins with a sent packet.
func (o *owner) worst(window time.Duration, kinds ...pace.Kind) (most int) {
	sum, from := 0, 0
	is := func(s sent) bool {
		for _, k := range kinds {
			if s.kind == k {
				return true
			}
		}
		return false
	}
	for _, s := range o.sent {
		if !is(s) {
			continue
		}
		sum += s.size
		for s.at.Sub(o.sent[from].at) > window {
			if is(o.sent[from]) {
				sum -= o.sent[from].size
			}
			from++
		}
		most = max(most, sum)
	}
	return most
}

// Whatever is pushed: sound and reports leave at once; video and resends never exceed pace and burst in any window; nothing
// waits longer than the bound; what is queued is due some time; order is kept.
func TestPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := media.Bitrate(rapid.IntRange(50_000, 20_000_000).Draw(t, "rate"))
		o := owner{p: pace.New(pace.Config{}, rate)}
		now, bytesPerSecond := start, float64(rate)/8
		for range 150 {
			now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "µs")) * time.Microsecond)
			o.drain(now)
			k := rapid.SampledFrom([]pace.Kind{pace.Audio, pace.Control, pace.Video, pace.Video, pace.Video, pace.Resend, pace.Padding}).Draw(t, "kind")
			for range rapid.IntRange(1, 12).Draw(t, "n") {
				v := o.push(rapid.IntRange(60, 1200).Draw(t, "size"), k, now)
				if (k == pace.Audio || k == pace.Control) && v != pace.Now {
					t.Fatalf("kind %d: verdict %d", k, v)
				}
				if k == pace.Padding && v == pace.Wait {
					t.Fatal("padding waits")
				}
			}
			if next := o.p.Next(); next.IsZero() != (len(o.queues[pace.Video])+len(o.queues[pace.Resend]) == 0) {
				t.Fatalf("next is %v with %d packets waiting", next, len(o.queues[pace.Video]))
			}
		}
		for !o.p.Next().IsZero() {
			now = o.p.Next()
			before := len(o.sent)
			if o.drain(now); len(o.sent) == before {
				t.Fatal("nothing was due when it should be")
			}
		}
		cfg := pace.DefaultConfig()
		burst := max(float64(cfg.MinBurst), bytesPerSecond*cfg.Factor*cfg.Burst.Seconds())
		for _, w := range []time.Duration{0, 10 * ms, 100 * ms, time.Second} {
			if most := bytesPerSecond*cfg.Factor*w.Seconds() + burst + 1201; float64(o.worst(w, pace.Video, pace.Resend)) > most {
				t.Fatalf("%d bytes in %v at %d bit/s, at most %.0f", o.worst(w, pace.Video, pace.Resend), w, rate, most)
			}
			// All that was ever resent was spare: the estimate over the window, and what was saved before.
			if most := bytesPerSecond * (w.Seconds() + cfg.Window.Seconds()); float64(o.worst(w, pace.Resend)) > most+1200 {
				t.Fatalf("%d bytes resent in %v at %d bit/s", o.worst(w, pace.Resend), w, rate)
			}
		}
	})
}

// A queue is bounded in time where only video is sent: nothing waits longer than MaxWait and the packet before it.
func TestVideoWaitsNoLongerThanItMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := media.Bitrate(rapid.IntRange(50_000, 5_000_000).Draw(t, "rate"))
		o, now := owner{p: pace.New(pace.Config{}, rate)}, start
		for range 60 {
			for range rapid.IntRange(0, 80).Draw(t, "packets") {
				o.push(1200, pace.Video, now)
			}
			frame := now.Add(33 * ms)
			for !o.p.Next().IsZero() && o.p.Next().Before(frame) {
				now = o.p.Next()
				o.drain(now)
			}
			now = frame
			o.drain(now)
		}
		longest := pace.DefaultConfig().MaxWait + ms + time.Duration(2*1200*8/(2.5*float64(rate))*float64(time.Second))
		for _, s := range o.sent {
			if s.waited > longest {
				t.Fatalf("waited %v, at most %v", s.waited, longest)
			}
		}
	})
}

// A key frame of six times the mean frame leaves within two and a half frame intervals, not in one burst.
func TestKeyFrameIsSpread(t *testing.T) {
	o := owner{p: pace.New(pace.Config{}, 2_700_000)}
	now := start.Add(time.Second)
	for range 52 {
		if v := o.push(1200, pace.Video, now); v == pace.Refuse {
			t.Fatal("a key frame is refused")
		}
	}
	if n := len(o.sent); n > 4 {
		t.Errorf("%d packets left at once", n)
	}
	for !o.p.Next().IsZero() {
		o.drain(o.p.Next())
	}
	if took := o.sent[len(o.sent)-1].at.Sub(now); took > 85*ms || took < 50*ms {
		t.Errorf("a key frame took %v", took)
	}
}

// A viewer that asks for everything again, on a link that video fills, gets nothing: no storm (trap 15). When the video
// pauses, repairs go within the estimate.
func TestNoResendStorm(t *testing.T) {
	const rate = 500_000
	o, now := owner{p: pace.New(pace.Config{}, rate)}, start
	run := func(d time.Duration, video int) (resent int) {
		for end := now.Add(d); now.Before(end); now = now.Add(5 * ms) {
			o.drain(now)
			if now.Sub(start)%(20*ms) == 0 {
				o.push(160, pace.Audio, now)
			}
			for range video {
				o.push(1200, pace.Video, now)
			}
			for range 30 { // 57 Mbit/s are asked for
				if o.push(1200, pace.Resend, now) != pace.Refuse {
					resent += 1200
				}
			}
		}
		return resent * 8 / int(d/time.Second)
	}
	run(2*time.Second, 2)
	if r := run(4*time.Second, 2); r > rate/20 {
		t.Errorf("%d bit/s are resent beside too much video", r)
	}
	if r := run(4*time.Second, 0); r > rate || r < rate/3 {
		t.Errorf("%d bit/s are resent without video", r)
	}
}

// Sound does not starve video for ever, on whatever link.
func TestVideoGoesOnBesideSound(t *testing.T) {
	o, now := owner{p: pace.New(pace.Config{}, 100_000)}, start
	for range 500 {
		now = now.Add(20 * ms)
		o.drain(now)
		o.push(160, pace.Audio, now) // 64 kbit/s
		o.push(400, pace.Video, now)
	}
	video := 0
	for _, s := range o.sent {
		if s.kind == pace.Video {
			video += s.size
		}
	}
	if video*8/10 < 100_000 {
		t.Errorf("video got %d bit/s", video*8/10)
	}
}

// Ten minutes of more sound than the link carries leave no debt to a better link.
func TestThinTimesLeaveNoDebt(t *testing.T) {
	p, now := pace.New(pace.Config{}, 10_000), start
	for range 600 * 50 {
		now = now.Add(20 * ms)
		p.Push(160, pace.Audio, now)
	}
	p.SetRate(1_000_000, false, now)
	if v := p.Push(1200, pace.Video, now); v != pace.Wait {
		t.Errorf("verdict %d", v)
	}
	if wait := p.Next().Sub(now); wait > 110*ms {
		t.Errorf("video waits %v", wait)
	}
}

func TestRateFollowsTheEstimate(t *testing.T) {
	p, now := pace.New(pace.Config{}, 8_000_000), start
	for range 20 {
		p.Push(1200, pace.Video, now)
	}
	slow := p.Next()
	p.SetRate(80_000, false, now)
	if later := p.Next(); !later.After(slow) {
		t.Errorf("due at %v, and at %v after the estimate fell", slow, later)
	}
	if w := p.Waiting(); w < 100*ms {
		t.Errorf("waits %v", w)
	}
	p.SetRate(80_000_000, false, now)
	if _, ok := p.Due(now.Add(2 * ms)); !ok {
		t.Error("nothing is due after the estimate rose")
	}
	now = now.Add(-time.Hour)
	if v := p.Push(100, pace.Audio, now); v != pace.Now {
		t.Errorf("a clock that steps back stops sound: %d", v)
	}
}

// While a queue stands on the link nothing is sent in bursts, and nothing saved before is resent.
func TestCongestionSlowsThePace(t *testing.T) {
	p, now := pace.New(pace.Config{}, 1_000_000), start
	p.SetRate(1_000_000, true, now)
	if n := p.Spare(now); n != 0 {
		t.Errorf("%d bytes of resends are left", n)
	}
	sent := 0
	for range 1000 {
		now = now.Add(ms)
		if p.Push(1200, pace.Video, now) == pace.Wait {
			p.Drop(1200, pace.Video)
			continue
		}
		sent += 1200 * 8
	}
	if sent > 1_050_000 {
		t.Errorf("%d bits in a second", sent)
	}
	p.SetRate(1_000_000, false, now)
	p.SetRate(1_000_000, true, now.Add(ms))
	if n := p.Spare(now.Add(20 * ms)); n > 3000 {
		t.Errorf("%d bytes of resends after 20 ms", n)
	}
}

func TestDroppedPacketsMakeRoom(t *testing.T) {
	p := pace.New(pace.Config{}, 100_000)
	n := 0
	for p.Push(1200, pace.Video, start) != pace.Refuse {
		n++
	}
	for range n - 3 { // two of them, the burst, were not queued
		p.Drop(1200, pace.Video)
	}
	if v := p.Push(1200, pace.Video, start); v != pace.Wait {
		t.Errorf("verdict %d after the queue was emptied", v)
	}
}

func TestPushAndDueDoNotAllocate(t *testing.T) {
	p, now := pace.New(pace.Config{}, 2_000_000), start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(ms)
		p.Push(160, pace.Audio, now)
		p.Push(1200, pace.Resend, now)
		p.Push(1200, pace.Video, now)
		for {
			k, ok := p.Due(now)
			if !ok {
				break
			}
			p.Pop(1200, k)
		}
		p.Next()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPush(b *testing.B) {
	p, now := pace.New(pace.Config{}, 1_000_000_000), start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond * 20)
		p.Push(1200, pace.Video, now)
	}
}

// Once the link's limit is known, a key frame leaves little faster than the link carries it.
func TestAKnownLimitIsNotOverrun(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	leaving := func(found bool) time.Duration {
		p := pace.New(pace.DefaultConfig(), 4_000_000)
		p.SetFound(found)
		p.SetRate(4_000_000, false, now)
		at, queued := now, 0
		for range 50 { // 60 KB
			if p.Push(1200, pace.Video, at) == pace.Wait {
				queued++
			}
		}
		for queued > 0 {
			at = at.Add(time.Millisecond)
			for {
				kind, ok := p.Due(at)
				if !ok {
					break
				}
				p.Pop(1200, kind)
				queued--
			}
		}
		return at.Sub(now)
	}
	if fast, slow := leaving(false), leaving(true); fast > 60*time.Millisecond || slow < 80*time.Millisecond || slow > 120*time.Millisecond {
		t.Errorf("60 KB at 4 Mbit/s took %v, and %v with the limit known", fast, slow)
	}
}
