package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/view"
)

// Run runs one scenario, prints its table and writes its JSON.
func Run(ctx context.Context, o RunOptions, out io.Writer) (Result, error) {
	if err := o.complete(); err != nil {
		return Result{}, err
	}
	r := newResult(o)
	stage, err := set(ctx, o)
	if err != nil {
		return r, err
	}
	switch o.Scenario {
	case "viewers":
		err = stage.viewers(ctx, &r, out)
	case "joins":
		err = stage.joins(ctx, &r, out)
	case "churn":
		err = stage.churn(ctx, &r, out)
	default:
		err = fmt.Errorf("run: scenario %q is not known; known are viewers, joins, churn", o.Scenario)
	}
	err = errors.Join(err, stage.strike(&r))
	if r.Publisher != nil {
		_, _ = fmt.Fprint(out, publisherTable(*r.Publisher))
	}
	return r, errors.Join(err, r.save(o.Out))
}

// stage is what every scenario plays on: a publisher, a swarm, and one viewer
// that was there first.
type stage struct {
	o       RunOptions
	pub     *publish.Publisher
	end     context.CancelFunc // of the publisher
	over    chan error         // what its Run returned
	swarm   *view.Swarm
	stop    func() error
	pioneer *view.Viewer
	empty   *sample // the server before the first viewer
	before  Reading // likewise, where it has metrics
}

func set(ctx context.Context, o RunOptions) (*stage, error) {
	s := &stage{o: o}
	if err := s.publish(ctx); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.strike(&Result{}))
	}
	return s, nil
}

func (s *stage) publish(ctx context.Context) error {
	if s.o.NoPublish {
		return nil
	}
	m, err := s.o.media(ctx)
	if err != nil {
		return err
	}
	s.pub, err = publish.Dial(ctx, publish.Config{URL: s.o.PublishURL, Token: s.o.PublishToken, Shape: publish.Shape(s.o.Shape), Media: m})
	if err != nil {
		return err
	}
	// It plays on while viewers leave: strike ends it last and waits for it.
	ctx, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.over = make(chan error, 1)
	go func() { s.over <- s.pub.Run(ctx) }() // strike waits for it
	return nil
}

func (s *stage) open(ctx context.Context) error {
	// Some servers refuse viewers until they have seen the tracks.
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	var err error
	if s.empty, s.before, err = s.still(ctx); err != nil {
		return err
	}
	if s.swarm, s.stop, err = start(s.o.viewers()); err != nil {
		return err
	}
	joining, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	if s.pioneer, err = s.swarm.Join(joining); err != nil {
		return fmt.Errorf("join as the first viewer: %w", err)
	}
	select {
	case <-s.pioneer.Keyed():
	case <-joining.Done():
		return errors.New("run: the first viewer got no key frame")
	}
	// What the server sends fast at the start is over then, and there is a median of settled latencies.
	return pause(ctx, s.o.Warmup)
}

// strike takes everything down again.
func (s *stage) strike(r *Result) error {
	var errs []error
	if s.swarm != nil {
		if s.pioneer != nil {
			leaveAll(s.swarm, []*view.Viewer{s.pioneer})
		}
		errs = append(errs, s.stop())
	}
	if s.pub != nil {
		s.end()
		errs = append(errs, <-s.over)
		stats := s.pub.Stats()
		r.Publisher = &stats
	}
	return errors.Join(errs...)
}

// plis are the publisher's key frame requests so far, per layer.
func (s *stage) plis() []uint64 {
	if s.pub == nil {
		return nil
	}
	return s.pub.Stats().PLIs
}

func minus(a, b []uint64) []uint64 {
	out := make([]uint64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
