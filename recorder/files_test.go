package recorder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
	"github.com/sluice-live/sluice/recorder/journal"
	"github.com/sluice-live/sluice/recorder/upload"
)

// archive is Files that run.
type archive struct {
	*recorder.Files
	stop   func()
	carter *carter
}

// carter is who uploads.
type carter struct {
	mu             sync.Mutex
	volumes        int
	ended, started []string
}

func (c *carter) Finished(upload.Recording, journal.Volume) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.volumes++
}

func (c *carter) Ended(r upload.Recording) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, r.Incarnation)
}

func (c *carter) Add(r upload.Recording, ended bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = append(c.started, fmt.Sprint(r.Stream, " ", r.Incarnation, " ", ended))
	return nil
}

func openArchive(t *testing.T, dir string, assets recorder.Assets) *archive {
	t.Helper()
	c := &carter{}
	f, err := recorder.OpenFiles(recorder.FilesConfig{Dir: filepath.Join(dir, "recordings"), Windows: filepath.Join(dir, "windows"),
		Grace: time.Minute, Assets: assets, Uploads: c})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // stop waits for it
		defer close(done)
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return &archive{Files: f, stop: func() { cancel(); <-done }, carter: c}
}

func TestARecordingIsOnDiskAndGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := openArchive(t, dir, nil)
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Logs = a.Files })
		s.publish(1, "h", "l")
		shoot(50*time.Second, s.video(0, 40*ms), s.video(1, 30*ms), s.sound())
		before := s.show()
		old := before.Renditions[0].Segments[1]
		body, err := s.Read(context.Background(), before, "video-h", old.Extent)
		if err != nil {
			t.Fatal(err)
		}
		bytes, _ := io.ReadAll(body)
		body.Close()
		if int64(len(bytes)) != old.Extent.Size || string(bytes[4:8]) != "styp" {
			t.Fatalf("segment 1 has %d bytes of %d", len(bytes), old.Extent.Size)
		}
		s.stop()
		a.stop()

		time.Sleep(20 * time.Second)
		a = openArchive(t, dir, nil)
		s = newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Logs = a.Files })
		s.publish(2, "h", "l")
		v, w, x := s.video(0, 40*ms), s.video(1, 30*ms), s.sound()
		v.epoch, w.epoch, x.epoch = 2, 2, 2
		shoot(20*time.Second, v, w, x)
		p := s.show()
		if p.Incarnation != before.Incarnation || len(p.Renditions) != 3 {
			t.Fatalf("it went on as %s, with %d renditions", p.Incarnation, len(p.Renditions))
		}
		for _, r := range p.Renditions {
			if r.Segments[0].MSN != media.FirstSegment || hards(r) != 1 || len(r.Inits) != 1 {
				t.Fatalf("%s: first segment %d, %d discontinuities, %d initialisation sections", r.ID, r.Segments[0].MSN, hards(r), len(r.Inits))
			}
		}
		time.Sleep(70 * time.Second)
		synctest.Wait()
		m, err := a.Manifest(context.Background(), p.Incarnation)
		if err != nil || !m.Presentation.Ended || len(m.Gaps) == 0 {
			t.Fatalf("the manifest: %v, gaps %v", err, m)
		}
		check(t, m.Presentation)
		if n := len(m.Presentation.Renditions[0].Segments); m.Presentation.Renditions[0].Segments[n-1].Gap {
			t.Fatal("it ends with a gap")
		}
		for _, g := range m.Gaps {
			if g.Start > 75*time.Second {
				t.Fatalf("what came after its end is missing: %+v", g)
			}
		}
		live := s.show()
		for _, r := range live.Renditions {
			kept := m.Presentation.Rendition(r.ID)
			if kept == nil || len(kept.Segments) > len(r.Segments) {
				t.Fatalf("%s: %d segments on disk, %d live", r.ID, len(kept.Segments), len(r.Segments))
			}
			if kept.FPS != r.FPS || kept.Bandwidth != r.Bandwidth || r.Kind == media.VideoRendition && kept.FPS != 30 {
				t.Fatalf("%s: declared are %v pictures a second and %d bit/s on disk, %v and %d live", r.ID, kept.FPS, kept.Bandwidth, r.FPS, r.Bandwidth)
			}
			last, came := kept.Segments[len(kept.Segments)-1], v.origin.Add(20*time.Second).Sub(p.Start)
			if end := kept.Time(last.Start + last.Duration); (end - came).Abs() > 600*ms { // its part is whole
				t.Fatalf("%s ends at %v, a minute before nobody came any more", r.ID, end)
			}
			for k, g := range r.Segments {
				if k >= len(kept.Segments) {
					break // where it waited for the publisher in vain
				}
				o := kept.Segments[k]
				whole := o.Duration == g.Duration && o.Extent == g.Extent
				if k == len(kept.Segments)-1 { // it ends with what came last
					whole = o.Duration <= g.Duration && o.Extent.Offset == g.Extent.Offset && o.Extent.Size <= g.Extent.Size
				}
				if o.MSN != g.MSN || o.Start != g.Start || !whole || o.Gap != g.Gap || o.Discontinuity != g.Discontinuity {
					t.Fatalf("segment %d of %s is %+v on disk, %+v live", g.MSN, r.ID, *o, *g)
				}
			}
		}
		a.carter.mu.Lock()
		if c := a.carter; len(c.ended) != 1 || c.volumes < 3 || len(c.started) != 1 || c.started[0] != "show "+p.Incarnation+" false" {
			t.Fatalf("for the blob store: %d volumes, ended %q, found %q", c.volumes, c.ended, c.started)
		}
		a.carter.mu.Unlock()
		if err := a.Delete(context.Background(), p.Incarnation); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Manifest(context.Background(), p.Incarnation); !errors.Is(err, media.ErrNotFound) {
			t.Fatalf("after it was deleted: %v", err)
		}
		s.stop()
		a.stop()
	})
}

func TestWhatIsOnlyLiveLeavesNothingOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := openArchive(t, dir, nil)
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) {
			p.Logs = a.Files
			p.Policy = func(media.StreamID) media.Policy { return media.Policy{HLS: true} }
		})
		s.publish(1, "")
		shoot(20*time.Second, s.video(0, 40*ms), s.sound())
		time.Sleep(90 * time.Second)
		if p := s.show(); !p.Ended {
			t.Fatal("it has not ended")
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		for _, d := range []string{"recordings", "windows"} {
			if left, _ := os.ReadDir(filepath.Join(dir, d)); len(left) != 0 {
				t.Fatalf("%s has %d folders", d, len(left))
			}
		}
		if len(s.library.heard()) != 0 {
			t.Fatalf("the catalogue heard %q", s.library.heard())
		}
		s.stop()
		a.stop()
	})
}

func TestWhatNobodyComesBackToIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := openArchive(t, dir, nil)
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Logs = a.Files })
		s.publish(1, "")
		shoot(20*time.Second, s.video(0, 40*ms), s.sound())
		p := s.show()
		s.stop()
		a.stop()
		lib := &library{}
		a = openArchive(t, dir, lib)
		time.Sleep(70 * time.Second)
		synctest.Wait()
		if len(lib.heard()) != 1 || lib.heard()[0] != "ended show "+p.Incarnation {
			t.Fatalf("the catalogue heard %q", lib.heard())
		}
		if m, err := a.Manifest(context.Background(), p.Incarnation); err != nil || !m.Presentation.Ended {
			t.Fatalf("its manifest: %v", err)
		}
		a.stop()
	})
}

func TestPathsThatLeaveTheFolderAreNotFound(t *testing.T) {
	a := openArchive(t, t.TempDir(), nil)
	defer a.stop()
	for _, bad := range []string{"..", "../../etc", "a/b", ""} {
		if _, err := a.Manifest(context.Background(), bad); !errors.Is(err, media.ErrNotFound) {
			t.Fatalf("manifest of %q: %v", bad, err)
		}
		if _, err := a.Read(context.Background(), &media.Presentation{Incarnation: bad}, "video", media.Extent{Size: 1}); !errors.Is(err, media.ErrNotFound) {
			t.Fatalf("bytes of %q: %v", bad, err)
		}
		if _, err := a.Read(context.Background(), &media.Presentation{Incarnation: "abc"}, bad, media.Extent{Size: 1}); !errors.Is(err, media.ErrNotFound) {
			t.Fatalf("bytes of rendition %q: %v", bad, err)
		}
	}
}
