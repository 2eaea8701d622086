package journal_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// What was made on demand is part of a recording if that was all the time, and
// nothing is missing where nobody wanted it.
func TestWhatWasMadeOnDemandLastsIfItIsWhole(t *testing.T) {
	p := &media.Presentation{Start: time.Unix(0, 0), Ended: true, Renditions: []*media.Rendition{
		{ID: "video", Timescale: 90000}, {ID: "audio-aac", Timescale: 48000, OnDemand: true},
	}}
	for missing, want := range map[media.Ticks]int{48000 / 2: 2, 48000 * 5: 1} {
		s := &journal.State{Ended: true, Holes: []journal.Hole{{Rendition: "audio-aac", From: 0, To: missing, Why: journal.NoFrames}}}
		if got := len(journal.Lasting(p, s).Renditions); got != want {
			t.Errorf("%d ticks are missing: %d renditions last, want %d", missing, got, want)
		}
		m := journal.MakeManifest(p, s, nil)
		if len(m.Presentation.Renditions) != want || len(m.Gaps) != 0 || !m.Report.Complete {
			t.Errorf("%d ticks are missing: the manifest has %d renditions, %d gaps, complete: %v", missing, len(m.Presentation.Renditions), len(m.Gaps), m.Report.Complete)
		}
	}
	p.Ended = false // it may be watched now
	if len(journal.Lasting(p, &journal.State{Holes: []journal.Hole{{Rendition: "audio-aac", To: 1 << 20}}}).Renditions) != 2 {
		t.Error("AAC is gone while the recording goes on")
	}
}
