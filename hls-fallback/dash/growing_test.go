package dash_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/hls-fallback/dash"
	"github.com/sluice-live/sluice/media"
)

// follower keeps segments as Shaka Player does (5.2, segment_template.js,
// appendTemplateInfo): of a newer manifest it takes what ends after all that it has.
type follower struct {
	numbers []uint64
	end     uint64
}

func (f *follower) read(t *rapid.T, text []byte) {
	if text == nil {
		return
	}
	segments := walk(t, read(t, text))["video-f"]
	for n := range uint64(1000) {
		h, ok := segments[n]
		if ok && h.start+h.duration > f.end {
			f.numbers, f.end = append(f.numbers, n), h.start+h.duration
		}
	}
}

// grow publishes segments of those lengths in parts of half a second; look is called after each part.
func grow(lengths []media.Ticks, look func(*media.Presentation)) {
	const part = 45000
	r := media.Rendition{ID: "video-f", Kind: media.VideoRendition, Codec: "avc1.64001f", Timescale: 90000, Width: 1280, Height: 720, FPS: 30, Bandwidth: 1, Inits: []media.Init{{Codec: "avc1.64001f"}}}
	p := media.Presentation{Stream: "s", Incarnation: "i", Start: time.Unix(1_790_000_000, 0), TargetDuration: 6 * time.Second, PartTarget: 550 * time.Millisecond}
	at := media.Ticks(0)
	for n, length := range lengths {
		done := media.Segment{MSN: uint64(n), Start: at, Independent: true}
		for at < done.Start+length {
			d := min(part, done.Start+length-at)
			done.Parts = append(done.Parts, media.Part{Start: at, Duration: d, Independent: at == done.Start})
			at += d
			open, now, all := done, r, p
			now.Open, all.Renditions = &open, []*media.Rendition{&now}
			look(&all)
		}
		done.Duration = length
		r.Segments = append(r.Segments[:n:n], &done)
	}
}

// Key frames that come when they are asked for stray by some pictures: no segment of such
// a stream is longer than it was listed to be, and players take each for one.
func TestASegmentThatGrowsIsTakenForOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		usual := rapid.IntRange(90000, 4*90000).Draw(t, "usual")
		var lengths []media.Ticks
		for range rapid.IntRange(3, 12).Draw(t, "segments") {
			lengths = append(lengths, media.Ticks(usual+rapid.IntRange(-6000, 6000).Draw(t, "stray")))
		}
		var w dash.Writer
		var f follower
		grow(lengths, func(p *media.Presentation) {
			if rapid.IntRange(0, 2).Draw(t, "look") > 0 {
				f.read(t, w.MPD(p, dash.Options{}))
			}
		})
		for i, n := range f.numbers {
			if n != f.numbers[0]+uint64(i) {
				t.Fatalf("segments of %v are taken for %v", lengths, f.numbers)
			}
		}
	})
}

// What was listed too long leaves no room for the next one only where that is far shorter.
func TestASegmentThatEndsEarlyHidesNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lengths []media.Ticks
		for range rapid.IntRange(3, 12).Draw(t, "segments") {
			lengths = append(lengths, media.Ticks(rapid.IntRange(1.5*90000, 2.7*90000).Draw(t, "length")))
		}
		var w dash.Writer
		var f follower
		var last *media.Presentation
		grow(lengths, func(p *media.Presentation) {
			last = p
			f.read(t, w.MPD(p, dash.Options{}))
		})
		seen := make(map[uint64]bool)
		for _, n := range f.numbers {
			seen[n] = true
		}
		for n := range last.Renditions[0].Open.MSN {
			if !seen[n] {
				t.Fatalf("segment %d of %v is not taken: %v", n, lengths, f.numbers)
			}
		}
	})
}
