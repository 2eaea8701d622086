package vod_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
)

// What happened is told to those who may change it; a reader goes past what is others'.
func TestEventsAreTold(t *testing.T) {
	h := newHouse(t, nil)
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	h.store.mu.Lock()
	h.store.events = nil
	for i, stream := range []media.StreamID{"school.math", "other", "school.art", "other"} {
		h.store.events = append(h.store.events, media.AssetEvent{
			Asset: fmt.Sprint("asset", i), Stream: stream, Kind: media.AssetStored, At: at, Detail: "recordings/x",
		})
	}
	h.store.mu.Unlock()

	for _, step := range []struct {
		token, query, assets string
		next                 float64
	}{
		{admin, "", "asset0 asset1 asset2 asset3 ", 4},
		{teacher, "", "asset0 asset2 ", 4},
		{teacher, "?limit=2", "asset0 ", 2},
		{teacher, "?limit=2&after=2", "asset2 ", 4},
		{teacher, "?after=3", "", 4}, // nothing of theirs, and yet it goes on
		{teacher, "?after=4", "", 4},
		{teacher, "?after=9000000000000000000", "", 9e18},
	} {
		got := h.want(200, "GET", "/v1/assets/events"+step.query, step.token, nil)
		all := ""
		for _, e := range got["events"].([]any) {
			e := e.(map[string]any)
			all += e["asset"].(string) + " "
			if e["kind"] != "stored" || e["at"] != "2026-11-20T09:00:00Z" || e["detail"] != "recordings/x" || e["seq"].(float64) < 1 {
				t.Errorf("an event is told as %v", e)
			}
		}
		if all != step.assets || got["next"] != step.next {
			t.Errorf("%s as %s: %q, next %v; want %q, %v", step.query, step.token, all, got["next"], step.assets, step.next)
		}
	}
	h.want(401, "GET", "/v1/assets/events", "", nil)
	h.want(403, "GET", "/v1/assets/events", pupil, nil) // may change nothing
	for _, query := range []string{"after=-1", "after=x", "after=9223372036854775808", "limit=0", "limit=1001", "limit=x"} {
		h.want(400, "GET", "/v1/assets/events?"+query, admin, nil)
	}
}

func TestEventsAreTrimmed(t *testing.T) {
	h := newHouse(t, nil)
	h.stop()
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	h.clock.set(at)
	h.start()
	testnet.Eventually(t, "events are forgotten after 30 days, and all but 100,000", func() bool {
		h.store.mu.Lock()
		defer h.store.mu.Unlock()
		return h.store.trimmed.Equal(at.AddDate(0, 0, -30)) && h.store.newest == 100_000
	})
}
