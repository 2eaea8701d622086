package playlist_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/hls-fallback/rules"
	"github.com/sluice-live/sluice/hls-fallback/stage"
	"github.com/sluice-live/sluice/media"
)

var update = flag.Bool("update", false, "write the golden files anew")

const window = time.Minute

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

// decode lets an independent reader look.
func decode(t interface{ Fatalf(string, ...any) }, text []byte) m3u8.Playlist {
	// hls-m3u8 v0.6.5 cannot read parts before the first whole segment.
	var kept strings.Builder
	begun := false
	for line := range strings.Lines(string(text)) {
		begun = begun || !strings.HasPrefix(line, "#")
		if begun || !strings.HasPrefix(line, "#EXT-X-PART:") {
			kept.WriteString(line)
		}
	}
	pl, _, err := m3u8.DecodeFrom(strings.NewReader(kept.String()), true)
	if err != nil {
		t.Fatalf("another reader refuses it: %v\n%s", err, text)
	}
	return pl
}

// A stream with a lost picture, a reconnect with a new format, and a rendition
// that pauses.
func story() *stage.Stage {
	s := stage.New("show")
	s.Bytes = 1000
	s.Segment(4)
	s.Segment(4)
	s.Gap("video-l", true)
	s.Jump(true)
	s.Segment(4)
	s.Gap("video-l", false)
	s.Dull("video-h")
	s.Segment(5)
	s.Segment(4)
	s.Part("video-h")
	s.Part("video-h")
	s.Part("audio")
	return s
}

func TestGoldenPlaylists(t *testing.T) {
	s := story()
	p := s.Snapshot()
	live := playlist.View{Window: window}
	token := playlist.View{Window: window, Token: true}
	for _, r := range p.Renditions[:3] {
		text := playlist.NewLines(false).Media(nil, p, r, live)
		golden(t, r.ID+".m3u8", text)
		decode(t, text)
	}
	text := playlist.NewLines(true).Media(nil, p, p.Renditions[0], token)
	golden(t, "token.m3u8", text)
	golden(t, "multivariant.m3u8", playlist.Multivariant(nil, p, live))
	golden(t, "multivariant-token.m3u8", playlist.Multivariant(nil, p, playlist.View{Token: true, Query: "dvr=1"}))
	golden(t, "iframes.m3u8", playlist.IFrames(nil, p, p.Renditions[0], live))
	golden(t, "legacy.m3u8", new(playlist.Joined).Playlist(nil, p, p.Renditions[0], playlist.View{Form: playlist.Legacy}))
	p = s.End()
	golden(t, "ended.m3u8", playlist.NewLines(false).Media(nil, p, p.Renditions[0], playlist.View{}))
}

func TestMultivariantIsReadByAnother(t *testing.T) {
	p := story().Snapshot()
	text := playlist.Multivariant(nil, p, playlist.View{})
	m, ok := decode(t, text).(*m3u8.MasterPlaylist)
	if !ok {
		t.Fatal("not a multivariant playlist")
	}
	seen := map[string]int{}
	for _, v := range m.Variants {
		if v.Iframe {
			seen["iframe"]++
			continue
		}
		seen[v.Codecs]++
		if v.FrameRate != 30 || v.Resolution == "" || v.AverageBandwidth == 0 || v.Bandwidth < v.AverageBandwidth {
			t.Errorf("%s: %+v", v.URI, v.VariantParams)
		}
	}
	if seen["avc1.64001f,Opus"] != 1 || seen["avc1.64001f,mp4a.40.2"] != 1 || seen["avc1.42c015,Opus"] != 1 || seen["iframe"] != 2 {
		t.Errorf("variants: %v", seen)
	}
	var l rules.List
	pl, err := rules.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	rules.Multivariant(&l, "index.m3u8", pl)
	if len(l.Findings) > 0 {
		t.Error(l.Findings)
	}
}

// Publishers come back with other codecs: all that a view still holds are told, and what
// has left it is not.
func TestCodecsAreThoseOfAllThatIsShown(t *testing.T) {
	s := stage.New("show")
	codecs := func(v playlist.View) (variants, iframes string) {
		t.Helper()
		text := string(playlist.Multivariant(nil, s.Snapshot(), v))
		find := func(tag string) string {
			_, rest, _ := strings.Cut(text, tag)
			_, rest, _ = strings.Cut(rest, `CODECS="`)
			found, _, _ := strings.Cut(rest, `"`)
			return found
		}
		return find("#EXT-X-STREAM-INF"), find("#EXT-X-I-FRAME-STREAM-INF")
	}
	turn := func(picture, sound string) {
		s.Turn("video-h", picture)
		s.Turn("audio", sound)
		s.Jump(true)
	}
	for range 3 {
		s.Segment(4) // two seconds
	}
	s.Gap("video-h", true)
	turn("av01.0.05M.08", "opus")
	s.Segment(4) // AV1 had no picture yet when it was given up
	s.Gap("video-h", false)
	turn("hvc1.1.6.L93.B0", "flac")
	for range 3 {
		s.Segment(4)
	}
	turn("avc1.64001f", "opus")
	for range 3 {
		s.Segment(4)
	}
	last := 6 * time.Second
	for _, step := range []struct {
		name              string
		view              playlist.View
		variants, iframes string
	}{
		{"all of it", playlist.View{}, "avc1.64001f,hvc1.1.6.L93.B0,Opus,flac", "avc1.64001f,hvc1.1.6.L93.B0"},
		{"the end", playlist.View{Window: last}, "avc1.64001f,Opus", "avc1.64001f"},
		{"a little more", playlist.View{Window: last + time.Second}, "avc1.64001f,hvc1.1.6.L93.B0,Opus,flac", "avc1.64001f,hvc1.1.6.L93.B0"},
		{"the middle", playlist.View{Shift: true, From: 9 * time.Second, To: 13 * time.Second}, "hvc1.1.6.L93.B0,flac", "hvc1.1.6.L93.B0"},
		{"the beginning", playlist.View{Shift: true, To: 5 * time.Second}, "avc1.64001f,Opus", "avc1.64001f"},
		{"no picture", playlist.View{Shift: true, From: 7 * time.Second, To: 8 * time.Second}, "avc1.64001f,Opus", "avc1.64001f"},
	} {
		if variants, iframes := codecs(step.view); variants != step.variants || iframes != step.iframes {
			t.Errorf("%s: %q and %q, want %q and %q", step.name, variants, iframes, step.variants, step.iframes)
		}
	}
	s.Keep(3)
	s.Segment(4)
	if variants, _ := codecs(playlist.View{}); variants != "avc1.64001f,Opus" {
		t.Errorf("what has left the window is told: %q", variants)
	}
}

func TestSoundAloneIsAVariant(t *testing.T) {
	s := stage.Bare("radio")
	s.Add(media.Rendition{ID: "audio", Kind: media.AudioRendition, Codec: "opus", Timescale: 48000, Channels: 1, Bandwidth: 64000})
	s.Segment(4)
	text := string(playlist.Multivariant(nil, s.Snapshot(), playlist.View{}))
	if !strings.Contains(text, `CODECS="Opus",AUDIO="audio-opus"`) || !strings.Contains(text, "\nt5abcde000000001/audio/media.m3u8\n") {
		t.Error(text)
	}
}

func TestPeopleCannotBreakQuotes(t *testing.T) {
	s := stage.Bare("x")
	s.Add(media.Rendition{ID: "audio", Kind: media.AudioRendition, Codec: "opus", Timescale: 48000, Name: "a\"\n#EXT-X-ENDLIST{$token}", Language: "e\"n"})
	s.Segment(1)
	text := string(playlist.Multivariant(nil, s.Snapshot(), playlist.View{}))
	if strings.Contains(text, "\n#EXT-X-ENDLIST") || strings.Contains(text, "{$") || !strings.Contains(text, `LANGUAGE="en"`) {
		t.Error(text)
	}
}

// viewer looks at one rendition in one way for as long as a story lasts.
type viewer struct {
	rendition string
	view      playlist.View
	lines     *playlist.Lines
	joined    playlist.Joined
	watch     rules.Watch
	hint      string
}

// close viewers look at every part.
func (v *viewer) close() bool {
	return v.view.Window > 0 && !v.view.Token || v.view.Form == playlist.Legacy
}

func (v *viewer) look(t *rapid.T, l *rules.List, p *media.Presentation, now time.Time) *rules.Playlist {
	r := p.Rendition(v.rendition)
	if v.view.Empty(p, r) {
		return nil
	}
	text := v.render(p, r, v.view)
	if len(text) == 0 && v.view.Form == playlist.Legacy {
		return nil // nothing is joined yet
	}
	pl := v.read(t, text)
	v.watch.Full(l, pl, now)
	if v.view.Form == playlist.Live {
		skip := v.view
		skip.Skip = true
		v.watch.Delta(l, v.read(t, v.render(p, r, skip)))
	}
	if l.Broken() > 0 {
		t.Fatalf("%s %+v: %v\n%s", v.rendition, v.view, l.Findings, text)
	}
	v.hinted(t, pl)
	return pl
}

// hinted checks that what was hinted came, if anything did.
func (v *viewer) hinted(t *rapid.T, pl *rules.Playlist) {
	before := v.hint
	v.hint = ""
	for _, h := range pl.Hints {
		if h["TYPE"] == "PART" {
			v.hint = h["URI"]
		}
	}
	if before == "" || v.hint == "" || v.hint == before || !v.close() {
		return
	}
	for _, s := range append(pl.Segments[:len(pl.Segments):len(pl.Segments)], pl.Open) {
		for _, part := range s.Parts {
			if part.URI == before {
				return
			}
		}
	}
	t.Fatalf("%s: %s was hinted, and is not there when %s is", v.rendition, before, v.hint)
}

func (v *viewer) render(p *media.Presentation, r *media.Rendition, view playlist.View) []byte {
	if view.Form == playlist.Legacy {
		return v.joined.Playlist(nil, p, r, view)
	}
	return v.lines.Media(nil, p, r, view)
}

func (v *viewer) read(t *rapid.T, text []byte) *rules.Playlist {
	pl, err := rules.Parse(string(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return pl
}

// Whatever a recorder does, in whatever order the renditions come, all playlists
// keep the rules at every moment.
func TestAnySequenceOfSnapshotsKeepsTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stage.New("any")
		views := []playlist.View{{Window: window}, {}, {Window: window, Token: true}}
		if rapid.Bool().Draw(t, "keep all") {
			// What promises to lose nothing can be kept only then.
			views = append(views, playlist.View{Form: playlist.Legacy}, playlist.View{Shift: true, From: 9 * time.Second})
		} else {
			s.Keep(rapid.IntRange(12, 14).Draw(t, "keep")) // three target durations of the shortest
		}
		var viewers []*viewer
		for _, id := range s.Renditions() {
			for i, view := range views {
				viewers = append(viewers, &viewer{rendition: id, view: view, lines: playlist.NewLines(view.Token),
					watch: rules.Watch{Name: fmt.Sprint(id, " ", i), LowLatency: view.Form == playlist.Live, Slack: 100 * time.Millisecond}})
				if v := viewers[len(viewers)-1]; !v.close() {
					v.watch.Slack = 10 * time.Second // looked at when segments end only
				}
			}
		}
		now := stage.Start
		var l rules.List
		segments := rapid.IntRange(1, 15).Draw(t, "segments")
		for n := range segments {
			for range rapid.IntRange(3, 9).Draw(t, "parts") {
				now = now.Add(500 * time.Millisecond)
				for _, id := range rapid.Permutation(s.Renditions()).Draw(t, "order") {
					p := s.Part(id)
					if rapid.IntRange(0, 3).Draw(t, "look") == 0 {
						for _, v := range viewers {
							if v.rendition == id && v.close() {
								v.look(t, &l, p, now)
							}
						}
					}
				}
				for _, v := range viewers {
					if v.close() {
						v.look(t, &l, s.Snapshot(), now)
					}
				}
			}
			event(t, s)
			for _, id := range s.Renditions() {
				s.Close(id)
			}
			if n == segments-1 {
				s.End()
			}
			glance(t, &l, viewers, s.Snapshot(), now)
		}
	})
}

// event draws what happens at the next segment.
func event(t *rapid.T, s *stage.Stage) {
	id := rapid.SampledFrom(s.Renditions()).Draw(t, "whom")
	switch rapid.IntRange(0, 7).Draw(t, "event") {
	case 0:
		s.Jump(rapid.Bool().Draw(t, "fresh"))
	case 1:
		s.Gap(id, true)
	case 2, 3:
		s.Gap(id, false)
	case 4:
		s.Dull(id)
	}
}

// glance looks at all renditions at once, each way.
func glance(t *rapid.T, l *rules.List, viewers []*viewer, p *media.Presentation, now time.Time) {
	together := map[playlist.View][]*rules.Playlist{}
	names := map[playlist.View][]string{}
	for _, v := range viewers {
		if pl := v.look(t, l, p, now); pl != nil {
			decode(t, v.render(p, p.Rendition(v.rendition), v.view))
			together[v.view] = append(together[v.view], pl)
			names[v.view] = append(names[v.view], "/live/any/i/"+v.rendition+"/media.m3u8")
		}
	}
	for view, all := range together {
		if view.Form == playlist.Live && len(all) == 4 {
			rules.Together(l, names[view], all)
		}
	}
	if l.Broken() > 0 {
		t.Fatal(l.Findings)
	}
}

// A player that merges delta updates has what the full playlist says.
func TestDeltaUpdatesMergeToTheFullPlaylist(t *testing.T) {
	s := stage.New("delta")
	for range 40 {
		s.Segment(4)
	}
	lines := playlist.NewLines(false)
	p := s.Snapshot()
	before, _ := rules.Parse(string(lines.Media(nil, p, p.Renditions[0], playlist.View{})))
	s.Segment(4)
	s.Part("video-h")
	p = s.Snapshot()
	full, _ := rules.Parse(string(lines.Media(nil, p, p.Renditions[0], playlist.View{})))
	delta, err := rules.Parse(string(lines.Media(nil, p, p.Renditions[0], playlist.View{Skip: true})))
	if err != nil || delta.Skipped == 0 {
		t.Fatalf("%v, skipped %d", err, delta.Skipped)
	}
	merged := append(before.Segments[:delta.Skipped:delta.Skipped], delta.Segments...)
	if len(merged) != len(full.Segments) {
		t.Fatalf("merged %d segments, full has %d", len(merged), len(full.Segments))
	}
	for i := range merged {
		if merged[i].URI != full.Segments[i].URI || merged[i].Map != full.Segments[i].Map || merged[i].MSN != full.Segments[i].MSN {
			t.Errorf("segment %d: %+v, want %+v", i, merged[i], full.Segments[i])
		}
	}
}

func TestJoinedSegmentsLastSixSecondsAndBreakAtDiscontinuities(t *testing.T) {
	s := stage.New("old")
	for range 7 {
		s.Segment(4)
	}
	s.Jump(true)
	for range 4 {
		s.Segment(4)
	}
	p := s.End()
	pl, err := rules.Parse(string(new(playlist.Joined).Playlist(nil, p, p.Renditions[0], playlist.View{Form: playlist.Legacy})))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range pl.Segments {
		got = append(got, fmt.Sprintf("%s %.0f %v", g.URI, g.Duration, g.Discontinuity))
	}
	want := "0-2.m4s 6 false,3-5.m4s 6 false,6.m4s 2 false,7-9.m4s 6 true,10.m4s 2 false"
	if strings.Join(got, ",") != want || pl.Type != "VOD" || !pl.Ended || pl.TargetDuration != 6 {
		t.Errorf("%v %s", got, pl.Type)
	}
}

// A rendition that began later (a step of a ladder) is as much an event as the others, up
// to the same moment.
func TestALateRenditionIsOfTypeEventToo(t *testing.T) {
	s := stage.New("late")
	s.Keep(20)
	for n := range 40 {
		p := *s.Segment(4)
		if n < 6 {
			continue // nothing is joined yet
		}
		late := *p.Rendition("video-l")
		for late.Segments[0].MSN < 2 {
			late.Segments = late.Segments[1:]
		}
		p.Renditions = []*media.Rendition{p.Rendition("video-h"), &late}
		for _, r := range p.Renditions {
			text := string(new(playlist.Joined).Playlist(nil, &p, r, playlist.View{Form: playlist.Legacy}))
			if is := strings.Contains(text, "#EXT-X-PLAYLIST-TYPE:EVENT\n"); is != (n < 20+media.FirstSegment) { // the stage numbers from 0
				t.Errorf("%s after %d segments: an event: %v", r.ID, n+1, is)
			}
		}
	}
}

func TestTimeShift(t *testing.T) {
	s := stage.New("shift")
	for range 30 {
		s.Segment(4)
	}
	p := s.Snapshot()
	for _, c := range []struct {
		query       string
		first, last string
		kind        string
		ended       bool
	}{
		{"start=2026-11-20T12:00:11Z", "5.m4s", "29.m4s", "EVENT", false},
		{"start=2026-11-20T12:00:10Z&end=2026-11-20T12:00:20Z", "5.m4s", "9.m4s", "VOD", true},
		{"start=1795176010&end=1795176020.5", "5.m4s", "10.m4s", "VOD", true},
		{"start=2026-11-20T12:00:50Z&end=2026-11-20T13:00:00Z", "25.m4s", "29.m4s", "EVENT", false},
	} {
		q, err := playlist.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		v, err := q.View(p, window)
		if err != nil {
			t.Fatal(err)
		}
		pl, err := rules.Parse(string(playlist.NewLines(false).Media(nil, p, p.Renditions[0], v)))
		if err != nil {
			t.Fatal(err)
		}
		first, last := pl.Segments[0].URI, pl.Segments[len(pl.Segments)-1].URI
		if first != c.first || last != c.last || pl.Type != c.kind || pl.Ended != c.ended || (len(pl.Hints) > 0) == c.ended {
			t.Errorf("%s: %s to %s, %q, ended %v, %d hints", c.query, first, last, pl.Type, pl.Ended, len(pl.Hints))
		}
	}
}

func TestLastMinuteIsShown(t *testing.T) {
	s := stage.New("long")
	for range 100 {
		s.Segment(4)
	}
	p := s.Snapshot()
	pl, _ := rules.Parse(string(playlist.NewLines(false).Media(nil, p, p.Renditions[0], playlist.View{Window: window})))
	if len(pl.Segments) != 30 || pl.MediaSequence != 70 || pl.Type != "" {
		t.Errorf("%d segments from %d, type %q", len(pl.Segments), pl.MediaSequence, pl.Type)
	}
}

// deep is a window of two hours.
func deep(b interface{ Helper() }) *stage.Stage {
	s := stage.New("deep")
	for range 3600 {
		s.Segment(4)
	}
	return s
}

func BenchmarkLiveMinute(b *testing.B)   { benchmark(b, playlist.View{Window: window}) }
func BenchmarkTwoHours(b *testing.B)     { benchmark(b, playlist.View{}) }
func BenchmarkTwoHourDelta(b *testing.B) { benchmark(b, playlist.View{Skip: true}) }

func benchmark(b *testing.B, v playlist.View) {
	s := deep(b)
	p := s.Snapshot()
	lines := playlist.NewLines(false)
	dst := lines.Media(nil, p, p.Renditions[0], v)
	b.ReportAllocs()
	for b.Loop() {
		dst = lines.Media(dst[:0], p, p.Renditions[0], v)
	}
	b.ReportMetric(float64(len(dst)), "bytes")
}

func TestRenderingAgainAllocatesNothing(t *testing.T) {
	s := stage.New("lean")
	for range 40 {
		s.Segment(4)
	}
	p := s.Snapshot()
	lines := playlist.NewLines(false)
	v := playlist.View{Window: window}
	dst := lines.Media(make([]byte, 0, 64<<10), p, p.Renditions[0], v)
	if n := testing.AllocsPerRun(100, func() { dst = lines.Media(dst[:0], p, p.Renditions[0], v) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestIFramePlaylistsKeepTheRulesAndHaveDeltaUpdates(t *testing.T) {
	s := stage.New("frames")
	w := rules.Watch{Name: "iframes", Slack: time.Second}
	var l rules.List
	now := stage.Start
	for n := range 60 {
		if n == 20 {
			s.Jump(true)
		}
		p := s.Segment(4)
		now = now.Add(2 * time.Second)
		v := playlist.View{Window: 48 * time.Second}
		full, err := rules.Parse(string(playlist.IFrames(nil, p, p.Renditions[0], v)))
		if err != nil {
			t.Fatal(err)
		}
		w.Full(&l, full, now)
		v.Skip = true
		delta, err := rules.Parse(string(playlist.IFrames(nil, p, p.Renditions[0], v)))
		if err != nil || n > 40 && delta.Skipped == 0 {
			t.Fatal(err, delta.Skipped)
		}
		w.Delta(&l, delta)
	}
	if len(l.Findings) > 0 {
		t.Error(l.Findings)
	}
}

// TestWhatWasPublishedIsCheaper: hls.js takes the cheapest of what it can play
// alike, and shall not wake the encoder of AAC where it plays Opus.
func TestWhatWasPublishedIsCheaper(t *testing.T) {
	s := stage.New("x")
	s.Segment(4)
	p := s.Snapshot()
	for _, r := range p.Renditions {
		if r.ID == "audio-aac" {
			r.OnDemand, r.Mean = true, 0
		}
	}
	mean := map[string]int{}
	for _, line := range strings.Split(string(playlist.Multivariant(nil, p, playlist.View{})), "\n") {
		if rest, ok := strings.CutPrefix(line, "#EXT-X-STREAM-INF:"); ok && strings.Contains(rest, "RESOLUTION=1280x720") {
			_, after, _ := strings.Cut(rest, "AVERAGE-BANDWIDTH=")
			n, _, _ := strings.Cut(after, ",")
			codec := "Opus"
			if strings.Contains(rest, "mp4a") {
				codec = "AAC"
			}
			mean[codec], _ = strconv.Atoi(n)
		}
	}
	if mean["Opus"] == 0 || mean["Opus"] >= mean["AAC"] {
		t.Errorf("AVERAGE-BANDWIDTH with Opus %d, with AAC on demand %d", mean["Opus"], mean["AAC"])
	}
}

// All variants announce captions that pictures carry, or none does (section 4.4.6.2).
func TestCaptionsInPicturesAreAnnounced(t *testing.T) {
	s := stage.New("show")
	s.Segment(4)
	p := s.Snapshot()
	if text := string(playlist.Multivariant(nil, p, playlist.View{})); strings.Contains(text, "TYPE=CLOSED-CAPTIONS") || strings.Count(text, ",CLOSED-CAPTIONS=NONE\n") != strings.Count(text, "#EXT-X-STREAM-INF") {
		t.Errorf("%s", text)
	}
	p.Renditions[1].Closed = media.Channel(1) | media.Channel(3) | media.Service(1)
	text := string(playlist.Multivariant(nil, p, playlist.View{}))
	want := `#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="CC1",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID="CC1"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="CC3",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID="CC3"
#EXT-X-STREAM-INF`
	if !strings.Contains(text, want) || strings.Contains(text, "NONE") || strings.Count(text, `,CLOSED-CAPTIONS="cc"`) != strings.Count(text, "#EXT-X-STREAM-INF") {
		t.Errorf("%s", text)
	}
	decode(t, []byte(text))
}

// Players that chose what nobody published any more stood still in front of its gaps.
func TestWhatWasLeftIsNotListedForLiveViewers(t *testing.T) {
	s := stage.New("x")
	s.Segment(4)
	p := s.Snapshot()
	p.Rendition("video-l").Left = true
	for _, c := range []struct {
		view   playlist.View
		listed bool
	}{{playlist.View{Window: time.Minute}, false}, {playlist.View{Query: "dvr=1"}, true}, {playlist.View{Window: time.Minute, Shift: true}, true}} {
		entry := string(playlist.Multivariant(nil, p, c.view))
		if strings.Contains(entry, "/video-l/") != c.listed || !strings.Contains(entry, "/video-h/") {
			t.Errorf("%+v: %s", c.view, entry)
		}
		if c.view.Shift {
			continue // it has an end, and reports nothing
		}
		list := string(playlist.NewLines(false).Media(nil, p, p.Rendition("audio"), c.view))
		if strings.Contains(list, "REPORT:URI=\"../video-l/") != c.listed || !strings.Contains(list, "REPORT:URI=\"../video-h/") {
			t.Errorf("%+v: %s", c.view, list)
		}
	}
	p.Ended = true
	if entry := string(playlist.Multivariant(nil, p, playlist.View{Window: time.Minute})); !strings.Contains(entry, "/video-l/") {
		t.Error(entry)
	}
}
