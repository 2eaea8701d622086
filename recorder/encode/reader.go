package encode

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/Eyevinn/mp4ff/avc"

	"github.com/sluice-live/sluice/media"
)

// reader gives what a process writes the media time of what it was made of.
type reader struct {
	sound  bool
	out    func([]Frame)
	begin  media.Ticks // media time of the first sample that is encoded
	led    media.Ticks // sound before it
	epoch  media.Epoch
	format *media.Format

	mu   sync.Mutex  // guards what follows
	last time.Time   // when something came
	owed time.Time   // since when nothing came although enough was given
	fed  media.Ticks // sound that was given
	made media.Ticks // sound that came, in ticks, priming included
	wait []waiting   // pictures that were given, in the order of presentation
}

// waiting is a picture that was given.
type waiting struct {
	time media.Ticks
	key  bool
}

// slip is how far a frame's timestamp, in whole milliseconds, may be from where
// counting says that it is; beyond it something was left out.
const slip = 5 * 48

// newReader reads what is made of first and what follows it, but for skip ticks of
// sound.
func newReader(p Profile, first Sample, skip media.Ticks, out func([]Frame)) *reader {
	r := &reader{sound: p.Kind == media.Audio, out: out, begin: first.Time, epoch: first.Epoch}
	if r.sound {
		r.format = AAC()
		r.begin, r.led = first.Time+skip, skip
	}
	return r
}

// given notes what the process was given.
func (r *reader) given(s *Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sound {
		r.fed = s.Time + s.Duration - r.begin
	} else {
		i, _ := slices.BinarySearchFunc(r.wait, s.Time, func(w waiting, t media.Ticks) int { return int(w.time - t) })
		r.wait = slices.Insert(r.wait, i, waiting{s.Time, s.Key})
		if len(r.wait) > keptFrames {
			r.wait = r.wait[1:]
		}
	}
	if r.owed.IsZero() && r.much() {
		r.owed = time.Now()
	}
}

// much reports whether more was given than an encoder holds back.
func (r *reader) much() bool {
	if r.sound {
		return r.fed-r.made > heldSound
	}
	return len(r.wait) > heldPictures
}

// owing returns since when the process owes something, or now, and when it gave
// something last.
func (r *reader) owing(now time.Time) (since, last time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owed.IsZero() {
		return now, r.last
	}
	return r.owed, r.last
}

// take makes frames of a tag.
func (r *reader) take(t tag) error {
	switch {
	case t.audio != r.sound:
		return nil
	case t.config && r.sound:
		if !bytes.Equal(t.data, r.format.Parameters[0]) && !bytes.HasPrefix(t.data, r.format.Parameters[0]) {
			return fmt.Errorf("read AAC: AudioSpecificConfig is %x", t.data)
		}
		return nil
	case t.config:
		f, err := avcFormat(t.data)
		r.format = f
		return err
	case r.format == nil:
		return nil
	}
	f := Frame{Key: t.key, Epoch: r.epoch, Format: r.format, Data: t.data}
	r.mu.Lock()
	r.owed, r.last = time.Time{}, time.Now()
	if r.sound {
		f.Time, f.Duration = r.sounds(t), aacFrame
	} else {
		f.Time = r.pictured(t)
	}
	if r.much() {
		r.owed = time.Now()
	}
	beyond := r.sound && f.Time >= r.begin+r.fed // silence that fills the last frames
	r.mu.Unlock()
	if !beyond {
		r.out([]Frame{f})
	}
	return nil
}

// sounds returns where a frame of AAC is: a frame before what was given, counted in
// frames, as long as its timestamp agrees.
func (r *reader) sounds(t tag) media.Ticks {
	at := r.made - aacFrame
	told := (media.Ticks(t.at)-media.Ticks(lead/time.Millisecond))*48 - r.led
	if d := told - at; d > slip || d < -slip {
		at = told
	}
	r.made = at + 2*aacFrame
	return r.begin + at
}

// pictured finds the picture that one was made of: the given one next to its
// timestamp.
func (r *reader) pictured(t tag) media.Ticks {
	at := r.begin + (media.Ticks(t.at)-media.Ticks(lead/time.Millisecond))*90
	i, _ := slices.BinarySearchFunc(r.wait, at, func(w waiting, t media.Ticks) int { return int(w.time - t) })
	if i > 0 && (i == len(r.wait) || at-r.wait[i-1].time < r.wait[i].time-at) {
		i--
	}
	if i >= len(r.wait) {
		return at
	}
	at = r.wait[i].time
	r.wait = r.wait[i+1:]
	return at
}

// avcFormat reads avcC.
func avcFormat(b []byte) (*media.Format, error) {
	c, err := avc.DecodeAVCDecConfRec(b)
	if err != nil || len(c.SPSnalus) == 0 {
		return nil, fmt.Errorf("read H264: %w", err)
	}
	sps, err := avc.ParseSPSNALUnit(c.SPSnalus[0], false)
	if err != nil {
		return nil, fmt.Errorf("read H264: %w", err)
	}
	return &media.Format{Codec: media.H264, Width: int(sps.Width), Height: int(sps.Height), Parameters: append(slices.Clone(c.SPSnalus), c.PPSnalus...)}, nil
}
