package loadtest

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/loadtest/view"
)

// Patience of single viewers.
const (
	keyTimeout  = 10 * time.Second // for the first key frame: five GOPs
	edgeTimeout = 5 * time.Second  // for the live edge
	// In the joins scenario one viewer of twenty stays until it is live.
	lingerEvery = 20
	// After viewers stall, until their sockets are full: 1 MB is 3 s of 2.5 Mbit/s.
	stallSettle = 4 * time.Second
	// Between the last join of a step and its window: the fast start is over.
	stepSettle = 3 * time.Second
)

// viewers measures steps of more and more viewers, who stay.
func (s *stage) viewers(ctx context.Context, r *Result, out io.Writer) error {
	var all []*view.Viewer
	defer func() { leaveAll(s.swarm, all) }()
	for _, wanted := range s.o.Steps {
		before := s.plis()
		if err := s.swarm.Begin(true); err != nil {
			return err
		}
		fresh := joinMany(ctx, s.swarm, wanted-1-len(all), s.o.Rate) // the pioneer is one of them
		all = append(all, fresh...)
		awaitAll(ctx, fresh)
		if err := pause(ctx, min(stepSettle, s.o.Warmup)); err != nil {
			return err
		}
		step, err := s.measure(ctx, wanted)
		if err != nil {
			return err
		}
		if before != nil {
			step.PLIs = minus(s.plis(), before)
		}
		r.Steps = append(r.Steps, step)
		_, _ = fmt.Fprintf(out, "%s, step of %d viewers done\n", s.o.Server, wanted)
		if n := min(s.o.Stall, len(all)); n > 0 {
			stalled, err := s.stall(ctx, all[:n], wanted)
			if err != nil {
				return err
			}
			r.Steps = append(r.Steps, stalled)
			_, _ = fmt.Fprint(out, stallLine(step.Summary, stalled.Summary))
			leaveAll(s.swarm, all[:n]) // the next step begins with viewers that watch
			all = all[n:]
		}
	}
	_, _ = fmt.Fprint(out, "\n", stepTable(r.Steps), "\n", joinTable(r.Steps), "\n")
	return nil
}

// stall measures a step again while some of its viewers read and say nothing.
func (s *stage) stall(ctx context.Context, some []*view.Viewer, wanted int) (Step, error) {
	if err := s.swarm.Stall(some...); err != nil {
		return Step{}, err
	}
	if err := pause(ctx, min(stallSettle, s.o.Warmup)); err != nil {
		return Step{}, err
	}
	return s.measure(ctx, wanted)
}

// measure watches the window of one step.
func (s *stage) measure(ctx context.Context, wanted int) (Step, error) {
	if err := s.swarm.Begin(false); err != nil {
		return Step{}, err
	}
	a, err := take(s.o.PID)
	if err != nil {
		return Step{}, err
	}
	if err := pause(ctx, s.o.Window); err != nil {
		return Step{}, err
	}
	b, err := take(s.o.PID)
	if err != nil {
		return Step{}, err
	}
	summary, err := s.swarm.Summary()
	if err != nil {
		return Step{}, err
	}
	return Step{Wanted: wanted, Summary: summary, Server: a.usage(b, s.empty, summary)}, nil
}

// awaitAll waits until each viewer has its key frame and is live, but not for ever.
func awaitAll(ctx context.Context, viewers []*view.Viewer) {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	for _, v := range viewers {
		select {
		case <-v.Keyed():
		case <-ctx.Done():
			return
		}
	}
}

// joins lets viewers come at a rate; each leaves after its first key frame, one
// of twenty when it has reached the live edge.
func (s *stage) joins(ctx context.Context, r *Result, out io.Writer) error {
	before, a, err := s.beginJoins()
	if err != nil {
		return err
	}
	begun := time.Now()
	var keyless atomic.Int64
	paced(ctx, s.o.Joins, s.o.Rate, func(i int) {
		if !s.visit(ctx, i%lingerEvery == 0) {
			keyless.Add(1)
		}
	})
	seconds := time.Since(begun).Seconds()
	summary, err := s.swarm.Summary()
	if err != nil {
		return err
	}
	b, err := take(s.o.PID)
	if err != nil {
		return err
	}
	j := &Joins{Wanted: s.o.Joins, Rate: s.o.Rate, Summary: summary, Keyless: int(keyless.Load()), Server: a.usage(b, s.empty, summary)}
	if before != nil {
		j.PLIs = minus(s.plis(), before)
		for _, n := range j.PLIs {
			j.PLIRate = append(j.PLIRate, float64(n)/seconds)
		}
	}
	r.Joins = j
	_, _ = fmt.Fprint(out, joinTable([]Step{{Summary: summary, PLIs: j.PLIs}}))
	_, _ = fmt.Fprintf(out, "  %d of %d got no key frame; PLIs to the publisher per second and layer: %.2f\n", j.Keyless, j.Wanted, j.PLIRate)
	return ctx.Err()
}

func (s *stage) beginJoins() ([]uint64, *sample, error) {
	if err := s.swarm.Begin(true); err != nil {
		return nil, nil, err
	}
	a, err := take(s.o.PID)
	return s.plis(), a, err
}

// visit is one join of the joins scenario. It reports whether a key frame came.
func (s *stage) visit(ctx context.Context, linger bool) bool {
	joining, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	v, err := s.swarm.Join(joining)
	if err != nil {
		return false
	}
	defer s.swarm.Leave(context.WithoutCancel(ctx), v)
	keyed := within(ctx, v.Keyed(), keyTimeout)
	if keyed && linger {
		within(ctx, v.Edge(), edgeTimeout)
	}
	return keyed
}

func within(ctx context.Context, c <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// churn connects and closes many times, and reads what is left in the server
// after a tenth of them and at the end.
func (s *stage) churn(ctx context.Context, r *Result, out io.Writer) error {
	c := &Churn{Connects: s.o.Connects}
	r.Churn = c
	first := max(1, s.o.Connects/10)
	var failed atomic.Int64
	connect := func(int) {
		joining, cancel := context.WithTimeout(ctx, joinTimeout)
		defer cancel()
		v, err := s.swarm.Join(joining)
		if err != nil {
			failed.Add(1)
			return
		}
		s.swarm.Leave(context.WithoutCancel(ctx), v)
	}
	var err error
	paced(ctx, first, s.o.Rate, connect)
	if c.First, err = s.reading(ctx, first); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "after %d connects: %.0f goroutines, %.0f bytes of heap\n", first, c.First.Goroutines, c.First.HeapBytes)
	paced(ctx, s.o.Connects-first, s.o.Rate, connect)
	if c.Last, err = s.reading(ctx, s.o.Connects); err != nil {
		return err
	}
	c.Failed = int(failed.Load())
	if summary, err := s.swarm.Summary(); err == nil {
		c.Errors = summary.Errors
	}
	if c.First.HeapBytes > 0 {
		c.HeapRise = c.Last.HeapBytes/c.First.HeapBytes - 1
	}
	_, _ = fmt.Fprintf(out, "after %d connects: %.0f goroutines, %.0f bytes of heap (%+.2f %%), %d connects failed\n",
		s.o.Connects, c.Last.Goroutines, c.Last.HeapBytes, c.HeapRise*100, c.Failed)
	_, _ = fmt.Fprint(out, reasons(c.Errors))
	return ctx.Err()
}
