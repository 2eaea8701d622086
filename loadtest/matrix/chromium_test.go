//go:build integration

package matrix_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/matrix"
	"github.com/sluice-live/sluice/loadtest/source"
)

// Chromium itself watches and publishes through relays, and tells what the
// matrix needs to know: pictures with their send times, sound, counters.
func TestChromiumWatchesAndPublishesThroughRelays(t *testing.T) {
	o := options(t)
	m, err := source.Open(t.Context(), source.Config{Dir: t.TempDir(), Bitrate: 600_000, Seconds: 4})
	if err != nil {
		t.Fatal(err)
	}
	o.Source = map[int]*source.Media{1: m}
	o.Viewers, o.Profiles, o.Browser, o.Chromium, o.For = []string{matrix.Chromium}, []string{"loss1"}, []string{"clean"}, "node chromium.mjs", 5*time.Second
	r, err := matrix.Run(t.Context(), o, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range r.Rows {
		if row.Error != "" || len(row.Seen.Errors) > 0 || row.Seen.Frames < 10 || row.Control.Frames < 10 || len(row.Seen.Heights) == 0 || row.Flow.Counts.Packets < 300 {
			t.Errorf("%s: %+v", row.Profile, row)
		}
	}
	if row := r.Rows[0]; row.Flow.Counts.Lost == 0 || row.Control.Latency[0] <= 0 || row.Control.Latency[0] > 10_000 {
		t.Errorf("%+v", row)
	}
}
