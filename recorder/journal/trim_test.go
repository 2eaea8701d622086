package journal_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// waited is a recording of six seconds, and two segments in which nobody came.
func waited() (*media.Presentation, *journal.State) {
	p := &media.Presentation{Start: time.Unix(0, 0), Ended: true}
	for _, id := range []string{"video", "audio"} {
		r := &media.Rendition{ID: id, Timescale: 1000}
		for n := range 5 {
			r.Segments = append(r.Segments, &media.Segment{MSN: uint64(n), Start: media.Ticks(2000 * n), Duration: 2000, Gap: n >= 3})
		}
		p.Renditions = append(p.Renditions, r)
	}
	return p, &journal.State{Ended: true, Holes: []journal.Hole{
		{Rendition: "audio", From: 0, To: 20, Why: journal.NoFrames}, {Rendition: "audio", From: 5500, To: 10000, Why: journal.PublisherGone},
		{Rendition: "video", From: 0, To: 300, Why: journal.NoKeyFrame}, {Rendition: "video", From: 5400, To: 10000, Why: journal.PublisherGone},
	}}
}

func TestWhatWasWaitedForInVainIsNoPartOfARecording(t *testing.T) {
	p, s := waited()
	m := journal.MakeManifest(p, s, nil)
	for _, r := range m.Presentation.Renditions {
		// It ends with its last picture or sound.
		if want := map[string]media.Ticks{"video": 1400, "audio": 1500}[r.ID]; len(r.Segments) != 3 || r.Segments[2].Duration != want {
			t.Errorf("%s has %d segments, the third of %d ticks", r.ID, len(r.Segments), r.Segments[2].Duration)
		}
	}
	if !m.Report.Complete || len(m.Gaps) != 0 || m.Report.Renditions[0].To != 5400*time.Millisecond {
		t.Errorf("complete %v, to %v, gaps %v", m.Report.Complete, m.Report.Renditions[0].To, m.Gaps)
	}
	if len(p.Renditions[0].Segments) != 5 || p.Renditions[0].Segments[2].Duration != 2000 {
		t.Error("the snapshot was changed")
	}
	p.Ended = false
	if r := journal.Lasting(p, s).Renditions[0]; len(r.Segments) != 5 {
		t.Error("it may go on")
	}
}

// Sound has no gaps: silence stands in for what was waited for in vain, and is no part of the recording either.
func TestSilenceThatWasWaitedInIsNoPartOfARecording(t *testing.T) {
	p, s := waited()
	audio := p.Renditions[1]
	for _, g := range audio.Segments {
		g.Gap, g.Extent = false, media.Extent{Offset: 100 * int64(g.MSN), Size: 100}
	}
	last := audio.Segments[2]
	for n := range 4 {
		last.Parts = append(last.Parts, media.Part{Start: media.Ticks(4000 + 500*n), Duration: 500, Extent: media.Extent{Offset: 200 + 25*int64(n), Size: 25}})
	}
	s.Holes[1].From = 5100 // in the midst of a part
	m := journal.MakeManifest(p, s, nil)
	got := m.Presentation.Rendition("audio").Segments
	if len(got) != 3 || got[2].Duration != 1500 || got[2].Extent != (media.Extent{Offset: 200, Size: 75}) {
		t.Errorf("%d segments, the last is %+v", len(got), *got[len(got)-1])
	}
	if last.Duration != 2000 || len(last.Parts) != 4 || last.Extent.Size != 100 {
		t.Error("the snapshot was changed")
	}
	s.Holes[1].Why = journal.Loss // it came, and was lost
	if n := len(journal.MakeManifest(p, s, nil).Presentation.Rendition("audio").Segments); n != 5 {
		t.Errorf("%d segments", n)
	}
}

func TestWhatIsMissingInTheMiddleOrForLongIsTold(t *testing.T) {
	p, s := waited()
	s.Holes = append([]journal.Hole{{Rendition: "audio", From: 2000, To: 2020}}, s.Holes...)
	s.Holes[3].To = 700    // the picture began late
	s.Holes[4].From = 4900 // and went before the sound
	want := []media.Gap{
		{Rendition: "video", Start: 0, End: 700 * time.Millisecond}, {Rendition: "audio", Start: 2 * time.Second, End: 2020 * time.Millisecond},
		{Rendition: "video", Start: 4900 * time.Millisecond, End: 5500 * time.Millisecond},
	}
	got := journal.Gaps(p, s.Holes)
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, g := range got {
		if g.Why = ""; g != want[i] {
			t.Errorf("%+v, want %+v", g, want[i])
		}
	}
	if journal.MakeReport(p, s, nil).Complete {
		t.Error("complete")
	}
	p, s = waited()
	s.Holes[1].Why = journal.Damaged
	if m := journal.MakeManifest(p, s, nil); len(m.Presentation.Renditions[0].Segments) != 5 || m.Report.Complete {
		t.Error("damage at the end is not told")
	}
}
