package recorder_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
	"github.com/sluice-live/sluice/recorder/segment"
)

// What a publisher captured is in the segments, each frame once and in order, or else
// the gap index tells of the time that it is missing at.
func TestEachFrameIsInTheSegmentsOnceOrTheGapIndexTells(t *testing.T) {
	for seed := range uint64(24) {
		synctest.Test(t, func(t *testing.T) {
			s := newStudio(t, nil)
			s.publish(1, "h")
			v, a := s.video(0, 50*ms), s.sound()
			v.known, a.known = 0, 0
			// Not at the end: nothing behind it tells of what is missing there.
			chance := rand.New(rand.NewPCG(seed, 0))
			v.lose = func(n int) bool { return n > 100 && n < 1150 && chance.IntN(150) == 0 }
			a.lose = func(n int) bool { return n > 100 && n < 1950 && chance.IntN(200) == 0 }
			begin := time.Now()
			shoot(40*time.Second, v, a)
			time.Sleep(62 * time.Second) // the grace
			p := s.show()
			for _, r := range p.Renditions {
				c := v
				if r.Kind == media.AudioRendition {
					c = a
				}
				missing := s.account(t, p, r, c, begin)
				if missing == 0 {
					t.Errorf("nothing is missing of %s: the test tests nothing", r.ID)
				}
				t.Logf("%s: %d frames, of which %d are missing, all told", r.ID, c.n, missing)
			}
			s.stop()
		})
	}
}

// account holds a rendition against what its camera captured, and counts what is missing.
func (s *studio) account(t *testing.T, p *media.Presentation, r *media.Rendition, c *camera, begin time.Time) (missing int) {
	t.Helper()
	told := func(at time.Duration) bool {
		const near = 40 * ms // a frame, and what clocks are off
		for _, g := range s.shelf.gaps {
			if g.Rendition == r.ID && at >= g.Start-near && at <= g.End+near {
				return true
			}
		}
		for _, g := range r.Segments {
			for _, part := range g.Parts {
				if part.Gap && at >= r.Time(part.Start)-near && at <= r.Time(part.Start+part.Duration)+near {
					return true
				}
			}
		}
		return false
	}
	next := 0
	absent := func(n int) {
		missing++
		if at := begin.Add(time.Duration(n) * c.every).Sub(p.Start); !told(at) {
			t.Errorf("frame %d of %s, captured at %v, is in no segment and no gap", n, r.ID, at)
		}
	}
	for _, n := range s.numbers(t, p, r) {
		ahead := (n - next) & 0xff
		if ahead > 0x7f { // shown again while nothing came
			continue
		}
		for range ahead {
			absent(next)
			next++
		}
		next++
	}
	for ; next < c.n; next++ {
		absent(next)
	}
	return missing
}

// numbers returns the low bytes of the numbers that cameras wrote into the frames of a
// rendition, without silence.
func (s *studio) numbers(t *testing.T, p *media.Presentation, r *media.Rendition) (out []int) {
	t.Helper()
	file := append(bytes.Clone(r.Inits[0].Data), s.shelf.files[p.Incarnation+"/"+r.ID].Bytes()...)
	film, err := mp4.DecodeFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range film.Segments {
		for _, f := range g.Fragments {
			samples, err := f.GetFullSamples(film.Init.Moov.Mvex.Trex)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range samples {
				switch d := x.Data; {
				case r.Kind == media.AudioRendition && d[0] == 0xfc:
					out = append(out, int(d[1]))
				case r.Kind != media.AudioRendition:
					for _, head := range [][]byte{{0x41, 0x9a, 0x20}, {0x65, 0x88, 0x84}} {
						if at := bytes.Index(d, head); at >= 0 {
							out = append(out, int(d[at+3]))
						}
					}
				}
			}
		}
	}
	return out
}

// What is made of sound is silent where that is, and the same is told of it: else a recording would last as long as it
// was waited for in vain.
func TestSilenceIsListedForWhatIsMadeOfTheSoundToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, func(c *recorder.Config, _ *recorder.Parts) { c.FFmpeg = "ffmpeg" })
		s.publish(1, "")
		shoot(10*time.Second, s.video(0, 40*ms), s.sound())
		time.Sleep(70 * time.Second)
		synctest.Wait()
		until := map[string]time.Duration{}
		for _, g := range s.shelf.gaps {
			if g.Why == string(segment.PublisherGone) {
				until[g.Rendition] = max(until[g.Rendition], g.End)
			}
		}
		for _, id := range []string{"audio", "audio-aac"} {
			if until[id] < 18*time.Second {
				t.Errorf("%s is listed as missing until %v", id, until[id])
			}
		}
		s.stop()
	})
}
