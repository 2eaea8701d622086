package loadtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/view"
)

// Crowded is what many small streams cost, one publisher each.
type Crowded struct {
	Target   string       `json:"target"`
	Round    int          `json:"round"`
	Streams  int          `json:"streams"`
	Failed   int          `json:"failed"`
	Silent   bool         `json:"silent,omitempty"`  // pictures only
	CutOff   string       `json:"cut_off,omitempty"` // publishers that the server ended
	RSS      float64      `json:"rss_kib_per_stream"`
	Heap     float64      `json:"heap_per_stream,omitempty"` // bytes
	Routine  float64      `json:"goroutines_per_stream,omitempty"`
	CPU      float64      `json:"cpu_us_per_s"`      // per stream
	Own      float64      `json:"load_cpu_us_per_s"` // of this process, per stream
	Watching view.Summary `json:"watching"`
}

func crowded(ctx context.Context, o BenchOptions, b bout) (c Crowded, err error) {
	c = Crowded{Target: b.target.Name, Round: b.round}
	ro := o.stage(b.target)
	fill := func(template, n string) string { return strings.ReplaceAll(template, "{stream}", "small"+n) }
	s := &stage{o: ro}
	if s.empty, s.before, err = s.still(ctx); err != nil {
		return c, err
	}
	crowd, failed := publish.DialCrowd(ctx, publish.Config{URL: fill(b.target.WHIP, "{n}"), Token: ro.PublishToken}, o.Streams, o.Rate)
	if failed != nil {
		_, _ = fmt.Fprintln(b.out, "  "+failed.Error())
	}
	crowd.Silent, c.Silent = o.Silent, o.Silent
	c.Streams, c.Failed = crowd.Len(), o.Streams-crowd.Len()
	playing, stop := context.WithCancel(context.WithoutCancel(ctx))
	over := make(chan error, 1)
	go func() { over <- crowd.Run(playing) }() // the deferred end waits for it
	defer func() {
		stop()
		if cut := <-over; cut != nil {
			c.CutOff = cut.Error()
		}
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), joinTimeout)
		defer cancel()
		_ = crowd.Close(ending) // a server that is ended next takes no DELETE amiss
	}()
	if c.Streams == 0 {
		return c, failed
	}
	if s.swarm, s.stop, err = start(ro.viewers()); err != nil {
		return c, err
	}
	viewers := s.watchEach(ctx, c.Streams, o.Each, func(i int) string { return fill(b.target.WHEP, fmt.Sprint(i)) })
	defer func() { leaveAll(s.swarm, viewers); err = errors.Join(err, s.stop()) }()
	if err := pause(ctx, o.Settle); err != nil {
		return c, err
	}
	step, err := s.measure(ctx, len(viewers))
	if err != nil {
		return c, err
	}
	c.Watching = step.Summary
	n := float64(c.Streams)
	if u := step.Server; u != nil {
		c.RSS, c.CPU, c.Own = (float64(u.RSS)-float64(s.empty.rss))/n, u.Cores*1e6/n, u.LoadTestCores*1e6/n
	}
	if b.target.Metrics != "" {
		now, err := snapshot(ctx, b.target.Metrics)
		if err != nil {
			return c, err
		}
		c.Heap, c.Routine = (now.HeapBytes-s.before.HeapBytes)/n, (now.Goroutines-s.before.Goroutines)/n
	}
	_, _ = fmt.Fprintf(b.out, "  %d streams (%d failed), %d viewers: %.1f KiB RSS, %.0f B heap, %.1f goroutines, %.0f µs/s each; load %.0f µs/s\n",
		c.Streams, c.Failed, c.Watching.Viewers, c.RSS, c.Heap, c.Routine, c.CPU, c.Own)
	return c, nil
}

// watchEach joins some viewers to every stream.
func (s *stage) watchEach(ctx context.Context, streams, each int, endpoint func(i int) string) []*view.Viewer {
	var mu sync.Mutex
	var out []*view.Viewer
	paced(ctx, streams*each, s.o.Rate, func(i int) {
		ctx, cancel := context.WithTimeout(ctx, joinTimeout)
		defer cancel()
		if v, err := s.swarm.JoinAt(ctx, endpoint(i/each)); err == nil {
			mu.Lock()
			out = append(out, v)
			mu.Unlock()
		}
	})
	return out
}
