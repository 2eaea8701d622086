package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluice-live/sluice/loadtest/hls"
	"github.com/sluice-live/sluice/loadtest/view"
)

// HLSSchema names the JSON that HLSResult becomes; results/README.md documents it.
const HLSSchema = "sluice-hls/1"

// HLSOptions are the flags of `sluice load hls`.
type HLSOptions struct {
	URL     string        `help:"the Multivariant Playlist, or one Media Playlist" required:""`
	Token   string        `help:"bearer token to play" env:"SLUICE_VIEW_TOKEN,SLUICE_TOKEN"`
	Clients int           `help:"how many clients" default:"400"`
	Sound   bool          `help:"each follows the sound, too"`
	NoParts bool          `help:"ask for playlists alone, to know what one costs"`
	Warmup  time.Duration `help:"clients come in the first half of it" default:"10s"`
	Window  time.Duration `help:"how long is measured" default:"30s"`
	PID     int           `name:"pid" help:"process of the server, for its CPU and memory (this machine)"`
	Server  string        `help:"name of the server in the result" default:"sluice"`
	Out     string        `help:"write the result as JSON to this file"`
	Commit  string        `help:"what was measured; by default the commit of this binary"`
	Command string        `kong:"-"`
}

// HLSResult is one run of `sluice load hls`.
type HLSResult struct {
	Schema  string     `json:"schema"`
	At      time.Time  `json:"at"`
	Server  string     `json:"server"`
	Commit  string     `json:"commit"`
	Command string     `json:"command,omitempty"`
	Machine Machine    `json:"machine"`
	Counts  hls.Counts `json:"counts"`
	// OverPart is how much later than a part's length the slowest percent of the
	// playlists came.
	OverPart float64   `json:"playlist_p99_over_part_ms"`
	Usage    *HLSUsage `json:"usage,omitempty"`
}

// HLSUsage is what the server and this program used in the window.
type HLSUsage struct {
	Cores       float64 `json:"cores"`
	Kernel      float64 `json:"kernel_cores"`
	PerRequest  float64 `json:"cpu_us_per_request"` // playlists and parts alike
	RSS         uint64  `json:"rss_kib"`
	OwnCores    float64 `json:"load_cores"`
	OwnRequest  float64 `json:"load_us_per_request"`
	OthersCores float64 `json:"others_cores"`
}

// HLS plays a stream many times over and prints what was measured.
func HLS(ctx context.Context, o HLSOptions, out io.Writer) (HLSResult, error) {
	if o.Commit == "" {
		o.Commit = revision()
	}
	r := HLSResult{Schema: HLSSchema, At: time.Now().UTC(), Server: o.Server, Commit: o.Commit, Command: o.Command, Machine: machine()}
	crowd, err := hls.New(hls.Config{URL: o.URL, Token: o.Token, Clients: o.Clients, Sound: o.Sound, NoParts: o.NoParts, Ramp: o.Warmup / 2})
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- crowd.Run(ctx) }()
	measured, err := r.measure(o, crowd, done)
	cancel()
	if measured {
		<-done
	}
	if err != nil {
		return r, err
	}
	r.tell(out)
	if o.Out == "" {
		return r, nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(o.Out, append(b, '\n'), 0o600)
	}
	if err != nil {
		return r, fmt.Errorf("write the result: %w", err)
	}
	return r, nil
}

// measure waits for the crowd and for the window. It reports whether the crowd still
// runs.
func (r *HLSResult) measure(o HLSOptions, crowd *hls.Crowd, done <-chan error) (bool, error) {
	wait := func(d time.Duration) (bool, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return true, nil
		case err := <-done:
			if err == nil {
				err = context.Canceled
			}
			return false, err
		}
	}
	if runs, err := wait(o.Warmup); err != nil {
		return runs, err
	}
	crowd.Window()
	before, err := take(o.PID)
	if err != nil {
		return true, err
	}
	if runs, err := wait(o.Window); err != nil {
		return runs, err
	}
	after, err := take(o.PID)
	if err != nil {
		return true, err
	}
	r.Counts = crowd.Window()
	r.OverPart = r.Counts.Playlist.P99 - r.Counts.Part
	if u := before.usage(after, before, view.Summary{}); u != nil {
		requests := max(float64(r.Counts.Playlists+r.Counts.Parts), 1)
		each := u.Cores * after.at.Sub(before.at).Seconds() * 1e6 / requests
		own := u.LoadTestCores * after.at.Sub(before.at).Seconds() * 1e6 / requests
		r.Usage = &HLSUsage{Cores: u.Cores, Kernel: u.Kernel, PerRequest: each, RSS: u.RSS, OwnCores: u.LoadTestCores, OwnRequest: own, OthersCores: u.OthersCores}
	}
	return true, nil
}

func (r *HLSResult) tell(out io.Writer) {
	c := r.Counts
	fmt.Fprintf(out, "%d clients for %.0f s, parts of %.0f ms: %d playlists, %d parts, %.1f Mbit/s\n", c.Clients, c.Seconds, c.Part, c.Playlists, c.Parts, float64(c.Bytes)*8/1e6/max(c.Seconds, 1e-9))
	fmt.Fprintf(out, "playlist  p50 %.0f  p99 %.0f  max %.0f ms; p99 is %+.0f ms over a part\n", c.Playlist.P50, c.Playlist.P99, c.Playlist.Max, r.OverPart)
	fmt.Fprintf(out, "part      p50 %.0f  p99 %.0f  max %.0f ms\n", c.Hinted.P50, c.Hinted.P99, c.Hinted.Max)
	for _, e := range []struct {
		what string
		view.Quantiles
	}{
		{"newest    %s since its last picture was sent (%d stamps)\n", c.Newest},
		{"edge      %s since the end of the newest part, by PROGRAM-DATE-TIME, when its playlist came (%d)\n", c.Edge},
		{"          %s of sound (%d)\n", c.EdgeSound},
	} {
		if e.N > 0 {
			fmt.Fprintf(out, e.what, fmt.Sprintf("p50 %.0f  p99 %.0f  max %.0f ms", e.P50, e.P99, e.Max), e.N)
		}
	}
	if u := r.Usage; u != nil {
		fmt.Fprintf(out, "server    %.2f cores (%.2f in the kernel), %.0f µs for a request, %d MiB; this program %.2f cores, %.0f µs; others %.2f\n", u.Cores, u.Kernel, u.PerRequest, u.RSS>>10, u.OwnCores, u.OwnRequest, u.OthersCores)
	}
	fmt.Fprintf(out, "behind %d, parts missed %d, errors %v\n", c.Behind, c.Missed, c.Errors)
}
