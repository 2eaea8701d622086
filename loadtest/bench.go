package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/loadtest/source"
	"github.com/sluice-live/sluice/media"
)

// BenchSchema names the JSON that Bench becomes; results/README.md documents it.
const BenchSchema = "sluice-bench/1"

// BenchOptions is one run of several servers under the same load. The tags are
// kong's.
type BenchOptions struct {
	Scenarios []string      `arg:"" optional:"" help:"which, of ${enum}" enum:"capacity,joins,idle,streams" default:"capacity"`
	Targets   string        `required:"" help:"JSON file with the servers: a list of {name, whip, whep, tokens, run, env, dir, log, pid, metrics}"`
	Only      []string      `help:"names of the servers to measure; all without"`
	Rounds    int           `help:"how often everything is done, one server after the other" default:"1"`
	JoinsIn   int           `help:"joins: in only so many of the rounds; 0 means all"`
	Steps     []int         `help:"capacity: viewers of one stream" default:"50,100,200,300,400,500,600,800,1000,1250,1500,2000,2500,3000,4000"`
	Beyond    bool          `help:"capacity: go on after the first step that breaks the objectives"`
	Least     int           `help:"capacity: steps of up to this many viewers are measured whatever breaks, to be put side by side"`
	Window    time.Duration `help:"how long each step is measured" default:"8s"`
	Warmup    time.Duration `help:"how long the first viewer is left alone" default:"4s"`
	Rate      float64       `help:"capacity, idle, streams: joins per second" default:"150"`
	Bitrate   int64         `help:"bits per second of the stream" default:"2500000"`
	Feedback  time.Duration `help:"viewers report arrivals this often; 0 means not" default:"100ms"`
	NoRTX     bool          `name:"no-rtx" help:"viewers offer no retransmission stream"`
	NoGRO     bool          `name:"no-gro" help:"take every datagram from the kernel on its own"`
	Verify    bool          `help:"decrypt every packet, not only the first of each frame"`
	Workers   int           `help:"joins: how many join at once" default:"48"`
	Idle      int           `help:"idle: how many viewers wait" default:"1000"`
	Each      int           `help:"streams: how many viewers watch each"`
	Settle    time.Duration `help:"idle, streams: wait this long before measuring" default:"15s"`
	Streams   int           `help:"streams: how many" default:"1000"`
	Silent    bool          `help:"streams: pictures only, no sound"`
	Rest      time.Duration `help:"between two servers" default:"3s"`
	Media     string        `help:"folder that keeps the test media, made once by ffmpeg"`
	Out       string        `help:"write FILE.json, FILE.md and FILE.svg"`
	Commit    string        `help:"what was measured; by default the commit of this binary"`
	As        string        `help:"the command to show in the report, instead of this one"`
	Command   string        `kong:"-"`
	// Source is ready media instead of the folder's.
	Source *source.Media `kong:"-"`
	list   []Target
}

// BenchResult is one run of all scenarios, targets and rounds.
type BenchResult struct {
	Schema   string        `json:"schema"`
	At       time.Time     `json:"at"`
	Commit   string        `json:"commit"`
	Command  string        `json:"command,omitempty"`
	Machine  Machine       `json:"machine"`
	Source   Settings      `json:"source"`
	Feedback time.Duration `json:"feedback_ns"`
	GRO      bool          `json:"gro"`
	Capacity []Capacity    `json:"capacity,omitempty"`
	Joins    []Rush        `json:"joins,omitempty"`
	Idle     []Idle        `json:"idle,omitempty"`
	Streams  []Crowded     `json:"streams,omitempty"`
	Errors   []string      `json:"errors,omitempty"` // what could not be measured
}

// Bench measures every target in turn, round by round, and writes the report.
// A target that fails is reported; the others go on.
func Bench(ctx context.Context, o BenchOptions, out io.Writer) (BenchResult, error) {
	if err := o.complete(); err != nil {
		return BenchResult{}, err
	}
	m, err := o.media(ctx)
	if err != nil {
		return BenchResult{}, err
	}
	o.Source = m
	if o.As != "" {
		o.Command = o.As
	}
	run := newResult(RunOptions{Commit: o.Commit, Command: o.Command, Shape: "default", Layers: 1, Bitrate: o.Bitrate, RTX: !o.NoRTX})
	r := BenchResult{Schema: BenchSchema, At: run.At, Commit: run.Commit, Command: o.Command, Machine: run.Machine, Source: run.Source, Feedback: o.Feedback, GRO: !o.NoGRO}
	for round := range o.Rounds {
		for _, scenario := range o.Scenarios {
			if scenario == "joins" && o.JoinsIn > 0 && round >= o.JoinsIn {
				continue
			}
			for _, t := range o.list {
				if ctx.Err() != nil {
					return r, errors.Join(ctx.Err(), r.save(o.Out))
				}
				_, _ = fmt.Fprintf(out, "round %d, %s, %s\n", round+1, scenario, t.Name)
				if err := r.one(ctx, o, bout{t, scenario, round + 1, out}); err != nil {
					why := fmt.Sprintf("round %d, %s, %s: %v", round+1, scenario, t.Name, err)
					r.Errors = append(r.Errors, why)
					_, _ = fmt.Fprintln(out, "  "+why)
				}
				// What was measured so far is kept, whatever happens next.
				if err := r.save(o.Out); err != nil {
					return r, err
				}
				_ = pause(ctx, o.Rest)
			}
		}
	}
	_, _ = fmt.Fprint(out, "\n"+r.Markdown(""))
	return r, nil
}

// bout is one target in one scenario and round.
type bout struct {
	target   Target
	scenario string
	round    int
	out      io.Writer
}

func (r *BenchResult) one(ctx context.Context, o BenchOptions, b bout) (err error) {
	var end func() error
	if b.target, end, err = b.target.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	switch b.scenario {
	case "capacity":
		c, err := capacity(ctx, o, b)
		r.Capacity = append(r.Capacity, c)
		return err
	case "joins":
		j, err := rush(ctx, o, b)
		if err == nil {
			r.Joins = append(r.Joins, j)
		}
		return err
	case "idle":
		i, err := idle(ctx, o, b)
		if err == nil {
			r.Idle = append(r.Idle, i)
		}
		return err
	case "streams":
		s, err := crowded(ctx, o, b)
		if err == nil {
			r.Streams = append(r.Streams, s)
		}
		return err
	}
	return fmt.Errorf("scenario %q is not known; known are capacity, joins, idle, streams", b.scenario)
}

func (o *BenchOptions) complete() error {
	var err error
	if o.list == nil {
		if o.list, err = readTargets(o.Targets); err != nil {
			return err
		}
	}
	if len(o.Only) > 0 {
		o.list = slices.DeleteFunc(o.list, func(t Target) bool { return !slices.Contains(o.Only, t.Name) })
		if len(o.list) == 0 {
			return fmt.Errorf("bench: none of the targets is called %s", strings.Join(o.Only, " or "))
		}
	}
	if len(o.Scenarios) == 0 {
		o.Scenarios = []string{"capacity"}
	}
	if len(o.Steps) == 0 {
		o.Steps = []int{100}
	}
	slices.Sort(o.Steps)
	setDefault(&o.Rounds, 1)
	setDefault(&o.Window, 8*time.Second)
	setDefault(&o.Warmup, 4*time.Second)
	setDefault(&o.Rate, 150)
	setDefault(&o.Workers, 48)
	setDefault(&o.Streams, 1000)
	setDefault(&o.Idle, 1000)
	return nil
}

func (o *BenchOptions) media(ctx context.Context) (*source.Media, error) {
	if o.Source != nil {
		return o.Source, nil
	}
	return open(ctx, source.Config{Dir: o.Media, Layers: 1, Bitrate: media.Bitrate(o.Bitrate)})
}

// stage is the run's options for one target.
func (o *BenchOptions) stage(t Target) RunOptions {
	fill := strings.NewReplacer("{stream}", "load").Replace
	return RunOptions{Server: t.Name, PublishURL: fill(t.WHIP), ViewURL: fill(t.WHEP), PublishToken: t.token("PUBLISH"), ViewToken: t.token("VIEW"),
		PID: t.PID, Metrics: t.Metrics, Warmup: o.Warmup, Window: o.Window, Rate: o.Rate, Shape: "default", Layers: 1, Bitrate: o.Bitrate,
		RTX: !o.NoRTX, Feedback: o.Feedback, Source: o.Source, noGRO: o.NoGRO, verify: o.Verify}
}

// save writes the result beside each other: for machines, for people, and drawn.
func (r BenchResult) save(path string) error {
	if path == "" {
		return nil
	}
	path = strings.TrimSuffix(path, ".json")
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	files := map[string][]byte{path + ".json": append(b, '\n')}
	chart := ""
	if len(r.Capacity) > 0 {
		chart = filepath.Base(path) + ".svg"
		files[path+".svg"] = []byte(r.chart())
	}
	files[path+".md"] = []byte(r.Markdown(chart))
	for name, b := range files {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	return nil
}
