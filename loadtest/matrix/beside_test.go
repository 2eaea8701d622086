package matrix_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/loadtest/matrix"
)

func row(profile string, freeze float64) matrix.Row {
	return matrix.Row{Profile: profile, Viewer: matrix.Chromium, Layers: 3, Leg: matrix.ViewerLeg, Publisher: matrix.Load, Seconds: 30, Freeze: freeze,
		Seen: matrix.Seen{Frozen: freeze, Longest: 400, Heights: map[string]float64{"720": 30}, Latency: [3]float64{40, 90, 100}}}
}

func write(t *testing.T, r matrix.Result) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), r.Server+".json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTwoResultsStandSideBySide(t *testing.T) {
	ours := matrix.Result{Schema: matrix.Schema, Server: "sluice", Seed: 1, Machine: "m", Rows: []matrix.Row{row("loss5", 0.01), row("drop4m", 0.02), row("clean", 0)}}
	theirs := matrix.Result{Schema: matrix.Schema, Server: "peer", Seed: 2, Machine: "m", Rows: []matrix.Row{row("drop4m", 0.3), row("loss5", 0.1), row("burst", 0)}}
	ours.Rows[1].Phases = []matrix.Phase{{From: 12, Step: "rate=500000", ToLower: 1.2, ToTop: -1}}
	theirs.Rows[0].Phases = []matrix.Phase{{From: 12, Step: "rate=500000", ToLower: 3.4, ToTop: -1}}
	theirs.Rows[0].Seen.Latency = [3]float64{} // it could not be had
	theirs.Rows[1].Control.Frozen = 0.2
	theirs.Rows[1].Seconds = 10

	out := filepath.Join(t.TempDir(), "beside.md")
	var printed bytes.Buffer
	if err := matrix.Beside(matrix.BesideOptions{Ours: write(t, ours), Peers: write(t, theirs), Out: out}, &printed); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(out)
	if err != nil || string(written) != printed.String() {
		t.Errorf("%v: what is written is not what is printed", err)
	}
	text := printed.String()
	at := 0
	for _, want := range []string{
		"| loss5, chromium, 3 layers | sluice | 1.0 | 1.0 / 0.0 | 400 | 720p 30.0 | 0.0 / 0.0 | 40/90 |",
		"| loss5, chromium, 3 layers | peer | 10.0 |",
		"| drop4m, chromium, 3 layers | sluice | 2.0 |",
		"| drop4m, chromium, 3 layers | peer | 30.0 | 30.0 / 0.0 | 400 | 720p 30.0 | 0.0 / 0.0 | – |",
		"| drop4m, chromium, 3 layers | 12 | rate=500000 | sluice | 0.0 | 0 | 1.2 | – |",
		"| drop4m, chromium, 3 layers | 12 | rate=500000 | peer | 0.0 | 0 | 3.4 | – |",
		"* the seeds differ",
		"* loss5, chromium, 3 layers: 30 s beside 10 s",
		"* loss5, chromium, 3 layers, peer: the control was frozen for 20.0 %",
		"* clean, chromium, 3 layers: only sluice ran it",
		"* burst, chromium, 3 layers: only peer ran it",
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("after %d there is no %q in\n%s", at, want, text)
		}
		at += i
	}
	if strings.Contains(text, "machines differ") || strings.Contains(text, "| clean") {
		t.Error(text)
	}
}

func TestARowThatFailedIsNoFigure(t *testing.T) {
	ours := matrix.Result{Server: "sluice", Rows: []matrix.Row{row("loss5", 0.01)}}
	theirs := matrix.Result{Server: "peer", Rows: []matrix.Row{row("loss5", 0)}}
	theirs.Rows[0].Error = "it did not connect"
	text := ours.Beside(theirs)
	if strings.Contains(text, "layers | peer |") || !strings.Contains(text, "* loss5, chromium, 3 layers, peer: it did not connect") {
		t.Error(text)
	}
}

func TestWhatIsNoResultIsSaid(t *testing.T) {
	good := write(t, matrix.Result{Schema: matrix.Schema, Server: "sluice"})
	for _, bad := range []string{filepath.Join(t.TempDir(), "none.json"), write(t, matrix.Result{Schema: "other/1", Server: "other"})} {
		for _, o := range []matrix.BesideOptions{{Ours: good, Peers: bad}, {Ours: bad, Peers: good}} {
			if err := matrix.Beside(o, &bytes.Buffer{}); err == nil {
				t.Errorf("%+v was taken", o)
			}
		}
	}
}
