package playlist_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/hls-fallback/rules"
	"github.com/sluice-live/sluice/media"
)

// placed is a part at its place in the playlist, as a player adds up durations, and at
// its own time (tfdt), both in seconds.
type placed struct {
	place, time float64
	independent bool
	first       bool
}

// scale is that of pictures.
const scale = 90000

// pictures draws a presentation of one rendition in parts of no even lengths, as those
// of a camera are, an hour after its start.
func pictures(t *rapid.T) *media.Presentation {
	r := &media.Rendition{ID: "video-f", Kind: media.VideoRendition, Codec: "avc1.64001f", Timescale: scale, Inits: []media.Init{{Codec: "avc1.64001f"}}}
	p := &media.Presentation{Stream: "s", Incarnation: "i", Start: time.Unix(1_790_000_000, 0), TargetDuration: 6 * time.Second, PartTarget: 550 * time.Millisecond, Renditions: []*media.Rendition{r}}
	at := media.Ticks(3600*scale + rapid.IntRange(0, scale).Draw(t, "start"))
	for msn := range uint64(4) {
		s := &media.Segment{MSN: msn, Start: at, Independent: true}
		for n := range rapid.IntRange(3, 9).Draw(t, "parts") {
			d := media.Ticks(rapid.IntRange(40000, 0.549*scale).Draw(t, "ticks"))
			s.Parts = append(s.Parts, media.Part{Start: at, Duration: d, Independent: n == 0 || rapid.IntRange(0, 9).Draw(t, "key") == 0})
			at += d
		}
		s.Duration = at - s.Start
		r.Segments = append(r.Segments, s)
	}
	return p
}

// listed is where a playlist says that its parts are.
func listed(t *rapid.T, p *media.Presentation) []placed {
	r := p.Renditions[0]
	pl, err := rules.Parse(string(playlist.NewLines(false).Media(nil, p, r, playlist.View{})))
	if err != nil {
		t.Fatal(err)
	}
	var all []placed
	begins := 0.0
	for n, s := range pl.Segments[:len(r.Segments)] {
		at := begins
		for i, part := range s.Parts {
			if part.Duration > p.PartTarget.Seconds() {
				t.Fatalf("part %d.%d has %.5f s", n, i, part.Duration)
			}
			all = append(all, placed{place: at, time: float64(r.Segments[n].Parts[i].Start) / scale, independent: part.Independent, first: i == 0})
			at += part.Duration
		}
		begins += s.Duration
	}
	return all
}

// Shaka Player up to 5.2.12 (appendBuffer, setTimestampOffset_) reads the offset that it
// set back with a millisecond more and throws pictures away when it thinks that it has
// changed: its issue 10589. In parts of ours it finds nothing of the kind, at whatever
// segment it begins, and from a key frame within one to the segment's end.
func TestPartsOfPicturesAreNotDroppedByShakaPlayer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := listed(t, pictures(t))
		for begin, b := range all {
			if !b.independent {
				continue
			}
			set := b.place - b.time + 0.001
			for i := begin + 1; i < len(all); i++ {
				part := all[i]
				if part.first && !b.first {
					break // a key frame in the middle of a segment: the next segment sets it anew
				}
				if part.first {
					continue // it came as the hint of one more part of the segment before, and begins with a key frame
				}
				if math.Abs(set-(part.place-part.time)) >= 0.001 {
					t.Fatalf("begun at %.5f, the part at %.5f is %.3f ms off", b.place, part.place, 1000*(part.place-part.time-set))
				}
			}
		}
	})
}

// What is added for that player is less than what dates in playlists are rounded to.
func TestPartsArePlacedToTheMillisecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := listed(t, pictures(t))
		for _, part := range all[1:] {
			if off := part.place - all[0].place - (part.time - all[0].time); math.Abs(off) > 0.001 {
				t.Fatalf("the part at %.5f is %.3f ms off", part.place, 1000*off)
			}
		}
	})
}
