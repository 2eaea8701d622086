package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/view"
)

// How long one join may take before it counts as failed.
const joinTimeout = 15 * time.Second

// Publish publishes until o.Duration is over or ctx ends.
func Publish(ctx context.Context, o PublishOptions, out io.Writer) (publish.Stats, error) {
	m, err := o.media(ctx)
	if err != nil {
		return publish.Stats{}, err
	}
	p, err := publish.Dial(ctx, publish.Config{URL: o.URL, Token: o.Token, Shape: publish.Shape(o.Shape), Media: m,
		IgnorePLI: o.IgnorePLI, Late: o.Late, Loss: o.Loss, Profile: o.Profile})
	if err != nil {
		return publish.Stats{}, err
	}
	_, _ = fmt.Fprintf(out, "publishing to %s as %s, session %s\n", o.URL, o.Shape, p.Session().URL)
	if o.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Duration)
		defer cancel()
	}
	err = p.Run(ctx)
	s := p.Stats()
	_, _ = fmt.Fprint(out, publisherTable(s))
	return s, err
}

// View watches until o.Duration is over or ctx ends.
func View(ctx context.Context, o ViewOptions, out io.Writer) (view.Summary, error) {
	if o.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Duration)
		defer cancel()
	}
	c := view.Config{URL: o.URL, Token: o.Token, RTX: o.RTX, Feedback: o.Feedback, Verify: o.Verify}
	var fulls fulls
	fulls.dial(ctx, c, o.Full)
	s, stop, err := start(c)
	if err != nil {
		return view.Summary{}, err
	}
	viewers := joinMany(ctx, s, o.Viewers, o.Rate)
	steps, err := watch(ctx, s, viewers[:min(o.Stall, len(viewers))])
	for _, st := range fulls.close() {
		_, _ = fmt.Fprintf(out, "full viewer: %d frames (%d key), %d lost, joined after %d ms, latency p50 %.1f p99 %.1f ms, %v\n",
			st.Frames, st.Keys, st.Lost, st.Joined.Milliseconds(), st.Latency.P50, st.Latency.P99, st.Codecs)
	}
	leaveAll(s, viewers)
	err = errors.Join(err, stop(), fulls.err())
	last := steps[len(steps)-1]
	_, _ = fmt.Fprint(out, stepTable(steps), joinTable([]Step{last}))
	if len(steps) > 1 {
		_, _ = fmt.Fprint(out, stallLine(steps[0].Summary, last.Summary))
	}
	return last.Summary, err
}

// watch is one window until ctx ends; or two, where some viewers stall from
// half of the time on.
func watch(ctx context.Context, s *view.Swarm, some []*view.Viewer) ([]Step, error) {
	var steps []Step
	if ends, ok := ctx.Deadline(); ok && len(some) > 0 {
		err := errors.Join(s.Begin(false), pause(ctx, time.Until(ends)/2))
		summary, err2 := s.Summary()
		steps = append(steps, Step{Summary: summary})
		if err = errors.Join(err, err2, s.Stall(some...), s.Begin(false)); err != nil {
			return steps, err
		}
	}
	<-ctx.Done()
	summary, err := s.Summary()
	return append(steps, Step{Summary: summary}), err
}

// start runs a swarm; stop ends it and waits.
func start(c view.Config) (*view.Swarm, func() error, error) {
	s, err := view.New(c)
	if err != nil {
		return nil, nil, err
	}
	// The swarm outlives the caller's context: viewers leave by DELETE first.
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // stop waits for it
	return s, func() error { cancel(); return <-ended }, nil
}

// joinMany joins n viewers at a rate and waits for all; those that fail are
// counted by the swarm.
func joinMany(ctx context.Context, s *view.Swarm, n int, rate float64) []*view.Viewer {
	var mu sync.Mutex
	var viewers []*view.Viewer
	paced(ctx, n, rate, func(int) {
		ctx, cancel := context.WithTimeout(ctx, joinTimeout)
		defer cancel()
		v, err := s.Join(ctx)
		if err != nil {
			return
		}
		mu.Lock()
		viewers = append(viewers, v)
		mu.Unlock()
	})
	return viewers
}

// paced calls f n times at a rate, each in a goroutine, and waits for all.
func paced(ctx context.Context, n int, rate float64, f func(i int)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	begun := time.Now()
	for i := range n {
		t := time.NewTimer(time.Until(begun.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		wg.Go(func() { f(i) })
	}
}

// leaveAll ends all sessions, some at a time.
func leaveAll(s *view.Swarm, viewers []*view.Viewer) {
	ctx, cancel := context.WithTimeout(context.Background(), joinTimeout)
	defer cancel()
	room := make(chan struct{}, 32)
	var wg sync.WaitGroup
	for _, v := range viewers {
		room <- struct{}{}
		wg.Go(func() { s.Leave(ctx, v); <-room })
	}
	wg.Wait()
}

// fulls are a few full viewers.
type fulls struct {
	viewers []*view.Full
	errs    []error
}

func (f *fulls) dial(ctx context.Context, c view.Config, n int) {
	for range n {
		v, err := view.DialFull(ctx, c)
		if err != nil {
			f.errs = append(f.errs, err)
			continue
		}
		f.viewers = append(f.viewers, v)
	}
}

func (f *fulls) close() []view.FullStats {
	ctx, cancel := context.WithTimeout(context.Background(), joinTimeout)
	defer cancel()
	var out []view.FullStats
	for _, v := range f.viewers {
		out = append(out, v.Stats())
		if err := v.Close(ctx); err != nil {
			f.errs = append(f.errs, err)
		}
	}
	return out
}

func (f *fulls) err() error { return errors.Join(f.errs...) }
