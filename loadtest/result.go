package loadtest

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/view"
)

// Schema names the JSON that Result becomes; results/README.md documents it.
const Schema = "sluice-load/1"

// Result is one run of one scenario.
type Result struct {
	Schema    string         `json:"schema"`
	At        time.Time      `json:"at"`
	Scenario  string         `json:"scenario"`
	Server    string         `json:"server"`
	Commit    string         `json:"commit"`
	Command   string         `json:"command,omitempty"`
	Machine   Machine        `json:"machine"`
	Source    Settings       `json:"source"`
	Steps     []Step         `json:"steps,omitempty"`
	Joins     *Joins         `json:"joins,omitempty"`
	Churn     *Churn         `json:"churn,omitempty"`
	Publisher *publish.Stats `json:"publisher,omitempty"`
}

// Settings say what was published.
type Settings struct {
	Shape   string `json:"shape"`
	Layers  int    `json:"layers"`
	Bitrate int64  `json:"bitrate"`
	RTX     bool   `json:"rtx"`
}

// Machine is where the run happened.
type Machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Memory uint64  `json:"memory_kib"`
	Kernel string  `json:"kernel"`
	Go     string  `json:"go"` // of this program
	Load   float64 `json:"load_before"`
}

// Step is one number of viewers.
type Step struct {
	Wanted  int          `json:"wanted"`
	Summary view.Summary `json:"summary"`
	Server  *Usage       `json:"server,omitempty"`
	PLIs    []uint64     `json:"publisher_plis,omitempty"` // within the step, per layer
}

// Joins is what the joins scenario adds.
type Joins struct {
	Wanted  int          `json:"wanted"`
	Rate    float64      `json:"rate"`
	Summary view.Summary `json:"summary"`
	Keyless int          `json:"without_key_frame"` // gave up waiting for one
	PLIs    []uint64     `json:"publisher_plis"`    // per layer, smallest first
	PLIRate []float64    `json:"publisher_plis_per_s"`
	Server  *Usage       `json:"server,omitempty"`
}

// Churn is what the churn scenario found.
type Churn struct {
	Connects int            `json:"connects"`
	Failed   int            `json:"failed"`
	Errors   map[string]int `json:"errors,omitempty"` // why
	First    Reading        `json:"first"`            // after a tenth of the connects
	Last     Reading        `json:"last"`
	HeapRise float64        `json:"heap_rise"` // share, 0.02 is 2 %
}

// Reading is the server's state between connects.
type Reading struct {
	After      int     `json:"after"`
	Goroutines float64 `json:"goroutines"`
	HeapBytes  float64 `json:"heap_bytes"`
	RSS        uint64  `json:"rss_kib,omitempty"`
}

func newResult(o RunOptions) Result {
	commit := o.Commit
	if commit == "" {
		commit = revision()
	}
	return Result{Schema: Schema, At: time.Now().UTC(), Scenario: o.Scenario, Server: o.Server, Commit: commit, Command: o.Command,
		Machine: machine(), Source: Settings{Shape: o.Shape, Layers: o.Layers, Bitrate: o.Bitrate, RTX: o.RTX}}
}

// save writes the result where o.Out says.
func (r Result) save(path string) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// revision is the commit that the toolchain wrote into this binary.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	commit, dirty := "unknown", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	return commit + dirty
}

func machine() Machine {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if name, ok := field(string(b), "model name"); ok {
			m.CPU = name
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if v, ok := field(string(b), "MemTotal"); ok {
			_, _ = fmt.Sscan(v, &m.Memory)
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(b), &m.Load)
	}
	return m
}

// field finds "name : value" in one of the kernel's texts.
func field(text, name string) (string, bool) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}
