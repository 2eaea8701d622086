package aac_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/aac"
)

// sound is Opus of any cut: segments of any length, gaps, breaks.
func sound(t *rapid.T) *media.Rendition {
	r := &media.Rendition{ID: "audio", Kind: media.AudioRendition, Codec: "opus", Timescale: aac.Rate, Inits: make([]media.Init, 2)}
	at := media.Ticks(rapid.IntRange(0, 1<<20).Draw(t, "start"))
	for i := range rapid.IntRange(1, 80).Draw(t, "segments") {
		s := &media.Segment{MSN: uint64(i) + 7, Start: at, Duration: media.Ticks(120 * rapid.IntRange(1, 2400).Draw(t, "length")), Independent: true}
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			s.Gap = true
		case 1:
			s.Discontinuity, s.Init = true, i%2
		case 2:
			s.Start += media.Ticks(rapid.IntRange(1, 5000).Draw(t, "hole"))
		}
		if !s.Gap {
			s.Extent = media.Extent{Offset: int64(at), Size: 100}
		}
		at = s.Start + s.Duration
		r.Segments = append(r.Segments, s)
	}
	return r
}

// However sound is cut: AAC has the same numbers, gaps and breaks, begins each segment
// within half a frame of where the sound does, leaves nothing out, and an encoder is
// given all that a piece needs.
func TestPlanKeepsTheGrid(t *testing.T) {
	init, err := aac.Init()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		of := sound(t)
		p := aac.Lay(of, "audio-aac", init)
		if len(p.Rendition.Segments) != len(of.Segments) {
			t.Fatalf("%d segments of %d", len(p.Rendition.Segments), len(of.Segments))
		}
		named := make(map[media.Extent]bool)
		for i, s := range p.Rendition.Segments {
			o := of.Segments[i]
			if s.MSN != o.MSN || s.Discontinuity != o.Discontinuity || o.Gap && !s.Gap {
				t.Fatalf("segment %+v of %+v", s, o)
			}
			if s.Gap {
				if !o.Gap && o.Duration > 2*aac.Frame {
					t.Fatalf("the sound of %+v is left out", o)
				}
				continue
			}
			if d := s.Start - o.Start; d < -aac.Frame || d > aac.Frame {
				t.Fatalf("segment %d begins %d ticks off", s.MSN, d)
			}
			if s.Duration%aac.Frame != 0 || s.Duration == 0 || named[s.Extent] || s.Extent.Size != -1 {
				t.Fatalf("segment %+v", s)
			}
			named[s.Extent] = true
			piece := p.Pieces[s.Extent.Volume]
			if n := piece.Frames[s.Extent.Offset]; media.Ticks(n)*aac.Frame != s.Duration {
				t.Fatalf("segment %+v has %d frames", s, n)
			}
			if i > 0 && !p.Rendition.Segments[i-1].Gap && of.Segments[i-1].Start+of.Segments[i-1].Duration == o.Start && !o.Discontinuity && o.Init == of.Segments[i-1].Init {
				if before := p.Rendition.Segments[i-1]; before.Start+before.Duration != s.Start {
					t.Fatalf("segment %d ends at %d, the next begins at %d", before.MSN, before.Start+before.Duration, s.Start)
				}
			}
		}
		for _, piece := range p.Pieces {
			fed(t, of, piece)
		}
	})
}

// fed holds what an encoder is given against what it needs.
func fed(t *rapid.T, of *media.Rendition, p aac.Piece) {
	from := of.Segments[p.From].Start
	for i := p.From; i < p.To; i++ {
		s := of.Segments[i]
		if s.Gap || i > p.From && (s.Discontinuity || s.Start != of.Segments[i-1].Start+of.Segments[i-1].Duration) {
			t.Fatalf("piece %+v is given what does not follow", p)
		}
	}
	// Frames that are dropped are those between the first sample that is encoded and
	// the first that counts, and the encoder's own.
	if first := from + p.Skip + media.Ticks(p.Drop-1)*aac.Frame; first != p.Start || p.Skip < 0 {
		t.Fatalf("piece %+v, given from %d, begins at %d", p, from, first)
	}
	last := of.Segments[p.To-1]
	if end := last.Start + last.Duration; end < p.Start+media.Ticks(p.Total()-1)*aac.Frame {
		t.Fatalf("piece %+v is given up to %d", p, end)
	}
}

// adts is n frames of so many bytes.
func adts(n, size int) (b []byte) {
	for i := range n {
		whole := size + 7
		b = append(b, 0xff, 0xf1, 0x4c, 0x80|byte(whole>>11), byte(whole>>3), byte(whole<<5)|0x1f, 0xfc)
		b = append(b, bytes.Repeat([]byte{byte(i)}, size)...)
	}
	return b
}

func TestPackAndFind(t *testing.T) {
	p := aac.Piece{Frames: []int{2, 3}, Drop: 2, Start: 5}
	b, err := p.Pack(adts(8, 10), 1)
	if err != nil || !p.Whole(b) {
		t.Fatal(err)
	}
	for i, want := range [][]byte{{2, 3}, {4, 5, 6}} {
		s, err := aac.Segment(b, int64(i))
		if err != nil || !bytes.Equal(s[len(s)-10*len(want):], adtsFree(want)) {
			t.Errorf("segment %d: %x, %v", i, s, err)
		}
	}
	if _, err := aac.Segment(b, 2); !errors.Is(err, aac.ErrBad) {
		t.Errorf("a segment that is not there: %v", err)
	}
	if p.Whole(b[:len(b)-1]) {
		t.Error("what is cut off passes for whole")
	}
	if _, err := p.Pack(adts(6, 10), 1); !errors.Is(err, aac.ErrBad) {
		t.Errorf("too few frames: %v", err)
	}
}

func adtsFree(frames []byte) (b []byte) {
	for _, f := range frames {
		b = append(b, bytes.Repeat([]byte{f}, 10)...)
	}
	return b
}

func FuzzPack(f *testing.F) {
	f.Add(adts(3, 10))
	f.Add([]byte{0xff, 0xf1})
	f.Fuzz(func(t *testing.T, b []byte) {
		p := aac.Piece{Frames: []int{1}, Drop: 1}
		out, err := p.Pack(b, 1)
		if err == nil && !p.Whole(out) {
			t.Error("what was packed is not whole")
		}
		_, _ = aac.Segment(b, 1)
	})
}
