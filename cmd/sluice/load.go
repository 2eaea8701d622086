package main

import (
	"context"
	"os"
	"strings"

	"github.com/sluice-live/sluice/loadtest"
	"github.com/sluice-live/sluice/loadtest/impair/relay"
	"github.com/sluice-live/sluice/loadtest/matrix"
	"github.com/sluice-live/sluice/loadtest/reflector"
)

// loadCmd is the swarm of publishers and viewers.
type loadCmd struct {
	Publish loadPublishCmd `cmd:"" help:"Publish one stream until Ctrl-C."`
	View    loadViewCmd    `cmd:"" help:"Watch a stream many times over."`
	HLS     loadHLSCmd     `cmd:"" name:"hls" help:"Play a stream by LL-HLS many times over."`
	Run     loadRunCmd     `cmd:"" help:"Run a scenario and print what was measured."`
	Bench   loadBenchCmd   `cmd:"" help:"Measure servers side by side under more and more load."`
	Impair  loadImpairCmd  `cmd:"" help:"Stand before a server as a bad network."`
	Matrix  loadMatrixCmd  `cmd:"" help:"Measure what a viewer sees on each bad link."`
	Beside  loadBesideCmd  `cmd:"" help:"Put two results of the matrix side by side."`
	Reflect loadReflectCmd `cmd:"" hidden:"" help:"Be a plain server on Pion, to be measured beside others."`
}

type loadPublishCmd struct{ loadtest.PublishOptions }

// Run publishes.
func (c *loadPublishCmd) Run(ctx context.Context, term terminal) error {
	_, err := loadtest.Publish(ctx, c.PublishOptions, term.out)
	return err
}

type loadViewCmd struct{ loadtest.ViewOptions }

// Run watches.
func (c *loadViewCmd) Run(ctx context.Context, term terminal) error {
	_, err := loadtest.View(ctx, c.ViewOptions, term.out)
	return err
}

type loadHLSCmd struct{ loadtest.HLSOptions }

// Run plays.
func (c *loadHLSCmd) Run(ctx context.Context, term terminal) error {
	c.Command = strings.Join(withoutSecrets(os.Args), " ")
	_, err := loadtest.HLS(ctx, c.HLSOptions, term.out)
	return err
}

type loadRunCmd struct{ loadtest.RunOptions }

// Run runs a scenario.
func (c *loadRunCmd) Run(ctx context.Context, term terminal) error {
	c.Command = strings.Join(withoutSecrets(os.Args), " ")
	_, err := loadtest.Run(ctx, c.RunOptions, term.out)
	return err
}

type loadBenchCmd struct{ loadtest.BenchOptions }

// Run measures every target.
func (c *loadBenchCmd) Run(ctx context.Context, term terminal) error {
	c.Command = strings.Join(withoutSecrets(os.Args), " ")
	_, err := loadtest.Bench(ctx, c.BenchOptions, term.out)
	return err
}

type loadImpairCmd struct{ relay.Options }

// Run forwards HTTP and impairs the media of the sessions that it carries.
func (c *loadImpairCmd) Run(ctx context.Context, term terminal) error {
	return relay.Serve(ctx, c.Options, term.out)
}

type loadMatrixCmd struct{ matrix.Options }

// Run measures every profile with every kind of viewer.
func (c *loadMatrixCmd) Run(ctx context.Context, term terminal) error {
	c.Command = strings.Join(withoutSecrets(os.Args), " ")
	_, err := matrix.Run(ctx, c.Options, term.out)
	return err
}

type loadBesideCmd struct{ matrix.BesideOptions }

// Run prints both.
func (c *loadBesideCmd) Run(term terminal) error {
	return matrix.Beside(c.BesideOptions, term.out)
}

type loadReflectCmd struct{ reflector.Options }

// Run reflects one stream by a plain PeerConnection per viewer.
func (c *loadReflectCmd) Run(ctx context.Context, term terminal) error {
	return reflector.Serve(ctx, c.Options, term.out)
}

// withoutSecrets blanks the values of flags that carry tokens: results are
// committed and shown.
func withoutSecrets(args []string) []string {
	out := make([]string, len(args))
	blank := false
	for i, arg := range args {
		name, _, valued := strings.Cut(arg, "=")
		secret := strings.HasPrefix(name, "--") && strings.HasSuffix(name, "token")
		switch {
		case blank:
			out[i] = "…"
		case secret && valued:
			out[i] = name + "=…"
		default:
			out[i] = arg
		}
		blank = secret && !valued
	}
	return out
}
