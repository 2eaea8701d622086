package matrix

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
	"github.com/sluice-live/sluice/loadtest/impair/relay"
)

// bridge is a proxy with a relay before the server, for one row.
type bridge struct {
	proxy   *relay.Proxy
	profile impair.Profile
	stop    context.CancelFunc
	over    chan error

	mu      sync.Mutex // guards session
	session *relay.Session
}

// bridge stands before the server with a profile, whose course waits.
func (s *stage) bridge(ctx context.Context, p impair.Profile) (*bridge, error) {
	b := &bridge{profile: p, over: make(chan error, 1)}
	var err error
	b.proxy, err = relay.NewProxy(relay.ProxyConfig{Server: s.o.Server, Relay: relay.Config{Profile: p, Held: true, Seed: s.o.Seed}, Opened: b.opened})
	if err != nil {
		return nil, err
	}
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() { b.over <- b.proxy.Run(ctx) }() // close waits for it
	return b, nil
}

func (b *bridge) opened(s *relay.Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.session = s
}

// begin starts the course and its counting.
func (b *bridge) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session != nil {
		b.session.Begin()
	}
}

// traffic is what passed since begin.
func (b *bridge) traffic() (down, up relay.Traffic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session == nil {
		return down, up
	}
	return b.session.Down(), b.session.Up()
}

func (b *bridge) close() {
	b.stop()
	<-b.over
}

// row runs one row.
func (s *stage) row(ctx context.Context, p plan) (Row, error) {
	r := Row{Profile: p.profile.Name, About: p.profile.About, Viewer: p.viewer, Layers: p.layers, Leg: p.leg, Publisher: Load, Seconds: p.profile.For.Seconds(), Load: load()}
	if p.browser {
		r.Publisher = Chromium
	}
	clean, err := s.stream(ctx, p.layers)
	if err != nil {
		return r, err
	}
	if !p.browser {
		p.top = clean.media.Layers[len(clean.media.Layers)-1].Height
	}
	control, err := s.bridge(ctx, impair.Profile{})
	if err != nil {
		return r, err
	}
	defer control.close()
	if p.leg == PublisherLeg {
		return r, s.uplink(ctx, p, &r, clean, control)
	}
	bad, err := s.bridge(ctx, p.profile)
	if err != nil {
		return r, err
	}
	defer bad.close()
	both, err := s.watchBoth(ctx, p.viewer, [2]string{bad.proxy.URL(), control.proxy.URL()}, clean, clean)
	if err != nil {
		return r, err
	}
	return r, r.play(ctx, both, bad, p, nil)
}

// uplink runs a row whose publisher has the bad link. Its media goes up: the
// profile's directions change places. The control watches the clean stream.
func (s *stage) uplink(ctx context.Context, p plan, r *Row, clean *stream, control *bridge) error {
	p.profile.Down, p.profile.Up = p.profile.Up, p.profile.Down
	bad, err := s.bridge(ctx, p.profile)
	if err != nil {
		return err
	}
	defer bad.close()
	name := fmt.Sprintf("%s-up-%s-%s-%d", s.o.Stream, p.profile.Name, r.Publisher, p.layers)
	x := &stream{name: name, media: clean.media}
	if p.browser {
		pub, err := s.browserPublisher(ctx, endpoint(bad.proxy.URL(), s.o.WHIP, name), p.layers)
		if err != nil {
			return err
		}
		defer func() { _, _ = pub.stop(context.WithoutCancel(ctx)) }() // what it saw is nothing
	} else {
		if x, err = s.publish(ctx, name, bad.proxy.URL(), clean.media); err != nil {
			return err
		}
		defer func() { x.end(); <-x.over }()
	}
	both, err := s.watchBoth(ctx, p.viewer, [2]string{control.proxy.URL(), control.proxy.URL()}, x, clean)
	if err != nil {
		return err
	}
	return r.play(ctx, both, bad, p, func() Repairs { return s.repairs(ctx, x.name) })
}

// browserPublisher publishes from the browser, and waits until it is connected.
func (s *stage) browserPublisher(ctx context.Context, url string, layers int) (*remote, error) {
	pub, err := s.browser.open(message{Op: "publish", URL: url, Token: s.o.PublishToken, Layers: layers})
	if err != nil {
		return nil, err
	}
	t := time.NewTimer(firstTimeout)
	defer t.Stop()
	select {
	case <-pub.first():
		// An encoder begins slowly: its layers come up within a few seconds.
		return pub, pause(ctx, browserWarmup)
	case err = <-pub.failed:
	case <-t.C:
		err = errors.New("it did not connect")
	case <-ctx.Done():
		err = ctx.Err()
	}
	_, _ = pub.stop(context.WithoutCancel(ctx)) // the error at hand is the better one
	return nil, fmt.Errorf("publish from the browser: %w", err)
}

const browserWarmup = 5 * time.Second

// play lets the course run and sums up; look is how the publisher is doing, nil
// where its link is good.
func (r *Row) play(ctx context.Context, both pair, bad *bridge, p plan, look func() Repairs) error {
	err := both.wait(ctx)
	var before Repairs
	if look != nil {
		before = look()
	}
	begun := time.Now()
	bad.begin()
	if err == nil {
		err = pause(ctx, p.profile.For)
	}
	if look != nil {
		r.Upstream = look().since(before)
	}
	down, up := bad.traffic()
	records, stopped := both.stop(context.WithoutCancel(ctx))
	if err = errors.Join(err, stopped); err != nil {
		return err
	}
	course, way, back := p.profile.Down, down, up
	if p.leg == PublisherLeg {
		course, way, back = p.profile.Up, up, down
	}
	from, to := unixMS(begun), unixMS(begun.Add(p.profile.For))
	r.Seen, r.Control = see(records[0], from, to), see(records[1], from, to)
	r.Freeze = r.Seen.Frozen - r.Control.Frozen
	r.Flow = flow(way.Slots, steadyPath(course), 0, p.profile.For)
	r.Back = flow(back.Slots, impair.Path{}, 0, p.profile.For)
	w := watched{record: records[0], slots: way.Slots, course: course, begun: from, whole: p.profile.For, top: p.top}
	r.Phases, r.Timeline = w.phases(), w.timeline()
	return nil
}

// steadyPath is what a course that never changes does; the rest has phases.
func steadyPath(c impair.Course) impair.Path {
	if len(c) == 1 {
		return c[0].Path
	}
	return impair.Path{}
}
