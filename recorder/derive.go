package recorder

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/encode"
	"github.com/sluice-live/sluice/recorder/segment"
)

const (
	// rungPrefix is what the renditions of a ladder begin with. No layer's name does.
	rungPrefix = "h264-"
	// choosing is how long a ladder waits for larger layers to make it of.
	choosing = time.Second
)

// isDerived reports whether a rendition is made by an encoder.
func isDerived(id string) bool { return isAAC(id) || strings.HasPrefix(id, rungPrefix) }

// derived is a rendition that is made of another.
type derived struct {
	of, to *rendition
	line   *encode.Line
	always bool
	wanted time.Time     // when somebody asked last
	stop   func()        // nil: nobody makes it
	done   chan struct{} // closed when nobody does any more
}

// encoders are those of one tape. Its goroutine owns them but for wishes.
type encoders struct {
	all  []*derived
	base context.Context // of their processes
	stop func()
	live sync.WaitGroup

	ladderOf *rendition // what pictures are made of
	since    time.Time  // when the first was there
	rungs    map[string]bool

	mu     sync.Mutex
	wishes map[string]bool
	wish   chan struct{} // there are some
}

// made is what an encoder has made, or is going to make.
type made struct {
	of     *derived
	frames []encode.Frame
	rung   *rung
}

// rung is a step of the ladder that is ready to begin.
type rung struct {
	id     string
	config encode.Config
	format *media.Format
}

// wanted notes that somebody wants a rendition.
func (t *tape) wanted(rendition string) {
	if !isDerived(rendition) {
		return
	}
	e := &t.encoders
	e.mu.Lock()
	if e.wishes == nil {
		e.wishes = map[string]bool{}
	}
	if len(e.wishes) < maxBells {
		e.wishes[rendition] = true
	}
	e.mu.Unlock()
	e.awake()
}

// awake lets the tape look at what has changed.
func (e *encoders) awake() {
	select {
	case e.wish <- struct{}{}:
	default:
	}
}

// derive begins a rendition that an encoder makes.
func (t *tape) derive(from *rendition, id string, f *media.Format, cfg encode.Config, always bool) {
	r := t.byName[id]
	if r == nil {
		r = newRendition(id, from.is.Kind, from.is.Timescale)
		r.lane = t.cutter.Add(segment.Rendition{Kind: r.is.Kind, Timescale: r.is.Timescale, Derived: true})
		t.byName[id] = r
		t.lanes = append(t.lanes, r)
	}
	r.is.OnDemand = !always
	r.is.Bandwidth = max(r.is.Bandwidth, cfg.Profile.Bitrate*5/4)
	r.is.FPS = float64(cfg.Profile.FPS)
	d := &derived{of: from, to: r, always: always}
	if r.is.Kind == media.AudioRendition {
		d.speak()
	}
	t.describe(r)
	if err := t.dress(r, f); err != nil {
		t.log.Error("rendition not encoded", "rendition", id, "error", err)
		return
	}
	r.track, r.layer = from.track, from.layer
	log := t.log.With("rendition", id)
	cfg.Out = func(f []encode.Frame) { intake{t}.hand(delivery{made: &made{of: d, frames: f}}) }
	cfg.Failed = func(err error) {
		t.r.metrics.encodersFailing.Inc()
		log.Error("encoding stands still, live goes on", "error", err)
	}
	cfg.Died = func(err error) {
		t.r.metrics.encoderDeaths.Inc()
		log.Warn("encoder replaced", "error", err)
	}
	cfg.Revived = func() {
		t.r.metrics.encodersFailing.Dec()
		log.Info("encoding goes on")
	}
	d.line = encode.New(cfg)
	t.encoders.all = append(t.encoders.all, d)
	t.cutter.Tap(from.lane)
}

// listen gives a sample to who encodes it.
func (t *tape) listen(e *segment.Event) {
	s := e.Samples[0]
	for _, d := range t.encoders.all {
		if d.of.lane == e.Rendition {
			d.line.Push(encode.Sample{Time: e.Start + s.Offset, Duration: s.Duration, Key: s.Key, Epoch: e.Epoch, Format: e.Format, Data: s.Data})
		}
	}
}

// attend begins and ends encoding as it is wanted.
func (t *tape) attend(now time.Time) {
	if t.cutter == nil || !t.r.encodes() {
		return
	}
	t.ladder(now)
	e := &t.encoders
	e.mu.Lock()
	for _, d := range e.all {
		if e.wishes[d.to.is.ID] {
			d.wanted = now
		}
	}
	clear(e.wishes)
	e.mu.Unlock()
	for _, d := range e.all {
		d.to.track, d.to.layer = d.of.track, d.of.layer
		want := d.always || !d.wanted.IsZero() && now.Sub(d.wanted) < t.r.cfg.Unwanted
		switch {
		case want && d.stop == nil && !d.ends():
			t.make(d)
		case !want && d.stop != nil:
			d.stop()
			d.stop = nil
			t.log.Info("encoding ended", "rendition", d.to.is.ID, "reason", "nobody wants it")
		}
	}
}

// rests reports whether a rendition has no media because nobody wants any.
func (e *encoders) rests(r *rendition) bool {
	return slices.ContainsFunc(e.all, func(d *derived) bool { return d.to == r && d.stop == nil })
}

// ends reports whether an encoder that was stopped has not ended yet.
func (d *derived) ends() bool {
	if d.done == nil {
		return false
	}
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// make begins to encode where the rendition has ended so far.
func (t *tape) make(d *derived) {
	from := d.to.end()
	if o := d.to.open; o != nil {
		from = o.Start + o.Duration
	}
	ctx, stop := context.WithCancel(t.encoders.base)
	done := make(chan struct{})
	d.stop, d.done = stop, done
	t.log.Info("encoding began", "rendition", d.to.is.ID)
	t.r.metrics.encoders.Inc()
	t.encoders.live.Go(func() { // run waits for it
		defer close(done)
		defer t.r.metrics.encoders.Dec()
		defer stop()
		d.line.Run(ctx, from)
		if d.line.State().Failing != nil {
			t.r.metrics.encodersFailing.Dec()
		}
	})
}

// encoded takes what was made.
func (t *tape) encoded(m *made, now time.Time) {
	if m.rung != nil {
		if t.encoders.ladderOf != nil {
			t.derive(t.encoders.ladderOf, m.rung.id, m.rung.format, m.rung.config, t.r.cfg.LadderAlways)
			t.trouble.Store(nil)
		}
		return
	}
	for i := range m.frames {
		f := &m.frames[i]
		t.cutter.Push(m.of.to.lane, segment.Frame{
			Frame: &media.Frame{Epoch: f.Epoch, Key: f.Key, Format: f.Format, Data: f.Data},
			Time:  f.Time, Duration: f.Duration,
		}, now)
		t.events(now)
	}
}

// ladder chooses what pictures are made of, and makes ready the steps that are not
// larger than it: one layer alone, or the largest of VP8.
func (t *tape) ladder(now time.Time) {
	e := &t.encoders
	if len(t.r.cfg.Ladder) == 0 {
		return
	}
	best, n := (*rendition)(nil), 0
	for _, r := range t.lanes {
		if r.is.Kind != media.VideoRendition || isDerived(r.is.ID) || len(r.is.Inits) == 0 {
			continue
		}
		n++
		if best == nil || r.is.Width*r.is.Height > best.is.Width*best.is.Height {
			best = r
		}
	}
	if best == nil || n > 1 && !best.hidden() {
		return
	}
	if e.ladderOf == nil {
		if e.since.IsZero() {
			e.since = now
		}
		if now.Sub(e.since) < choosing {
			return
		}
		e.ladderOf, e.rungs = best, map[string]bool{}
	}
	w, h := e.ladderOf.is.Width, e.ladderOf.is.Height
	fits := false
	for _, p := range t.r.cfg.Ladder {
		if p.Fit || p.Height <= min(w, h) {
			fits = true
			t.rehearse(p, w, h)
		}
	}
	if !fits && len(e.rungs) == 0 && e.ladderOf.hidden() { // something that plays there has to be
		least := slices.MinFunc(t.r.cfg.Ladder, func(a, b Rung) int { return a.Height - b.Height })
		t.rehearse(least, w, h)
	}
}

// rehearse finds out how a step of the ladder will look, so that it can be listed.
func (t *tape) rehearse(p Rung, w, h int) {
	id := rungPrefix + p.Name
	if t.encoders.rungs[id] {
		return
	}
	t.encoders.rungs[id] = true
	cfg := encode.Config{Program: t.r.cfg.FFmpeg, Threads: t.r.cfg.Threads,
		Profile: encode.Profile{Kind: media.Video, Bitrate: p.Bitrate, FPS: p.FPS}}
	cfg.Profile.Width, cfg.Profile.Height = p.size(w, h)
	t.encoders.live.Go(func() { // run waits for it
		f, err := encode.Rehearse(t.encoders.base, cfg)
		if err != nil {
			if t.encoders.base.Err() == nil {
				t.log.Error("rendition not encoded", "rendition", id, "error", err)
			}
			return
		}
		intake{t}.hand(delivery{made: &made{rung: &rung{id, cfg, f}}})
	})
}

// encodes reports whether there is an encoder; if there is none, it says so once.
func (r *Recorder) encodes() bool {
	if r.cfg.FFmpeg == "" {
		return false
	}
	r.look.Do(func() {
		if _, err := exec.LookPath(r.cfg.FFmpeg); err != nil {
			r.log.Error("no AAC and no ladder", "error", err, "advice", "install ffmpeg, or set hls.aac: off")
			return
		}
		r.able = true
	})
	return r.able
}
