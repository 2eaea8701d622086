package loadtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest"
	"github.com/sluice-live/sluice/loadtest/reflector"
	"github.com/sluice-live/sluice/loadtest/source"
)

// options are a short run against a reflector of its own.
func options(t *testing.T, scenario string) (loadtest.RunOptions, *reflector.Server) {
	t.Helper()
	server, err := reflector.New(reflector.Config{Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", server)
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "# HELP go_goroutines x\ngo_goroutines 42\ngo_memstats_heap_alloc_bytes 1.5e+06\nother{a=\"b\"} 1\n")
	})
	web := httptest.NewServer(mux)
	t.Cleanup(func() { server.Close(); web.Close() })
	return loadtest.RunOptions{
		Scenario: scenario, Server: "reflector", PublishURL: web.URL + "/whip/{stream}", ViewURL: web.URL + "/whep/{stream}",
		PublishToken: "secret", ViewToken: "secret", PID: os.Getpid(), Metrics: web.URL + "/metrics",
		Steps: []int{2, 4}, Warmup: time.Second, Window: time.Second, Joins: 10, Connects: 20, Rate: 20, Settle: time.Millisecond,
		Source: source.Synthetic(1, 1_000_000), Out: filepath.Join(t.TempDir(), "out.json"), Commit: "abc", Command: "sluice load run",
	}, server
}

// run runs it, and reads the JSON back.
func run(t *testing.T, o loadtest.RunOptions, server *reflector.Server) (loadtest.Result, string) {
	t.Helper()
	var out bytes.Buffer
	if _, err := loadtest.Run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	b, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	var r loadtest.Result
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.Schema != loadtest.Schema || r.Scenario != o.Scenario || r.Commit != "abc" || r.Command == "" || r.Machine.Cores == 0 || r.Machine.Kernel == "" || r.Publisher == nil || r.Publisher.Deleted != 200 {
		t.Errorf("the frame of the result: %+v", r)
	}
	if bytes.Contains(b, []byte("secret")) {
		t.Error("the token is in the result")
	}
	deadline := time.Now().Add(30 * time.Second)
	for server.Sessions() > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions are left", server.Sessions())
		}
		<-time.After(10 * time.Millisecond)
	}
	return r, out.String()
}

// steadily tries again what a machine that stands still for a moment spoils: windows of a second
// in which nothing came. What is always wrong stays wrong.
func steadily(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for range 5 {
		if err = try(); err == nil {
			return
		}
	}
	t.Error(err)
}

func TestViewersInSteps(t *testing.T) {
	t.Parallel()
	o, server := options(t, "viewers")
	steadily(t, func() error {
		r, out := run(t, o, server)
		if len(r.Steps) != 2 {
			t.Fatalf("%d steps", len(r.Steps))
		}
		for i, s := range r.Steps {
			m := s.Summary
			if m.Viewers != o.Steps[i] || m.Joins.Failed != 0 || m.FPS <= 0 || m.Latency.N == 0 || m.Joins.KeyFrame.N == 0 {
				return fmt.Errorf("step %d: %+v", i, m)
			}
			if s.Server == nil || s.Server.Cores <= 0 || s.Server.PerPacket <= 0 || s.Server.RSS == 0 || s.Server.Threads == 0 || s.Server.Files == 0 {
				return fmt.Errorf("step %d: server %+v", i, s.Server)
			}
		}
		if !strings.Contains(out, "lat p50") || !strings.Contains(out, "key frame p50") {
			t.Error(out)
		}
		return nil
	})
}

func TestStalledViewersAreLeftOutOfTheOthersFigures(t *testing.T) {
	t.Parallel()
	o, server := options(t, "viewers")
	o.Steps, o.Stall = []int{4}, 2
	steadily(t, func() error {
		r, out := run(t, o, server)
		if len(r.Steps) != 2 {
			t.Fatalf("%d steps", len(r.Steps))
		}
		before, during := r.Steps[0].Summary, r.Steps[1].Summary
		if before.Viewers != 4 || before.Stalled != 0 || during.Viewers != 4 || during.Stalled != 2 || during.Latency.N == 0 || during.FPS <= 0 {
			return fmt.Errorf("%+v\n%+v", before, during)
		}
		if perViewer := float64(during.Frames) / during.Seconds / 2; math.Abs(perViewer-during.FPS) > 1e-6 {
			t.Errorf("%v frames per second of two viewers are told as %v", perViewer, during.FPS)
		}
		if !strings.Contains(out, "with 2 of 4 stalled, the others: latency p50") {
			t.Error(out)
		}
		return nil
	})
}

func TestJoinsComeAndLeave(t *testing.T) {
	t.Parallel()
	o, server := options(t, "joins")
	steadily(t, func() error {
		r, _ := run(t, o, server)
		j := r.Joins
		if j == nil || j.Keyless != 0 || j.Summary.Joins.Tried != 10 || j.Summary.Joins.KeyFrame.N != 10 || j.Summary.Joins.LiveEdge.N == 0 {
			return fmt.Errorf("%+v", j)
		}
		// The reflector asks for a key frame for each viewer.
		if len(j.PLIs) != 1 || j.PLIs[0] == 0 || j.PLIRate[0] <= 0 {
			return fmt.Errorf("PLIs %v, %v per second", j.PLIs, j.PLIRate)
		}
		return nil
	})
}

func TestChurnReadsTheServer(t *testing.T) {
	t.Parallel()
	o, server := options(t, "churn")
	r, out := run(t, o, server)
	c := r.Churn
	if c == nil || c.Failed != 0 || c.First.After != 2 || c.Last.After != 20 || c.Last.Goroutines != 42 || c.First.HeapBytes != 1.5e6 || c.HeapRise != 0 || c.Last.RSS == 0 {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(out, "after 20 connects: 42 goroutines, 1500000 bytes of heap (+0.00 %), 0 connects failed") {
		t.Error(out)
	}
}

func TestARunThatCannotBeginSaysWhy(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "dance")
	if _, err := loadtest.Run(t.Context(), o, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "dance") {
		t.Errorf("got %v", err)
	}
	o, _ = options(t, "viewers")
	o.PublishToken = "wrong"
	if _, err := loadtest.Run(t.Context(), o, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v", err)
	}
	if _, err := loadtest.Run(t.Context(), loadtest.RunOptions{Scenario: "viewers"}, &bytes.Buffer{}); err == nil {
		t.Error("a run without URLs went well")
	}
}

func TestPublishAndViewSideBySide(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "")
	url := strings.NewReplacer("{stream}", "x").Replace
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		_, err := loadtest.Publish(ctx, loadtest.PublishOptions{URL: url(o.PublishURL), Token: "secret", Shape: "obs", Source: o.Source}, &bytes.Buffer{})
		over <- err
	}()
	var out bytes.Buffer
	s, err := loadtest.View(t.Context(), loadtest.ViewOptions{URL: url(o.ViewURL), Token: "secret", Viewers: 2, Full: 1, Rate: 10, Duration: 8 * time.Second}, &out)
	stop()
	if perr := <-over; err != nil || perr != nil {
		t.Fatal(err, perr)
	}
	if s.Viewers != 2 || s.Joins.Failed != 0 || !strings.Contains(out.String(), "full viewer: ") {
		t.Errorf("%+v\n%s", s, out.String())
	}
}
