package loadtest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest"
	"github.com/sluice-live/sluice/loadtest/source"
)

// benchOptions are a short bench of one target.
func benchOptions(t *testing.T, target loadtest.Target) loadtest.BenchOptions {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal([]loadtest.Target{target})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "targets.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return loadtest.BenchOptions{Targets: file, Steps: []int{4, 2}, Beyond: true, Window: time.Second, Warmup: time.Second, Rate: 20, Feedback: 50 * time.Millisecond,
		Workers: 2, Idle: 3, Streams: 3, Each: 1, Settle: 3 * time.Second, Rest: time.Millisecond, Source: source.Synthetic(1, 1_000_000),
		Out: filepath.Join(dir, "out.json"), Commit: "abc", Command: "sluice load bench"}
}

func TestTheBenchMeasuresEveryScenario(t *testing.T) {
	t.Setenv("REFLECTOR_PUBLISH_TOKEN", "secret")
	t.Setenv("REFLECTOR_VIEW_TOKEN", "secret")
	ro, server := options(t, "")
	o := benchOptions(t, loadtest.Target{Name: "reflector", WHIP: ro.PublishURL, WHEP: ro.ViewURL, Tokens: "REFLECTOR", PID: os.Getpid(), Metrics: ro.Metrics})
	o.Scenarios, o.Rounds = []string{"capacity", "joins", "streams"}, 2
	var out bytes.Buffer
	r, err := loadtest.Bench(t.Context(), o, &out)
	if err != nil || len(r.Errors) > 0 {
		t.Fatal(err, out.String())
	}
	if len(r.Capacity) != 2 || len(r.Joins) != 2 || len(r.Streams) != 2 {
		t.Fatalf("%d, %d, %d of 2 rounds each", len(r.Capacity), len(r.Joins), len(r.Streams))
	}
	for _, c := range r.Capacity {
		if len(c.Steps) != 2 || c.Steps[0].Wanted != 2 || c.Steps[1].Wanted != 4 {
			t.Fatalf("steps %+v", c.Steps)
		}
		for _, m := range c.Steps {
			s := m.Summary
			if s.Viewers != m.Wanted || m.Share <= 0 || s.Latency.N == 0 || s.Spread.N == 0 || m.Server == nil || m.Server.PerPacket <= 0 {
				t.Errorf("%+v", m)
			}
		}
	}
	if j := r.Joins[0]; j.Joined == 0 || j.PerS <= 0 || j.Server == nil {
		t.Errorf("joins %+v", j)
	}
	if s := r.Streams[0]; s.Streams != 3 || s.Failed != 0 || s.CutOff != "" || s.Watching.Viewers != 3 || s.Watching.Frames == 0 {
		t.Errorf("streams %+v", s)
	}
	for suffix, want := range map[string]string{".json": `"schema": "sluice-bench/1"`, ".md": "(out.svg)", ".svg": "<polyline"} {
		b, err := os.ReadFile(strings.TrimSuffix(o.Out, ".json") + suffix)
		if err != nil || !bytes.Contains(b, []byte(want)) || bytes.Contains(b, []byte("secret")) {
			t.Errorf("%s: %v, %q is not in it, or the token is", suffix, err, want)
		}
	}
	eventuallyNoSessions(t, server.Sessions)
}

func eventuallyNoSessions(t *testing.T, sessions func() int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for sessions() > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions are left", sessions())
		}
		<-time.After(10 * time.Millisecond)
	}
}

// One server that cannot run must not spoil the others' night.
func TestATargetThatEndsAtOnceIsReported(t *testing.T) {
	t.Parallel()
	o := benchOptions(t, loadtest.Target{Name: "broken", WHIP: "http://127.0.0.1:1/x", WHEP: "http://127.0.0.1:1/x", Run: []string{"false"}})
	o.Out = ""
	var out bytes.Buffer
	r, err := loadtest.Bench(t.Context(), o, &out)
	if err != nil || len(r.Errors) != 1 || !strings.Contains(r.Errors[0], "ended at once") {
		t.Errorf("%v, %q", err, r.Errors)
	}
	if !strings.Contains(out.String(), "## Not measured") {
		t.Error(out.String())
	}
}

func TestTargetsAreReadWhole(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "[]", `[{"name":"x","whip":"y"}]`, "{}"} {
		file := filepath.Join(t.TempDir(), "targets.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadtest.Bench(t.Context(), loadtest.BenchOptions{Targets: file}, &bytes.Buffer{}); err == nil {
			t.Errorf("%q passed", text)
		}
	}
}
