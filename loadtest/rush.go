package loadtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/loadtest/view"
)

// Rush is joins as fast as a server takes them, each leaving once it has its
// keys, one of ten after its first key frame.
type Rush struct {
	Target  string       `json:"target"`
	Round   int          `json:"round"`
	Seconds float64      `json:"seconds"`
	Joined  int          `json:"joined"` // with SRTP keys
	Keyless int          `json:"without_key_frame"`
	PerS    float64      `json:"joins_per_s"`
	Summary view.Summary `json:"summary"`
	Server  *Usage       `json:"server,omitempty"`
	// CPU is what one join and its leaving cost the server, in ms, over what the
	// stream costs without them; a thousand over it is joins per second and core.
	CPU float64 `json:"cpu_ms_per_join,omitempty"`
	// Own is what one cost this process: where both share the cores, the sum bounds the rate.
	Own float64 `json:"load_cpu_ms_per_join,omitempty"`
}

// One viewer of ten waits for its key frame, this long; the others leave once
// they could read it, so that joining is what is measured, not media.
const (
	rushEach = 10
	rushKey  = 3 * time.Second
	// How long the stream is watched without joins.
	rushStill = 3 * time.Second
)

func rush(ctx context.Context, o BenchOptions, b bout) (r Rush, err error) {
	r = Rush{Target: b.target.Name, Round: b.round}
	s, err := set(ctx, o.stage(b.target))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.strike(&Result{})) }()
	window := s.o.Window
	s.o.Window = min(window, rushStill)
	still, err := s.measure(ctx, 1)
	s.o.Window = window
	if err != nil {
		return r, err
	}
	_, a, err := s.beginJoins()
	if err != nil {
		return r, err
	}
	begun := time.Now()
	r.Joined, r.Keyless = s.storm(ctx, o.Workers)
	r.Seconds = time.Since(begun).Seconds()
	end, err := take(b.target.PID)
	if err != nil {
		return r, err
	}
	if r.Summary, err = s.swarm.Summary(); err != nil {
		return r, err
	}
	r.PerS = float64(r.Joined) / r.Seconds
	if r.Server = a.usage(end, s.empty, r.Summary); r.Server != nil && still.Server != nil && r.Joined > 0 {
		r.CPU = (r.Server.Cores - still.Server.Cores) * r.Seconds * 1000 / float64(r.Joined)
		r.Own = (r.Server.LoadTestCores - still.Server.LoadTestCores) * r.Seconds * 1000 / float64(r.Joined)
	}
	_, _ = fmt.Fprintf(b.out, "  %.0f joins/s, %d refused, %d failed, %d without key frame; %.2f ms of the server's CPU each, %.2f of ours; key frame p50 %.1f p95 %.1f ms\n",
		r.PerS, r.Summary.Joins.Refused, r.Summary.Joins.Failed, r.Keyless, r.CPU, r.Own, r.Summary.Joins.KeyFrame.P50, r.Summary.Joins.KeyFrame.P95)
	_, _ = fmt.Fprint(b.out, reasons(r.Summary.Errors))
	return r, nil
}

// storm lets workers join and leave for a window. One that is refused comes
// back when it was told to.
func (s *stage) storm(ctx context.Context, workers int) (joined, keyless int) {
	until, cancel := context.WithTimeout(ctx, s.o.Window)
	defer cancel()
	var in, without atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for until.Err() == nil {
				joining, done := context.WithTimeout(ctx, joinTimeout)
				v, err := s.swarm.Join(joining)
				done()
				if wait, refused := view.Refused(err); refused {
					_ = pause(until, wait)
					continue
				}
				if err != nil {
					continue // the swarm counts it
				}
				if in.Add(1)%rushEach == 1 && !within(ctx, v.Keyed(), rushKey) {
					without.Add(1)
				}
				s.swarm.Leave(context.WithoutCancel(ctx), v)
			}
		})
	}
	wg.Wait()
	return int(in.Load()), int(without.Load())
}

// Idle is what viewers cost that wait for a publisher.
type Idle struct {
	Target  string  `json:"target"`
	Round   int     `json:"round"`
	Viewers int     `json:"viewers"`
	Failed  int     `json:"failed"`
	CPU     float64 `json:"cpu_us_per_s"` // per viewer
	RSS     float64 `json:"rss_kib_per_viewer"`
	Heap    float64 `json:"heap_per_viewer,omitempty"` // bytes
	Routine float64 `json:"goroutines_per_viewer,omitempty"`
	Own     float64 `json:"load_cpu_us_per_s"` // of this process, per viewer
}

func idle(ctx context.Context, o BenchOptions, b bout) (i Idle, err error) {
	i = Idle{Target: b.target.Name, Round: b.round}
	ro := o.stage(b.target)
	s := &stage{o: ro}
	if s.empty, s.before, err = s.still(ctx); err != nil {
		return i, err
	}
	if s.swarm, s.stop, err = start(ro.viewers()); err != nil {
		return i, err
	}
	viewers := joinMany(ctx, s.swarm, o.Idle, o.Rate)
	defer func() { leaveAll(s.swarm, viewers); err = errors.Join(err, s.stop()) }()
	if i.Viewers, i.Failed = len(viewers), o.Idle-len(viewers); i.Viewers == 0 {
		summary, _ := s.swarm.Summary()
		return i, fmt.Errorf("nobody may wait for a publisher here:\n%s", reasons(summary.Errors))
	}
	if err := pause(ctx, o.Settle); err != nil {
		return i, err
	}
	step, err := s.measure(ctx, o.Idle)
	if err != nil {
		return i, err
	}
	if u := step.Server; u != nil {
		i.CPU, i.RSS, i.Own = u.Cores*1e6/float64(i.Viewers), u.RSSPerViewer, u.LoadTestCores*1e6/float64(i.Viewers)
	}
	if b.target.Metrics != "" {
		now, err := snapshot(ctx, b.target.Metrics)
		if err != nil {
			return i, err
		}
		i.Heap, i.Routine = (now.HeapBytes-s.before.HeapBytes)/float64(i.Viewers), (now.Goroutines-s.before.Goroutines)/float64(i.Viewers)
	}
	_, _ = fmt.Fprintf(b.out, "  %d idle viewers: %.0f µs/s each, %.1f KiB RSS, %.0f B heap, %.2f goroutines; load %.0f µs/s\n", i.Viewers, i.CPU, i.RSS, i.Heap, i.Routine, i.Own)
	return i, nil
}

// still reads a server before anybody came.
func (s *stage) still(ctx context.Context) (*sample, Reading, error) {
	a, err := take(s.o.PID)
	if err != nil || s.o.Metrics == "" {
		return a, Reading{}, err
	}
	r, err := snapshot(ctx, s.o.Metrics)
	return a, r, err
}
