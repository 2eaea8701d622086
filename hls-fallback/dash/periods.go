package dash

import (
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Writer writes the manifests of one incarnation. It remembers where periods began:
// a period that is played must not change its name when its beginning leaves the
// window.
type Writer struct {
	periods []period
	next    uint64 // the first segment number that is in no period yet
	began   bool
}

// period is a run of segments in which every rendition stays as it is: there with
// one initialisation section, or absent.
type period struct {
	first uint64 // segment number
	start time.Duration
	state []state
}

// state is what a rendition is during a period: the index of its initialisation
// section, or absent because of gaps.
type state struct {
	id   string
	init int
}

const absent = -1

// update divides what is new.
func (w *Writer) update(p *media.Presentation) {
	lead := leading(p)
	if lead == nil {
		return
	}
	oldest := lead.Segments[0].MSN
	if !w.began || oldest > w.next {
		*w = Writer{next: oldest, began: true}
	}
	for {
		now, start, jump, ok := w.look(p, w.next)
		if !ok {
			break
		}
		last := len(w.periods) - 1
		switch {
		case last < 0 && p.Shared() && !jump:
			// Which segment is the first that is kept differs from recorder to recorder:
			// players that change between them find one period.
			w.periods = append(w.periods, period{0, 0, now})
		case last < 0 || jump || !slices.Equal(w.periods[last].state, now):
			w.periods = append(w.periods, period{w.next, start, now})
		}
		w.next++
	}
	for len(w.periods) > 1 && w.periods[1].first <= oldest {
		w.periods = w.periods[1:]
	}
}

// leading is the rendition by which segments are counted: the first that has any. Text
// follows others.
func leading(p *media.Presentation) *media.Rendition {
	for _, r := range p.Renditions {
		if len(r.Segments) > 0 && !isText(r) {
			return r
		}
	}
	return nil
}

// look returns what the renditions are at a segment number, once that is known of
// all that go on: what is listed never moves to another period.
func (w *Writer) look(p *media.Presentation, msn uint64) (now []state, start time.Duration, jump, ok bool) {
	for _, r := range p.Renditions {
		if isText(r) { // it is there whenever others are
			now = append(now, state{r.ID, 0})
			continue
		}
		s, known := known(p, r, msn)
		if !known && !w.away(r, msn) {
			return nil, 0, false, false
		}
		if s == nil {
			now = append(now, state{r.ID, absent})
			continue
		}
		ok = true
		jump = jump || s.Discontinuity
		init := s.Init
		if s.Gap || init >= len(r.Inits) {
			init = absent
		}
		now = append(now, state{r.ID, init})
	}
	return now, begin(p, msn), jump, ok
}

// away reports whether a rendition is absent from a segment of which it is not known yet
// whether there will be media in it: nobody publishes it, or it was absent before and is
// so at the beginning. To wait for the segment's end would keep it out of the manifest
// for as long as a layer pauses.
func (w *Writer) away(r *media.Rendition, msn uint64) bool {
	if r.Left {
		return true
	}
	o, n := r.Open, len(w.periods)
	return n > 0 && w.periods[n-1].of(r.ID) == absent && o != nil && o.MSN == msn && len(o.Parts) > 0 && o.Parts[0].Gap
}

// begin is where the segments of a number begin: the first picture of any rendition,
// or sound where there is none. A picture before its period's start would be dropped,
// and with it all up to the next key frame; of sound the beginning is cut off.
//
// It is in whole milliseconds, downwards: what the manifest writes, and so every
// rendition's offset is exact in its own ticks.
func begin(p *media.Presentation, msn uint64) time.Duration {
	best, pictures, found := time.Duration(0), false, false
	for _, r := range p.Renditions {
		s := r.Open
		if done := at(r, msn); done != nil {
			s = done
		}
		if s == nil || s.MSN != msn || isText(r) {
			continue
		}
		start, picture := r.Time(s.Start), r.Kind == media.VideoRendition && !s.Gap
		if !found || picture && !pictures || picture == pictures && picture && start < best {
			best, pictures, found = start, picture, true
		}
	}
	return best.Truncate(time.Millisecond)
}

// known returns a rendition's segment, nil where it has none, and false as long as
// nobody knows whether there will be media in it.
func known(p *media.Presentation, r *media.Rendition, msn uint64) (*media.Segment, bool) {
	if s := at(r, msn); s != nil {
		return s, true
	}
	if o := r.Open; o != nil && o.MSN == msn {
		for i := range o.Parts {
			if !o.Parts[i].Gap {
				return o, true
			}
		}
	}
	next, _ := r.Next()
	return nil, p.Ended || msn < next || len(r.Segments) == 0 && r.Open == nil
}

func at(r *media.Rendition, msn uint64) *media.Segment {
	if len(r.Segments) == 0 || msn < r.Segments[0].MSN {
		return nil
	}
	if i := msn - r.Segments[0].MSN; i < uint64(len(r.Segments)) {
		return r.Segments[i]
	}
	return nil
}

// of returns the initialisation section of a rendition in a period.
func (p *period) of(id string) int {
	for _, s := range p.state {
		if s.id == id {
			return s.init
		}
	}
	return absent
}
