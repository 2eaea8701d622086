package dash_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/hls-fallback/dash"
	"github.com/sluice-live/sluice/hls-fallback/stage"
	"github.com/sluice-live/sluice/media"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

// said is a snapshot with text, as a recorder adds it: its segments are the finished ones
// of another rendition.
func said(p *media.Presentation) *media.Presentation {
	out, of := *p, p.Rendition("video-h")
	r := &media.Rendition{ID: "captions-de", Kind: media.SubtitleRendition, Codec: "wvtt", Timescale: of.Timescale, Language: "de", Name: "Deutsch", Bandwidth: 2000}
	for _, s := range of.Segments {
		r.Segments = append(r.Segments, &media.Segment{MSN: s.MSN, Start: s.Start, Duration: s.Duration, Discontinuity: s.Discontinuity, Independent: true})
	}
	out.Renditions = append(slices.Clone(p.Renditions), r)
	return &out
}

type fatal interface{ Fatalf(string, ...any) }

func read(t fatal, text []byte) *mpd.MPD {
	m, err := mpd.ReadFromString(string(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return m
}

func TestGoldenManifests(t *testing.T) {
	s := stage.New("show")
	s.Bytes = 100
	s.Segment(4)
	s.Segment(5)
	s.Gap("video-l", true)
	s.Jump(true)
	s.Segment(4) // still without the gap: it had been announced
	s.Segment(4)
	s.Part("video-h")
	var w dash.Writer
	golden(t, "live.mpd", w.MPD(s.Snapshot(), dash.Options{Window: time.Minute}))
	golden(t, "token.mpd", w.MPD(s.Snapshot(), dash.Options{Window: time.Minute, Token: true}))
	golden(t, "ended.mpd", w.MPD(s.End(), dash.Options{Asset: true}))
	golden(t, "over.mpd", w.MPD(s.Snapshot(), dash.Options{Window: 6 * time.Second}))
}

func TestTextIsInSegmentsOfCMAF(t *testing.T) {
	s := stage.New("show")
	s.Segment(4)
	s.Gap("video-h", true) // nothing is seen, and much is said
	s.Segment(4)
	s.Gap("video-h", false)
	s.Jump(true)
	s.Segment(5)
	s.Part("video-h")
	s.Part("video-l")
	s.Part("audio")
	s.Part("audio-aac")
	var w dash.Writer
	golden(t, "text.mpd", w.MPD(said(s.Snapshot()), dash.Options{Window: time.Minute}))
	end := said(s.End())
	if text := w.MPD(end, dash.Options{}); !bytes.Contains(text, []byte(`codecs="wvtt"`)) || bytes.Contains(text, []byte("text/vtt")) {
		t.Errorf("who watches to the end has\n%s", text)
	}
	if text := w.MPD(end, dash.Options{Asset: true}); bytes.Contains(text, []byte(`codecs="wvtt"`)) || !bytes.Contains(text, []byte("text/vtt")) {
		t.Errorf("who watches the recording has\n%s", text)
	}
}

func TestCaptionsInPicturesAreDescribed(t *testing.T) {
	for want, c := range map[string]media.Closed{
		`<Accessibility schemeIdUri="urn:scte:dash:cc:cea-608:2015" value="CC1=und;CC3=und"></Accessibility>`: media.Channel(1) | media.Channel(3) | media.Service(1),
		`<Accessibility schemeIdUri="urn:scte:dash:cc:cea-708:2015" value="1=lang:und"></Accessibility>`:      media.Service(1),
	} {
		s := stage.New("show")
		s.Segment(4)
		p := s.Snapshot()
		p.Renditions[0].Closed = c
		var w dash.Writer
		if text := string(w.MPD(p, dash.Options{})); strings.Count(text, "Accessibility") != 2 || !strings.Contains(text, want) {
			t.Errorf("%s", text)
		}
	}
}

// A language that comes while players play is in the next period: they look for what can
// be chosen when one begins.
func TestALanguageThatComesLaterBeginsAPeriod(t *testing.T) {
	s := stage.New("show")
	s.Segment(4)
	s.Segment(4)
	var w dash.Writer
	read(t, w.MPD(s.Snapshot(), dash.Options{}))
	s.Segment(4)
	m := read(t, w.MPD(said(s.Snapshot()), dash.Options{}))
	if n := len(m.Periods); n != 2 || len(m.Periods[0].AdaptationSets) != 3 || len(m.Periods[1].AdaptationSets) != 4 || m.Periods[1].Id != "p2" {
		t.Errorf("%d periods", n)
	}
}

func TestWhatIsMadeOnDemandIsLeftOutWhileItIsLive(t *testing.T) {
	s := stage.New("show")
	for range 3 {
		s.Segment(4)
	}
	p := *s.Snapshot()
	aac := *p.Rendition("audio-aac")
	aac.OnDemand = true
	for i, r := range p.Renditions {
		if r.ID == aac.ID {
			p.Renditions[i] = &aac
		}
	}
	var w dash.Writer
	if text := w.MPD(&p, dash.Options{Window: time.Minute}); bytes.Contains(text, []byte("mp4a")) || !bytes.Contains(text, []byte("opus")) {
		t.Errorf("it is\n%s", text)
	}
	p.Ended = true
	var again dash.Writer
	if text := again.MPD(&p, dash.Options{Asset: true}); !bytes.Contains(text, []byte("mp4a")) {
		t.Errorf("of a recording it is\n%s", text)
	}
}

func TestTimeShiftBecomesStatic(t *testing.T) {
	s := stage.New("shift")
	for range 20 {
		s.Segment(4)
	}
	for asset, start := range map[bool]time.Duration{false: 10*time.Second + time.Millisecond, true: 0} {
		p := *s.Snapshot()
		p.Ended = asset
		var w dash.Writer
		m := read(t, w.MPD(&p, dash.Options{Shift: true, From: 10 * time.Second, To: 20 * time.Second, Asset: asset}))
		rep := m.Periods[0].AdaptationSets[0].Representations[0]
		if m.GetType() != "static" || *m.MediaPresentationDuration != mpd.Duration(start+10*time.Second) || *m.Periods[0].Start != mpd.Duration(start) ||
			*rep.SegmentTemplate.StartNumber != 5 || *rep.SegmentTemplate.PresentationTimeOffset != 900000 {
			t.Errorf("asset %v: %s %v %v %+v", asset, m.GetType(), *m.MediaPresentationDuration, *m.Periods[0].Start, rep.SegmentTemplate)
		}
	}
}

// The times of who watched a stream to its end began at zero when it had ended, and
// players were where nothing was, or hours from where they had been.
func TestTimesGoOnWhenAStreamEnds(t *testing.T) {
	for name, o := range map[string]dash.Options{
		"live":       {Window: 15 * time.Second},
		"all":        {},
		"start-over": {Shift: true, From: 21 * time.Second},
		"a while":    {Shift: true, From: 21 * time.Second, To: 39 * time.Second},
	} {
		s := stage.New("show")
		s.Keep(16)
		for i := range 18 {
			s.Segment(4)
			if i == 12 {
				s.Jump(true)
			}
		}
		s.Part("video-h")
		var w dash.Writer
		live := read(t, w.MPD(s.Snapshot(), o))
		s.Segment(4)
		over := read(t, w.MPD(s.End(), o))
		if live.GetType() != "dynamic" || over.GetType() != "static" {
			t.Fatalf("%s: it is %s, then %s", name, live.GetType(), over.GetType())
		}
		was, is := walk(t, live), walk(t, over)
		both := 0
		for id, segments := range was {
			for n, before := range segments {
				after, ok := is[id][n]
				if !ok {
					continue
				}
				both++
				if after.offset != before.offset || after.start != before.start || after.period != before.period {
					t.Fatalf("%s: %s segment %d was %+v and is %+v", name, id, n, before, after)
				}
			}
		}
		end := time.Duration(*over.MediaPresentationDuration)
		if want := 38*time.Second + 501*time.Millisecond; both < 15 || end != want {
			t.Errorf("%s: %d segments are in both; it ends at %v, want %v", name, both, end, want)
		}
		for i, p := range live.Periods {
			st := p.AdaptationSets[0].Representations[0].SegmentTemplate
			now := over.Periods[i].AdaptationSets[0].Representations[0].SegmentTemplate
			if o.To == 0 && (*p.Start != *over.Periods[i].Start || *st.PresentationTimeOffset != *now.PresentationTimeOffset) {
				t.Errorf("%s: period %s began at %v and does at %v, its offset was %d and is %d", name, p.Id,
					time.Duration(*p.Start), time.Duration(*over.Periods[i].Start), *st.PresentationTimeOffset, *now.PresentationTimeOffset)
			}
		}
	}
}

// Shaka Player waited for ever for what was announced, and never came: the last segment
// lasts until nobody waited for more.
func TestAStreamThatHasEndedEndsWithItsLastMedia(t *testing.T) {
	s := stage.New("show")
	for range 3 {
		s.Segment(4)
	}
	p := s.End()
	for i, r := range p.Renditions {
		c, last := *r, *r.Segments[2]
		last.Parts = slices.Clone(last.Parts)
		for n := range last.Parts {
			last.Parts[n].Gap = n > i%2 // sound and pictures, one part or two
		}
		c.Segments = []*media.Segment{c.Segments[0], c.Segments[1], &last}
		p.Renditions[i] = &c
	}
	var w dash.Writer
	m := read(t, w.MPD(p, dash.Options{Window: time.Minute}))
	if end := time.Duration(*m.MediaPresentationDuration); end != 5001*time.Millisecond {
		t.Errorf("it ends at %v, and the last picture at 5 s", end)
	}
}

func TestNothingYetIsNothing(t *testing.T) {
	var w dash.Writer
	if text := w.MPD(stage.New("x").Snapshot(), dash.Options{}); text != nil {
		t.Errorf("%s", text)
	}
}

// The newest segment was not in the manifest before its end as long as one layer had a
// pause: players ran dry.
func TestALayerThatPausesHoldsNobody(t *testing.T) {
	for _, left := range []bool{false, true} {
		s := stage.New("show")
		s.Segment(4)
		s.Gap("video-l", true)
		s.Segment(4) // still without the gap: it had been announced
		s.Segment(4)
		for _, id := range []string{"video-h", "audio", "audio-aac"} {
			s.Part(id)
		}
		if !left {
			s.Part("video-l") // a gap
		}
		p := s.Snapshot()
		p.Rendition("video-l").Left = left
		var w dash.Writer
		all := walk(t, read(t, w.MPD(p, dash.Options{Window: time.Minute})))
		if n := len(all["video-h"]); n != 4 {
			t.Errorf("%d segments of 4, left: %v", n, left)
		}
		// It comes back: with the next segment that it begins.
		p.Rendition("video-l").Left = false
		s.Gap("video-l", false)
		for range 3 {
			p = s.Segment(4)
		}
		all = walk(t, read(t, w.MPD(p, dash.Options{Window: time.Minute})))
		if _, ok := all["video-l"][5]; !ok || len(all["video-h"]) < 6 {
			t.Errorf("it is not back: %v", all["video-l"])
		}
	}
}

// Shaka Player takes the times of a segment from its media where a period's beginning is
// its offset, and showed text up to a segment early.
func TestNoLivePeriodBeginsAtItsOffset(t *testing.T) {
	s := stage.New("show")
	s.Segment(4)
	s.Jump(true)
	for range 3 {
		s.Segment(4)
	}
	var w dash.Writer
	m := read(t, w.MPD(said(s.Snapshot()), dash.Options{Window: time.Minute}))
	began, err := time.Parse(time.RFC3339, string(m.AvailabilityStartTime))
	if err != nil {
		t.Fatal(err)
	}
	ahead := stage.Start.Sub(began)
	for _, p := range m.Periods {
		for _, set := range p.AdaptationSets {
			for _, rep := range set.Representations {
				st := rep.SegmentTemplate
				offset := time.Duration(*p.Start).Round(time.Millisecond) - time.Duration(*st.PresentationTimeOffset)*time.Second/time.Duration(*st.Timescale)
				if offset == 0 || offset != ahead {
					t.Errorf("%s in %s is moved by %v, and what is live began %v earlier", rep.Id, p.Id, offset, ahead)
				}
			}
		}
	}
}

// heard is what a manifest says of one segment.
type heard struct {
	start, duration uint64
	init            string
	period          string
	offset          uint64
}

// walk reads all segments of a manifest as a player does.
func walk(t fatal, m *mpd.MPD) map[string]map[uint64]heard {
	all := make(map[string]map[uint64]heard)
	for _, p := range m.Periods {
		for _, set := range p.AdaptationSets {
			for _, rep := range set.Representations {
				if all[rep.Id] == nil {
					all[rep.Id] = make(map[uint64]heard)
				}
				st := rep.SegmentTemplate
				n, at := uint64(*st.StartNumber), uint64(0)
				for _, s := range st.SegmentTimeline.S {
					if s.T != nil {
						at = *s.T
					}
					for range s.R + 1 {
						if _, twice := all[rep.Id][n]; twice {
							t.Fatalf("%s segment %d is listed twice", rep.Id, n)
						}
						// Period start and offset put it on the presentation's time.
						offset := uint64(time.Duration(*p.Start).Round(time.Millisecond).Milliseconds())*uint64(*st.Timescale)/1000 - *st.PresentationTimeOffset
						all[rep.Id][n] = heard{at, s.D, st.Initialization, p.Id, offset}
						at += s.D
						n++
					}
				}
			}
		}
	}
	return all
}

// Whatever happens, a manifest lists each segment that has media once, with its
// number, time and initialisation section, and says the same as manifests before.
func TestManifestsAgreeWithTheSnapshotAndEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stage.New("any")
		s.Keep(rapid.IntRange(3, 12).Draw(t, "keep"))
		var w dash.Writer
		known := make(map[string]map[uint64]heard)
		show := func(p *media.Presentation) *media.Presentation { return p }
		if rapid.Bool().Draw(t, "text") {
			show = said
		}
		for range rapid.IntRange(1, 16).Draw(t, "segments") {
			for range rapid.IntRange(1, 5).Draw(t, "parts") {
				for _, id := range rapid.Permutation(s.Renditions()).Draw(t, "order") {
					p := s.Part(id)
					if rapid.IntRange(0, 11).Draw(t, "look") == 0 {
						check(t, &w, show(p), known)
					}
				}
			}
			id := rapid.SampledFrom(s.Renditions()).Draw(t, "whom")
			switch rapid.IntRange(0, 5).Draw(t, "event") {
			case 0:
				s.Jump(rapid.Bool().Draw(t, "fresh"))
			case 1:
				s.Gap(id, true)
			case 2:
				s.Gap(id, false)
			}
			for _, id := range rapid.Permutation(s.Renditions()).Draw(t, "order") {
				if p := s.Close(id); rapid.IntRange(0, 1).Draw(t, "look") == 0 {
					check(t, &w, show(p), known)
				}
			}
		}
	})
}

func check(t *rapid.T, w *dash.Writer, p *media.Presentation, known map[string]map[uint64]heard) {
	text := w.MPD(p, dash.Options{})
	if text == nil {
		return
	}
	for id, segments := range walk(t, read(t, text)) {
		r := p.Rendition(id)
		if known[id] == nil {
			known[id] = make(map[uint64]heard)
		}
		for n, h := range segments {
			truth := r.Open
			if next, _ := r.Next(); r.Kind == media.SubtitleRendition && n == next {
				continue // it has begun, and nobody knows its end
			}
			done := truth == nil || n < truth.MSN
			if done {
				truth = r.Segments[n-r.Segments[0].MSN]
			}
			if truth.MSN != n || h.start != uint64(truth.Start) || done && h.duration != uint64(truth.Duration) || truth.Gap || h.offset != uint64(r.Timescale)/1000 ||
				r.Kind != media.SubtitleRendition && !strings.HasSuffix(h.init, "init-"+string(rune('0'+truth.Init))+".mp4") && truth.Init < 10 {
				t.Fatalf("%s segment %d: %+v, and it is %+v\n%s", id, n, h, truth, text)
			}
			if old, ok := known[id][n]; ok && old != h {
				t.Fatalf("%s segment %d was %+v and is %+v\n%s", id, n, old, h, text)
			}
			if done {
				known[id][n] = h
			}
		}
	}
}

func BenchmarkTwoHours(b *testing.B) {
	s := stage.New("deep")
	for range 3600 {
		s.Segment(4)
	}
	p := s.Snapshot()
	var w dash.Writer
	text := w.MPD(p, dash.Options{})
	b.ReportAllocs()
	for b.Loop() {
		text = w.MPD(p, dash.Options{})
	}
	b.ReportMetric(float64(len(text)), "bytes")
}

// A picture before its period's start is dropped by players, and all up to the next key
// frame with it: clips began seconds late.
func TestNoPictureIsBeforeItsPeriod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &media.Presentation{Incarnation: "t5abcde000000001", TargetDuration: 2 * time.Second, PartTarget: 500 * time.Millisecond, Ended: true}
		from := media.Ticks(rapid.IntRange(0, 10_000_000).Draw(t, "from"))
		for i, id := range []string{"video-h", "video-l", "audio"} {
			r := &media.Rendition{ID: id, Kind: media.VideoRendition, Codec: "avc1.42c01f", Timescale: 90000, Inits: make([]media.Init, 1)}
			start := from + media.Ticks(rapid.IntRange(0, 3000).Draw(t, "later"))
			if i == 2 {
				r.Kind, r.Codec, r.Timescale = media.AudioRendition, "opus", 48000
				start = start * 8 / 15
			}
			for n := range 4 {
				s := &media.Segment{MSN: uint64(n), Start: start, Duration: 2 * media.Ticks(r.Timescale), Independent: true, Discontinuity: n == 2}
				s.Extent.Size = 1
				start += s.Duration
				r.Segments = append(r.Segments, s)
			}
			p.Renditions = append(p.Renditions, r)
		}
		var w dash.Writer
		m := read(t, w.MPD(p, dash.Options{}))
		for _, period := range m.Periods {
			for _, set := range period.AdaptationSets {
				for _, rep := range set.Representations {
					first, offset := *rep.SegmentTemplate.SegmentTimeline.S[0].T, *rep.SegmentTemplate.PresentationTimeOffset
					if set.ContentType == "video" && first < offset {
						t.Fatalf("%s begins at %d, its period at %d", rep.Id, first, offset)
					}
					if late := time.Duration(int64(first)-int64(offset)) * time.Second / time.Duration(rep.SegmentTemplate.GetTimescale()); late > 40*time.Millisecond {
						t.Fatalf("%s begins %v after its period", rep.Id, late)
					}
				}
			}
		}
	})
}
