package bwe_test

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe"
	"github.com/sluice-live/sluice/media/bwe/link"
)

// path draws any link that a viewer may have.
func path(t *rapid.T, at time.Duration) link.Step {
	return link.Step{At: at, Path: link.Path{
		Rate: media.Bitrate(rapid.SampledFrom([]int{0, 100_000, 300_000, 700_000, 2_000_000, 8_000_000}).Draw(t, "rate")),
		Loss: rapid.SampledFrom([]float64{0, 0, 0.02, 0.1}).Draw(t, "loss"), Burst: rapid.SampledFrom([]float64{0, 0, 0.05}).Draw(t, "burst"),
		Jitter: time.Duration(rapid.SampledFrom([]int{0, 0, 10, 30, 60}).Draw(t, "jitter")) * ms,
		Delay:  time.Duration(rapid.IntRange(1, 150).Draw(t, "delay")) * ms, Down: rapid.IntRange(0, 9).Draw(t, "down") == 0,
	}}
}

// Whatever the link does: the estimate stays in its bounds, the target below it, no probe asks for more than wanted, and
// who keeps to the target never overruns a link for long.
func TestAnyLink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := []link.Step{path(t, 0), path(t, 4*time.Second)}
		s := newSim(rapid.Uint64().Draw(t, "seed"), steps...)
		s.every = time.Duration(rapid.SampledFrom([]int{50, 100, 200}).Draw(t, "every")) * ms
		from := sender{greedy: rapid.Bool().Draw(t, "greedy"), video: ladder, wanted: 3_000_000}
		cfg := bwe.DefaultConfig()
		for range 80 {
			s.run(100*ms, from)
			x := s.e.State()
			if x.Estimate < cfg.Min || x.Estimate > cfg.Max || x.Target > x.Estimate || x.Target < cfg.Min {
				t.Fatalf("out of bounds: %+v", x)
			}
			if x.Loss < 0 || x.Loss > 1 || x.RTT < 0 || x.Queue < 0 {
				t.Fatalf("cannot be: %+v", x)
			}
		}
		// The last second of each stretch, but where an outage, jitter or loss blurs it.
		for i, step := range steps {
			p := step.Path
			if p.Rate == 0 || p.Down || p.Jitter > 0 || p.Loss+p.Burst > 0 || i > 0 && steps[i-1].Path.Down {
				continue
			}
			if o := offered(s.part(step.At+3*time.Second, step.At+4*time.Second)); o > 1.5*float64(p.Rate)+90_000 {
				t.Fatalf("%.0f bit/s were offered to a link of %d", o, p.Rate)
			}
		}
	})
}

// Reports that are lost, late, doubled or lies change nothing for the bounds, and do not panic.
func TestAnyReport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, now, seq := bwe.New(bwe.DefaultConfig()), epoch, rapid.Uint16().Draw(t, "first")
		for range 30 {
			now = now.Add(time.Duration(rapid.IntRange(-5, 200).Draw(t, "ms")) * ms)
			size := rapid.IntRange(0, 2000).Draw(t, "size")
			for range rapid.IntRange(0, 20).Draw(t, "packets") {
				e.Sent(seq, size, now, seq%4 == 0)
				seq++
			}
			raw := binary.BigEndian.AppendUint16(make([]byte, 12), seq-uint16(rapid.IntRange(-10, 400).Draw(t, "back")))
			raw = binary.BigEndian.AppendUint16(raw, rapid.Uint16Max(60).Draw(t, "count"))
			raw = binary.BigEndian.AppendUint32(raw, rapid.Uint32().Draw(t, "reference and number"))
			raw = append(raw, rapid.SliceOfN(rapid.Byte(), 0, 150).Draw(t, "chunks and deltas")...)
			if a, err := bwe.ReadArrivals(raw); err == nil {
				e.Feedback(a, now)
			}
			e.Report(rapid.Float64Range(0, 1).Draw(t, "loss"), time.Duration(rapid.IntRange(0, 2000).Draw(t, "rtt"))*ms, now)
			wanted := media.Bitrate(rapid.IntRange(0, 10_000_000).Draw(t, "wanted"))
			if rate, n, ok := e.Probe(now, wanted); ok && (rate <= 0 || n <= 0 || float64(rate) > 1.2*float64(wanted)+1) {
				t.Fatalf("a probe of %d bytes at %d for %d", n, rate, wanted)
			}
			if x := e.State(); x.Estimate < 30_000 || x.Estimate > 50_000_000 || x.Target < 30_000 {
				t.Fatalf("out of bounds: %+v", x)
			}
		}
	})
}

// FuzzFeedback reads reports from the wire.
func FuzzFeedback(f *testing.F) {
	r := link.NewReceiver(epoch, 0)
	for i := range 30 {
		if i%7 != 3 {
			r.Arrive(uint16(i), epoch.Add(time.Duration(i)*10*ms))
		}
	}
	for _, cc := range r.Report() {
		if raw, err := cc.Marshal(); err == nil {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := bwe.ReadArrivals(raw)
		if err != nil {
			return
		}
		e := bwe.New(bwe.DefaultConfig())
		for i := range 100 {
			e.Sent(a.Base+uint16(i), 1000, epoch.Add(time.Duration(i)*ms), false)
		}
		e.Feedback(a, epoch.Add(200*ms))
		e.Feedback(a, epoch.Add(300*ms))
		if x := e.State(); x.Target < 30_000 || x.Loss < 0 || x.Loss > 1 {
			t.Fatalf("%+v", x)
		}
	})
}

// wire is a report as it arrives.
func wire(cc *rtcp.TransportLayerCC) bwe.Arrivals {
	a, err := link.Wire(cc)
	if err != nil {
		panic(err)
	}
	return a
}

// steady is an estimator with a viewer of 2.5 Mbit/s and the reports of one second of it.
func steady() (e *bwe.Estimator, now *time.Time, send func(), feedback func()) {
	e, at, seq := bwe.New(bwe.DefaultConfig()), epoch, uint16(0)
	rx := link.NewReceiver(epoch, 0)
	send = func() {
		at = at.Add(3 * ms)
		e.Sent(seq, 1000, at, false)
		rx.Arrive(seq, at.Add(20*ms))
		seq++
	}
	feedback = func() {
		for _, cc := range rx.Report() {
			e.Feedback(wire(cc), at.Add(40*ms))
		}
	}
	for range 100 {
		for range 33 {
			send()
		}
		feedback()
	}
	return e, &at, send, feedback
}

func TestSentAndFeedbackDoNotAllocate(t *testing.T) {
	e, now, _, _ := steady()
	seq := uint16(40_000)
	if n := testing.AllocsPerRun(1000, func() {
		*now = now.Add(ms)
		e.Sent(seq, 1200, *now, seq%3 == 0)
		e.Target()
		e.Probe(*now, 5_000_000)
		seq++
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
	rx, base := link.NewReceiver(epoch, 0), seq
	for range 33 {
		e.Sent(seq, 1200, *now, false)
		rx.Arrive(seq, now.Add(20*ms))
		seq++
	}
	report := wire(rx.Report()[0])
	if n := testing.AllocsPerRun(100, func() {
		for i := range uint16(33) {
			e.Sent(base+i, 1200, *now, false)
		}
		*now = now.Add(100 * ms)
		report.Number++
		report.Reference++
		e.Feedback(report, *now)
	}); n != 0 {
		t.Errorf("%v allocations per report", n)
	}
}

// After 10 s of 2.7 Mbit/s it still fits in 4 KB, and a size class.
func TestAnEstimatorIsSmall(t *testing.T) {
	const many = 100
	keep := make([]*bwe.Estimator, many)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range keep {
		keep[i], _, _, _ = steady()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int(after.HeapAlloc) - int(before.HeapAlloc)) / many; each > 4096+512 {
		t.Errorf("%d bytes each", each)
	}
	runtime.KeepAlive(keep)
}

func BenchmarkSent(b *testing.B) {
	e, now, _, _ := steady()
	at, seq := *now, uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(ms)
		e.Sent(seq, 1200, at, false)
		seq++
	}
}

// BenchmarkFeedback is one report of 33 packets.
func BenchmarkFeedback(b *testing.B) {
	e, now, _, _ := steady()
	at := *now
	rx := link.NewReceiver(epoch, 0)
	for i := range uint16(33) {
		rx.Arrive(i, at.Add(time.Duration(i)*3*ms))
	}
	report := wire(rx.Report()[0])
	b.ReportAllocs()
	for b.Loop() {
		for i := range uint16(33) {
			e.Sent(i, 1200, at, false)
		}
		at = at.Add(100 * ms)
		report.Number++
		report.Reference++
		e.Feedback(report, at)
	}
}
