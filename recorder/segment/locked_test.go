package segment_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/segment"
)

// follower is a cutter of a locked grid, and the segments that it made, in words.
type follower struct {
	c     *segment.Cutter
	lanes []int
	made  []map[uint64]string
	ended []map[uint64]bool
	asks  bool
}

func newFollower(part time.Duration) *follower {
	cfg := config()
	cfg.Start, cfg.Locked, cfg.Part, cfg.Limit = time.Unix(0, 0), true, part, part*11/10
	f := &follower{c: segment.New(cfg)}
	for _, r := range []segment.Rendition{{Kind: media.VideoRendition, Timescale: 90000}, {Kind: media.AudioRendition, Timescale: 48000}} {
		f.lanes = append(f.lanes, f.c.Add(r))
		f.made, f.ended = append(f.made, map[uint64]string{}), append(f.ended, map[uint64]bool{})
	}
	return f
}

func (f *follower) take() {
	for _, e := range f.c.Events() {
		switch e.Kind {
		case segment.PartReady:
			f.made[e.Rendition][e.MSN] += fmt.Sprintf("part %d from %d for %d, gap %v:", e.Part, e.Start, e.Duration, e.Gap)
			for _, s := range e.Samples {
				f.made[e.Rendition][e.MSN] += fmt.Sprintf(" %d %x", s.Duration, s.Data)
			}
		case segment.SegmentEnded:
			f.ended[e.Rendition][e.MSN] = true
		case segment.KeyWanted:
			f.asks = true
		}
	}
}

// meeting is two cutters of the same frames, of which the second began later.
type meeting struct {
	part   time.Duration
	every  media.Ticks // between pictures
	jitter int         // of pictures, ticks
	beat   int         // seconds between key frames of its own; 0: it is asked
	late   int         // tenths of a second
	phase  media.Ticks // of sound
	shake  uint64
	begin  int // ms
}

// Whatever the frame rate (of those that parts of all lengths fit), the beat of key frames and the jitter, and whenever the
// second one joins: a segment that both have is the same.
func TestLockedCuttersAgreeWheneverTheyBegan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		meeting{
			part:   rapid.SampledFrom([]time.Duration{334 * ms, 500 * ms, time.Second}).Draw(t, "part"),
			every:  rapid.SampledFrom([]media.Ticks{1500, 1800, 3000, 3003, 3600, 3750, 4500}).Draw(t, "interval"),
			jitter: rapid.IntRange(0, 90).Draw(t, "jitter"),
			beat:   rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "beat"),
			late:   rapid.IntRange(1, 200).Draw(t, "late"),
			phase:  media.Ticks(rapid.IntRange(0, 959).Draw(t, "phase")),
			shake:  rapid.Uint64().Draw(t, "shake"),
			begin:  rapid.IntRange(0, 999).Draw(t, "begin"),
		}.agree(t)
	})
}

// The part before a segment ended where it was foretold, a little before its key frame, and the segment began there: where
// just before the time from which on key frames count, and where as long as a part may be.
func TestLockedCuttersAgreeWhereAPartEndsJustBeforeTheKeyFrame(t *testing.T) {
	for _, m := range []meeting{
		{part: 500 * ms, every: 4500, late: 4},
		{part: 500 * ms, every: 3750, jitter: 19, late: 2},
	} {
		m.agree(t)
	}
}

func (m meeting) agree(t reporter) {
	t.Helper()
	first, second := newFollower(m.part), newFollower(m.part)
	pictures := &media.Format{Codec: media.H264, Width: 640, Height: 360}
	opus := &media.Format{Codec: media.Opus, Channels: 2}
	begin := time.Date(2026, 1, 2, 3, 4, 5, m.begin*int(ms), time.UTC)
	shake := rand.New(rand.NewPCG(m.shake, 0))
	base := media.Ticks(begin.Unix())
	next := [2]media.Ticks{base*90000 + media.Ticks(begin.Nanosecond())*9/100_000, base*48000 + m.phase}
	key, n := true, 0
	for i := 0; i < 3000; i++ {
		now := begin.Add(time.Duration(i)*10*ms + 50*ms)
		all := []*follower{first}
		if i > 10*m.late {
			all = append(all, second)
		}
		for lane, rate := range []media.Ticks{90000, 48000} {
			for time.Unix(0, int64(next[lane]/rate)*1e9+int64(next[lane]%rate)*1e9/int64(rate)).Before(now.Add(-40 * ms)) {
				f := segment.Frame{Frame: &media.Frame{Epoch: 1, Key: true, Format: opus, Data: []byte{1, byte(n), byte(n >> 8)}}, Time: next[lane], Duration: 960}
				step := media.Ticks(960)
				if lane == 0 {
					if m.beat > 0 {
						key = key || n > 0 && next[0]/(media.Ticks(m.beat)*90000) != (next[0]-m.every)/(media.Ticks(m.beat)*90000)
					}
					f.Frame, f.Duration = &media.Frame{Epoch: 1, Key: key, Format: pictures, Data: []byte{0, byte(n), byte(n >> 8)}}, 0
					f.Time += media.Ticks(shake.IntN(2*m.jitter+1) - m.jitter)
					key, step = false, m.every
					n++
				}
				for _, a := range all {
					a.c.Push(a.lanes[lane], f, now)
					a.take()
				}
				next[lane] += step
			}
		}
		for _, a := range all {
			a.c.Tick(now)
			a.take()
			key = key || a.asks && m.beat == 0
			a.asks = false
		}
	}
	for lane := range first.made {
		both := 0
		for msn, want := range second.made[lane] {
			if first.ended[lane][msn] && second.ended[lane][msn] {
				both++
				if got := first.made[lane][msn]; got != want {
					t.Fatalf("rendition %d, segment %d: the first has\n%s\nthe second\n%s", lane, msn, got, want)
				}
			}
		}
		if both < (300-m.late)/20-4 {
			t.Fatalf("rendition %d: %d segments are in both, which were together for %d s", lane, both, (300-m.late)/10)
		}
	}
}
