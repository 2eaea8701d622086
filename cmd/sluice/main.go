package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line. Names and flags are an interface: scripts rely on them.
type commands struct {
	Serve       serveCmd       `cmd:"" help:"Run the server."`
	Check       checkCmd       `cmd:"" help:"Print the configuration that would be used, and what is wrong with it."`
	Doctor      doctorCmd      `cmd:"" help:"Look at this machine and say in words what to change."`
	Token       tokenCmd       `cmd:"" help:"Print a token."`
	Sign        signCmd        `cmd:"" help:"Print a signed link to the playlist of one stream or asset."`
	Key         keyCmd         `cmd:"" help:"Manage stream keys for encoders."`
	Load        loadCmd        `cmd:"" help:"Publish and view as many do, and measure."`
	Conformance conformanceCmd `cmd:"" help:"Hold any WHIP or WHEP server against its duties."`
	Recordings  recordingsCmd  `cmd:"" help:"Look after recordings on disk."`
	Edge        edgeCmd        `cmd:"" help:"Be a caching server in front of nodes: for small sites, and for tests."`
	Validate    validateCmd    `cmd:"" help:"Hold any live LL-HLS playlist and its media against the rules."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// terminal is what a command has of the outside.
type terminal struct {
	out, err io.Writer
	environ  []string
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-signals // the first asks
		cancel()
		<-signals // the second does not
		os.Exit(exitKilled)
	}()
	os.Exit(run(ctx, os.Args[1:], terminal{os.Stdout, os.Stderr, os.Environ()}))
}

// exitKilled is what shells report of a program that Ctrl-C ended.
const exitKilled = 130

// exit carries kong's wish to end through its own call.
type exit int

// errFound ends a command that has said all there is to say, with exit code 1.
var errFound = errors.New("problems were found")

// run is main without the process.
func run(ctx context.Context, args []string, term terminal) (code int) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case exit:
			code = int(e)
		default:
			panic(e)
		}
	}()
	var cmds commands
	parser, err := kong.New(&cmds,
		kong.Name("sluice"),
		kong.Description("WebRTC streaming server: WHIP in, WHEP out, well under a second."),
		kong.Writers(term.out, term.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(term),
	)
	if err != nil {
		return fail(term, fmt.Errorf("read the command line: %w", err))
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return fail(term, fmt.Errorf("%w (sluice --help tells more)", err))
	}
	return fail(term, parsed.Run())
}

// fail prints an error in one line and returns the exit code.
func fail(term terminal, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFound):
		return 1
	}
	fmt.Fprintln(term.err, "sluice:", strings.ReplaceAll(err.Error(), "\n", "; "))
	return 1
}
