package encode

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	defaultHang = 2 * time.Second
	// A process that lives so long has worked; those that die sooner are waited for
	// longer each time.
	healthy    = 10 * time.Second
	firstPause = 100 * time.Millisecond
	mostPause  = 30 * time.Second
	// failing is how many have to die in a row before somebody is told.
	failing = 3
)

// Line encodes one rendition.
type Line struct {
	cfg  Config
	wake chan struct{} // something was pushed

	mu      sync.Mutex // guards what follows
	backlog backlog
	state   State
	from    media.Ticks // what comes out next begins here at the earliest
}

// New returns a Line that waits for Run.
func New(c Config) *Line {
	if c.Hang <= 0 {
		c.Hang = defaultHang
	}
	return &Line{cfg: c, wake: make(chan struct{}, 1), backlog: backlog{kind: c.Profile.Kind}}
}

// Push gives a sample, also while nothing is encoded: a Run begins with what was
// just before it. It never waits; a Line that is too far behind leaves out the
// oldest.
func (l *Line) Push(s Sample) {
	l.mu.Lock()
	l.backlog.push(s)
	if !l.state.Running {
		l.backlog.idle()
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// State tells how the Line does.
func (l *Line) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Run encodes what is to be shown from a media time on, until ctx ends. No process
// is left when it returns.
func (l *Line) Run(ctx context.Context, from media.Ticks) {
	l.mu.Lock()
	l.state.Running, l.state.Failing, l.from = true, nil, from
	l.backlog.rewind(from)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.state.Running = false
		l.backlog.idle()
		l.mu.Unlock()
	}()
	deaths := 0
	for ctx.Err() == nil {
		first, ok := l.first(ctx)
		if !ok {
			return
		}
		began := time.Now()
		err := l.encode(ctx, first)
		if ctx.Err() != nil {
			return
		}
		if err == nil || time.Since(began) > healthy {
			deaths = 0
		}
		if err == nil {
			l.works()
			continue
		}
		deaths++
		l.died(err, deaths)
		l.pause(ctx, err, deaths)
		l.mu.Lock()
		l.backlog.rewind(l.from)
		l.mu.Unlock()
	}
}

// pause waits before the next process: not at all for the first that died.
func (l *Line) pause(ctx context.Context, err error, deaths int) {
	d := min(firstPause<<min(deaths-1, 16), mostPause)
	switch {
	case errors.Is(err, ErrMissing):
		d = mostPause
	case deaths == 1:
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *Line) died(err error, deaths int) {
	l.mu.Lock()
	l.state.Restarts++
	known := l.state.Failing != nil
	fails := !known && (deaths >= failing || errors.Is(err, ErrMissing))
	if fails {
		l.state.Failing = err
	}
	l.mu.Unlock()
	switch {
	case fails && l.cfg.Failed != nil:
		l.cfg.Failed(err)
	case !fails && !known && l.cfg.Died != nil:
		l.cfg.Died(err)
	}
}

func (l *Line) works() {
	l.mu.Lock()
	tell := l.state.Failing != nil
	l.state.Failing = nil
	l.mu.Unlock()
	if tell && l.cfg.Revived != nil {
		l.cfg.Revived()
	}
}

// first waits for the sample that a process begins with. Pictures begin with a key
// frame.
func (l *Line) first(ctx context.Context) (Sample, bool) {
	for {
		l.mu.Lock()
		s, ok, _ := l.backlog.take(nil)
		l.mu.Unlock()
		switch {
		case ok && (s.Key || l.cfg.Profile.Kind == media.Audio):
			return s, true
		case ok:
			continue
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return Sample{}, false
		}
	}
}

// following waits for the sample that follows. False: another process has to go on,
// or ctx ended.
func (l *Line) following(ctx context.Context, before *Sample) (Sample, bool) {
	for {
		l.mu.Lock()
		s, ok, follows := l.backlog.take(before)
		l.mu.Unlock()
		switch {
		case !follows:
			return Sample{}, false
		case ok:
			return s, true
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return Sample{}, false
		}
	}
}

// emit hands frames on that were not handed on before.
func (l *Line) emit(frames []Frame) {
	out := frames[:0]
	l.mu.Lock()
	for _, f := range frames {
		if f.Time >= l.from {
			out = append(out, f)
			l.from = f.Time + max(f.Duration, 1)
		}
	}
	l.mu.Unlock()
	if len(out) > 0 {
		l.cfg.Out(out)
	}
}
