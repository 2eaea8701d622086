package conform_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
)

func forAnyMode(t *testing.T, run func(t *rapid.T, m mode)) {
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(modes)-1).Draw(t, "mode")
		t.Log(modes[i].name)
		run(t, modes[i])
	})
}

// The publisher changes its codec and picture size on the way, under the same encoding.
func TestTrap04_CodecAndSizeChangeMidStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStage(t, modes[rapid.IntRange(0, len(modes)-1).Draw(t, "before")], path{padding: 3})
		s.run(rapid.IntRange(1, 40).Draw(t, "pictures"))
		next := modes[rapid.IntRange(0, len(modes)-1).Draw(t, "after")]
		old := s.encoders
		s.mode = next
		for i, e := range old {
			s.encoders[i] = &encoder{mode: next, layer: e.layer, epoch: e.epoch, ids: e.ids, pick: e.pick, seq: e.seq, ts: e.ts, id: e.id, tl0: e.tl0, number: e.number, offset: e.offset}
		}
		s.viewer.selector.Reset() // as the room does when a packet brings another codec
		s.viewer.selector.Layers(s.infos)
		s.run(rapid.IntRange(1, 40).Draw(t, "more"))
		s.judge()
	})
}

// Timestamps turn over and publishers come back with other numbers: time goes on.
func TestTrap06_TimestampsTurnOverAndSourcesChange(t *testing.T) {
	forAnyMode(t, func(t *rapid.T, m mode) {
		s := newStage(t, m, path{})
		for range rapid.IntRange(2, 5).Draw(t, "publishers") {
			s.publish(1)
			s.encoders[0].ts = 1<<33 - media.Ticks(rapid.IntRange(0, 60000).Draw(t, "before the turn"))
			for n := range 30 {
				s.picture(n)
			}
		}
		s.judge()
		for i, p := range s.viewer.sent[1:] {
			if step := p.out.TS - s.viewer.sent[i].out.TS; step > 3000+6750 {
				t.Fatalf("time goes %d ticks at once", step)
			}
		}
	})
}

// Twenty percent come out of order and five percent twice: no number is given twice, nothing goes back.
func TestTrap07_ReorderedAndDoubledPackets(t *testing.T) {
	forAnyMode(t, func(t *rapid.T, m mode) {
		s := newStage(t, m, path{late: 20, twice: 5})
		for n := range 60 {
			s.picture(n)
		}
		s.judge()
	})
}

// Probes without payload, more of them than of media: the viewer's numbers have no holes.
func TestTrap08_ProbesLeaveNoHoles(t *testing.T) {
	forAnyMode(t, func(t *rapid.T, m mode) {
		s := newStage(t, m, path{padding: 70})
		for n := range 40 {
			s.picture(n)
		}
		s.judge()
		for i, p := range s.viewer.sent[1:] {
			if p.out.Index != s.viewer.sent[i].out.Index+1 && s.viewer.sent[i].out.Marker {
				t.Fatalf("from %d to %d", s.viewer.sent[i].out.Index, p.out.Index)
			}
		}
	})
}

// No layer has had a sender report, so that no capture time is known: a switch moves time by a frame and 75 ms at most.
func TestTrap10_SwitchesWithoutSenderReports(t *testing.T) {
	forAnyMode(t, func(t *rapid.T, m mode) {
		s := newStage(t, m, path{})
		s.publish(3)
		for n := range 90 {
			if n%9 == 0 {
				s.viewer.selector.Limit(media.Layer(s.pick(3)), 255, 255)
			}
			s.picture(n)
		}
		s.judge()
		const bound = 3000 + 90*75
		for i, p := range s.viewer.sent[1:] {
			if step := p.out.TS - s.viewer.sent[i].out.TS; step > 3*bound { // some pictures pass until the first key frame
				t.Fatalf("time goes %v at once", time.Duration(step)*time.Second/90000)
			}
		}
	})
}

// The top encoding falls silent: once that is known the viewer falls to the next within a second, and is back on top when
// it returns.
func TestTrap11_TopEncodingDisappears(t *testing.T) {
	forAnyMode(t, func(t *rapid.T, m mode) {
		s := newStage(t, m, path{padding: 2})
		s.publish(3)
		for n := range 20 {
			s.picture(n)
		}
		for _, active := range []bool{false, true} {
			s.infos[2].Active = active
			s.viewer.selector.Layers(s.infos)
			for n := range 30 {
				s.picture(100 + n)
			}
			want := media.Layer(1)
			if active {
				want = 2
			}
			if got := s.viewer.selector.Current(); got != want {
				t.Fatalf("encoding %d is forwarded, want %d", got, want)
			}
		}
		s.judge()
	})
}
