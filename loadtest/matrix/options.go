package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
	"github.com/sluice-live/sluice/loadtest/source"
	"github.com/sluice-live/sluice/media"
)

// Options say which rows to run. The tags are kong's.
type Options struct {
	Server       string        `help:"base URL of the server" default:"http://127.0.0.1:8080"`
	Name         string        `help:"name of the server, for the table" default:"sluice"`
	WHIP         string        `name:"whip" help:"path of the WHIP endpoint" default:"/whip/{stream}"`
	WHEP         string        `name:"whep" help:"path of the WHEP endpoint" default:"/whep/{stream}"`
	Status       string        `help:"path of what the server says of a stream, for what was repaired on the publisher's link; empty: it does not say" default:"/v1/streams/{stream}"`
	Stream       string        `help:"how stream names begin" default:"matrix"`
	PublishToken string        `help:"token for WHIP" env:"SLUICE_PUBLISH_TOKEN"`
	ViewToken    string        `help:"token for WHEP" env:"SLUICE_VIEW_TOKEN"`
	Profiles     []string      `help:"named profiles to run; \"all\" are all of them" default:"all"`
	Viewers      []string      `help:"kinds of viewers: load, chromium" default:"load,chromium"`
	Layers       []int         `help:"layers that are published, 1 or 3; each makes rows of its own" default:"3"`
	Uplink       []string      `help:"profiles that are run on the publisher's link, too" default:"loss5"`
	Browser      []string      `help:"profiles that are run on the link of a publisher in Chromium, too" default:"loss5,drop4m"`
	For          time.Duration `help:"how long each row takes; 0 means as its profile says"`
	Seed         uint64        `help:"seed of chance" default:"1"`
	Bitrate      int64         `help:"bits per second of the top layer" default:"2500000"`
	Media        string        `help:"folder that keeps the test media, made once by ffmpeg"`
	Chromium     string        `help:"command of the browser viewer; livekit.mjs beside the default one watches by LiveKit's own client" default:"node loadtest/matrix/chromium.mjs"`
	Out          string        `help:"write the tables as Markdown to this file"`
	JSON         string        `name:"json" help:"write the result as JSON to this file"`
	Charts       string        `help:"write a chart of each scripted row into this folder"`
	Commit       string        `help:"what was measured"`
	Command      string        `kong:"-"`
	// Source is ready media instead of the folder's, by number of layers.
	Source map[int]*source.Media `kong:"-"`
}

// Kinds of viewers.
const (
	Load     = "load"
	Chromium = "chromium"
)

// Legs: whose link is bad.
const (
	ViewerLeg    = "viewer"
	PublisherLeg = "publisher"
)

// plan is one row that is to be run.
type plan struct {
	profile impair.Profile
	viewer  string
	layers  int
	leg     string
	browser bool // the publisher is a browser
	top     int  // height of the largest layer; 0: not known before
}

// complete fills in what a caller without a command line leaves empty.
func (o *Options) complete() error {
	defaults := []struct {
		v *string
		d string
	}{{&o.Server, "http://127.0.0.1:8080"}, {&o.Name, "sluice"}, {&o.WHIP, "/whip/{stream}"}, {&o.WHEP, "/whep/{stream}"}, {&o.Stream, "matrix"}, {&o.Chromium, "node loadtest/matrix/chromium.mjs"}}
	for _, d := range defaults {
		if *d.v == "" {
			*d.v = d.d
		}
	}
	if len(o.Viewers) == 0 {
		o.Viewers = []string{Load, Chromium}
	}
	if len(o.Layers) == 0 {
		o.Layers = []int{3}
	}
	if o.Bitrate == 0 {
		o.Bitrate = int64(source.DefaultBitrate)
	}
	if len(o.Profiles) == 0 || slices.Contains(o.Profiles, "all") {
		o.Profiles = nil
		for _, p := range impair.Profiles() {
			o.Profiles = append(o.Profiles, p.Name)
		}
	}
	for _, v := range o.Viewers {
		if v != Load && v != Chromium {
			return fmt.Errorf("plan the matrix: the viewer %q is not known; known are %s, %s", v, Load, Chromium)
		}
	}
	return nil
}

// plans are the rows in their order.
func (o *Options) plans() ([]plan, error) {
	var out []plan
	var errs []error
	add := func(name string, p plan) {
		var err error
		p.profile, err = impair.Named(name)
		if o.For > 0 {
			p.profile.For = o.For
		}
		errs = append(errs, err)
		out = append(out, p)
	}
	for _, layers := range o.Layers {
		for _, viewer := range o.Viewers {
			for _, name := range o.Profiles {
				add(name, plan{viewer: viewer, layers: layers, leg: ViewerLeg})
			}
		}
	}
	for _, viewer := range o.Viewers {
		for _, name := range o.Uplink {
			add(name, plan{viewer: viewer, layers: o.Layers[0], leg: PublisherLeg})
		}
	}
	if slices.Contains(o.Viewers, Chromium) {
		for _, name := range o.Browser {
			add(name, plan{viewer: Chromium, layers: o.Layers[0], leg: PublisherLeg, browser: true})
		}
	}
	return out, errors.Join(errs...)
}

// endpoint is a URL of the server, or of what stands for it.
func endpoint(base, path, stream string) string {
	return strings.TrimSuffix(base, "/") + strings.ReplaceAll(path, "{stream}", stream)
}

// open finds the media with so many layers.
func (o *Options) open(ctx context.Context, layers int) (*source.Media, error) {
	if m := o.Source[layers]; m != nil {
		return m, nil
	}
	dir := o.Media
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find a folder for the test media: %w", err)
		}
		dir = filepath.Join(cache, "sluice-media")
	}
	return source.Open(ctx, source.Config{Dir: dir, Layers: layers, Bitrate: media.Bitrate(o.Bitrate)})
}
