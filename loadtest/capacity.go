package loadtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-live/sluice/loadtest/view"
)

// The objectives of a step: a viewer sees what was published, in time.
const (
	mostLoss    = 0.001 // of packets
	leastFrames = 0.99  // of those published
	mostLatency = 100.0 // ms, p99 of all frames of all viewers
	leastJoined = 0.99  // of those wanted
	// A step that breaks them is measured again: one hiccup of the machine is not the server's.
	stepTries = 2
)

// Capacity is how far one target went in one round.
type Capacity struct {
	Target string `json:"target"`
	Round  int    `json:"round"`
	Most   int    `json:"most_viewers"`     // of the last step that kept the objectives
	Broken string `json:"broken,omitempty"` // what broke the next
	Steps  []Mark `json:"steps"`
}

// Mark is one step.
type Mark struct {
	Step
	Share   float64 `json:"frames_share"`              // of the published frames that every viewer got, 0–1
	Late    uint64  `json:"publisher_late"`            // frames that left too late: this machine is full
	Heap    float64 `json:"heap_per_viewer,omitempty"` // bytes over the server with one viewer
	Routine float64 `json:"goroutines_per_viewer,omitempty"`
	Broken  string  `json:"broken,omitempty"` // which objective, if any
}

func capacity(ctx context.Context, o BenchOptions, b bout) (c Capacity, err error) {
	c = Capacity{Target: b.target.Name, Round: b.round}
	s, err := set(ctx, o.stage(b.target))
	if err != nil {
		return c, err
	}
	var all []*view.Viewer
	defer func() {
		leaveAll(s.swarm, all)
		err = errors.Join(err, s.strike(&Result{}))
	}()
	// With one viewer served for a while, what the stream itself holds is there:
	// the rest is the viewers'.
	if s.empty, s.before, err = s.still(ctx); err != nil {
		return c, err
	}
	for _, wanted := range o.Steps {
		fresh := joinMany(ctx, s.swarm, wanted-1-len(all), o.Rate) // the pioneer is one of them
		all = append(all, fresh...)
		awaitAll(ctx, fresh)
		if err := pause(ctx, min(stepSettle, o.Warmup)); err != nil {
			return c, err
		}
		tries := stepTries
		if c.Broken != "" {
			tries = 1 // the limit is known
		}
		mark, err := s.mark(ctx, wanted, tries)
		if err != nil {
			return c, err
		}
		c.Steps = append(c.Steps, mark)
		_, _ = fmt.Fprintln(b.out, "  "+mark.line())
		switch {
		case mark.Broken == "" && c.Broken == "":
			c.Most = wanted
		case c.Broken == "":
			c.Broken = fmt.Sprintf("%d: %s", wanted, mark.Broken)
		}
		if c.Broken != "" && !o.Beyond && wanted >= o.Least {
			return c, nil
		}
	}
	return c, nil
}

// mark measures a step, and again if it broke.
func (s *stage) mark(ctx context.Context, wanted, tries int) (m Mark, err error) {
	for range tries {
		before := s.pub.Stats()
		step, err := s.measure(ctx, wanted)
		if err != nil {
			return Mark{}, err
		}
		after := s.pub.Stats()
		m = Mark{Step: step, Late: after.Late - before.Late}
		if n := float64(step.Summary.Viewers) * float64(after.Frames-before.Frames); n > 0 {
			m.Share = min(1, float64(step.Summary.Frames)/n)
		}
		if m.Broken = m.broken(); m.Broken == "" {
			break
		}
	}
	if s.o.Metrics == "" || m.Summary.Viewers < 2 {
		return m, nil
	}
	now, err := snapshot(ctx, s.o.Metrics)
	if err != nil {
		return m, err
	}
	m.Heap = (now.HeapBytes - s.before.HeapBytes) / float64(m.Summary.Viewers-1)
	m.Routine = (now.Goroutines - s.before.Goroutines) / float64(m.Summary.Viewers-1)
	return m, nil
}

// broken names the first objective that the step does not keep.
func (m Mark) broken() string {
	v := m.Summary
	switch {
	case float64(v.Viewers) < leastJoined*float64(m.Wanted):
		return fmt.Sprintf("only %d of %d are there", v.Viewers, m.Wanted)
	case v.Loss >= mostLoss:
		return fmt.Sprintf("%.2f %% of packets lost, %.2f %% by this process", 100*v.Loss, 100*float64(v.Own)/float64(max(1, v.Packets)))
	case m.Share < leastFrames:
		return fmt.Sprintf("%.1f %% of frames came", 100*m.Share)
	case v.Latency.P99 >= mostLatency:
		return fmt.Sprintf("latency p99 %.0f ms", v.Latency.P99)
	}
	return ""
}

func (m Mark) line() string {
	out := fmt.Sprintf("%d viewers: %.1f %% of frames, %.3f %% lost, latency p50 %.1f p99 %.1f ms, spread p50 %.1f p99 %.1f ms", m.Summary.Viewers, 100*m.Share,
		100*m.Summary.Loss, m.Summary.Latency.P50, m.Summary.Latency.P99, m.Summary.Spread.P50, m.Summary.Spread.P99)
	if u := m.Server; u != nil {
		out += fmt.Sprintf("; %.2f µs per packet, %.2f cores, %.0f KiB RSS per viewer; load %.2f, others %.2f cores", u.PerPacket, u.Cores, u.RSSPerViewer, u.LoadTestCores, u.OthersCores)
	}
	if m.Routine != 0 || m.Heap != 0 {
		out += fmt.Sprintf("; %.0f B heap and %.2f goroutines per viewer", m.Heap, m.Routine)
	}
	if m.Summary.Own > 0 {
		out += fmt.Sprintf("; %d datagrams lost by this process", m.Summary.Own)
	}
	if m.Broken != "" {
		out += "; broken: " + m.Broken
	}
	return out
}
