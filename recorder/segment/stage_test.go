package segment_test

import (
	"fmt"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/segment"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const ms = time.Millisecond

func config() segment.Config {
	return segment.Config{Start: start, Nominal: 2 * time.Second, Part: 500 * ms, Target: 6 * time.Second, Limit: 550 * ms, Patience: 250 * ms}
}

// reporter is what tests and properties have in common.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

// seg is a segment as a playlist would show it.
type seg struct {
	msn         uint64
	start, dur  time.Duration
	ticks       media.Ticks // start + duration
	parts       []segment.Event
	hard, gap   bool
	independent bool
	format      *media.Format
}

// track is one rendition of the stage: what came out of it.
type track struct {
	index    int
	rate     media.Ticks
	audio    bool
	segs     []seg
	open     []segment.Event
	next     media.Ticks
	first    bool
	readied  []time.Time // when parts were
	samples  int
	holes    []segment.Event
	asked    []time.Duration // media time
	late     int
	formats  [2]*media.Format
	keyWants int
	waited   int // parts that were published more than 20 ms after their last frame came
}

// stage drives a Cutter through virtual time, and checks what comes out.
type stage struct {
	t      reporter
	cfg    segment.Config
	c      *segment.Cutter
	now    time.Time
	tracks []*track
	// brief allows parts below 85 %: frame rates that no part length fits.
	brief  bool
	ending bool
	// begins is where renditions ended before they were resumed.
	begins time.Duration
}

func newStage(t reporter, cfg segment.Config) *stage {
	return &stage{t: t, cfg: cfg, c: segment.New(cfg), now: cfg.Start}
}

func (s *stage) add(kind media.RenditionKind) *track {
	r := &track{rate: 90000, audio: kind == media.AudioRendition, first: true}
	f := &media.Format{Codec: media.H264, Width: 1280, Height: 720, Parameters: [][]byte{{1}}}
	g := &media.Format{Codec: media.H264, Width: 640, Height: 360, Parameters: [][]byte{{2}}}
	if r.audio {
		r.rate = 48000
		f = &media.Format{Codec: media.Opus, Channels: 2}
		g = &media.Format{Codec: media.Opus, Channels: 1}
	}
	r.formats = [2]*media.Format{f, g}
	r.index = s.c.Add(segment.Rendition{Kind: kind, Timescale: uint32(r.rate), Begin: r.ticks(s.begins)})
	s.tracks = append(s.tracks, r)
	return r
}

func (r *track) ticks(d time.Duration) media.Ticks {
	return media.Ticks(d/time.Second)*r.rate + media.Ticks(d%time.Second)*r.rate/media.Ticks(time.Second)
}

func (r *track) time(t media.Ticks) time.Duration {
	return time.Duration(t/r.rate)*time.Second + time.Duration(t%r.rate)*time.Second/time.Duration(r.rate)
}

// shot is one frame of a script.
type shot struct {
	at, delay  time.Duration
	key, lost  bool
	step       bool
	format     int
	epoch      media.Epoch
	duration   time.Duration // sound
	offset     time.Duration
	background []byte
}

var frameData = []byte{0, 0, 0, 1, 9}

func (s *stage) push(r *track, f shot) {
	data := frameData
	if f.background != nil {
		data = f.background
	}
	if f.duration == 0 && r.audio {
		f.duration = 20 * ms
	}
	s.c.Push(r.index, segment.Frame{
		Frame: &media.Frame{Key: f.key || r.audio, Lost: f.lost, Epoch: f.epoch + 1, Format: r.formats[f.format], Data: data, Arrival: s.now},
		Time:  r.ticks(f.at), Offset: r.ticks(f.offset), Duration: r.ticks(f.duration), Step: f.step,
	}, s.now)
	s.take()
}

// wait lets time pass up to at, waking the Cutter when it wants to be.
func (s *stage) wait(at time.Time) {
	for range 100000 {
		next := s.c.Next()
		if next.IsZero() || next.After(at) {
			s.now = at
			return
		}
		if next.After(s.now) {
			s.now = next
		}
		s.c.Tick(s.now)
		s.take()
		if again := s.c.Next(); !again.IsZero() && !again.After(s.now) {
			s.now = s.now.Add(ms) // a Cutter that is due at once gets a little time
		}
	}
	s.t.Fatalf("the cutter wants to be woken for ever")
}

func (s *stage) end() {
	s.ending = true
	s.c.End(s.now)
	s.take()
}

// take reads events and checks each against the rules.
func (s *stage) take() {
	s.t.Helper()
	for _, e := range s.c.Events() {
		r := s.tracks[e.Rendition]
		switch e.Kind {
		case segment.PartReady:
			s.part(r, e)
		case segment.SegmentEnded:
			s.ended(r, e)
		case segment.Hole:
			r.holes = append(r.holes, e)
		case segment.KeyWanted:
			r.keyWants++
			r.asked = append(r.asked, s.now.Sub(s.cfg.Start))
		case segment.KeysLate:
			r.late++
		}
	}
}

func (s *stage) part(r *track, e segment.Event) {
	s.t.Helper()
	if r.first {
		r.next, r.first = e.Start, false
	}
	where := fmt.Sprintf("part %d.%d of rendition %d at %v", e.MSN, e.Part, r.index, r.time(e.Start))
	if e.Start != r.next {
		s.t.Fatalf("%s begins at %d, the one before ended at %d", where, e.Start, r.next)
	}
	r.next = e.Start + e.Duration
	if n := len(r.segs); n > 0 && e.MSN != r.segs[n-1].msn+1 {
		s.t.Fatalf("%s follows segment %d", where, r.segs[n-1].msn)
	}
	if e.Part != len(r.open) || e.Duration <= 0 {
		s.t.Fatalf("%s: %d parts before it, duration %d", where, len(r.open), e.Duration)
	}
	if e.Duration > r.ticks(s.cfg.Limit) { // R3
		s.t.Fatalf("%s lasts %v (gap %v, %d samples)", where, r.time(e.Duration), e.Gap, len(e.Samples))
	}
	if n := len(r.open); n > 0 && !s.brief {
		b := r.open[n-1]
		if !b.Gap && !e.Gap && !b.Independent && b.Duration*100 < r.ticks(s.cfg.Limit)*85-100 {
			s.t.Fatalf("%s: the one before it lasts %v only", where, r.time(b.Duration))
		}
	}
	sum := media.Ticks(0)
	for _, f := range e.Samples {
		if f.Duration <= 0 || len(f.Data) == 0 {
			s.t.Fatalf("%s has a sample of %d ticks, %d bytes", where, f.Duration, len(f.Data))
		}
		sum += f.Duration
	}
	key := len(e.Samples) > 0 && e.Samples[0].Key
	if e.Gap != (len(e.Samples) == 0) || e.Gap != (e.Why != "") || !e.Gap && sum != e.Duration {
		s.t.Fatalf("%s: gap %v (%s), %d samples of %d ticks, lasts %d", where, e.Gap, e.Why, len(e.Samples), sum, e.Duration)
	}
	if e.Independent != key || !e.Gap && e.Format == nil {
		s.t.Fatalf("%s: independent %v, format %v", where, e.Independent, e.Format)
	}
	for _, o := range r.open {
		if !o.Gap && !e.Gap && o.Format != e.Format { // R10
			s.t.Fatalf("%s: the format changes within a segment", where)
		}
	}
	if e.Gap && r.samples > 0 && e.Format.Codec == media.Opus && e.Why != segment.PublisherGone && !e.Discontinuity && !s.ending && !s.cfg.Locked { // hls.js never gets over one
		s.t.Fatalf("%s is a gap behind sound", where)
	}
	if !e.Gap && s.now.Sub(e.Arrival) > 20*ms {
		r.waited++
	}
	r.samples += len(e.Samples)
	r.open = append(r.open, e)
	r.readied = append(r.readied, s.now)
}

func (s *stage) ended(r *track, e segment.Event) {
	s.t.Helper()
	out := seg{msn: e.MSN, start: r.time(e.Start), dur: r.time(e.Duration), ticks: e.Start + e.Duration, parts: r.open,
		hard: e.Discontinuity, gap: true, independent: e.Independent}
	if len(r.open) == 0 || r.open[0].MSN != e.MSN || e.Part != len(r.open) {
		s.t.Fatalf("segment %d of rendition %d ended with %d parts", e.MSN, r.index, len(r.open))
	}
	sum := media.Ticks(0)
	for _, p := range r.open {
		sum += p.Duration
		out.gap = out.gap && p.Gap
		if p.Discontinuity != e.Discontinuity {
			s.t.Fatalf("segment %d of rendition %d: its discontinuity changed", e.MSN, r.index)
		}
		if !p.Gap {
			out.format = p.Format
		}
	}
	if sum != e.Duration || e.Start != r.open[0].Start || out.gap != e.Gap {
		s.t.Fatalf("segment %d of rendition %d: %d ticks from %d, its parts %d from %d", e.MSN, r.index, e.Duration, e.Start, sum, r.open[0].Start)
	}
	if out.dur > s.cfg.Target+ms { // R1
		s.t.Fatalf("segment %d of rendition %d lasts %v", e.MSN, r.index, out.dur)
	}
	if n := len(r.segs); n > 0 && out.format != nil { // R10
		for i := n - 1; i >= 0; i-- {
			if r.segs[i].format != nil {
				hard := out.hard
				for j := i + 1; j < n; j++ {
					hard = hard || r.segs[j].hard
				}
				if r.segs[i].format != out.format && !hard {
					s.t.Fatalf("segment %d of rendition %d: a new format without a discontinuity", e.MSN, r.index)
				}
				break
			}
		}
	}
	r.segs, r.open = append(r.segs, out), nil
}

// agree checks that renditions match: equal numbers, discontinuities, and
// boundaries within near.
func (s *stage) agree(near time.Duration) {
	s.t.Helper()
	for _, r := range s.tracks[1:] {
		for _, a := range r.segs {
			for _, b := range s.tracks[0].segs {
				if a.msn != b.msn {
					continue
				}
				if a.hard != b.hard {
					s.t.Fatalf("segment %d: discontinuity %v in rendition %d, %v in the first", a.msn, a.hard, r.index, b.hard)
				}
				limit := near
				if a.msn < 4 { // until it is learned how long key frames take
					limit = max(near, 150*ms)
				}
				if d := a.start - b.start; d.Abs() > limit {
					s.t.Fatalf("segment %d begins at %v in rendition %d, at %v in the first", a.msn, a.start, r.index, b.start)
				}
			}
		}
		if n, m := len(r.segs), len(s.tracks[0].segs); n > 0 && m > 0 && r.segs[n-1].msn != s.tracks[0].segs[m-1].msn {
			s.t.Fatalf("rendition %d ends with segment %d, the first with %d", r.index, r.segs[n-1].msn, s.tracks[0].segs[m-1].msn)
		}
	}
}
