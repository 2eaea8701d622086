package munge_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/munge"
)

func TestTrap05_SequenceWrapAtSwitch(t *testing.T) {
	for _, first := range []uint16{65500, 65530, 65535} {
		m := munge.New(munge.Config{FirstSeq: first})
		var last munge.Out
		for i := range 10 {
			s := source{layer: media.Layer(i), seq: 1<<16 + 65530, ts: 1 << 32, at: start.Add(time.Duration(i) * 132 * time.Millisecond)}
			for n := range 12 { // the source wraps in here as well
				o := send(t, m, s.next(), n == 0)
				if (i > 0 || n > 0) && (o.Index != last.Index+1 || o.Seq != last.Seq+1) {
					t.Fatalf("%d: %+v after %+v", first, o, last)
				}
				last = o
			}
		}
		for back := range uint16(120) {
			ref, ok := m.Lookup(last.Seq - back)
			if !ok || ref.Out.Index != last.Index-uint64(back) {
				t.Fatalf("%d: %d packets back: %v %+v", first, back, ok, ref)
			}
		}
	}
}

func TestTrap06_TimestampWrapAndSourceChange(t *testing.T) {
	const second = 90000
	m := munge.New(munge.Config{FirstTS: 1<<32 - second})
	s := source{seq: 70000, ts: 1<<33 - second, at: start, perFrame: 1}
	last := send(t, m, s.next(), true)
	for i := 1; i < 90; i++ {
		o := send(t, m, s.next(), false)
		if o.TS-last.TS != 2970 {
			t.Fatalf("frame %d: from %d to %d", i, last.TS, o.TS)
		}
		last = o
	}
	b := source{seq: 200000, ts: 1<<32 + 5, at: start.Add(90 * 33 * time.Millisecond), perFrame: 1}
	if o := send(t, m, b.next(), true); o.TS-last.TS != 2970 || o.Seq != last.Seq+1 {
		t.Errorf("from %+v to %+v over the change of source", last, o)
	}
}

func TestTrap07_DuplicatesAndReorderingDoNotAdvance(t *testing.T) {
	m := munge.New(munge.Config{})
	s := source{seq: 70000, ts: 1 << 32, at: start}
	p := []*media.Packet{}
	for range 300 {
		p = append(p, s.next())
	}
	seen := map[uint16]bool{0: true}
	send(t, m, p[0], true)
	for i := 1; i+4 < len(p); i += 5 {
		for _, j := range []int{1, 0, 0, 3, 3, 2, 1, 4, 2} { // twenty percent reordered, and every second one twice
			if o, ok := m.Next(p[i+j], false, start); ok {
				if seen[o.Seq] || o.Seq != uint16(i+j) {
					t.Fatalf("packet %d went out as %d", i+j, o.Seq)
				}
				seen[o.Seq] = true
			}
		}
	}
	if len(seen) != 296 {
		t.Errorf("%d of 296 packets went out", len(seen))
	}
}

func TestTrap08_PaddingOnlyPacketsCloseUp(t *testing.T) {
	m := munge.New(munge.Config{})
	s := source{seq: 70000, ts: 1 << 32, at: start}
	last := send(t, m, s.next(), true)
	for range 100 {
		for range 3 {
			probe := s.next()
			probe.Payload = nil
			if _, ok := m.Next(probe, false, start); ok {
				t.Fatal("padding went out")
			}
		}
		o := send(t, m, s.next(), false)
		if o.Seq != last.Seq+1 {
			t.Fatalf("%d after %d", o.Seq, last.Seq)
		}
		last = o
	}
}

// The layer that is switched to has had no sender report, so its capture times are unknown or far off.
func TestTrap10_SwitchToALayerWithoutSenderReport(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"unknown": 0, "an hour ahead": time.Hour, "an hour behind": -time.Hour} {
		m := munge.New(munge.Config{})
		a := source{seq: 70000, ts: 1 << 32, at: start, capture: true, delay: 20 * time.Millisecond}
		x := sendAll(t, m, a.frame(), true)
		b := source{layer: 1, seq: 90000, ts: 77 << 32, at: start.Add(33 * time.Millisecond), delay: 30 * time.Millisecond}
		f := b.frame()
		if wrong != 0 {
			f[0].Capture = b.at.Add(wrong)
		}
		y := sendAll(t, m, f, true)
		if step := forward(x[0].TS, y[0].TS); step <= 0 || (step-43*time.Millisecond).Abs() > 76*time.Millisecond {
			t.Errorf("%s: time went %v in 43 ms", name, step)
		}
	}
}
