package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/source"
)

// Run runs every row, one after the other, prints each and writes the result
// after each, so that a run that is broken off leaves what it has.
func Run(ctx context.Context, o Options, out io.Writer) (Result, error) {
	if err := o.complete(); err != nil {
		return Result{}, err
	}
	plans, err := o.plans()
	if err != nil {
		return Result{}, err
	}
	r := newResult(o)
	s := &stage{o: o, http: link.Endpoint{Client: link.NewClient()}, streams: map[int]*stream{}}
	defer s.strike()
	if slices.ContainsFunc(plans, func(p plan) bool { return p.viewer == Chromium || p.browser }) {
		if s.browser, err = launch(ctx, o.Chromium); err != nil {
			return r, err
		}
	}
	for _, p := range plans {
		row, err := s.row(ctx, p)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if err != nil {
			row.Error = err.Error() // the other rows are worth having
		}
		r.Rows = append(r.Rows, row)
		fmt.Fprintln(out, row.line())
		if err := r.save(o); err != nil {
			return r, err
		}
	}
	fmt.Fprint(out, "\n", r.Markdown())
	return r, nil
}

// stage is what rows play on: clean streams that go on, and the browser.
type stage struct {
	o       Options
	http    link.Endpoint // its client
	streams map[int]*stream
	browser *external
}

// stream is one published stream.
type stream struct {
	name  string
	media *source.Media
	end   context.CancelFunc
	over  chan error
}

// strike ends what is left.
func (s *stage) strike() {
	for _, x := range s.streams {
		x.end()
		<-x.over
	}
	if s.browser != nil {
		_ = s.browser.close() // it was told, and then killed
	}
}

// stream is the clean stream with so many layers; it is published once.
func (s *stage) stream(ctx context.Context, layers int) (*stream, error) {
	if x := s.streams[layers]; x != nil {
		return x, nil
	}
	m, err := s.o.open(ctx, layers)
	if err != nil {
		return nil, err
	}
	x, err := s.publish(ctx, fmt.Sprintf("%s-%d", s.o.Stream, layers), s.o.Server, m)
	if err == nil {
		s.streams[layers] = x
	}
	return x, err
}

// publish lets a load publisher play to a base URL until end is called.
func (s *stage) publish(ctx context.Context, name, base string, m *source.Media) (*stream, error) {
	p, err := publish.Dial(ctx, publish.Config{URL: endpoint(base, s.o.WHIP, name), Token: s.o.PublishToken, Media: m})
	if err != nil {
		return nil, err
	}
	x := &stream{name: name, media: m, over: make(chan error, 1)}
	ctx, x.end = context.WithCancel(context.WithoutCancel(ctx))
	go func() { x.over <- p.Run(ctx) }() // whoever calls end waits for it
	// Some servers refuse viewers until they have seen the tracks.
	return x, pause(ctx, time.Second)
}

// view opens a viewer of a kind at a base URL.
func (s *stage) view(ctx context.Context, kind, base string, x *stream) (viewer, error) {
	url := endpoint(base, s.o.WHEP, x.name)
	if kind == Load {
		return watch(ctx, link.Endpoint{Client: s.http.Client, URL: url, Token: s.o.ViewToken}, x.media)
	}
	return s.browser.open(message{Op: "view", URL: url, Token: s.o.ViewToken})
}

// pair is a viewer and its control.
type pair struct{ seen, control viewer }

// watchBoth opens a viewer of a stream and a control of another, or of the same.
func (s *stage) watchBoth(ctx context.Context, kind string, bases [2]string, x, control *stream) (pair, error) {
	var p pair
	var errs [2]error
	p.control, errs[0] = s.view(ctx, kind, bases[1], control)
	if errs[0] == nil {
		p.seen, errs[1] = s.view(ctx, kind, bases[0], x)
	}
	if err := errors.Join(errs[:]...); err != nil {
		_, _ = p.stop(context.WithoutCancel(ctx)) // the error at hand is the better one
		return pair{}, err
	}
	return p, nil
}

// wait waits for both first pictures, but not for ever: no picture is a result.
func (p pair) wait(ctx context.Context) error {
	t := time.NewTimer(firstTimeout)
	defer t.Stop()
	for _, v := range []viewer{p.control, p.seen} {
		select {
		case <-v.first():
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// stop ends both, the impaired one first.
func (p pair) stop(ctx context.Context) (records [2]Record, err error) {
	var errs [2]error
	for i, v := range []viewer{p.seen, p.control} {
		if v != nil {
			records[i], errs[i] = v.stop(ctx)
		}
	}
	return records, errors.Join(errs[:]...)
}

// firstTimeout is how long a row waits for its first pictures.
const firstTimeout = 10 * time.Second

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
