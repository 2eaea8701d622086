package relay

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
)

// Options are a proxy for scripts and for trying things by hand. The tags are kong's.
type Options struct {
	Listen  string        `help:"HTTP address to serve on" default:"127.0.0.1:8090"`
	Server  string        `help:"base URL of the server" default:"http://127.0.0.1:8080"`
	Profile string        `help:"named profile; \"list\" prints them" default:"clean"`
	Down    string        `help:"what happens towards the client instead, e.g. rate=4M,delay=20ms;12s:rate=500k"`
	Up      string        `help:"what happens towards the server instead, e.g. loss=5%,jitter=30ms"`
	Seed    uint64        `help:"seed of chance; 0 means another one each time" default:"1"`
	Every   time.Duration `help:"print what passed this often; 0 means never" default:"5s"`
	Move    time.Duration `help:"change the addresses that the server sees this often, as a forgetful NAT; 0 means never"`
}

// profile is the named one with what replaces its directions.
func (o *Options) profile() (impair.Profile, error) {
	if o.Profile == "" {
		o.Profile = "clean"
	}
	p, err := impair.Named(o.Profile)
	if err != nil {
		return p, err
	}
	for _, d := range []struct {
		text   string
		course *impair.Course
	}{{o.Down, &p.Down}, {o.Up, &p.Up}} {
		if d.text == "" {
			continue
		}
		if *d.course, err = impair.Parse(d.text); err != nil {
			return p, err
		}
	}
	return p, nil
}

// Serve runs a proxy until ctx ends. Each session sees the profile from its own
// beginning. What passed is written to out.
func Serve(ctx context.Context, o Options, out io.Writer) error {
	if o.Profile == "list" {
		return list(out)
	}
	profile, err := o.profile()
	if err != nil {
		return err
	}
	p, err := NewProxy(ProxyConfig{Listen: o.Listen, Server: o.Server, Relay: Config{Profile: profile, Seed: o.Seed}})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s stands for %s; down %s, up %s\n", p.URL(), o.Server, profile.Down, profile.Up)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan error, 1)
	go func() { over <- p.Run(ctx); stop() }() // the end of this function waits for it
	tell(ctx, o, p.relay, out)
	return <-over
}

// tell moves sessions and prints what each did, until ctx ends.
func tell(ctx context.Context, o Options, r *Relay, out io.Writer) {
	every, endEvery := ticks(o.Every)
	defer endEvery()
	move, endMove := ticks(o.Move)
	defer endMove()
	last := map[*Session][2]impair.Count{}
	for {
		select {
		case <-move:
			for _, s := range r.Sessions() {
				fmt.Fprintf(out, "%v  moved %d\n", s.Addr(), s.Move())
			}
		case <-every:
			next := map[*Session][2]impair.Count{}
			for _, s := range r.Sessions() {
				now := [2]impair.Count{s.Down().Total, s.Up().Total}
				fmt.Fprintf(out, "%v  down %s  up %s\n", s.Addr(), rates(last[s][0], now[0], o.Every), rates(last[s][1], now[1], o.Every))
				next[s] = now
			}
			last = next
		case <-ctx.Done():
			return
		}
	}
}

// ticks is a ticker that never ticks when d is zero.
func ticks(d time.Duration) (<-chan time.Time, func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// rates tells what came and went between two counts.
func rates(a, b impair.Count, d time.Duration) string {
	kbit := func(bytes uint64) float64 { return float64(bytes) * 8 / 1000 / d.Seconds() }
	s := fmt.Sprintf("%.0f→%.0f kbit/s", kbit(b.Bytes-a.Bytes), kbit(b.Delivered-a.Delivered))
	if n := b.Dropped() - a.Dropped(); n > 0 {
		s += fmt.Sprintf(" (lost %d, overflow %d, cut %d)", b.Lost-a.Lost, b.Overflow-a.Overflow, b.Cut-a.Cut+b.TooLong-a.TooLong)
	}
	return s
}

func list(out io.Writer) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	for _, p := range impair.Profiles() {
		fmt.Fprintln(w, strings.Join([]string{p.Name, p.About, "down " + p.Down.String(), "up " + p.Up.String()}, "\t"))
	}
	return w.Flush()
}
