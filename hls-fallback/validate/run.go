package validate

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/rules"
)

// Options say what is looked at, and for how long.
type Options struct {
	URL string // a Multivariant Playlist, or a Media Playlist
	// Token goes along as Authorization: Bearer, to the URL's host alone.
	Token string
	For   time.Duration // default 20 s
	// Slack is how late news may be: what the network and the machines take; default
	// 200 ms.
	Slack time.Duration
	// Playlists is how many Media Playlists are watched; default 8.
	Playlists int
	Client    *http.Client
}

func (o Options) defaults() Options {
	o.For = cmp.Or(o.For, 20*time.Second)
	o.Slack = cmp.Or(o.Slack, 200*time.Millisecond)
	o.Playlists = cmp.Or(o.Playlists, 8)
	if o.Client == nil {
		o.Client = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableCompression: true, MaxIdleConnsPerHost: 4 * o.Playlists,
		}}
	}
	return o
}

// Report is what was found.
type Report struct {
	URL       string
	Took      time.Duration
	Playlists []string
	// Loads, Parts and Segments are how many were read.
	Loads, Parts, Segments int
	List                   rules.List
}

// run is one look. The findings are under its lock.
type run struct {
	o      Options
	entry  *url.URL
	mu     sync.Mutex
	report Report
	latest map[string]*rules.Playlist
}

// Run looks at a presentation until o.For has passed or ctx ends. The error is of
// what could not be looked at at all.
func Run(ctx context.Context, o Options) (*Report, error) {
	o = o.defaults()
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("look at %q: it is no http or https URL", o.URL)
	}
	r := &run{o: o, entry: u, latest: make(map[string]*rules.Playlist)}
	r.report.URL = u.Redacted()
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.For+30*time.Second) // what is under way ends
	defer cancel()
	lists, err := r.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", hide(u), err)
	}
	until := began.Add(o.For)
	var all sync.WaitGroup
	for i, list := range lists {
		// Each watches one playlist and ends at until; all are waited for.
		all.Go(func() { r.watch(ctx, list, until, i == 0) })
	}
	compared := make(chan struct{})
	whole, done := context.WithCancel(ctx)
	go func() { // ends with the last playlist, and is waited for
		defer close(compared)
		r.compare(whole, lists, until)
	}()
	all.Wait()
	done()
	<-compared
	r.report.Took = time.Since(began)
	return &r.report, nil
}

// hide is a URL as it may be shown: without the query, where tokens are.
func hide(u *url.URL) string {
	c := *u
	c.RawQuery = ""
	return c.Redacted()
}

// list is one Media Playlist.
type list struct {
	url     *url.URL
	name    string
	iframes bool
}

// open reads the entry and returns the Media Playlists to watch.
func (r *run) open(ctx context.Context) ([]list, error) {
	g, p, err := r.load(ctx, r.entry.String())
	if err != nil {
		return nil, err
	}
	if !p.Multivariant() {
		return []list{{url: r.entry, name: short(r.entry)}}, nil
	}
	r.find(func(l *rules.List) {
		rules.Multivariant(l, short(r.entry), p)
		l.Advise(g.maxAge() != 0, "R21", "%s: nothing may keep the multivariant playlist (Cache-Control: %s)", short(r.entry), g.header.Get("Cache-Control"))
	})
	var lists []list
	seen := make(map[string]bool)
	add := func(uri string, iframes bool) error {
		if uri == "" {
			return nil
		}
		u, err := resolve(r.entry, uri)
		if err != nil {
			return err
		}
		if !seen[u.String()] {
			seen[u.String()] = true
			lists = append(lists, list{u, short(u), iframes})
		}
		return nil
	}
	for _, kind := range [][]rules.Attributes{p.Variants, p.Renditions, p.IFrameVariants} {
		for _, a := range kind {
			if err := add(a["URI"], len(p.IFrameVariants) > 0 && &kind[0] == &p.IFrameVariants[0]); err != nil {
				return nil, err
			}
		}
	}
	lists = lists[:min(len(lists), r.o.Playlists)]
	for _, l := range lists {
		r.report.Playlists = append(r.report.Playlists, hide(l.url))
	}
	return lists, nil
}

// short is the end of a path: enough to tell playlists apart.
func short(u *url.URL) string {
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	return strings.Join(parts[max(0, len(parts)-2):], "/")
}

// load reads a playlist that has to be there.
func (r *run) load(ctx context.Context, uri string) (*got, *rules.Playlist, error) {
	g, err := r.fetch(ctx, uri, maxText)
	if err != nil {
		return nil, nil, err
	}
	if g.status != http.StatusOK {
		return g, nil, fmt.Errorf("the answer is %d: %.200s", g.status, strings.Join(strings.Fields(string(g.body)), " "))
	}
	p, err := rules.Parse(string(g.body))
	if err != nil {
		return g, nil, err
	}
	u, _ := url.Parse(uri)
	r.find(func(l *rules.List) {
		r.report.Loads++
		kind := g.header.Get("Content-Type")
		l.Add(strings.HasPrefix(kind, "application/vnd.apple.mpegurl") || strings.HasPrefix(kind, "audio/mpegurl"), "R0", "%s: Content-Type is %q (section 4)", short(u), kind)
		l.Advise(g.zipped, "R18", "%s: not compressed with gzip (appendix B.1)", short(u))
	})
	return g, p, nil
}

// find notes findings.
func (r *run) find(note func(l *rules.List)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	note(&r.report.List)
}

// compare holds the playlists against each other, twice a second.
func (r *run) compare(ctx context.Context, lists []list, until time.Time) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(until) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		var uris []string
		var all []*rules.Playlist
		for _, l := range lists {
			if p := r.latest[l.url.String()]; p != nil && !l.iframes {
				uris, all = append(uris, l.url.String()), append(all, p)
			}
		}
		if len(all) > 1 && len(all) == len(slices.DeleteFunc(slices.Clone(lists), func(l list) bool { return l.iframes })) {
			rules.Together(&r.report.List, shorts(uris), all)
		}
		r.mu.Unlock()
	}
}

// shorts leaves queries out of what findings name.
func shorts(uris []string) []string {
	out := make([]string, len(uris))
	for i, uri := range uris {
		out[i], _, _ = strings.Cut(uri, "?")
	}
	return out
}
