package validate

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/rules"
)

// follower watches one Media Playlist.
type follower struct {
	*run
	list
	w     rules.Watch
	media *reader
	late  int // loads that failed in a row
	hints chan hint
	asked bool // a hinted part is being asked for
}

// hint is what became of a hinted part that was asked for at once.
type hint struct {
	uri    string
	status int
	err    error
}

// watch follows a playlist until the time is over. probe asks the server's rules too.
func (r *run) watch(ctx context.Context, l list, until time.Time, probe bool) {
	f := &follower{run: r, list: l, w: rules.Watch{Name: l.name, Slack: r.o.Slack}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.media, f.hints = newReader(r, l), make(chan hint, 1)
	var probes sync.WaitGroup // beside the playlist, which is not to be late for them
	done := make(chan struct{})
	go func() { // ends when its queue is closed, and is waited for
		defer close(done)
		f.media.run(ctx)
	}()
	defer func() {
		close(f.media.queue)
		<-done
		probes.Wait()
	}()
	first := true
	for time.Now().Before(until) && ctx.Err() == nil {
		p := f.step(ctx)
		if p == nil {
			if f.late++; f.late >= 3 {
				return // it was noted each time
			}
			pause(ctx, time.Second)
			continue
		}
		f.late = 0
		if first && probe && !p.Ended && f.w.LowLatency {
			probes.Go(func() { f.probe(ctx, p) })
		}
		first = false
		if p.Ended || p.Type == "VOD" {
			return
		}
		if p.Control["CAN-BLOCK-RELOAD"] != "YES" {
			pause(ctx, time.Duration(max(p.TargetDuration, 1))*time.Second/2)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// step loads the playlist once, blocking where it may, and checks it.
func (f *follower) step(ctx context.Context) *rules.Playlist {
	last := f.w.Last()
	uri, msn, part := f.url.String(), uint64(0), -1
	blocking := last != nil && last.Control["CAN-BLOCK-RELOAD"] == "YES"
	if blocking {
		msn = last.Open.MSN
		directives := "_HLS_msn=" + strconv.FormatUint(msn, 10)
		if last.PartTarget > 0 && !f.iframes && !last.Text() {
			part = len(last.Open.Parts)
			directives += "&_HLS_part=" + strconv.Itoa(part)
		}
		uri = with(f.url, directives)
	}
	g, p, err := f.load(ctx, uri)
	if err != nil {
		if ctx.Err() == nil {
			f.find(func(l *rules.List) { l.Add(false, "R0", "%s: %v", f.name, err) })
		}
		return nil
	}
	f.w.LowLatency = p.PartTarget > 0 && !p.IFrames && !p.Text()
	now := g.last
	f.find(func(l *rules.List) {
		f.w.Full(l, p, now)
		f.latest[f.url.String()] = p
		if blocking && !p.Ended {
			f.blocked(l, g, p, msn, part)
		} else if !p.Ended {
			age := g.maxAge()
			l.Advise(age <= time.Duration(p.TargetDuration)*time.Second/2, "R19", "%s: a playlist may be kept %v; half a target duration should be the most (appendix B.1)", f.name, age)
		}
	})
	f.delta(ctx, p)
	if !f.iframes {
		f.hinted(ctx, p)
		f.media.take(p)
	}
	return p
}

// hinted asks for a part as soon as it is hinted, one at a time, as players do.
func (f *follower) hinted(ctx context.Context, p *rules.Playlist) {
	select {
	case h := <-f.hints:
		f.asked = false
		f.judge(p, h)
	default:
	}
	for _, a := range p.Hints {
		u, err := resolve(f.url, a["URI"])
		if f.asked || err != nil || a["TYPE"] != "PART" || a["BYTERANGE-START"] != "" {
			continue
		}
		f.asked = true
		target := time.Duration(p.PartTarget * float64(time.Second))
		// Ends with ctx; its result fits the channel.
		go func() {
			g, err := f.fetch(ctx, u.String(), maxMedia)
			h := hint{uri: a["URI"], err: err}
			if err == nil {
				h.status = g.status
				f.find(func(l *rules.List) {
					// Whole before its first byte: what dribbles in as it is made takes as long as
					// the part. A slow line is not told apart, and so it is advice.
					l.Advise(g.last.Sub(g.first) <= target/2+f.o.Slack, "R15", "%s: the hinted part %s took %v from its first to its last byte; it goes out when it is whole (section 6.2.6)", f.name, h.uri, g.last.Sub(g.first).Round(time.Millisecond))
				})
			}
			f.hints <- h
		}()
	}
}

// judge holds the answer to a hinted part against the playlist of now.
func (f *follower) judge(p *rules.Playlist, h hint) {
	if h.err != nil {
		return // the look has ended, or the next load tells
	}
	listed := false
	for i := range p.Segments {
		for _, part := range p.Segments[i].Parts {
			listed = listed || part.URI == h.uri && !part.Gap
		}
	}
	for _, part := range p.Open.Parts {
		listed = listed || part.URI == h.uri && !part.Gap
	}
	f.find(func(l *rules.List) {
		l.Add(h.status == http.StatusOK || !listed && h.status == http.StatusNotFound || p.Ended, "R15", "%s: the hinted part %s was answered with %d (section 6.2.6)", f.name, h.uri, h.status)
	})
}

// blocked checks the answer to a blocking request.
func (f *follower) blocked(l *rules.List, g *got, p *rules.Playlist, msn uint64, part int) {
	there := p.Open.MSN > msn || part >= 0 && p.Open.MSN == msn && len(p.Open.Parts) > part
	l.Add(there, "R13", "%s: asked for segment %d part %d, the answer came after %v without it (section 6.2.5.2)", f.name, msn, part, g.last.Sub(g.sent).Round(time.Millisecond))
	l.Add(g.last.Sub(g.sent) <= time.Duration(3*p.TargetDuration)*time.Second+f.o.Slack, "R13", "%s: a blocking request took %v (section 6.2.5.2)", f.name, g.last.Sub(g.sent).Round(time.Millisecond))
	l.Advise(g.maxAge() > 0, "R19", "%s: the answer to a blocking request should be kept by caches; Cache-Control is %q (appendix B.1)", f.name, g.header.Get("Cache-Control"))
}

// delta asks for a Playlist Delta Update of what was just read.
func (f *follower) delta(ctx context.Context, p *rules.Playlist) {
	if p.Control["CAN-SKIP-UNTIL"] == "" || p.Ended || len(p.Open.Parts)%2 == 1 {
		return
	}
	g, err := f.fetch(ctx, with(f.url, "_HLS_skip=YES"), maxText)
	if err != nil || ctx.Err() != nil {
		return // the next load tells
	}
	d, err := rules.Parse(string(g.body))
	f.find(func(l *rules.List) {
		l.Add(g.status == http.StatusOK && err == nil, "R14", "%s: a delta update is answered with %d (%v)", f.name, g.status, err)
		if err == nil {
			f.w.Delta(l, d)
			old := 0.0
			for _, s := range p.Segments {
				old += s.Duration
			}
			until := p.Control.Float("CAN-SKIP-UNTIL")
			l.Add(d.Delta || old < until+2*float64(p.TargetDuration), "R14", "%s: _HLS_skip=YES was ignored in a playlist of %.0f s, CAN-SKIP-UNTIL is %g (section 6.2.5.1)", f.name, old, until)
		}
	})
}

// probe asks what a player never should, and what it may ask at any time.
func (f *follower) probe(ctx context.Context, p *rules.Playlist) {
	msn := p.Open.MSN
	for _, c := range []struct {
		rule, what, query string
		want              int
		soon              bool
	}{
		{"R13", "_HLS_part without _HLS_msn", "_HLS_part=0", 400, true},
		{"R13", "_HLS_msn far ahead", "_HLS_msn=" + strconv.FormatUint(msn+1000, 10), 400, true},
		{"R13", "a negative _HLS_msn", "_HLS_msn=-1", 400, true},
		{"R13", "_HLS_part beyond the Advance Part Limit", fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", msn, len(p.Open.Parts)+500), 400, true},
		{"R13", "an old _HLS_msn", "_HLS_msn=" + strconv.FormatUint(p.MediaSequence, 10), 200, true},
	} {
		limited, cancel := context.WithTimeout(ctx, time.Duration(p.TargetDuration)*time.Second)
		g, err := f.fetch(limited, with(f.url, c.query), maxText)
		cancel()
		if ctx.Err() != nil {
			return
		}
		f.find(func(l *rules.List) {
			if err != nil {
				l.Add(false, c.rule, "%s: %s was not answered within a target duration", f.name, c.what)
				return
			}
			ok := g.status == c.want
			if c.want == http.StatusBadRequest && c.query != "_HLS_part=0" {
				l.Advise(ok, c.rule, "%s: %s is answered with %d, %d should be (section 6.2.5.2)", f.name, c.what, g.status, c.want)
			} else {
				l.Add(ok, c.rule, "%s: %s is answered with %d, %d is right (section 6.2.5.2)", f.name, c.what, g.status, c.want)
			}
		})
	}
	u, err := resolve(f.url, "no-such-"+strings.ReplaceAll(f.name, "/", "-")+".m4s")
	if err != nil {
		return
	}
	if g, err := f.fetch(ctx, u.String(), maxText); err == nil {
		f.find(func(l *rules.List) {
			l.Add(g.status == http.StatusNotFound || g.status == http.StatusGone || g.status == http.StatusUnauthorized || g.status == http.StatusForbidden, "R15", "%s: media that does not exist is answered with %d, 404 is right (section 6.2.6)", f.name, g.status)
		})
	}
}
