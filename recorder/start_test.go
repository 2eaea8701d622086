package recorder_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/recorder"
	"github.com/sluice-live/sluice/recorder/journal"
	"github.com/sluice-live/sluice/recorder/upload"
)

// lay writes files, and the folders that they are in.
func lay(t *testing.T, files map[string]string) {
	t.Helper()
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// leave records ten seconds, as a server does that is stopped then, and returns the
// recording's folder.
func leave(t *testing.T, dir string) string {
	t.Helper()
	a := openArchive(t, dir, nil)
	s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Logs = a.Files })
	s.publish(1, "")
	shoot(10*time.Second, s.video(0, 40*ms), s.sound())
	folder := filepath.Join(dir, "recordings", s.show().Incarnation)
	s.stop()
	a.stop()
	return folder
}

// A start deletes what a recording that had not begun left, and nothing else: a bad
// sector in the first bytes of a journal cost all of a recording, and a folder that
// somebody had put there was gone.
func TestAStartDeletesNoMediaThatItCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		hurt := leave(t, dir)
		f, err := os.OpenFile(filepath.Join(hurt, journal.Name), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, 64), 16); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		foreign, begun := filepath.Join(dir, "recordings", "holidays"), filepath.Join(dir, "recordings", "0000005aaaaaaaaa")
		window := filepath.Join(dir, "windows", "0000006aaaaaaaaa")
		lay(t, map[string]string{
			filepath.Join(foreign, "film.mov"):              "film",
			filepath.Join(begun, journal.Name):              "",
			filepath.Join(window, journal.Name):             "hurt",
			filepath.Join(window, "video", "000000.cmaf"):   "film",
			filepath.Join(dir, "recordings", "notes", "to"): "me",
		})
		a := openArchive(t, dir, nil)
		defer a.stop()
		for path, want := range map[string]bool{
			filepath.Join(hurt, "video", "000000.cmaf"): true, filepath.Join(foreign, "film.mov"): true,
			filepath.Join(dir, "recordings", "notes", "to"): true, begun: false, window: false,
		} {
			if there(path) != want {
				t.Errorf("%s is there: %v", path, !want)
			}
		}
	})
}

// A crash while the local copy of an uploaded recording was removed left the rest of
// it on disk for ever.
func TestARemovalThatACrashStoppedGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		half := leave(t, dir)
		gone := filepath.Join(dir, "recordings", "0000004aaaaaaaaa") // its journal went, its last volume not yet
		lay(t, map[string]string{
			filepath.Join(gone, upload.CompleteName):    "recordings/show/0000004aaaaaaaaa\n",
			filepath.Join(gone, "video", "000001.cmaf"): "film",
			filepath.Join(half, upload.CompleteName):    "recordings/show/x\n", // of this only the mark of its end went
		})
		a := openArchive(t, dir, nil)
		defer a.stop()
		if there(gone) {
			t.Error("the rest is still there")
		}
		a.carter.mu.Lock()
		defer a.carter.mu.Unlock()
		if want := "show " + filepath.Base(half) + " true"; len(a.carter.started) != 1 || a.carter.started[0] != want {
			t.Errorf("the uploader was told %q, want %q", a.carter.started, want)
		}
	})
}

// Browsers send sound at once, and the first layer of their pictures a second later:
// who reads the playlist between the two would have sound alone for good.
func TestAPresentationDoesNotBeginWithoutItsPictures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		defer s.stop()
		s.publish(1)
		resting := tracks("h", "l")
		for i := range resting[1].Layers {
			resting[1].Layers[i].Active = false
		}
		s.streams.sink("show").Tracks(1, resting)
		sound, picture := s.sound(), s.video(1, 20*ms)
		shoot(1200*ms, sound)
		if p, err := s.Presentation(t.Context(), "show"); err == nil {
			t.Fatalf("it began with %d renditions, without a picture", len(p.Renditions))
		}
		shoot(time.Second, sound, picture)
		if p := s.show(); p.Rendition("video-l") == nil || p.Rendition("audio") == nil {
			t.Errorf("%d renditions", len(p.Renditions))
		}
	})
}

// AAC was listed as soon as the presentation began, published sound and pictures with
// their first parts, one after the other: who read the entry playlist in that half
// second had sound without a picture, or one layer, for good.
func TestWhatIsReadFirstHasAllThatIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		program, err := os.Executable() // nobody asks for what it would make
		if err != nil {
			t.Fatal(err)
		}
		s := newStudio(t, func(cfg *recorder.Config, _ *recorder.Parts) { cfg.FFmpeg = program })
		defer s.stop()
		s.publish(1, "h", "l")
		sound, large, small := s.sound(), s.video(0, 20*ms), s.video(1, 60*ms)
		shoot(100*ms, sound)
		for range 100 {
			shoot(40*ms, sound, large, small)
			p, err := s.Presentation(t.Context(), "show")
			if err != nil {
				continue
			}
			for _, id := range []string{"video-h", "video-l", "audio", "audio-aac"} {
				if r := p.Rendition(id); r == nil || r.Codec == "" {
					t.Fatalf("version %d has no %s", p.Version, id)
				}
			}
			return
		}
		t.Fatal("it did not begin")
	})
}

// Who comes back with one layer where there were two has left the other: players that
// come then would choose it, and see nothing.
func TestWhatAPublisherComesBackWithoutIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		defer s.stop()
		s.publish(1, "h", "l")
		shoot(8*time.Second, s.sound(), s.video(0, 20*ms), s.video(1, 60*ms))
		left := func() (ids []string) {
			for _, r := range s.show().Renditions {
				if r.Left {
					ids = append(ids, r.ID)
				}
			}
			return ids
		}
		if ids := left(); ids != nil {
			t.Errorf("%v are left by who is there", ids)
		}
		time.Sleep(10 * time.Second)
		if ids := left(); ids != nil {
			t.Errorf("%v are left before anybody came back", ids)
		}
		again := func(c *camera) *camera {
			c.epoch = 2
			return c
		}
		s.publish(2, "h", "l")
		large := again(s.video(0, 20*ms))
		shoot(8*time.Second, again(s.sound()), large)
		if ids := left(); len(ids) != 1 || ids[0] != "video-l" {
			t.Errorf("%v are left, want video-l", ids)
		}
		shoot(2*time.Second, large, again(s.video(1, 60*ms)))
		if ids := left(); ids != nil {
			t.Errorf("%v are left by who brought them after all", ids)
		}
	})
}

// For five seconds the layers of who came back with one picture were still listed: who
// chose one of them then saw nothing. An offer that names them is believed that long.
func TestWhatIsNotOfferedAnyMoreIsLeftAtOnce(t *testing.T) {
	for offered, want := range map[string]int{"": 2, "l": 1, "h l": 0} {
		synctest.Test(t, func(t *testing.T) {
			s := newStudio(t, nil)
			defer s.stop()
			s.publish(1, "h", "l")
			shoot(8*time.Second, s.sound(), s.video(0, 20*ms), s.video(1, 60*ms))
			time.Sleep(5 * time.Second)
			s.Published("show")
			synctest.Wait()
			sends, large, sound := "l", s.video(1, 20*ms), s.sound()
			if offered == "" {
				sends, large.layer = "", 0
			}
			large.epoch, sound.epoch = 2, 2
			next := tracks(sends)
			next[1].Layers[0].ID, next[1].RIDs = large.layer, []string{"h", "l"}
			if offered != "h l" {
				next[1].RIDs = nil
			}
			s.streams.sink("show").Tracks(2, next)
			returned := s.show().Version
			for range 100 {
				shoot(40*ms, sound, large)
				p := s.show()
				ends := p.Renditions[0].Segments[len(p.Renditions[0].Segments)-1]
				if p.Version == returned || !ends.Discontinuity && (p.Renditions[0].Open == nil || !p.Renditions[0].Open.Discontinuity) {
					continue
				}
				left := 0
				for _, r := range p.Renditions {
					if r.Left {
						left++
					}
				}
				if left != want {
					t.Errorf("offered %q: %d renditions are left, want %d", offered, left, want)
				}
				return
			}
			t.Errorf("offered %q: it did not go on", offered)
		})
	}
}
