package recorder_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/webvtt"
	"github.com/sluice-live/sluice/recorder"
)

func (s *studio) caption(all ...media.Caption) media.Captioned {
	s.t.Helper()
	done, err := s.Caption(context.Background(), "show", all)
	if err != nil {
		s.t.Fatal(err)
	}
	return done
}

func said(language, text string, start time.Time, length time.Duration) media.Caption {
	start = start.UTC().Truncate(ms)
	return media.Caption{Language: language, Text: text, Start: start, End: start.Add(length)}
}

// texts are a rendition's segments by number, and where each cue of it is shown.
func texts(t *testing.T, p *media.Presentation, id string) (segments map[uint64]string, shown map[string][]uint64) {
	t.Helper()
	r := p.Rendition(id)
	if r == nil {
		t.Fatalf("there is no %s", id)
	}
	segments, shown = map[uint64]string{}, map[string][]uint64{}
	lead := p.Renditions[0]
	for i, s := range r.Segments {
		of := lead.Segments[i]
		if s.MSN != of.MSN || s.Start != of.Start || s.Duration != of.Duration || s.Discontinuity != of.Discontinuity || len(s.Parts) != 1 {
			t.Fatalf("segment %d: %+v beside %+v", i, s, of)
		}
		f, err := webvtt.Parse(s.Parts[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range f.Cues {
			shown[c.Text] = append(shown[c.Text], s.MSN)
			if begin, end := r.Time(s.Start), r.Time(s.Start+s.Duration); c.Start >= end || c.End <= begin {
				t.Errorf("%q from %v to %v is in the segment from %v to %v", c.Text, c.Start, c.End, begin, end)
			}
		}
		segments[s.MSN] = string(s.Parts[0].Data)
	}
	if len(r.Segments) != len(lead.Segments) {
		t.Fatalf("%d segments of text, %d of pictures", len(r.Segments), len(lead.Segments))
	}
	return segments, shown
}

func TestCaptionsAreInTheSegmentsAndSurviveACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, image := t.TempDir(), t.TempDir()
		a := openArchive(t, dir, nil)
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Logs = a.Files })
		if _, err := s.Caption(context.Background(), "show", []media.Caption{said("en", "nobody", time.Now(), time.Second)}); !errors.Is(err, media.ErrNotFound) {
			t.Fatalf("captions of a stream that is not there: %v", err)
		}
		s.publish(1, "h")
		cameras := []*camera{s.video(0, 40*ms), s.sound()}
		shoot(10*time.Second, cameras...)
		began := time.Now()
		if done := s.caption(said("en", "now & here", began, 4*time.Second), said("de", "spät", began.Add(-5*time.Second), 3*time.Second)); done != (media.Captioned{Packaged: 2, Recorded: 2, Late: 1}) {
			t.Fatalf("%+v", done)
		}
		shoot(9*time.Second, cameras...)
		s.caption(said("en", "later", time.Now().Add(-time.Second), 2*time.Second))
		shoot(5*time.Second, cameras...)
		p := s.show()
		en, shown := texts(t, p, "captions-en")
		de, late := texts(t, p, "captions-de")
		if n := len(shown["now &amp; here"]); n < 2 || n > 3 {
			t.Errorf("four seconds in segments of two: %v", shown)
		}
		lead := p.Renditions[0]
		if first := late["spät"]; len(first) == 0 || p.At(lead, lead.Segments[first[0]].Start+lead.Segments[first[0]].Duration).Before(began) {
			t.Errorf("a late caption is in %v, which was published already", first)
		}

		// The power goes, and what was acknowledged is on disk.
		if err := os.CopyFS(image, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		s.stop()
		a.stop()
		time.Sleep(5 * time.Second)
		a = openArchive(t, image, nil)
		s = newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Logs = a.Files })
		s.publish(2, "h")
		v, w := s.video(0, 40*ms), s.sound()
		v.epoch, w.epoch = 2, 2
		shoot(10*time.Second, v, w)
		again := s.show()
		for id, before := range map[string]map[uint64]string{"captions-en": en, "captions-de": de} {
			after, _ := texts(t, again, id)
			for msn, text := range before {
				if after[msn] != text {
					t.Errorf("%s segment %d is now\n%s\nand was\n%s", id, msn, after[msn], text)
				}
			}
		}
		s.caption(said("en", "after", time.Now(), time.Second))
		shoot(5*time.Second, v, w)
		time.Sleep(70 * time.Second)
		synctest.Wait()
		m, err := a.Manifest(context.Background(), again.Incarnation)
		if err != nil || len(m.Captions) != 4 || !m.Captions[1].Start.Equal(began.Add(-5*time.Second).Truncate(ms)) || m.Captions[1].Text != "spät" {
			t.Errorf("%v %+v", err, m.Captions)
		}
		for _, r := range m.Presentation.Renditions {
			if r.Kind == media.SubtitleRendition {
				t.Errorf("%s is recorded as segments", r.ID)
			}
		}
		s.stop()
		a.stop()
		if _, err := os.Stat(filepath.Join(image, "recordings", again.Incarnation, "captions-en")); err == nil {
			t.Error("there are volumes of text")
		}
	})
}

// A stream that nobody records keeps as many captions as its window needs.
func TestOldCaptionsLeaveTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, func(c *recorder.Config, p *recorder.Parts) {
			c.Window = 40 * time.Second
			policy := p.Policy
			p.Policy = func(id media.StreamID) media.Policy {
				one := policy(id)
				one.Captions = []string{"fr"}
				return one
			}
		})
		s.publish(1, "h")
		cameras := []*camera{s.video(0, 40*ms), s.sound()}
		shoot(5*time.Second, cameras...)
		if r := s.show().Rendition("captions-fr"); r == nil || r.Name != "Français" || len(r.Segments) == 0 {
			t.Errorf("captions that are expected are not listed: %+v", r)
		}
		s.caption(said("en", "old", time.Now(), 2*time.Second))
		shoot(100*time.Second, cameras...)
		p := s.show()
		segments, shown := texts(t, p, "captions-en")
		if len(shown) != 0 || segments[0] != "" {
			t.Errorf("%v", shown)
		}
		if r := p.Rendition("captions-en"); r.Removed != p.Renditions[0].Removed || !strings.HasPrefix(string(r.Segments[0].Parts[0].Data), "WEBVTT\nX-TIMESTAMP-MAP=") {
			t.Errorf("%+v", r)
		}
		s.stop()
	})
}
