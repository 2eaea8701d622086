package loadtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/source"
	"github.com/sluice-live/sluice/loadtest/view"
	"github.com/sluice-live/sluice/media"
)

// PublishOptions is one publisher. The tags are kong's.
type PublishOptions struct {
	URL       string        `arg:"" help:"WHIP endpoint, e.g. http://localhost:8080/whip/demo"`
	Token     string        `help:"Bearer token or stream key" env:"SLUICE_TOKEN"`
	Shape     string        `help:"which client to be: ${enum}" enum:"default,obs,ffmpeg,gstreamer" default:"default"`
	Layers    int           `help:"simulcast layers, 1 or 3" default:"1"`
	Bitrate   int64         `help:"bits per second of the top layer" default:"2500000"`
	NoAudio   bool          `help:"send no audio"`
	IgnorePLI bool          `name:"ignore-pli" help:"never make a key frame on request"`
	Late      time.Duration `help:"wait this long after connecting before the first media"`
	BFrames   bool          `name:"b-frames" help:"encode with B-frames, which WebRTC viewers cannot show"`
	Profile   string        `help:"profile-level-id to declare instead of the true one (recorded shapes only)"`
	Loss      float64       `help:"share of packets to lose on the way out, 0-1"`
	Duration  time.Duration `help:"stop after this long; 0 means at Ctrl-C"`
	Media     string        `help:"folder that keeps the test media, made once by ffmpeg"`
	// Source is ready media instead of the folder's.
	Source *source.Media `kong:"-"`
}

// ViewOptions is a swarm of viewers. The tags are kong's.
type ViewOptions struct {
	URL      string        `arg:"" help:"WHEP endpoint, e.g. http://localhost:8080/whep/demo"`
	Token    string        `help:"Bearer token" env:"SLUICE_TOKEN"`
	Viewers  int           `help:"light viewers" default:"1"`
	Full     int           `help:"viewers by a whole PeerConnection, besides the light ones"`
	Rate     float64       `help:"joins per second" default:"50"`
	Duration time.Duration `help:"stop after this long; 0 means at Ctrl-C" default:"10s"`
	RTX      bool          `name:"rtx" help:"offer retransmission by RTX"`
	Feedback time.Duration `help:"report arrivals (transport-wide congestion control) this often; 0 means not"`
	Verify   bool          `help:"decrypt every packet, not only the first of each frame"`
	Stall    int           `help:"let so many light viewers read and say nothing from half of --duration on, and compare the others"`
}

// RunOptions is one scenario. The tags are kong's.
type RunOptions struct {
	Scenario     string        `arg:"" help:"which scenario: ${enum}" enum:"viewers,joins,churn"`
	Server       string        `help:"name of the server under test, for the table" default:"sluice"`
	PublishURL   string        `help:"WHIP endpoint" default:"http://127.0.0.1:8080/whip/{stream}"`
	ViewURL      string        `help:"WHEP endpoint" default:"http://127.0.0.1:8080/whep/{stream}"`
	Stream       string        `help:"what {stream} becomes in the endpoints" default:"load"`
	PublishToken string        `help:"token for WHIP" env:"SLUICE_PUBLISH_TOKEN"`
	ViewToken    string        `help:"token for WHEP" env:"SLUICE_VIEW_TOKEN"`
	PID          int           `name:"pid" help:"process of the server, for its CPU and memory (this machine)"`
	Metrics      string        `help:"URL of the server's Prometheus metrics, for goroutines and heap (churn)"`
	Steps        []int         `help:"viewers: how many at each step" default:"100"`
	Warmup       time.Duration `help:"how long the first viewer is left alone before others come" default:"7s"`
	Window       time.Duration `help:"viewers: how long each step is measured" default:"6s"`
	Stall        int           `help:"viewers: measure each step again with so many of its viewers reading and saying nothing, and compare the others"`
	Joins        int           `help:"joins: how many viewers come and leave" default:"1000"`
	Rate         float64       `help:"joins per second" default:"20"`
	Connects     int           `help:"churn: how many connects and closes; read after a tenth of them and at the end" default:"10000"`
	Settle       time.Duration `help:"churn: wait this long before reading; ended sessions may be remembered for a while" default:"65s"`
	Shape        string        `help:"which client the publisher is: ${enum}" enum:"default,obs,ffmpeg,gstreamer" default:"default"`
	Layers       int           `help:"simulcast layers, 1 or 3" default:"1"`
	Bitrate      int64         `help:"bits per second of the top layer" default:"2500000"`
	NoPublish    bool          `help:"somebody else publishes"`
	RTX          bool          `name:"rtx" help:"viewers offer retransmission by RTX"`
	Feedback     time.Duration `help:"viewers report arrivals (transport-wide congestion control) this often; 0 means not"`
	Media        string        `help:"folder that keeps the test media, made once by ffmpeg"`
	Out          string        `help:"write the result as JSON to this file"`
	Commit       string        `help:"what was measured; by default the commit of this binary"`
	Command      string        `kong:"-"`
	// Source is ready media instead of the folder's.
	Source *source.Media `kong:"-"`
	// What only the bench asks for.
	noGRO, verify bool
}

// viewers is the swarm that these options want.
func (o *RunOptions) viewers() view.Config {
	return view.Config{URL: o.ViewURL, Token: o.ViewToken, RTX: o.RTX, Feedback: o.Feedback, NoGRO: o.noGRO, Verify: o.verify, Settle: min(o.Warmup/2, 5*time.Second)}
}

// folder is where media is kept when no folder is named.
func folder(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the test media: %w", err)
	}
	return filepath.Join(cache, "sluice-media"), nil
}

func open(ctx context.Context, c source.Config) (*source.Media, error) {
	dir, err := folder(c.Dir)
	if err != nil {
		return nil, err
	}
	c.Dir = dir
	return source.Open(ctx, c)
}

func (o *PublishOptions) media(ctx context.Context) (*source.Media, error) {
	if o.Source != nil {
		return o.Source, nil
	}
	return open(ctx, source.Config{Dir: o.Media, Layers: o.Layers, Bitrate: media.Bitrate(o.Bitrate), BFrames: o.BFrames, NoAudio: o.NoAudio})
}

func (o *RunOptions) media(ctx context.Context) (*source.Media, error) {
	if o.Source != nil {
		return o.Source, nil
	}
	return open(ctx, source.Config{Dir: o.Media, Layers: o.Layers, Bitrate: media.Bitrate(o.Bitrate)})
}

// complete fills in what a caller without a command line leaves empty.
func (o *RunOptions) complete() error {
	if o.PublishURL == "" || o.ViewURL == "" {
		return errors.New("run: PublishURL and ViewURL are needed")
	}
	if o.Stream == "" {
		o.Stream = "load"
	}
	o.PublishURL = strings.ReplaceAll(o.PublishURL, "{stream}", o.Stream)
	o.ViewURL = strings.ReplaceAll(o.ViewURL, "{stream}", o.Stream)
	if o.Shape == "" {
		o.Shape = string(publish.Default)
	}
	if len(o.Steps) == 0 {
		o.Steps = []int{100}
	}
	setDefault(&o.Warmup, 7*time.Second)
	setDefault(&o.Window, 6*time.Second)
	setDefault(&o.Joins, 1000)
	setDefault(&o.Connects, 10000)
	setDefault(&o.Rate, 20)
	setDefault(&o.Layers, 1)
	setDefault(&o.Settle, 65*time.Second)
	return nil
}

func setDefault[T int | float64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
