package matrix

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Schema names the JSON that Result becomes.
const Schema = "sluice-matrix/1"

// Result is one run of the matrix.
type Result struct {
	Schema  string    `json:"schema"`
	At      time.Time `json:"at"`
	Server  string    `json:"server"`
	Commit  string    `json:"commit,omitempty"`
	Command string    `json:"command,omitempty"`
	Machine string    `json:"machine"`
	Seed    uint64    `json:"seed"`
	Rows    []Row     `json:"rows"`
}

// Row is one viewer on one bad link, and its control.
type Row struct {
	Profile   string  `json:"profile"`
	About     string  `json:"about"`
	Viewer    string  `json:"viewer"`
	Layers    int     `json:"layers"`
	Leg       string  `json:"leg"`
	Publisher string  `json:"publisher"` // "load" or "chromium"
	Seconds   float64 `json:"seconds"`
	// Freeze is what the link did: the share of time frozen, less the control's.
	Freeze  float64 `json:"freeze"`
	Seen    Seen    `json:"seen"`
	Control Seen    `json:"control"`
	Flow    Flow    `json:"flow"` // in the direction of the media
	Back    Flow    `json:"back"` // in that of the feedback
	// Upstream is of rows whose publisher has the bad link, where the server tells.
	Upstream Repairs  `json:"upstream,omitempty"`
	Phases   []Phase  `json:"phases,omitempty"`
	Timeline []Second `json:"timeline"`
	Load     float64  `json:"load_before"` // of the machine
	Error    string   `json:"error,omitempty"`
}

// Second is one second of a row, for charts.
type Second struct {
	Height  int     `json:"height"` // on the screen at its end
	Frozen  float64 `json:"frozen"` // share
	Offered float64 `json:"offered_bps"`
	Used    float64 `json:"used_bps"`
	Link    float64 `json:"link_bps"`
	Queue   float64 `json:"queue_ms"`
	// What came of the picture, and what was asked for.
	Packets float64 `json:"packets"`
	Frames  float64 `json:"frames,omitempty"`
	Decoded float64 `json:"decoded"`
	Keys    float64 `json:"keys,omitempty"`
	NACKs   float64 `json:"nacks"`
	PLIs    float64 `json:"plis"`
}

// timeline cuts it into seconds.
func (w watched) timeline() []Second {
	r := w.record
	var out []Second
	for at := time.Duration(0); at+time.Second <= w.whole; at += time.Second {
		f := flow(w.slots, w.course.At(at), at, at+time.Second)
		from, to := w.begun+ms(at), w.begun+ms(at+time.Second)
		s := Second{Height: heightAt(r.Pictures, to), Offered: f.Offered, Used: f.Used, Link: f.Link, Queue: f.Queue[1]}
		gaps(r.Pictures, from, to, func(part float64) { s.Frozen += part / 1000 })
		a, b := sampleAt(r.Samples, from), sampleAt(r.Samples, to)
		s.Packets, s.Frames, s.Decoded, s.Keys = b.Packets-a.Packets, b.Frames-a.Frames, b.Decoded-a.Decoded, b.Keys-a.Keys
		s.NACKs, s.PLIs = b.NACKs-a.NACKs, b.PLIs-a.PLIs
		out = append(out, s)
	}
	return out
}

// sampleAt is the last sample before a time, or an empty one.
func sampleAt(samples []Sample, at float64) (s Sample) {
	for i := range samples {
		if samples[i].At > at {
			break
		}
		s = samples[i]
	}
	return s
}

func newResult(o Options) Result {
	return Result{Schema: Schema, At: time.Now().UTC(), Server: o.Name, Commit: o.Commit, Command: o.Command, Machine: machine(), Seed: o.Seed}
}

// machine names the processor and how many of it there are.
func machine() string {
	name := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				name = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s", runtime.NumCPU(), name, runtime.Version())
}

// load is the machine's load average of the last minute.
func load() float64 {
	var v float64
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(b), &v)
	}
	return v
}

// save writes what was asked for.
func (r Result) save(o Options) error {
	if o.JSON != "" {
		b, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
		if err := os.WriteFile(o.JSON, append(b, '\n'), 0o600); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	if o.Out != "" {
		if err := os.WriteFile(o.Out, []byte(r.Markdown()), 0o600); err != nil {
			return fmt.Errorf("write the tables: %w", err)
		}
	}
	return r.charts(o.Charts)
}
