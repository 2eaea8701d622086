package recorder_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
)

// languages are the tracks of a stream with sound in several.
func languages(tags ...string) []media.TrackInfo {
	all := tracks("h")
	for i, tag := range tags {
		k := media.TrackInfo{ID: media.AudioTrackAt(i), Kind: media.Audio, Codec: media.Opus, Language: tag, Layers: []media.LayerInfo{{Active: true}}}
		if k.Name = "audio"; i > 0 && tag != "" {
			k.Name += "-" + tag
		} else if i > 0 {
			k.Name += "-" + string(rune('1'+i))
		}
		if i == 0 {
			all[0] = k
		} else {
			all = append(all, k)
		}
	}
	return all
}

func (s *studio) voice(place int, epoch media.Epoch) *camera {
	c := s.sound()
	c.track, c.epoch, c.first = media.AudioTrackAt(place), epoch, c.first+media.Ticks(place*54321)
	return c
}

func TestEachLanguageHasARendition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.Published("show")
		synctest.Wait()
		s.streams.sink("show").Tracks(1, languages("en", "es", ""))
		shoot(30*time.Second, s.video(0, 50*ms), s.voice(0, 1), s.voice(1, 1), s.voice(2, 1))
		p := s.show()
		want := []media.Rendition{{ID: "video-h", Default: true}, {ID: "audio", Language: "en", Name: "English", Default: true}, {ID: "audio-3"}, {ID: "audio-es", Language: "es", Name: "Español"}}
		if len(p.Renditions) != len(want) {
			t.Fatalf("%d renditions", len(p.Renditions))
		}
		lead := p.Renditions[0]
		for i, w := range want {
			r := p.Renditions[i]
			if r.ID != w.ID || r.Language != w.Language || r.Name != w.Name || r.Default != w.Default {
				t.Errorf("rendition %d is %s, %q %q, default %v; want %+v", i, r.ID, r.Language, r.Name, r.Default, w)
			}
			// Sound that begins some milliseconds after the picture begins with a gap.
			if n := len(r.Segments); n < 13 || gaps(r) > 1 || hards(r) != 0 {
				t.Errorf("%s has %d segments, %d gaps, %d discontinuities", r.ID, n, gaps(r), hards(r))
			}
			for _, g := range r.Segments {
				if o := lead.Segments[0]; g.MSN < o.MSN+uint64(len(lead.Segments)) {
					if d := r.Time(g.Start) - lead.Time(lead.Segments[g.MSN-o.MSN].Start); d.Abs() > 100*ms {
						t.Errorf("segment %d of %s begins %v beside the picture's", g.MSN, r.ID, d)
					}
				}
			}
		}
		s.stop()
	})
}

// A publisher who comes back goes on in the renditions of its languages, and one language that is gone is silent.
func TestLanguagesGoOnWithTheNextPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.Published("show")
		synctest.Wait()
		sink := s.streams.sink("show")
		sink.Tracks(1, languages("en", "es"))
		shoot(10*time.Second, s.video(0, 50*ms), s.voice(0, 1), s.voice(1, 1))
		time.Sleep(3 * time.Second)
		sink.Tracks(2, languages("", "es"))
		v := s.video(0, 50*ms)
		v.epoch = 2
		shoot(10*time.Second, v, s.voice(0, 2), s.voice(1, 2))
		p := s.show()
		if len(p.Renditions) != 3 {
			t.Fatalf("%d renditions", len(p.Renditions))
		}
		for i, w := range []string{"", "en", "es"} {
			if r := p.Renditions[i]; r.Language != w || hards(r) != 1 {
				t.Errorf("%s is in %q, with %d discontinuities", r.ID, r.Language, hards(r))
			}
		}
		s.stop()
	})
}

// A second language may begin late; a recording tells when.
func TestALanguageMayComeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.Published("show")
		synctest.Wait()
		s.streams.sink("show").Tracks(1, languages("en"))
		v, en, es := s.video(0, 50*ms), s.voice(0, 1), s.voice(1, 1)
		shoot(10*time.Second, v, en)
		s.streams.sink("show").Tracks(1, languages("en", "es"))
		shoot(10*time.Second, v, en, es)
		r := s.show().Rendition("audio-es")
		if r == nil || r.Default || hards(r) != 0 {
			t.Fatalf("it is %+v", r)
		}
		if at := r.Time(r.Segments[0].Start); at < 7*time.Second || at > 11*time.Second {
			t.Errorf("it begins at %v", at)
		}
		s.stop()
	})
}
