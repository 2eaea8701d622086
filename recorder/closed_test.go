package recorder_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
)

// rollUp is an SEI unit in which captions of CC1 begin.
var rollUp = append([]byte{6, 4, 14, 0xb5, 0, 0x31}, "GA94\x03\x41\xff\xfc\x94\x25\xff\x80"...)

// Captions in the pictures begin in the middle, pause, and are there for as long as there
// is the recording: what is announced does not come and go.
func TestCaptionsInPicturesAreNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, image := t.TempDir(), t.TempDir()
		a := openArchive(t, dir, nil)
		logs := func(_ *recorder.Config, p *recorder.Parts) { p.Logs = a.Files }
		s := newStudio(t, logs)
		s.publish(1, "h")
		v, w := s.video(0, 40*ms), s.sound()
		shoot(5*time.Second, v, w)
		if seen := s.show().Closed(); seen != 0 {
			t.Errorf("before they begin: %v", seen.Names())
		}
		v.ahead = rollUp
		shoot(time.Second, v, w)
		v.ahead = nil
		shoot(5*time.Second, v, w)
		p := s.show()
		if seen := p.Closed().Names(); !slices.Equal(seen, []string{"CC1"}) || p.Rendition("video-h").Closed == 0 || p.Rendition("audio").Closed != 0 {
			t.Errorf("seen: %v", seen)
		}

		if err := os.CopyFS(image, os.DirFS(dir)); err != nil { // the power goes
			t.Fatal(err)
		}
		s.stop()
		a.stop()
		time.Sleep(5 * time.Second)
		a = openArchive(t, image, nil)
		s = newStudio(t, logs)
		s.publish(2, "h")
		v, w = s.video(0, 40*ms), s.sound()
		v.epoch, w.epoch = 2, 2
		shoot(5*time.Second, v, w)
		if again := s.show(); again.Incarnation != p.Incarnation || again.Closed() != media.Channel(1) {
			t.Errorf("after the power came back: %v", again.Closed().Names())
		}
		time.Sleep(70 * time.Second)
		synctest.Wait()
		m, err := a.Manifest(context.Background(), p.Incarnation)
		if err != nil || m.Presentation.Closed() != media.Channel(1) {
			t.Errorf("of the recording: %v", err)
		}
		s.stop()
		a.stop()
	})
}
