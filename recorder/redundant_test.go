package recorder_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
)

// twin is another recorder of what the cameras send.
func twin(t *testing.T, cameras ...*camera) *studio {
	s := newStudio(t, redundant)
	for _, c := range cameras {
		c.also = append(c.also, s.streams)
	}
	return s
}

func redundant(c *recorder.Config, _ *recorder.Parts) { c.Redundant = true }

// whole is a segment's bytes.
func bytesOf(s *media.Segment) []byte {
	var b []byte
	for _, p := range s.Parts {
		b = append(b, p.Data...)
	}
	return b
}

// alike holds each segment that both have in memory against the other, byte by byte,
// and returns how many there were.
func alike(t *testing.T, a, b *media.Presentation) (n int) {
	t.Helper()
	if a.Incarnation != b.Incarnation || a.Recording == b.Recording || !a.Start.Equal(b.Start) {
		t.Errorf("incarnations %s and %s, recordings %s and %s, begun %v and %v", a.Incarnation, b.Incarnation, a.Recording, b.Recording, a.Start, b.Start)
	}
	for _, r := range b.Renditions {
		of := a.Rendition(r.ID)
		if of == nil {
			t.Errorf("only one has %s", r.ID)
			continue
		}
		at := map[uint64]*media.Segment{}
		for _, s := range of.Segments {
			at[s.MSN] = s
		}
		for _, s := range r.Segments {
			o := at[s.MSN]
			if o == nil || len(o.Parts) == 0 {
				continue
			}
			n++
			switch {
			case s.Gap || o.Gap || s.Discontinuity != o.Discontinuity:
				t.Errorf("%s %d: gaps %v and %v, discontinuities %v and %v", r.ID, s.MSN, o.Gap, s.Gap, o.Discontinuity, s.Discontinuity)
			case s.Start != o.Start || s.Duration != o.Duration || len(s.Parts) != len(o.Parts):
				t.Errorf("%s %d: from %d for %d in %d parts, and from %d for %d in %d", r.ID, s.MSN, o.Start, o.Duration, len(o.Parts), s.Start, s.Duration, len(s.Parts))
			case !bytes.Equal(bytesOf(s), bytesOf(o)):
				t.Errorf("%s %d: the bytes differ", r.ID, s.MSN)
			case a.InitName(of, o.Init) != b.InitName(r, s.Init):
				t.Errorf("%s %d: initialisation sections %s and %s", r.ID, s.MSN, a.InitName(of, o.Init), b.InitName(r, s.Init))
			}
			if off := r.Time(s.Start) - time.Duration(s.MSN)*2*time.Second; off < -500*ms || off > time.Second {
				t.Errorf("%s %d begins %v beside its place on the clock", r.ID, s.MSN, off)
			}
		}
	}
	return n
}

func TestARecorderThatJoinsLateMakesTheSameSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newStudio(t, redundant)
		defer first.stop()
		time.Sleep(700 * ms)
		first.publish(1, "h", "l")
		cameras := []*camera{first.video(0, 50*ms), first.video(1, 40*ms), first.sound()}
		for _, c := range cameras {
			c.ppm = 40
		}
		second := twin(t, cameras...)
		defer second.stop()
		shoot(30*time.Second+330*ms, cameras...)
		second.publish(1, "h", "l")
		shoot(30*time.Second, cameras...)
		if n := alike(t, first.show(), second.show()); n < 3*10 {
			t.Errorf("%d segments are in both", n)
		}
		// The first one is gone; the numbers go on.
		before := second.show().Rendition("audio")
		for _, c := range cameras {
			c.s, c.also = second.streams, nil
		}
		shoot(5*time.Second, cameras...)
		after := second.show().Rendition("audio")
		if a, b := before.Segments[len(before.Segments)-1].MSN, after.Segments[len(after.Segments)-1].MSN; b < a+2 || b > a+3 {
			t.Errorf("segment %d, and 5 s later %d", a, b)
		}
	})
}

// Both see the publisher come back, in another format: then too they agree.
func TestRedundantRecordersAgreeAcrossADiscontinuity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newStudio(t, redundant)
		defer first.stop()
		first.publish(1, "h")
		cameras := []*camera{first.video(0, 50*ms), first.sound()}
		second := twin(t, cameras...)
		defer second.stop()
		shoot(21*time.Second, cameras...)
		second.publish(1, "h")
		shoot(10*time.Second, cameras...)
		time.Sleep(1300 * ms)
		cameras = []*camera{first.video(0, 50*ms), first.sound()}
		for _, c := range cameras {
			c.epoch, c.size, c.also, c.known = 2, 2, []*streams{second.streams}, 0
		}
		for _, s := range []*studio{first, second} {
			s.streams.sink("show").Tracks(2, tracks("h"))
		}
		shoot(12*time.Second, cameras...)
		a, b := first.show(), second.show()
		for _, p := range []*media.Presentation{a, b} {
			if n := hards(p.Rendition("audio")); n != 1 {
				t.Errorf("%d discontinuities", n)
			}
		}
		from := b.Rendition("audio").Segments
		turn := uint64(0)
		for _, s := range from {
			if s.Discontinuity {
				turn = s.MSN
			}
		}
		behind := func(p *media.Presentation) *media.Presentation {
			q := *p
			q.Renditions = nil
			for _, r := range p.Renditions {
				own := *r
				own.Segments = nil
				for _, s := range r.Segments {
					if s.MSN >= turn && !s.Gap {
						own.Segments = append(own.Segments, s)
					}
				}
				q.Renditions = append(q.Renditions, &own)
			}
			return &q
		}
		if n := alike(t, behind(a), behind(b)); n < 2*4 {
			t.Errorf("%d segments are in both behind the discontinuity", n)
		}
	})
}

// A node that was down for a while goes on with the numbers of the clock.
func TestARedundantRecordingGoesOnWithTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newStudio(t, redundant)
		first.publish(1, "h")
		cameras := []*camera{first.video(0, 50*ms), first.sound()}
		shoot(10*time.Second, cameras...)
		old := first.show()
		first.stop()
		time.Sleep(7 * time.Second)
		again := newStudio(t, redundant)
		defer again.stop()
		kept := *old // under the name of the recording
		kept.Incarnation = old.Recording
		again.shelf.old, again.shelf.known, again.shelf.files = &kept, map[string]bool{}, map[string]*bytes.Buffer{}
		for _, r := range old.Renditions {
			again.shelf.known[old.Recording+"/"+r.ID] = true
		}
		again.publish(2, "h")
		cameras = []*camera{again.video(0, 50*ms), again.sound()}
		for _, c := range cameras {
			c.epoch = 2
		}
		shoot(10*time.Second, cameras...)
		p := again.show()
		if p.Incarnation != old.Incarnation {
			t.Errorf("incarnation %s, it was %s", p.Incarnation, old.Incarnation)
		}
		for _, r := range p.Renditions {
			last := r.Segments[len(r.Segments)-1]
			if off := p.At(r, last.Start).Sub(p.Start) - time.Duration(last.MSN)*2*time.Second; off.Abs() > time.Second || last.Gap {
				t.Errorf("%s: segment %d begins %v beside its place, gap %v", r.ID, last.MSN, off, last.Gap)
			}
		}
	})
}
