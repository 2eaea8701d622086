package recorder_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/sluice-live/sluice/media"
)

// off is how far from when it was captured a frame lies in a presentation.
type off struct {
	at time.Duration // captured, since the camera began
	by time.Duration
}

// offs returns that of the frames of a rendition that lie from after on, which a camera
// captured since begin.
func (s *studio) offs(p *media.Presentation, id string, c *camera, begin time.Time, after time.Time) (out []off) {
	s.t.Helper()
	r := p.Rendition(id)
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	film, err := mp4.DecodeFile(bytes.NewReader(append(bytes.Clone(r.Inits[0].Data), s.shelf.files[p.Incarnation+"/"+id].Bytes()...)))
	if err != nil {
		s.t.Fatal(err)
	}
	next := 0
	for _, g := range film.Segments {
		for _, f := range g.Fragments {
			samples, err := f.GetFullSamples(film.Init.Moov.Mvex.Trex)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, x := range samples {
				n, is := number(x.Data)
				shown := p.At(r, media.Ticks(x.DecodeTime)+media.Ticks(x.CompositionTimeOffset))
				if ahead := (n - next) & 0xff; !is || shown.Before(after) || ahead > 0x7f { // shown again while nothing came
					continue
				}
				next += (n - next) & 0xff
				at := time.Duration(next) * c.every
				out = append(out, off{at, shown.Sub(begin.Add(at))})
				next++
			}
		}
	}
	if len(out) == 0 {
		s.t.Fatalf("%s has no frames", id)
	}
	return out
}

// number is the low byte of the number that a camera wrote into a frame; false of silence.
func number(data []byte) (n int, is bool) {
	if data[0] == 0xfc {
		return int(data[1]), true
	}
	for _, head := range [][]byte{{0x41, 0x9a, 0x20}, {0x65, 0x88, 0x84}} {
		if at := bytes.Index(data, head); at >= 0 {
			return int(data[at+3]), true
		}
	}
	return 0, false
}

// A presentation began before the first sender report, with times of arrival: for ten
// seconds its pictures lay up to 100 ms beside those of WebRTC.
func TestFromTheFirstFrameOnItIsWhereItWasCaptured(t *testing.T) {
	for _, known := range [][3]time.Duration{{}, {500 * ms, 500 * ms, 500 * ms}, {300 * ms, 850 * ms, 600 * ms}, {850 * ms, 0, 700 * ms}} {
		synctest.Test(t, func(t *testing.T) {
			s := newStudio(t, nil)
			defer s.stop()
			s.publish(1, "h", "l")
			h, l, a := s.video(0, 130*ms), s.video(1, 60*ms), s.sound()
			h.known, l.known, a.known = known[0], known[1], known[2]
			begin := time.Now()
			shoot(8*time.Second, h, l, a)
			p := s.show()
			for id, c := range map[string]*camera{"video-h": h, "video-l": l, "audio": a} {
				limit := 2 * ms
				if c == a { // whole frames
					limit = 21 * ms
				}
				for _, f := range s.offs(p, id, c, begin, begin) {
					if f.by.Abs() > limit {
						t.Fatalf("told after %v: the frame of %v in %s is off by %v", known, f.at, id, f.by)
					}
				}
			}
		})
	}
}

// Who never tells when he captures waits no longer for his first segment than who does.
func TestWhoNeverTellsWhenHeCapturesWaitsForNoSegment(t *testing.T) {
	ends := map[time.Duration]time.Duration{}
	for _, known := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := newStudio(t, nil)
			defer s.stop()
			s.publish(1, "")
			v, a := s.video(0, 40*ms), s.sound()
			v.known, a.known = known, known
			begin := time.Now()
			for range 100 {
				shoot(40*ms, v, a)
				if p, err := s.Presentation(t.Context(), "show"); err == nil && len(p.Renditions[0].Segments) > 0 {
					if ends[known] = time.Since(begin); ends[known] > 2500*ms {
						t.Errorf("its first segment is there after %v", ends[known])
					}
					return
				}
			}
			t.Error("there is no segment")
		})
	}
	if d := ends[time.Hour] - ends[0]; d > 50*ms {
		t.Errorf("who never tells waits %v longer than who does", d)
	}
}

// A report that comes late moves nothing that was shown: the clock follows it by half a
// per cent, and no discontinuity tells of it.
func TestAReportThatComesLateIsFollowedWithoutAJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, nil)
		defer s.stop()
		s.publish(1, "")
		v, a := s.video(0, 80*ms), s.sound()
		v.known, a.known = 3*time.Second, 3*time.Second
		begin := time.Now()
		shoot(30*time.Second, v, a)
		p := s.show()
		before := off{by: 80 * ms}
		for _, f := range s.offs(p, "video", v, begin, begin) {
			if (f.by-before.by).Abs() > 3*ms || f.at > 20*time.Second && f.by.Abs() > 2*ms {
				t.Fatalf("the frame of %v is off by %v, the one before by %v", f.at, f.by, before.by)
			}
			before = f
		}
		if n := hards(p.Rendition("video")); n != 0 {
			t.Errorf("%d discontinuities", n)
		}
	})
}

// The next publisher has another clock: behind his discontinuity his frames, too, are
// where they were captured, and nothing that was shown before is overtaken.
func TestTheNextPublishersFramesAreWhereTheyWereCaptured(t *testing.T) {
	for _, away := range []time.Duration{0, 300 * ms, 2 * time.Second, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := newStudio(t, nil)
			defer s.stop()
			s.publish(1, "")
			v, a := s.video(0, 50*ms), s.sound()
			v.known, a.known = 0, 0
			shoot(5*time.Second, v, a)
			time.Sleep(away)
			s.publish(2, "")
			v, a = s.video(0, 140*ms), s.sound()
			v.epoch, v.known, v.first = 2, 600*ms, 5
			a.epoch, a.known, a.first = 2, 600*ms, 1<<30
			begin := time.Now()
			shoot(8*time.Second, v, a)
			p := s.show() // which holds its segments against the rules: each begins where the one before ends
			turn := begin
			for _, seg := range p.Rendition("video").Segments {
				if seg.Discontinuity {
					turn = p.At(p.Rendition("video"), seg.Start)
				}
			}
			if n := hards(p.Rendition("video")); n != 1 {
				t.Errorf("away for %v: %d discontinuities, want one", away, n)
			}
			for id, c := range map[string]*camera{"video": v, "audio": a} {
				limit := 10 * ms // the first of a part lies where the row of pictures was foretold to go on
				if c == a {
					limit = 21 * ms
				}
				for _, f := range s.offs(p, id, c, begin, turn) {
					if early := f.at < 300*ms && away == 0; f.by.Abs() > limit && !early {
						t.Fatalf("away for %v: the frame of %v in %s is off by %v", away, f.at, id, f.by)
					}
				}
			}
		})
	}
}

// Hours by which a publisher's clock is wrong are none: the node's own counts.
func TestACaptureTimeThatCannotBeIsNotWaitedFor(t *testing.T) {
	for _, wrong := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		t.Run(fmt.Sprint(wrong), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, nil)
				defer s.stop()
				s.publish(1, "")
				v, a := s.video(0, 40*ms), s.sound()
				v.known, a.known, v.wrong, a.wrong = 0, 0, wrong, wrong
				begin := time.Now()
				shoot(5*time.Second, v, a)
				for _, f := range s.offs(s.show(), "video", v, begin, begin) {
					if (f.by - 40*ms).Abs() > 2*ms {
						t.Fatalf("the frame of %v is off by %v", f.at, f.by)
					}
				}
			})
		})
	}
}
