package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/validate"
)

// validateCmd holds a live LL-HLS presentation against the rules.
type validateCmd struct {
	URL       string        `arg:"" help:"A multivariant or media playlist, for example http://localhost:8080/live/show/index.m3u8"`
	Token     string        `help:"Bearer token; it goes to the URL's host alone." env:"SLUICE_TOKEN"`
	For       time.Duration `default:"20s" help:"How long to look."`
	Slack     time.Duration `default:"200ms" help:"How late news may be: what the network and the machines take."`
	Playlists int           `default:"8" help:"How many media playlists are watched."`
}

// Run prints the report; what is against a rule makes the exit code 1, advice does
// not.
func (c *validateCmd) Run(ctx context.Context, term terminal) error {
	report, err := validate.Run(ctx, validate.Options{URL: c.URL, Token: c.Token, For: c.For, Slack: c.Slack, Playlists: c.Playlists})
	if err != nil {
		return err
	}
	fmt.Fprint(term.out, report.Text())
	if report.Broken() > 0 {
		return errFound
	}
	return nil
}
