package segment_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/segment"
)

// derived is sound that is made of other sound, 300 ms later.
func (s *stage) derived() *source {
	r := &track{rate: 48000, audio: true, first: true}
	r.formats[0] = &media.Format{Codec: media.AAC, Channels: 2, Parameters: [][]byte{{0x11, 0x90}}}
	r.index = s.c.Add(segment.Rendition{Kind: media.AudioRendition, Timescale: 48000, Derived: true})
	s.tracks = append(s.tracks, r)
	return &source{track: r, every: 20 * ms, delay: 300 * ms}
}

// Before anybody makes it there are gaps, with the numbers that the others have;
// then it begins in the middle of a segment, pauses, and goes on.
func TestWhatIsDerivedHasGapsUntilItIsMade(t *testing.T) {
	s := newStage(t, config())
	pictures, sound, aac := s.video(33*ms, 50*ms), s.sound(), s.derived()
	aac.quiet = func(at time.Duration) bool { return at < 7*time.Second || at > 12*time.Second && at < 15*time.Second }
	s.play(20*time.Second, pictures, sound, aac)
	s.end()
	s.agree(50 * ms)
	for _, g := range aac.segs {
		end := g.start + g.dur
		made := end > 7*time.Second && g.start < 12*time.Second || end > 15*time.Second
		if g.gap == made {
			t.Errorf("segment %d from %v to %v is a gap: %v", g.msn, g.start, end, g.gap)
		}
		at := g.start
		for _, p := range g.parts {
			from := aac.time(p.Start)
			if p.Gap && from > 7500*ms && from+aac.time(p.Duration) < 11500*ms {
				t.Errorf("a gap at %v", from)
			}
			at += aac.time(p.Duration)
		}
	}
	if aac.keyWants > 0 {
		t.Errorf("%d key frames were asked for", aac.keyWants)
	}
}

// Where it begins is where it belongs, to the tick, however the gap before it ended.
func TestWhatIsDerivedIsNeverMoved(t *testing.T) {
	for offset := range 20 {
		c := segment.New(config())
		pictures := c.Add(segment.Rendition{Kind: media.VideoRendition, Timescale: 90000})
		aac := c.Add(segment.Rendition{Kind: media.AudioRendition, Timescale: 48000, Derived: true})
		h264 := &media.Format{Codec: media.H264, Width: 64, Height: 64}
		format := &media.Format{Codec: media.AAC, Channels: 2}
		want := map[media.Ticks]bool{}
		laid := 0
		for i := range 300 {
			now := start.Add(time.Duration(i)*20*ms + 30*ms)
			c.Push(pictures, segment.Frame{Frame: &media.Frame{Epoch: 1, Key: i%100 == 0, Format: h264, Data: frameData}, Time: media.Ticks(i * 1800)}, now)
			if n := i - 137; n >= 0 { // 300 ms late, from 2.43 s on: up to 2.5 s there is a gap already
				at := media.Ticks(2430*48+offset*51) + media.Ticks(n)*960
				want[at] = true
				c.Push(aac, segment.Frame{Frame: &media.Frame{Epoch: 1, Key: true, Format: format, Data: frameData}, Time: at, Duration: 960}, now)
			}
			c.Tick(now)
			for _, e := range c.Events() {
				if e.Kind != segment.PartReady || e.Rendition != aac || e.Gap {
					continue
				}
				at := e.Start
				for _, s := range e.Samples {
					if !want[at] {
						t.Fatalf("a sample lies at %d", at)
					}
					at, laid = at+s.Duration, laid+1
				}
			}
		}
		if laid < 100 {
			t.Errorf("%d samples are there", laid)
		}
	}
}

// It is later than what it is made of, and comes to an end with it.
func TestWhatIsDerivedDecidesNothing(t *testing.T) {
	with, without := newStage(t, config()), newStage(t, config())
	a, b := with.video(33*ms, 50*ms), without.video(33*ms, 50*ms)
	aac := with.derived()
	with.play(15*time.Second, a, aac)
	without.play(15*time.Second, b)
	with.end()
	without.end()
	if len(a.segs) != len(b.segs) {
		t.Fatalf("%d segments with it, %d without", len(a.segs), len(b.segs))
	}
	for i := range a.segs {
		if a.segs[i].start != b.segs[i].start || a.segs[i].dur != b.segs[i].dur {
			t.Errorf("segment %d: %v for %v with it, %v for %v without", i, a.segs[i].start, a.segs[i].dur, b.segs[i].start, b.segs[i].dur)
		}
	}
	if len(a.asked) != len(b.asked) {
		t.Errorf("%d key frames are asked for with it, %d without", len(a.asked), len(b.asked))
	}
	with.agree(50 * ms)
}

// Who listens is told of each sample where it lies, silence too.
func TestWhoTapsHearsEachSampleAtItsPlace(t *testing.T) {
	c := segment.New(config())
	one := c.Add(segment.Rendition{Kind: media.AudioRendition, Timescale: 48000})
	c.Tap(one)
	format := &media.Format{Codec: media.Opus, Channels: 2}
	var told, laid media.Ticks
	check := func() {
		for _, e := range c.Events() {
			switch e.Kind {
			case segment.Laid:
				if told > 0 && e.Start != told || len(e.Samples) != 1 || e.Epoch != 1 || e.Format == nil {
					t.Fatalf("a sample at %d, the one before ended at %d: %+v", e.Start, told, e)
				}
				told = e.Start + e.Samples[0].Duration
			case segment.PartReady:
				laid = e.Start + e.Duration
			}
		}
	}
	for i := range 500 {
		at := time.Duration(i) * 20 * ms
		if i%50 > 45 { // a second has holes
			continue
		}
		c.Push(one, segment.Frame{Frame: &media.Frame{Epoch: 1, Key: true, Format: format, Data: frameData}, Time: media.Ticks(at * 48000 / time.Second), Duration: 960}, start.Add(at+30*ms))
		check()
	}
	c.End(start.Add(10 * time.Second))
	check()
	if told != laid || told < 9*48000 {
		t.Errorf("samples up to %d, parts up to %d", told, laid)
	}
}
