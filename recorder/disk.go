package recorder

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-live/sluice/media"
)

// journal is where things are kept, or what forgets them.
func (t *tape) journal() Log {
	if l := t.store.Load(); l != nil {
		return l
	}
	return nowhere{}
}

// keep says once that the disk fails, or does not answer.
func (t *tape) keep(err error) {
	switch {
	case err == nil:
	case errors.Is(err, errBehind):
		t.hang()
	case t.stall():
		t.log.Error("recording stands still, live goes on", "error", err)
	}
}

// hang notes that the disk does not answer.
func (t *tape) hang() {
	if t.hanging.IsZero() {
		t.hanging = time.Now()
		t.r.metrics.hanging.Inc()
		t.log.Warn("disk does not answer, live goes on from memory")
	}
}

// stall raises the alarm, and reports whether it was not raised yet.
func (t *tape) stall() bool {
	if t.stalled {
		return false
	}
	t.stalled = true
	t.r.metrics.stalled.Inc()
	return true
}

// wrote notes what came of a part; prompt tells that it was waited for.
func (t *tape) wrote(err error, prompt bool) {
	switch {
	case errors.Is(err, errBehind):
		return // it is not known yet
	case err != nil:
		t.r.metrics.failures.Inc()
		return
	}
	if prompt && !t.hanging.IsZero() {
		t.log.Info("disk answers again", "after", time.Since(t.hanging).Round(time.Millisecond).String())
		t.calm()
	}
	if t.stalled && t.store.Load() != nil { // one that did not begin does not go on
		t.stalled = false
		t.r.metrics.stalled.Dec()
		t.log.Info("recording goes on")
	}
}

func (t *tape) calm() {
	if !t.hanging.IsZero() {
		t.hanging = time.Time{}
		t.r.metrics.hanging.Dec()
	}
}

// answered takes what the disk has done since nobody waited for it any more.
func (t *tape) answered() {
	l := t.store.Load()
	if l == nil {
		return
	}
	for _, c := range l.answered() {
		t.keep(c.err)
		if c.size == 0 {
			continue
		}
		if c.err != nil || c.easy {
			t.wrote(c.err, false)
		}
		if r := t.byName[c.rendition]; r != nil && c.err == nil {
			r.settle(c.msn, c.number, c.extent)
		}
	}
}

// create opens the Log of a new incarnation.
func (t *tape) create() {
	if t.r.parts.Logs == nil {
		return
	}
	start := Start{Stream: t.id, Incarnation: t.incarnation, Start: t.start,
		TargetDuration: t.r.cfg.Target, PartTarget: t.r.cfg.limit(), Record: t.policy.Record}
	l := t.r.write(func() (Log, error) { return t.r.parts.Logs.Create(start) })
	if err := l.note(func(Log) error { return nil }); err != nil && !errors.Is(err, errBehind) {
		t.stall()
		t.log.Error("recording did not begin, live goes on", "error", err)
		return
	}
	t.store.Store(l)
}

// toResume is how long a stream that came back waits for its recording to be read: a
// disk that was left in the middle of its work is slow, and a recording in two pieces
// is worse than a live playlist that goes on later. Who is new waits for nothing, as
// what was interrupted is known.
const toResume = 5 * time.Second

// found is what there is of a stream to go on with.
type found struct {
	is  *media.Presentation // nil: nothing
	log Log
	err error
}

// looked finds, off the tape's goroutine, what was suspended or interrupted within the
// grace, and reports whether that is known or was waited for long enough.
func (t *tape) looked(now time.Time) bool {
	if t.r.parts.Logs == nil {
		return true
	}
	if t.looking == nil {
		t.looking, t.sought = make(chan found, 1), now
		to, since := t.looking, now.Add(-t.r.cfg.Grace)
		t.r.disks.Go(func() {
			p, l, err := t.r.parts.Logs.Resume(t.id, since)
			to <- found{p, l, err}
			t.encoders.awake()
		})
	}
	return len(t.looking) > 0 || now.Sub(t.sought) >= toResume
}

// resumed returns what was found.
func (t *tape) resumed() (*media.Presentation, Log) {
	var f found
	ctx := t.encoders.base
	select {
	case f = <-t.looking:
	default:
		if t.looking == nil { // nothing is kept
			return nil, nil
		}
		t.log.Error("recording not resumed", "error", errBehind)
		from := t.looking
		t.r.disks.Go(func() { t.r.conclude(ctx, t.id, <-from) })
		return nil, nil
	}
	switch {
	case f.err != nil:
		t.log.Error("recording not resumed", "error", f.err)
		return nil, nil
	case f.is != nil && !t.resumable(f.is):
		t.r.disks.Go(func() { t.r.conclude(ctx, t.id, f) })
		return nil, nil
	}
	return f.is, f.log
}

// conclude ends what was found and is not gone on with.
func (r *Recorder) conclude(ctx context.Context, id media.StreamID, f found) {
	if f.is == nil {
		return
	}
	log := r.log.With("stream", id, "incarnation", f.is.Incarnation)
	if err := f.log.Close(Ended); err != nil {
		log.Error("recording not ended", "error", err)
	}
	for r.parts.Assets != nil {
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), clerkTime)
		err := r.parts.Assets.Ended(one, id, f.is.Incarnation)
		cancel()
		if err == nil {
			return
		}
		log.Error("catalogue not told", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(clerkTries):
		}
	}
}

// shut closes the Log.
func (t *tape) shut(c Closing) {
	if err := t.journal().Close(c); err != nil {
		t.log.Error("recording not closed", "error", err)
	}
	t.calm()
	if t.stalled {
		t.stalled = false
		t.r.metrics.stalled.Dec()
	}
}
