package recorder

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/segment"
)

// events turns what the cutter told into a new snapshot.
func (t *tape) events(now time.Time) {
	var changed []string
	told := t.cutter.Events()
	for _, e := range told {
		r := t.lanes[e.Rendition]
		switch e.Kind {
		case segment.PartReady:
			t.part(r, &e)
			changed = append(changed, r.is.ID)
		case segment.SegmentEnded:
			t.segment(r, &e)
			changed = append(changed, r.is.ID)
		case segment.Hole:
			t.missing(r, e.Start, e.Duration, e.Why)
			t.keep(t.journal().Hole(r.is.ID, e.Start, e.Start+e.Duration, string(e.Why)))
			t.missingToo(r, &e)
		case segment.Laid:
			t.listen(&e)
		case segment.KeyWanted:
			t.ask(r.track, r.layer)
		case segment.KeysLate:
			if isDerived(r.is.ID) {
				continue // its encoder does not keep up, or its source says so itself
			}
			t.log.Warn("segments without key frames", "rendition", r.is.ID,
				"advice", "the encoder sends none when asked; set its key frame interval to 2 s or less")
		}
	}
	if len(changed) == 0 {
		return
	}
	t.show(false, changed)
	for _, e := range told {
		if e.Kind == segment.PartReady && e.Arrival.After(t.opened) { // what was gathered waited on purpose
			t.r.metrics.late(t.lanes[e.Rendition].is.Kind, time.Since(e.Arrival))
		}
	}
}

// part makes the bytes of a part and keeps them.
func (t *tape) part(r *rendition, e *segment.Event) {
	if !e.Gap && e.Format != r.format {
		if err := t.dress(r, e.Format); err != nil {
			t.log.Error("pictures not packaged", "rendition", r.is.ID, "error", err)
		}
	}
	var data []byte
	if t.r.cfg.Redundant { // others number fragments alike, whenever they began
		r.sequence = uint32(e.MSN*256 + uint64(e.Part))
	}
	if !e.Gap {
		var err error
		if data, err = r.chunk(e, t.start); err != nil || len(r.is.Inits) == 0 {
			t.log.Error("part not packaged", "rendition", r.is.ID, "msn", e.MSN, "part", e.Part, "error", err)
			e.Gap, e.Why, e.Samples, e.Independent, data = true, segment.NoFrames, nil, false, nil
		}
	}
	if e.Part == 0 && e.Discontinuity {
		t.turned(e.MSN)
	}
	if len(r.segments) == 0 && r.open == nil {
		r.is.Removed = t.turnsBefore(e.MSN)
	}
	p := Part{MSN: e.MSN, Number: e.Part, Init: r.init, Discontinuity: e.Discontinuity, Start: e.Start, Duration: e.Duration,
		Independent: e.Independent, Gap: e.Gap, Why: string(e.Why)}
	if e.Independent && !e.Gap {
		p.Lead = r.lead(e, data)
	}
	extent, err := t.journal().Part(r.is.ID, p, data)
	t.keep(err)
	if e.Gap {
		t.r.metrics.parts.WithLabelValues("gap").Inc()
		t.missing(r, e.Start, e.Duration, e.Why)
	} else {
		t.r.metrics.parts.WithLabelValues("media").Inc()
		t.r.metrics.bytes.Add(float64(len(data)))
		t.wrote(err, true)
	}
	r.publish(e, data, extent, err == nil)
}

// dress begins a new initialisation section.
func (t *tape) dress(r *rendition, f *media.Format) error {
	fresh, err := r.dress(f, t.r.cfg.MaxBitrate)
	if err != nil {
		return err
	}
	if fresh {
		t.describe(r)
		t.keep(t.journal().Init(r.is.ID, r.init, r.is.Inits[r.init]))
		t.log.Info("rendition began", "rendition", r.is.ID, "codec", r.is.Codec, "width", r.is.Width, "height", r.is.Height)
	}
	return nil
}

// describe tells the Log what a rendition is.
func (t *tape) describe(r *rendition) {
	is := r.is
	is.Inits = nil
	t.keep(t.journal().Rendition(&is))
	r.toldFPS, r.toldPeak = is.FPS, is.Bandwidth
}

// segment ends the segment that is open.
func (t *tape) segment(r *rendition, e *segment.Event) {
	memory := lingering * t.r.cfg.Target
	window := t.r.cfg.Window
	if t.store.Load() == nil {
		window = memory
	}
	r.close(e, memory, window, t.r.cfg.MaxBitrate)
	t.keep(t.journal().SegmentEnd(r.is.ID, e.MSN))
	if r.is.FPS != r.toldFPS || r.is.Bandwidth != r.toldPeak { // measured: a recording declares it, too
		t.describe(r)
	}
	if n := len(r.segments); n > 0 && r.segments[0].MSN > t.dropped {
		oldest := r.segments[0].MSN
		for _, o := range t.lanes {
			if len(o.segments) > 0 {
				oldest = min(oldest, o.segments[0].MSN)
			}
		}
		if oldest > t.dropped {
			t.dropped = oldest
			t.keep(t.journal().Drop(oldest, t.turnsBefore(oldest)))
		}
	}
}

func (t *tape) missing(r *rendition, start, d media.Ticks, why segment.Why) {
	if t.encoders.rests(r) {
		return // nobody misses it
	}
	t.r.metrics.gaps.WithLabelValues(string(why)).Add(r.is.Time(d).Seconds())
}

// missingToo lists the silence of what is made of a rendition: it is silent where that is.
func (t *tape) missingToo(r *rendition, e *segment.Event) {
	if r.is.Kind != media.AudioRendition || e.Why != segment.PublisherGone && e.Why != segment.NoFrames {
		return
	}
	for _, d := range t.encoders.all {
		if d.of == r {
			scaled := func(at media.Ticks) media.Ticks {
				return at * media.Ticks(d.to.is.Timescale) / media.Ticks(r.is.Timescale)
			}
			t.keep(t.journal().Hole(d.to.is.ID, scaled(e.Start), scaled(e.Start+e.Duration), string(e.Why)))
		}
	}
}

// show makes a new snapshot and wakes who waits for it.
func (t *tape) show(ended bool, changed []string) {
	known := false
	t.version++
	changed = append(changed, t.recite()...)
	p := &media.Presentation{Stream: t.id, Incarnation: t.name(), Recording: t.incarnation, Version: t.version, Start: t.start,
		TargetDuration: t.r.cfg.Target, PartTarget: t.r.cfg.limit(), Ended: ended}
	for _, r := range t.lanes {
		known = known || len(r.is.Inits) > 0
		if len(r.is.Inits) > 0 && !r.hidden() { // before its first frame nobody can say what it is
			p.Renditions = append(p.Renditions, r.snapshot())
		}
	}
	slices.SortStableFunc(p.Renditions, order)
	for _, x := range t.texts {
		if len(p.Renditions) > 0 {
			p.Renditions = append(p.Renditions, x.snapshot())
		}
	}
	if l := t.store.Load(); known && !t.told && t.policy.Record && l != nil && l.open() {
		t.told = true
		t.clerk.began(t.start.Add(t.begins()))
	}
	if len(p.Renditions) == 0 {
		return
	}
	first := t.current.Load() == nil
	t.current.Store(p)
	t.bells.ring(changed...)
	if first {
		t.r.appeared()
	}
}

// maxTurns bounds the numbers of discontinuities that are remembered one by one.
const maxTurns = 1024

// turned remembers that a segment begins with a discontinuity.
func (t *tape) turned(msn uint64) {
	if i, known := slices.BinarySearch(t.turns, msn); !known {
		t.turns = slices.Insert(t.turns, i, msn)
	}
	if len(t.turns) > maxTurns {
		t.turns = t.turns[:copy(t.turns, t.turns[maxTurns/2:])]
		t.turnsForgotten += maxTurns / 2
	}
}

// turnsBefore counts the discontinuities before a segment.
func (t *tape) turnsBefore(msn uint64) uint64 {
	i, _ := slices.BinarySearch(t.turns, msn)
	return t.turnsForgotten + uint64(i)
}

// resume takes over what there is.
func (t *tape) resume(p *media.Presentation, l Log) {
	t.start, t.incarnation, t.version = p.Start, p.Incarnation, p.Version
	t.store.Store(t.r.write(func() (Log, error) { return l, nil }))
	for _, old := range p.Renditions {
		if old.Kind == media.SubtitleRendition {
			continue // recalled below
		}
		r := newRendition(old.ID, old.Kind, old.Timescale)
		r.resume(old)
		t.byName[old.ID] = r
		t.lanes = append(t.lanes, r)
		t.turnsForgotten = max(t.turnsForgotten, old.Removed)
		for _, s := range r.segments {
			if s.Discontinuity {
				t.turned(s.MSN)
			}
			t.from = max(t.from, old.Time(s.Start+s.Duration))
			t.next = max(t.next, s.MSN+1)
		}
	}
	for _, r := range t.lanes { // parts that a power cut took may have been hinted: what follows has names of its own
		r.open = &media.Segment{MSN: t.next, Start: r.end(), Discontinuity: true, Gap: true}
	}
	t.recall(l.Captions())
}

// finish ends the presentation, or suspends it.
func (t *tape) finish(c Closing) {
	if t.cutter == nil {
		return
	}
	if len(t.gathered) > 0 {
		t.rejoin(time.Now())
	}
	t.cutter.End(time.Now())
	t.events(time.Now())
	if c == Ended {
		names := make([]string, 0, len(t.lanes)+len(t.texts))
		for _, r := range t.lanes {
			r.open = nil
			names = append(names, r.is.ID)
		}
		for _, x := range t.texts {
			names = append(names, x.is.ID)
		}
		t.show(true, names)
		t.r.metrics.ended.Inc()
		t.log.Info("presentation ended", "incarnation", t.incarnation, "duration", t.length().Round(time.Millisecond).String())
	} else {
		t.log.Info("presentation suspended", "incarnation", t.incarnation)
	}
	if c == Ended && !t.policy.Record {
		return // its files are deleted when nobody watches any more
	}
	t.shut(c)
	if c == Ended && t.store.Load() != nil {
		t.clerk.ended()
	}
}

func (t *tape) length() time.Duration {
	d := time.Duration(0)
	for _, r := range t.lanes {
		d = max(d, r.is.Time(r.end())-t.begins())
	}
	return max(d, 0)
}

// clerk tells the catalogue, in order, until it has heard.
type clerk struct {
	t    *tape
	jobs chan errand
	done chan struct{}
}

// errand is one thing to tell, of an incarnation that is not always the tape's own.
type errand struct {
	incarnation string
	do          func(context.Context) error
}

const (
	clerkTries = 5 * time.Second // between two
	clerkTime  = 5 * time.Second // that one may take
)

func newClerk(t *tape) *clerk {
	return &clerk{t: t, jobs: make(chan errand, 4), done: make(chan struct{})}
}

// run tells until there is nothing more to tell; when ctx ends it tries once more.
func (c *clerk) run(ctx context.Context) {
	defer close(c.done)
	for job := range c.jobs {
		for {
			one, cancel := context.WithTimeout(context.WithoutCancel(ctx), clerkTime)
			err := job.do(one)
			cancel()
			if err == nil {
				break
			}
			c.t.log.Error("catalogue not told", "incarnation", job.incarnation, "error", err)
			if ctx.Err() != nil {
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(clerkTries):
			}
		}
	}
}

// stop waits until all is told.
func (c *clerk) stop() {
	close(c.jobs)
	<-c.done
}

func (c *clerk) tell(incarnation string, job func(context.Context, Assets) error) {
	assets := c.t.r.parts.Assets
	if assets == nil {
		return
	}
	select {
	case c.jobs <- errand{incarnation, func(ctx context.Context) error { return job(ctx, assets) }}:
	default: // three events are all that there are
	}
}

func (c *clerk) began(at time.Time) {
	id, incarnation := c.t.id, c.t.incarnation
	c.tell(incarnation, func(ctx context.Context, a Assets) error { return a.Began(ctx, id, incarnation, at) })
}

func (c *clerk) ended() {
	id, incarnation := c.t.id, c.t.incarnation
	c.tell(incarnation, func(ctx context.Context, a Assets) error { return a.Ended(ctx, id, incarnation) })
}
