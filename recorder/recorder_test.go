package recorder_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
)

// studio is a recorder in a bubble, with all that it works with.
type studio struct {
	*recorder.Recorder
	t       *testing.T
	streams *streams
	shelf   *shelf
	library *library
	stop    func()
}

func newStudio(t *testing.T, change func(*recorder.Config, *recorder.Parts)) *studio {
	s := &studio{t: t, streams: &streams{}, shelf: &shelf{}, library: &library{}}
	cfg := recorder.DefaultConfig()
	parts := recorder.Parts{Streams: s.streams, Logs: s.shelf, Assets: s.library, Logger: slog.New(slog.DiscardHandler),
		Policy: func(media.StreamID) media.Policy { return media.DefaultPolicy() }}
	if change != nil {
		change(&cfg, &parts)
	}
	r, err := recorder.New(cfg, parts)
	if err != nil {
		t.Fatal(err)
	}
	s.Recorder = r
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // stop waits for it
		defer close(done)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	s.stop = func() {
		cancel()
		<-done
		s.shelf.mu.Lock()
		defer s.shelf.mu.Unlock()
		for _, w := range s.shelf.wrong {
			t.Error("before its rendition was described, the log was told of the", w)
		}
	}
	synctest.Wait()
	return s
}

func (s *studio) publish(epoch media.Epoch, layers ...string) {
	s.Published("show")
	synctest.Wait()
	s.streams.sink("show").Tracks(epoch, tracks(layers...))
}

func (s *studio) video(layer media.Layer, delay time.Duration) *camera {
	return &camera{s: s.streams, id: "show", epoch: 1, track: media.VideoTrack, layer: layer, size: int(layer), every: time.Second / 30,
		delay: delay, first: 1<<32 - 5000 + media.Ticks(layer)*777, seq: 1 << 16, origin: time.Now(), known: 2 * time.Second}
}

func (s *studio) sound() *camera {
	return &camera{s: s.streams, id: "show", epoch: 1, track: media.AudioTrack, every: 20 * ms, delay: 25 * ms,
		first: 1 << 20, seq: 1 << 17, origin: time.Now(), known: 2 * time.Second}
}

func (s *studio) show() *media.Presentation {
	s.t.Helper()
	p, err := s.Presentation(context.Background(), "show")
	if err != nil {
		s.t.Fatal(err)
	}
	check(s.t, p)
	return p
}

// shoot runs cameras for some time, in the bubble's clock.
func shoot(d time.Duration, cameras ...*camera) {
	begin := time.Now()
	next := make([]time.Duration, len(cameras))
	for {
		first := 0
		for i := range cameras {
			if next[i]+cameras[i].delay < next[first]+cameras[first].delay {
				first = i
			}
		}
		c := cameras[first]
		at := begin.Add(next[first])
		if next[first] >= d {
			return
		}
		time.Sleep(time.Until(at.Add(c.delay)))
		if sink := c.s.sink(c.id); sink != nil {
			if burst := c.shoot(at); len(burst) > 0 {
				sink.Write(burst, c.s.lost)
				c.s.lost = 0
				for _, s := range c.also {
					if sink := s.sink(c.id); sink != nil {
						sink.Write(burst, 0)
					}
				}
			}
		}
		next[first] += c.every
	}
}

func gaps(r *media.Rendition) (n int) {
	for _, s := range r.Segments {
		for _, p := range s.Parts {
			if p.Gap {
				n++
			}
		}
		if s.Gap && s.Parts == nil {
			n++
		}
	}
	return n
}

func hards(r *media.Rendition) (n int) {
	for _, s := range r.Segments {
		if s.Discontinuity {
			n++
		}
	}
	return n
}

func TestAStreamBecomesAPresentationOfItsLayersAndItsSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		came := s.Changed("show", "")
		s.publish(1, "h", "m", "l")
		h, m, l, a := s.video(0, 60*ms), s.video(1, 40*ms), s.video(2, 30*ms), s.sound()
		origin := time.Now()
		shoot(60*time.Second, h, m, l, a)
		select {
		case <-came:
		default:
			t.Fatal("nobody was told that the stream is there")
		}
		p := s.show()
		if len(p.Renditions) != 4 {
			t.Fatalf("%d renditions", len(p.Renditions))
		}
		for i, want := range []struct {
			id, codec string
			height    int
		}{{"video-h", "avc1.42c01f", 720}, {"video-m", "avc1.42c01e", 360}, {"video-l", "avc1.42c00d", 180}, {"audio", "opus", 0}} {
			r := p.Renditions[i]
			if r.ID != want.id || r.Codec != want.codec || r.Height != want.height {
				t.Fatalf("rendition %d is %s, %s, %d lines", i, r.ID, r.Codec, r.Height)
			}
			if n := len(r.Segments); n < 28 || n > 31 || gaps(r) != 0 || hards(r) != 0 {
				t.Fatalf("%s has %d segments, %d gaps, %d discontinuities", r.ID, n, gaps(r), hards(r))
			}
			for _, g := range r.Segments[2:] {
				if d := r.Time(g.Duration) - 2*time.Second; d.Abs() > 150*ms || !g.Independent {
					t.Fatalf("segment %d of %s lasts %v", g.MSN, r.ID, r.Time(g.Duration))
				}
			}
			if i < 3 && (r.FPS < 29 || r.FPS > 31) {
				t.Fatalf("%s has %v frames per second", r.ID, r.FPS)
			}
			var newest time.Time
			if open := r.Open; open != nil {
				newest = p.At(r, open.Start+open.Duration)
			} else {
				last := r.Segments[len(r.Segments)-1]
				newest = p.At(r, last.Start+last.Duration)
			}
			if behind := time.Since(newest); behind > 700*ms || behind < 0 {
				t.Fatalf("%s is %v behind", r.ID, behind)
			}
		}
		if d := p.Start.Sub(origin); d.Abs() > 200*ms || p.Start.Nanosecond()%1e6 != 0 {
			t.Fatalf("it begins %v after the first frame", d)
		}
		s.stop()
		if len(s.library.heard()) != 1 || len(s.shelf.ended) != 1 || s.shelf.ended[0] != p.Incarnation+" 1" {
			t.Fatalf("the catalogue heard %q, the log was closed as %q", s.library.heard(), s.shelf.ended)
		}
		if len(p.Incarnation) != 16 {
			t.Fatalf("the incarnation is %q", p.Incarnation)
		}
	})
}

func TestTheBytesOfSegmentsAreThoseOfTheirParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.publish(1, "")
		shoot(60*time.Second, s.video(0, 40*ms), s.sound())
		p := s.show()
		for _, r := range p.Renditions {
			if r.Segments[0].Parts != nil || r.Segments[len(r.Segments)-1].Parts == nil {
				t.Fatalf("%s: parts of old segments are kept, or of new ones not", r.ID)
			}
			for _, g := range r.Segments {
				body, err := s.Read(context.Background(), p, r.ID, g.Extent)
				if err != nil {
					t.Fatal(err)
				}
				b := make([]byte, g.Extent.Size+1)
				n, _ := body.Read(b)
				if int64(n) != g.Extent.Size || string(b[4:8]) != "styp" || g.Lead <= 0 || g.Lead > g.Extent.Size {
					t.Fatalf("segment %d of %s: %d bytes of %d, %q, lead %d", g.MSN, r.ID, n, g.Extent.Size, b[4:8], g.Lead)
				}
				for _, part := range g.Parts {
					if string(b[part.Extent.Offset-g.Extent.Offset:][:part.Extent.Size]) != string(part.Data) {
						t.Fatalf("segment %d of %s: a part differs", g.MSN, r.ID)
					}
				}
			}
		}
		s.stop()
	})
}

func TestC2_AnHourOfTwoCrystalsStaysTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.publish(1, "")
		v, a := s.video(0, 60*ms), s.sound()
		v.ppm, a.ppm = 80, -120
		lost := 0
		v.lose = func(n int) bool { return n%2000 == 1999 }
		a.lose = func(n int) bool { lost++; return n%3000 == 2999 }
		shoot(time.Hour, v, a)
		p := s.show()
		if len(p.Renditions) != 2 {
			t.Fatalf("%d renditions", len(p.Renditions))
		}
		video, audio := p.Renditions[0], p.Renditions[1]
		for _, r := range p.Renditions {
			last := r.Segments[len(r.Segments)-1]
			if d := time.Since(p.At(r, last.Start+last.Duration)); d > 3*time.Second || hards(r) != 0 {
				t.Fatalf("%s: after an hour it is %v behind, %d discontinuities", r.ID, d, hards(r))
			}
		}
		for i := range min(len(video.Segments), len(audio.Segments)) {
			b, s := video.Segments[i], audio.Segments[i]
			if d := video.Time(b.Start) - audio.Time(s.Start); d.Abs() > 600*ms {
				t.Fatalf("segment %d begins %v apart", b.MSN, d)
			}
		}
		if gaps(audio) != 0 || len(s.shelf.gaps) < 50 {
			t.Fatalf("%d gaps in sound, %d holes listed", gaps(audio), len(s.shelf.gaps))
		}
		s.stop()
	})
}

func TestC15_WhoComesBackWithinTheGraceStaysInOnePresentationAndAfterItBeginsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		shoot(20*time.Second, v, a)
		time.Sleep(30 * time.Second)
		s.publish(2, "")
		v, a = s.video(0, 40*ms), s.sound()
		v.epoch, a.epoch = 2, 2
		shoot(20*time.Second, v, a)
		p := s.show()
		for _, r := range p.Renditions {
			if hards(r) != 1 || gaps(r) < 8 {
				t.Fatalf("%s: %d discontinuities, %d gaps", r.ID, hards(r), gaps(r))
			}
			if d := time.Since(p.At(r, r.Segments[len(r.Segments)-1].Start)); d > 5*time.Second {
				t.Fatalf("%s is %v behind", r.ID, d)
			}
		}
		time.Sleep(70 * time.Second)
		ended := s.show()
		if !ended.Ended || ended.Incarnation != p.Incarnation {
			t.Fatal("after the grace it has not ended")
		}
		synctest.Wait()
		if len(s.library.heard()) != 2 || s.library.heard()[1] != "ended show "+p.Incarnation {
			t.Fatalf("the catalogue heard %q", s.library.heard())
		}
		s.publish(3, "")
		v, a = s.video(0, 40*ms), s.sound()
		v.epoch, a.epoch = 3, 3
		shoot(10*time.Second, v, a)
		if again := s.show(); again.Incarnation <= p.Incarnation || again.Renditions[0].Segments[0].MSN != media.FirstSegment {
			t.Fatalf("the next incarnation is %s after %s", again.Incarnation, p.Incarnation)
		}
		s.stop()
	})
}

func TestC8_LayersPauseAndTheResolutionChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.publish(1, "h", "l")
		h, l, a := s.video(0, 50*ms), s.video(1, 30*ms), s.sound()
		shoot(15*time.Second, h, l, a)
		shoot(20*time.Second, l, a) // h pauses
		h.key = true
		shoot(15*time.Second, h, l, a)
		h.size, h.key, l.size, l.key = 1, true, 2, true
		shoot(15*time.Second, h, l, a)
		p := s.show()
		if len(p.Renditions) != 3 {
			t.Fatalf("%d renditions", len(p.Renditions))
		}
		for _, r := range p.Renditions {
			if hards(r) != 1 {
				t.Fatalf("%s has %d discontinuities", r.ID, hards(r))
			}
			inits := 1
			if r.Kind == media.VideoRendition {
				inits = 2
			}
			if len(r.Inits) != inits || r.ID != "video-h" && gaps(r) > 0 {
				t.Fatalf("%s has %d initialisation sections, %d gaps", r.ID, len(r.Inits), gaps(r))
			}
		}
		if n := gaps(p.Renditions[0]); n < 8 {
			t.Fatalf("the layer that paused has %d gaps", n)
		}
		s.stop()
	})
}

func TestWhatTheNodeDroppedIsListedAsOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		drop := false
		v.lose, a.lose = func(int) bool { return drop }, func(int) bool { return drop }
		shoot(10*time.Second, v, a)
		drop = true
		shoot(400*ms, v, a)
		drop, s.streams.lost = false, 32
		shoot(10*time.Second, v, a)
		drop = true // and then on the way to the node
		shoot(400*ms, v, a)
		drop = false
		shoot(10*time.Second, v, a)
		s.stop()
		told := map[string]int{}
		for _, g := range s.shelf.gaps {
			told[g.Rendition+" "+g.Why]++
		}
		for _, want := range []string{"video overflow", "audio overflow", "video loss", "audio loss"} {
			if told[want] != 1 {
				t.Errorf("%s is told %d times", want, told[want])
			}
		}
		if len(told) != 4 {
			t.Error(told)
		}
	})
}

// A tape that stood still finds everything in its queue: nothing is missing.
func TestWhatWaitedForTheTapeIsNotMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		shoot(10*time.Second, v, a)
		s.streams.slow(3 * time.Second)
		shoot(20*time.Second, v, a)
		for _, r := range s.show().Renditions {
			for _, g := range r.Segments[1:] { // tracks do not begin at the same moment
				for i, p := range g.Parts {
					if p.Gap {
						t.Errorf("part %d.%d of %s is a gap", g.MSN, i, r.ID)
					}
				}
			}
		}
		s.stop()
	})
}

func TestAFullDiskStopsTheRecordingAndLiveGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, said := prometheus.NewRegistry(), &words{}
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) {
			p.Registerer, p.Logger = reg, slog.New(slog.NewTextHandler(said, nil))
		})
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		shoot(20*time.Second, v, a)
		s.shelf.broken(true)
		shoot(60*time.Second, v, a)
		if g := gauges(t, reg); g["sluice_recorder_stalled"] != 1 || g["sluice_recorder_unwritten_parts_total"] == 0 ||
			said.count("recording stands still, live goes on") != 1 || said.count("no space left on device") != 1 {
			t.Errorf("the alarm: %v, %s", g, &said.b)
		}
		p := s.show()
		r := p.Renditions[0]
		last := r.Segments[len(r.Segments)-1]
		if last.Gap || len(last.Parts) == 0 || time.Since(p.At(r, last.Start+last.Duration)) > 3*time.Second {
			t.Fatal("live does not go on")
		}
		old := 0
		for _, g := range r.Segments {
			if g.Gap {
				old++
			}
		}
		if old < 8 || old > 14 { // 60 s less the 36 s that are in memory
			t.Fatalf("%d segments that were never written are gaps", old)
		}
		s.shelf.broken(false)
		shoot(60*time.Second, v, a)
		p = s.show()
		if g := p.Renditions[0].Segments[len(p.Renditions[0].Segments)-20]; g.Gap || g.Parts != nil {
			t.Fatal("the recording does not go on")
		}
		if g := gauges(t, reg); g["sluice_recorder_stalled"] != 0 || said.count("recording goes on") != 1 {
			t.Errorf("the alarm goes on: %v, %s", g, &said.b)
		}
		s.stop()
	})
}

func TestWhatWasInterruptedGoesOnBehindADiscontinuity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.publish(1, "h", "l")
		shoot(21*time.Second, s.video(0, 40*ms), s.video(1, 40*ms), s.sound())
		old := s.show()
		s.stop()
		time.Sleep(9 * time.Second)
		again := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Logs = s.shelf })
		s.shelf.old = old
		again.publish(2, "h", "l")
		h, a := again.video(0, 40*ms), again.sound() // l does not come back
		h.epoch, a.epoch = 2, 2
		shoot(20*time.Second, h, a)
		p := again.show()
		if p.Incarnation != old.Incarnation || !p.Start.Equal(old.Start) || len(p.Renditions) != 3 || p.Version <= old.Version {
			t.Fatalf("it goes on as %s with %d renditions", p.Incarnation, len(p.Renditions))
		}
		for _, r := range p.Renditions {
			last := r.Segments[len(r.Segments)-1]
			if hards(r) != 1 || r.Segments[0].MSN != media.FirstSegment || time.Since(p.At(r, last.Start)) > 6*time.Second {
				t.Fatalf("%s: %d discontinuities, first segment %d, last begins %v ago", r.ID, hards(r), r.Segments[0].MSN, time.Since(p.At(r, last.Start)))
			}
			if r.ID == "video-l" && !last.Gap {
				t.Fatal("the layer that did not come back has no gap")
			}
		}
		again.stop()
	})
}

func TestTheWindowIsKeptAndDiscontinuitiesBeforeItAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, func(c *recorder.Config, _ *recorder.Parts) { c.Window = time.Minute })
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		shoot(10*time.Second, v, a)
		v.size, v.key = 1, true
		shoot(3*time.Minute, v, a)
		p := s.show()
		for _, r := range p.Renditions {
			if n := len(r.Segments); n < 30 || n > 33 || r.Removed != 1 || hards(r) != 0 {
				t.Fatalf("%s: %d segments, %d discontinuities dropped", r.ID, n, r.Removed)
			}
		}
		s.stop()
	})
}

func TestSoundAloneAndAStreamOfVP8(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.Published("show")
		synctest.Wait()
		info := tracks()[:1]
		s.streams.sink("show").Tracks(1, info)
		a := s.sound()
		shoot(10*time.Second, a)
		if p := s.show(); len(p.Renditions) != 1 || len(p.Renditions[0].Segments) < 4 {
			t.Fatal("sound alone makes no presentation")
		}
		info = append(info, media.TrackInfo{ID: media.VideoTrack, Kind: media.Video, Codec: media.VP8, Layers: []media.LayerInfo{{Active: true}}})
		s.streams.sink("show").Tracks(1, info)
		synctest.Wait()
		if _, err := s.Presentation(context.Background(), "show"); err == nil {
			t.Fatal("nobody is told that VP8 is not carried")
		}
		s.stop()
	})
}

func TestTheCatalogueIsToldUntilItHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.library.refuse = 3
		s.publish(1, "")
		shoot(30*time.Second, s.video(0, 40*ms), s.sound())
		if len(s.library.heard()) != 1 {
			t.Fatalf("it heard %q", s.library.heard())
		}
		s.stop()
	})
}

func TestWhatNobodyWantsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) {
			p.Policy = func(media.StreamID) media.Policy { return media.Policy{} }
		})
		s.Published("show")
		synctest.Wait()
		if s.streams.sink("show") != nil {
			t.Fatal("it is packaged")
		}
		s.stop()
	})
}

func TestAPublisherWhoReturnsAtTheEndOfTheGraceAndConnectsForAWhileIsPackaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		s.publish(1, "")
		shoot(10*time.Second, s.video(0, 40*ms), s.sound())
		first := s.show()
		time.Sleep(59 * time.Second)
		s.publish(2, "")
		time.Sleep(3 * time.Second) // ICE and DTLS
		v, a := s.video(0, 40*ms), s.sound()
		v.epoch, a.epoch = 2, 2
		if s.streams.sink("show") == nil {
			t.Fatal("nobody takes the publisher's packets any more")
		}
		shoot(10*time.Second, v, a)
		if p := s.show(); p.Ended || p.Incarnation != first.Incarnation || gaps(p.Renditions[0]) == 0 {
			t.Fatalf("ended %v, incarnation %s after %s", p.Ended, p.Incarnation, first.Incarnation)
		}
		s.stop()
	})
}

func TestAPublisherWhoPausesLongerThanTheGraceIsPackagedWhenHeGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var here atomic.Bool
		here.Store(true)
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) {
			p.Publishing = func(media.StreamID) bool { return here.Load() }
		})
		s.publish(1, "")
		v, a := s.video(0, 40*ms), s.sound()
		shoot(10*time.Second, v, a)
		time.Sleep(5 * time.Minute)
		if s.streams.sink("show") == nil {
			t.Fatal("the presentation ended under a publisher who is there")
		}
		shoot(10*time.Second, v, a)
		if p := s.show(); p.Ended {
			t.Fatal("it has ended")
		}
		here.Store(false)
		time.Sleep(3 * time.Minute)
		if p, err := s.Presentation(context.Background(), "show"); err == nil && !p.Ended {
			t.Fatal("he is gone, and it has not ended")
		}
		s.stop()
	})
}

func TestAStreamThatBeginsWhileTheRecorderStopsBreaksNothing(t *testing.T) {
	for range 200 {
		r, err := recorder.New(recorder.DefaultConfig(), recorder.Parts{Streams: &streams{}, Policy: func(media.StreamID) media.Policy { return media.DefaultPolicy() }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }() // waited for below
		go cancel()                        // ends by itself
		for i := range 20 {
			r.Published(media.StreamID(fmt.Sprint("show-", i)))
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// noRoom is a disk on which nothing can begin.
type noRoom struct{ *shelf }

func (noRoom) Create(recorder.Start) (recorder.Log, error) { return nil, errFull }

func TestARecordingThatCannotBeginIsAnAlarmAndLiveGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := newStudio(t, func(_ *recorder.Config, p *recorder.Parts) { p.Logs, p.Registerer = noRoom{&shelf{}}, reg })
		alarm := func() (value float64) {
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if f.GetName() == "sluice_recorder_stalled" {
					value = f.GetMetric()[0].GetGauge().GetValue()
				}
			}
			return value
		}
		s.publish(1, "")
		shoot(20*time.Second, s.video(0, 40*ms), s.sound())
		if p := s.show(); len(p.Renditions[0].Segments) < 6 || alarm() != 1 {
			t.Errorf("%d segments, alarm %v", len(p.Renditions[0].Segments), alarm())
		}
		s.stop()
		if alarm() != 0 {
			t.Error("the alarm outlives the stream")
		}
	})
}
