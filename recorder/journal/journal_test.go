package journal_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

const (
	partTicks  = 45000 // half a second of video
	partsEach  = 4
	soundTicks = 24000
)

// tb is what helpers need of a test, or of a property's.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func start() journal.Start {
	return journal.Start{
		Stream: "show", Incarnation: "0000001abcdefghi", Start: time.Unix(1_800_000_000, 0).UTC(),
		TargetDuration: 6 * time.Second, PartTarget: 500 * time.Millisecond,
	}
}

func video() *media.Rendition {
	return &media.Rendition{ID: "video-h", Kind: media.VideoRendition, Codec: "avc1.42c01f", Timescale: 90000, Width: 640, Height: 360}
}

func audio() *media.Rendition {
	return &media.Rendition{ID: "audio", Kind: media.AudioRendition, Codec: "opus", Timescale: 48000, Channels: 2}
}

// payload is a part's bytes: they tell which part they are.
func payload(rendition string, msn uint64, part int) []byte {
	b := fmt.Appendf(nil, "<%s %d.%d>", rendition, msn, part)
	return append(b, bytes.Repeat([]byte{byte(msn), byte(part)}, 20+int(msn*7+uint64(part)*13)%90)...)
}

// part is the part as the recorder would cut it.
func part(r *media.Rendition, msn uint64, n int) journal.Part {
	ticks := media.Ticks(partTicks)
	if r.Kind == media.AudioRendition {
		ticks = soundTicks
	}
	return journal.Part{
		MSN: msn, Number: n, Start: media.Ticks(msn*partsEach+uint64(n)) * ticks, Duration: ticks, Independent: n == 0, Lead: 7,
	}
}

// begin creates a journal with a picture and sound.
func begin(t tb, dir string, c journal.Config) *journal.Journal {
	t.Helper()
	j, err := journal.Create(dir, start(), c)
	if err != nil {
		t.Fatal(err)
	}
	introduce(t, j)
	return j
}

func introduce(t tb, j *journal.Journal) {
	t.Helper()
	for _, r := range []*media.Rendition{video(), audio()} {
		if err := j.AddRendition(r); err != nil {
			t.Fatal(err)
		}
		if _, err := j.AddInit(r.ID, media.Init{Codec: r.Codec, Data: []byte("init of " + r.ID)}); err != nil {
			t.Fatal(err)
		}
	}
}

// write appends one segment of both.
func write(t tb, j *journal.Journal, msn uint64) {
	t.Helper()
	for n := range partsEach {
		for _, r := range []*media.Rendition{video(), audio()} {
			if _, err := j.Append(r.ID, part(r, msn, n), payload(r.ID, msn, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range []*media.Rendition{video(), audio()} {
		if err := j.EndSegment(r.ID, msn); err != nil {
			t.Fatal(err)
		}
	}
}

// finish ends or closes the journal and waits for Run.
func finish(t tb, j *journal.Journal, stop func(time.Time) error) {
	t.Helper()
	if err := stop(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := j.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// verify holds every part of a presentation against what was written, and its
// numbers and times against the rules.
func verify(t tb, dir string, p *media.Presentation) {
	t.Helper()
	for _, r := range p.Renditions {
		for i, s := range r.Segments {
			if s.MSN != r.Segments[0].MSN+uint64(i) {
				t.Fatalf("%s: segment %d stands at %d after %d", r.ID, s.MSN, i, r.Segments[0].MSN)
			}
			if i > 0 && s.Start < r.Segments[i-1].Start+r.Segments[i-1].Duration {
				t.Fatalf("%s: segment %d begins at %d, before the one before ends", r.ID, s.MSN, s.Start)
			}
			var joined []byte
			for _, q := range s.Parts {
				if q.Gap {
					continue
				}
				n := int(q.Start/(partTicks*media.Ticks(r.Timescale)/90000)) % partsEach
				got := extent(t, dir, r.ID, q.Extent)
				if want := payload(r.ID, s.MSN, n); !bytes.Equal(got, want) {
					t.Fatalf("%s: part %d.%d is %q, not %q", r.ID, s.MSN, n, got, want)
				}
				joined = append(joined, got...)
			}
			if want := int64(7); !s.Gap && s.Independent && s.Lead != want {
				t.Fatalf("%s: segment %d: the first picture reaches to %d", r.ID, s.MSN, s.Lead)
			}
			if s.Gap != (len(joined) == 0) {
				t.Fatalf("%s: segment %d: gap %v with %d bytes", r.ID, s.MSN, s.Gap, len(joined))
			}
			if !s.Gap && !bytes.Equal(extent(t, dir, r.ID, s.Extent), joined) {
				t.Fatalf("%s: segment %d is not its parts", r.ID, s.MSN)
			}
		}
	}
}

func extent(t tb, dir, rendition string, e media.Extent) []byte {
	t.Helper()
	f, err := os.Open(journal.VolumePath(dir, rendition, e.Volume))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, e.Offset, e.Size))
	if err != nil || int64(len(b)) != e.Size {
		t.Fatalf("read %v: %d bytes, %v", e, len(b), err)
	}
	return b
}

func TestWhatWasWrittenIsReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	var finished []journal.Volume
	j := begin(t, dir, journal.Config{Segments: 3, Disk: journal.Unsynced{}, Finished: func(v journal.Volume) { finished = append(finished, v) }})
	if err := j.EpochStarted(7, time.Now()); err != nil {
		t.Fatal(err)
	}
	for msn := range uint64(7) {
		write(t, j, msn)
	}
	finish(t, j, j.End)
	p, s, err := journal.Recover(dir)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, dir, p)
	if !p.Ended || !s.Ended || s.Next != 7 || s.Epoch != 7 || s.Torn != 0 || s.Lost != 0 || len(s.Holes) != 0 {
		t.Errorf("state %+v", s)
	}
	if len(finished) != 6 {
		t.Errorf("%d volumes were finished, not 3 of each rendition: %v", len(finished), finished)
	}
	for _, r := range p.Renditions {
		if len(r.Segments) != 7 || len(r.Inits) != 1 || s.Renditions[r.ID].Parts != 28 {
			t.Errorf("%s: %d segments, %d sections, %d parts", r.ID, len(r.Segments), len(r.Inits), s.Renditions[r.ID].Parts)
		}
		if d := r.Segments[6].Start + r.Segments[6].Duration; r.Time(d) != 14*time.Second {
			t.Errorf("%s ends at %v", r.ID, r.Time(d))
		}
	}
	if _, err := journal.Open(dir, s, journal.Config{}); err == nil {
		t.Error("a recording that has ended goes on")
	}
}
