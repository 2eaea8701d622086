package loadtest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest"
	"github.com/sluice-live/sluice/loadtest/reflector"
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
	o.Scenarios, o.Rounds, o.JoinsIn = []string{"capacity", "joins", "streams"}, 2, 1
	steadily(t, func() error {
		var out bytes.Buffer
		r, err := loadtest.Bench(t.Context(), o, &out)
		if err != nil || len(r.Errors) > 0 {
			return fmt.Errorf("%w: %s", err, out.String())
		}
		if len(r.Capacity) != 2 || len(r.Joins) != 1 || len(r.Streams) != 2 {
			t.Fatalf("%d, %d, %d of 2, 1 and 2", len(r.Capacity), len(r.Joins), len(r.Streams))
		}
		for _, c := range r.Capacity {
			if len(c.Steps) != 2 || c.Steps[0].Wanted != 2 || c.Steps[1].Wanted != 4 {
				return fmt.Errorf("steps %+v", c.Steps)
			}
			for _, m := range c.Steps {
				s := m.Summary
				if s.Viewers != m.Wanted || m.Share <= 0 || s.Latency.N == 0 || s.Spread.N == 0 || m.Server == nil || m.Server.PerPacket <= 0 {
					return fmt.Errorf("%+v", m)
				}
			}
		}
		if j := r.Joins[0]; j.Joined == 0 || j.PerS <= 0 || j.Server == nil {
			return fmt.Errorf("joins %+v", j)
		}
		if s := r.Streams[0]; s.Streams != 3 || s.Failed != 0 || s.CutOff != "" || s.Watching.Viewers != 3 || s.Watching.Frames == 0 {
			return fmt.Errorf("streams %+v", s)
		}
		return nil
	})
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

// A limit that is known needs no more steps, but for those that all servers are
// to be put side by side at.
func TestStepsUpToTheLeastAreMeasuredWhateverBreaks(t *testing.T) {
	t.Parallel()
	server, err := reflector.New(reflector.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var viewers atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/whep/") && viewers.Add(1) > 1 {
			http.Error(w, "full", http.StatusInternalServerError)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.Close(); web.Close() })
	o := benchOptions(t, loadtest.Target{Name: "full", WHIP: web.URL + "/whip/{stream}", WHEP: web.URL + "/whep/{stream}"})
	o.Steps, o.Beyond, o.Least = []int{2, 4, 6}, false, 4
	var out bytes.Buffer
	r, err := loadtest.Bench(t.Context(), o, &out)
	if err != nil || len(r.Capacity) != 1 {
		t.Fatal(err, out.String())
	}
	c := r.Capacity[0]
	if len(c.Steps) != 2 || c.Steps[1].Wanted != 4 || c.Most != 0 || !strings.HasPrefix(c.Broken, "2: only 1 of 2") {
		t.Errorf("%d steps, most %d, broken %q", len(c.Steps), c.Most, c.Broken)
	}
}

func TestAPlainServerOnPionIsATarget(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	said, out := io.Pipe()
	over := make(chan error, 1)
	go func() { over <- reflector.Serve(ctx, reflector.Options{Listen: "127.0.0.1:0", Bare: true}, out) }()
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	base, _, _ := strings.Cut(line[strings.Index(line, "http://"):], "/whip")
	o := benchOptions(t, loadtest.Target{Name: "pion-bare", WHIP: base + "/whip/{stream}", WHEP: base + "/whep/{stream}", Metrics: base + "/metrics", PID: os.Getpid()})
	o.Steps = []int{3}
	steadily(t, func() error {
		var told bytes.Buffer
		r, err := loadtest.Bench(t.Context(), o, &told)
		if err != nil || len(r.Errors) > 0 || len(r.Capacity) != 1 {
			return fmt.Errorf("%w: %s", err, told.String())
		}
		if m := r.Capacity[0].Steps[0]; m.Summary.Viewers != 3 || m.Summary.Frames == 0 || m.Routine == 0 {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestTargetsStandSideBySide(t *testing.T) {
	t.Parallel()
	mark := func(wanted int, cpu float64, broken string) loadtest.Mark {
		return loadtest.Mark{Step: loadtest.Step{Wanted: wanted, Server: &loadtest.Usage{PerPacket: cpu, RSSPerViewer: 100 * cpu}}, Share: 1, Broken: broken}
	}
	r := loadtest.BenchResult{
		Capacity: []loadtest.Capacity{
			{Target: "a", Most: 400, Steps: []loadtest.Mark{mark(100, 3, ""), mark(200, 2, ""), mark(400, 1, "")}},
			{Target: "b", Most: 100, Steps: []loadtest.Mark{mark(100, 10, ""), mark(200, 9, "late")}},
		},
		Joins: []loadtest.Rush{{Target: "b", PerS: 77, CPU: 4}},
	}
	text := r.Markdown("")
	for _, want := range []string{"At 200 viewers", "| a | 400 | 2.00 | 1.0 |", "| b * | 100 | 9.00 | 4.5 |", "| 77 | 250 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	r.Capacity = r.Capacity[:1]
	if strings.Contains(r.Markdown(""), "Side by side") {
		t.Error("one target stands beside nobody")
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
