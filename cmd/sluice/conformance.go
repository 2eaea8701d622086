package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-live/sluice/loadtest/conformance"
)

// conformanceCmd holds a server against the duties of WHIP or WHEP.
type conformanceCmd struct {
	Kind         string        `arg:"" enum:"whip,whep" help:"whip or whep"`
	URL          string        `arg:"" help:"Endpoint of a stream, for example http://localhost:8080/whip/live"`
	Token        string        `help:"Bearer token for the endpoint." env:"SLUICE_TOKEN"`
	PublishURL   string        `name:"publish-url" help:"whep: the WHIP endpoint that feeds the stream; without it somebody else must publish."`
	PublishToken string        `name:"publish-token" help:"Bearer token for the WHIP endpoint; the same as --token when left out." env:"SLUICE_PUBLISH_TOKEN"`
	Strict       bool          `help:"Expect the letter of the RFC where widely used clients need leniency."`
	Slow         bool          `help:"Also the duties that take a minute to see."`
	Markdown     bool          `help:"Print a table for documents."`
	IdleURL      string        `name:"idle-url" help:"whep: an endpoint that nobody publishes to; guessed for /whep/NAME."`
	Only         []string      `placeholder:"ID" help:"Only the rows with these identifiers."`
	Timeout      time.Duration `default:"10s" help:"How long one row may take."`
}

// Run prints the table; a duty that is not kept makes the exit code 1.
func (c *conformanceCmd) Run(ctx context.Context, term terminal) error {
	publishToken := c.PublishToken
	if publishToken == "" {
		publishToken = c.Token
	}
	report := conformance.Run(ctx, conformance.Options{
		Kind: c.Kind, URL: c.URL, Token: c.Token, PublishURL: c.PublishURL, PublishToken: publishToken,
		IdleURL: c.IdleURL, Strict: c.Strict, Slow: c.Slow, Timeout: c.Timeout, Only: c.Only,
	})
	text := report.Text()
	if c.Markdown {
		text = report.Markdown()
	}
	fmt.Fprint(term.out, text)
	if report.Failed() > 0 {
		return errFound
	}
	return nil
}
