package webvtt_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media/webvtt"
)

type fatal interface {
	Helper()
	Fatal(...any)
}

// samples reads a segment as a player does: each sample as "from-to: texts".
func samples(t fatal, section, chunk []byte) []string {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(slices.Concat(section, chunk)))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Segments) != 1 || len(f.Segments[0].Fragments) != 1 {
		t.Fatal("it is not one chunk")
	}
	all, err := f.Segments[0].Fragments[0].GetFullSamples(f.Moov.Mvex.Trex)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range all {
		r := bytes.NewReader(s.Data)
		var texts []string
		for at := uint64(0); r.Len() > 0; {
			box, err := mp4.DecodeBox(at, r)
			if err != nil {
				t.Fatal(err)
			}
			at += box.Size()
			if c, ok := box.(*mp4.VttcBox); ok {
				texts = append(texts, c.Payl.CueText)
			} else if box.Type() != "vtte" {
				t.Fatal(box.Type())
			}
		}
		out = append(out, fmt.Sprintf("%d-%d: %s", s.DecodeTime, s.DecodeTime+uint64(s.Dur), strings.Join(texts, "+")))
	}
	return out
}

func section(t fatal, scale uint32) []byte {
	t.Helper()
	b, err := webvtt.Section(scale, "pt-br")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTextInCMAF(t *testing.T) {
	head := section(t, 90000)
	f, err := mp4.DecodeFile(bytes.NewReader(head))
	if err != nil {
		t.Fatal(err)
	}
	track := f.Moov.Trak
	if stsd := track.Mdia.Minf.Stbl.Stsd; track.Mdia.Hdlr.HandlerType != "text" || track.Mdia.Mdhd.Timescale != 90000 || stsd.Wvtt == nil || stsd.Wvtt.VttC.Config != "WEBVTT" || track.Mdia.Elng.Language != "pt-br" {
		t.Errorf("%+v", track.Mdia)
	}
	said := &webvtt.File{Cues: []webvtt.Cue{
		{Start: time.Second, End: 3500 * time.Millisecond, Text: "before"},
		{Start: 2500 * time.Millisecond, End: 3 * time.Second, Text: "between", Settings: "line:0"},
		{Start: 3800 * time.Millisecond, End: 9 * time.Second, Text: "behind &amp; on"},
		{Start: 20 * time.Second, End: 21 * time.Second, Text: "another time"},
	}}
	for name, c := range map[string]struct {
		span webvtt.Span
		want []string
	}{
		"cues are cut where another begins or ends": {
			webvtt.Span{Sequence: 2, Timescale: 90000, Start: 180000, Duration: 180000},
			[]string{"180000-225000: before", "225000-270000: before+between", "270000-315000: before", "315000-342000: ", "342000-360000: behind &amp; on"},
		},
		"nothing is said": {webvtt.Span{Sequence: 8, Timescale: 48000, Start: 480000, Duration: 96000}, []string{"480000-576000: "}},
		"since 1970": {
			webvtt.Span{Sequence: 1 << 31, Timescale: 90000, Start: 1_795_000_000 * 90000, Duration: 180000},
			[]string{"161550000000000-161550000180000: "},
		},
	} {
		chunk, err := said.Chunk(c.span)
		if err != nil {
			t.Fatal(err)
		}
		if got := samples(t, section(t, c.span.Timescale), chunk); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A cue in two segments has one source, and two cues have two.
func TestTheSourceOfACue(t *testing.T) {
	said := &webvtt.File{Cues: []webvtt.Cue{{Start: time.Second, End: 3 * time.Second, Text: "a"}, {Start: 2 * time.Second, End: 3 * time.Second, Text: "a"}}}
	sources := map[string][]uint32{}
	for n := range int64(2) {
		chunk, err := said.Chunk(webvtt.Span{Timescale: 1000, Start: n * 2000, Duration: 2000})
		if err != nil {
			t.Fatal(err)
		}
		for at := bytes.Index(chunk, []byte("vsid")); at >= 0; at = bytes.Index(chunk, []byte("vsid")) {
			chunk = chunk[at+4:]
			sources[fmt.Sprint(n)] = append(sources[fmt.Sprint(n)], uint32(chunk[0])<<24|uint32(chunk[1])<<16|uint32(chunk[2])<<8|uint32(chunk[3]))
		}
	}
	first, second := sources["0"], sources["1"]
	if len(first) != 1 || len(second) != 3 && len(second) != 2 || first[0] != second[0] || second[0] == second[1] {
		t.Errorf("%v", sources)
	}
}

// Whatever is said, samples fill the segment without a hole, and each has what is shown.
func TestSamplesFillTheSegment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var said webvtt.File
		for i := range rapid.IntRange(0, 8).Draw(t, "cues") {
			start := time.Duration(rapid.IntRange(0, 9000).Draw(t, "start")) * time.Millisecond
			said.Cues = append(said.Cues, webvtt.Cue{Start: start, End: start + time.Duration(rapid.IntRange(1, 5000).Draw(t, "length"))*time.Millisecond, Text: fmt.Sprint("cue", i)})
		}
		span := webvtt.Span{Timescale: rapid.SampledFrom([]uint32{1000, 44100, 48000, 90000}).Draw(t, "scale")}
		span.Start, span.Duration = rapid.Int64Range(0, 10*int64(span.Timescale)).Draw(t, "from"), rapid.Int64Range(1, 6*int64(span.Timescale)).Draw(t, "for")
		chunk, err := said.Chunk(span)
		if err != nil {
			t.Fatal(err)
		}
		at := span.Start
		for _, s := range samples(t, section(t, span.Timescale), chunk) {
			var from, to int64
			times, texts, _ := strings.Cut(s, ": ")
			if _, err := fmt.Sscanf(times, "%d-%d", &from, &to); err != nil || from != at || to <= from {
				t.Fatalf("%q follows %d", s, at)
			}
			var want []string
			for _, c := range said.Cues {
				scale := func(d time.Duration) int64 { return d.Milliseconds() * int64(span.Timescale) / 1000 }
				if scale(c.Start) <= from && scale(c.End) >= to {
					want = append(want, c.Text)
				}
			}
			if texts != strings.Join(want, "+") {
				t.Fatalf("%q, and %q is said", s, want)
			}
			at = to
		}
		if at != span.Start+span.Duration {
			t.Fatalf("it ends at %d", at)
		}
	})
}
