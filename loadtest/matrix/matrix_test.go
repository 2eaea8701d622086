package matrix_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/matrix"
	"github.com/sluice-live/sluice/loadtest/reflector"
	"github.com/sluice-live/sluice/loadtest/source"
)

// The program that stands for the browser: it shows a picture each 40 ms and
// answers as browser.mjs does.
const fakeBrowser = `
import { createInterface } from "node:readline";
const tell = (m) => process.stdout.write(JSON.stringify(m) + "\n");
const all = new Map();
console.log("chatter that is no JSON");
tell({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const m = JSON.parse(line);
  if (m.op === "quit") process.exit(0);
  if (m.op === "stop") {
    const x = all.get(m.id) ?? { record: { joined: 0, pictures: [], samples: [] } };
    clearInterval(x.timer);
    tell({ event: "record", id: m.id, record: x.record });
    continue;
  }
  if (m.url.includes("refused")) { tell({ event: "failed", id: m.id, error: "no" }); continue; }
  const record = { joined: Date.now(), pictures: [], samples: [{ at: Date.now(), audio: 0, concealed: 0 }], errors: [] };
  all.set(m.id, { record, timer: setInterval(() => record.pictures.push([Date.now(), 360, Date.now() - 20]), 40) });
  tell({ event: "first", id: m.id });
}
`

func options(t *testing.T) matrix.Options {
	t.Helper()
	server, err := reflector.New(reflector.Config{})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() { server.Close(); web.Close() })
	dir := t.TempDir()
	// The reflector has one stream: the path's name says nothing to it.
	return matrix.Options{Server: web.URL, WHIP: "/whip/x", WHEP: "/whep/x", Layers: []int{1}, For: 3 * time.Second, Seed: 1,
		Source: map[int]*source.Media{1: source.Synthetic(1, 1_000_000)}, Uplink: []string{}, Browser: []string{},
		Out: filepath.Join(dir, "out.md"), JSON: filepath.Join(dir, "out.json"), Charts: filepath.Join(dir, "charts")}
}

// measured runs a matrix of one row until it is as it should be: what is measured in seconds sees a
// machine that stands still, too, which the row has no part in. What is always wrong stays wrong.
func measured(t *testing.T, o matrix.Options, out io.Writer, wrong func(row matrix.Row) string) {
	t.Helper()
	text, froze := "", true
	for range 6 {
		r, err := matrix.Run(t.Context(), o, out)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Rows) != 1 || r.Rows[0].Error != "" {
			t.Fatalf("%+v", r.Rows)
		}
		if text = wrong(r.Rows[0]); text == "" {
			return
		}
		froze = froze && r.Rows[0].Control.Frozen > 0.05
	}
	if !froze { // else the table doubts each of these rows, too
		t.Error(text)
	}
}

func TestARowOfTheLoadViewerSeesItsLinkAndTheControlDoesNot(t *testing.T) {
	o := options(t)
	o.Viewers, o.Profiles = []string{matrix.Load}, []string{"loss5"}
	var out bytes.Buffer
	measured(t, o, &out, func(row matrix.Row) string {
		c := row.Flow.Counts
		// The reflector knows no RED: sound is made up as it is lost.
		switch {
		case c.Lost == 0 || c.Packets < 200 || row.Back.Counts.Packets == 0:
			return fmt.Sprintf("down %+v, up %+v", c, row.Back.Counts)
		case row.Seen.Conceals < 0.005 || row.Control.Conceals > 0.02 || row.Seen.NACKs == 0 || row.Control.Frames < 60 || row.Seen.Heights["720"] < 1 || row.Control.Latency[0] <= 0:
			return fmt.Sprintf("seen %+v, control %+v", row.Seen, row.Control)
		case len(row.Timeline) != 3 || row.Timeline[1].Offered < 5e5:
			return fmt.Sprintf("%+v", row.Timeline)
		}
		return ""
	})
	written, err := os.ReadFile(o.Out)
	if err != nil || !strings.Contains(string(written), "| loss5 | load | 1 | viewer |") || !strings.Contains(out.String(), "loss5, load, 1 layers: freeze") {
		t.Errorf("%s, %v", written, err)
	}
	var back matrix.Result
	b, err := os.ReadFile(o.JSON)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil || back.Schema != matrix.Schema || len(back.Rows) != 1 {
		t.Errorf("%+v, %v", back, err)
	}
}

func browser(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "browser.mjs")
	if err := os.WriteFile(path, []byte(fakeBrowser), 0o600); err != nil {
		t.Fatal(err)
	}
	return "node " + path
}

func TestABrowsersRowGoesByTheProtocol(t *testing.T) {
	o := options(t)
	o.Viewers, o.Profiles, o.Chromium, o.For = []string{matrix.Chromium}, []string{"clean"}, browser(t), time.Second
	measured(t, o, &bytes.Buffer{}, func(row matrix.Row) string {
		if row.Seen.Frames < 15 || row.Seen.Heights["360"] < 0.5 || row.Control.Frames < 15 || row.Seen.Latency[0] < 19 || row.Seen.Latency[0] > 25 {
			return fmt.Sprintf("%+v", row)
		}
		return ""
	})
}

func TestABrowserThatCannotPublishSpoilsItsRowOnly(t *testing.T) {
	o := options(t)
	o.Viewers, o.Profiles, o.Browser, o.Chromium, o.For = []string{matrix.Chromium}, []string{"clean"}, []string{"clean"}, browser(t), time.Second
	o.WHIP = "/whip/x?refused={stream}"
	r, err := matrix.Run(t.Context(), o, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 2 || r.Rows[0].Error != "" || !strings.Contains(r.Rows[1].Error, "publish from the browser: no") || !strings.Contains(r.Markdown(), "* clean, chromium, 1 layers, the publisher's link (Chromium): publish") {
		t.Errorf("%+v\n%s", r.Rows, r.Markdown())
	}
}

func TestWhatCannotRunIsSaidAtOnce(t *testing.T) {
	for _, o := range []matrix.Options{
		{Viewers: []string{"safari"}},
		{Profiles: []string{"perfect"}},
		{Profiles: []string{"clean"}, Viewers: []string{matrix.Chromium}, Chromium: "false"},
		{Profiles: []string{"clean"}, Viewers: []string{matrix.Chromium}, Chromium: "/no/such/program"},
	} {
		if _, err := matrix.Run(t.Context(), o, &bytes.Buffer{}); err == nil {
			t.Errorf("%+v ran", o)
		}
	}
}

func TestABrokenOffRunEnds(t *testing.T) {
	o := options(t)
	o.Viewers, o.Profiles, o.For = []string{matrix.Load}, []string{"clean"}, time.Hour
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	if _, err := matrix.Run(ctx, o, &bytes.Buffer{}); err == nil {
		t.Error("it ended well")
	}
}
