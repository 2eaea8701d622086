package recorder_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
)

// A publisher changes its codec, in its session or as it comes back: the presentation
// and its renditions are the same, behind one discontinuity in all of them (RFC 8216bis
// section 6.2.1), with an initialisation section of the other codec and every frame.
func TestACodecThatChangesIsOneDiscontinuityAndLosesNoFrame(t *testing.T) {
	const rounds = 3 // of two seconds, with each codec
	audio := clip.Make(t, media.Opus)
	audio.Frames = audio.Frames[:100]
	for _, c := range []struct {
		name     string
		from, to media.Codec
		starts   [2]string // what the codecs parameters begin with
		epoch    media.Epoch
	}{
		{"in its session", media.H264, media.VP9, [2]string{"avc1.", "vp09."}, 1},
		{"as it comes back", media.AV1, media.H264, [2]string{"av01.", "avc1."}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			films := [2]*clip.Clip{clip.Make(t, c.from), clip.Make(t, c.to)}
			var files [2][]byte
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, nil)
				s.Published("show")
				synctest.Wait()
				begin := time.Now()
				for i, film := range films {
					epoch := media.Epoch(1)
					if i == 1 {
						epoch = c.epoch
					}
					info := tracks("")
					info[1].Codec = film.Codec
					s.streams.sink("show").Tracks(epoch, info)
					for round := range rounds {
						n := i*rounds + round
						s.play(film, audio, epoch, n, begin.Add(time.Duration(n)*2*time.Second))
					}
				}
				time.Sleep(time.Second)
				s.streams.sink("show").Close(media.ErrGone)
				synctest.Wait()
				files = s.halves(c.starts)
				s.stop()
			})
			for i, film := range films {
				probe(t, files[i], rounds*len(film.Frames), 0)
			}
		})
	}
}

// play sends two seconds of a film and its sound, as of a time.
func (s *studio) play(video, audio *clip.Clip, epoch media.Epoch, round int, begin time.Time) {
	type due struct {
		p  *media.Packet
		at time.Duration
	}
	var all []due
	for _, c := range []*clip.Clip{video, audio} {
		packets := c.Packets(1200)
		for _, p := range packets {
			q := *p
			at := time.Duration(q.TS-c.Frames[0].TS()) * time.Second / time.Duration(q.Codec.ClockRate())
			q.Epoch = epoch
			q.TS += media.Ticks(round) * media.Ticks(2*q.Codec.ClockRate())
			q.Seq += uint64(round * len(packets))
			if q.Codec == media.Opus {
				q.Track = media.AudioTrack
			}
			all = append(all, due{&q, at})
		}
	}
	for t := time.Duration(0); t < 2*time.Second; t += time.Millisecond {
		for _, d := range all {
			if d.at >= t && d.at < t+time.Millisecond {
				time.Sleep(time.Until(begin.Add(d.at + 40*ms)))
				d.p.Arrival, d.p.Capture = time.Now(), begin.Add(d.at)
				s.streams.sink("show").Write([]*media.Packet{d.p}, 0)
			}
		}
	}
}

// halves are the pictures before and behind the only discontinuity, as files.
func (s *studio) halves(starts [2]string) (out [2][]byte) {
	s.t.Helper()
	p := s.show()
	if !p.Ended || len(p.Renditions) != 2 {
		s.t.Fatalf("ended %v, %d renditions", p.Ended, len(p.Renditions))
	}
	for _, r := range p.Renditions {
		if n := hards(r); n != 1 {
			s.t.Fatalf("%s has %d discontinuities", r.ID, n)
		}
	}
	v := p.Rendition("video")
	if v == nil || len(v.Inits) != 2 || v.Codec != v.Inits[1].Codec {
		s.t.Fatalf("the pictures are %+v", v)
	}
	for i, want := range starts {
		if got := v.Inits[i].Codec; len(got) < 5 || got[:5] != want {
			s.t.Fatalf("section %d is of %s, want %s", i, got, want)
		}
		out[i] = bytes.Clone(v.Inits[i].Data)
	}
	behind := 0
	for _, g := range v.Segments {
		if g.Discontinuity {
			behind = 1
		}
		if g.Gap || g.Extent.Size == 0 {
			continue
		}
		if g.Init != behind {
			s.t.Fatalf("segment %d has section %d", g.MSN, g.Init)
		}
		out[behind] = append(out[behind], s.shelf.files[p.Incarnation+"/video"].Bytes()[g.Extent.Offset:][:g.Extent.Size]...)
	}
	return out
}
