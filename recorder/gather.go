package recorder

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// A presentation begins when all tracks are here and their clocks are known a
	// little, at least settle after the first frame and at most patience.
	settle   = 300 * time.Millisecond
	patience = 3 * time.Second
	// untold is how long it waits for a publisher to tell when it captures, whose
	// arrivals are all that is known until then: browsers send their first report half a
	// second after they are connected (RFC 3550 section 6.2), and what was shown by then
	// could only be slewed. The first segment lasts longer, so that nobody waits for it.
	untold = time.Second
	// gatherStep is how often that is looked at.
	gatherStep = 50 * time.Millisecond
	// maxGathered bounds the frames that wait: 3 s of eight layers and four sounds.
	maxGathered = 4000
)

// gathered is a frame that came before the presentation had begun, or before it went on
// with the next publisher.
type gathered struct {
	s *strand
	f *media.Frame
}

func (t *tape) gather(s *strand, f *media.Frame, now time.Time) {
	if len(t.gathered) == 0 {
		t.first = now
	}
	if len(t.gathered) < maxGathered {
		t.gathered = append(t.gathered, gathered{s, f})
	}
}

// ripe reports whether enough is known to begin, or to go on.
func (t *tape) ripe(now time.Time) bool {
	if len(t.gathered) == 0 {
		return false
	}
	gone, most := now.Sub(t.first), patience
	if t.cutter != nil {
		most = untold // who watches knows all renditions already
	}
	if gone >= most {
		return true
	}
	return gone >= settle && t.complete() && (gone >= untold || t.clocked())
}

// clocked reports whether the publisher tells when it captures, of each encoding.
func (t *tape) clocked() bool {
	newest := map[*strand]*media.Frame{}
	for _, g := range t.gathered {
		if g.s.epoch == t.epoch {
			newest[g.s] = g.f
		}
	}
	for _, f := range newest {
		if !stamp(f).Told() {
			return false
		}
	}
	return true
}

// complete reports whether each encoding that flows has frames, and each track an
// encoding: browsers send sound at once and their first layer up to a second later, and
// who reads the playlist between the two would have sound alone for good.
func (t *tape) complete() bool {
	have := map[encoding]bool{}
	for _, g := range t.gathered {
		have[encoding{track: g.s.track, layer: g.s.layer}] = true
	}
	for _, k := range t.tracks[t.epoch] {
		if k.Codec == media.VP8 && !t.keepsVP8() {
			continue
		}
		some := len(k.Layers) == 0
		for _, l := range k.Layers {
			has := have[encoding{track: k.ID, layer: l.ID}]
			if l.Active && !has {
				return false
			}
			some = some || has
		}
		if !some {
			return false
		}
	}
	return true
}

// rejoin goes on with the next publisher: its clock begins where all that was gathered
// says, behind a discontinuity.
func (t *tape) rejoin(now time.Time) {
	t.returning = false
	t.dismiss()
	t.layAll(t.timed(), now)
}

// timed takes what was gathered, in the order of media time.
func (t *tape) timed() []gathered {
	for _, g := range t.gathered {
		if g.s.clock == nil {
			g.s.clock = t.clock(g.s)
		}
		g.s.clock.Prime(stamp(g.f))
	}
	out := t.sorted()
	t.gathered = nil
	return out
}

// layAll lays what was gathered as if it came now, one after the other, as it did: how
// late frames usually are is learned from that.
func (t *tape) layAll(frames []gathered, now time.Time) {
	t.opened = now
	var at time.Time
	for _, g := range frames {
		if g.f.Arrival.After(at) {
			at = g.f.Arrival
		}
		t.lay(g.s, g.f, at)
	}
}

// sorted returns what was gathered in the order of media time, each encoding in the
// order of decoding.
func (t *tape) sorted() []gathered {
	type timed struct {
		gathered
		at time.Duration
	}
	var all []timed
	for _, g := range t.gathered {
		at := seconds(g.s.clock.Extrapolate(g.f.TS), g.s.codec.ClockRate())
		if g.f.Format.Codec.Kind() == media.Video || at >= 0 { // sound before the first picture has none
			all = append(all, timed{g, at})
		}
	}
	last := map[*strand]time.Duration{}
	for i := range all {
		all[i].at = max(all[i].at, last[all[i].s])
		last[all[i].s] = all[i].at
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	out := make([]gathered, len(all))
	for i := range all {
		out[i] = all[i].gathered
	}
	return out
}
