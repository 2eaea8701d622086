package dash

import (
	"math"
	"sort"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/sluice-live/sluice/media"
)

// template lists the segments of a rendition in a period: numbers are those of HLS.
// The segment that is being made is the last of them, with the length that it will
// have as far as anybody knows (likely); the next manifest has its true one.
func (v *view) template(r *media.Rendition, run *period, until uint64, init int) *mpd.SegmentTemplateType {
	var line timeline
	msn := run.first
	if len(r.Segments) > 0 {
		// What is too old is skipped by halving: hours of it are kept.
		old := sort.Search(len(r.Segments), func(i int) bool {
			return r.Time(r.Segments[i].Start+r.Segments[i].Duration) > v.from
		})
		msn = max(msn, r.Segments[0].MSN+uint64(old))
	}
	limit := media.Ticks(math.MaxInt64)
	if v.to < math.MaxInt64 {
		limit = media.Ticks(v.to.Seconds() * float64(r.Timescale))
	}
	for ; msn < until; msn++ {
		s := at(r, msn)
		var d media.Ticks
		switch {
		case s != nil:
			d = s.Duration
		case isText(r) && !v.ended:
			if s = v.coming(r, msn, &line); s == nil {
				return v.describe(r, run, &line, init)
			}
			d = s.Duration
		case r.Open != nil && r.Open.MSN == msn && !v.ended:
			s, d = r.Open, v.likely(r)
		default:
			return v.describe(r, run, &line, init)
		}
		if s.Start >= limit {
			break
		}
		line.add(s.Start, d, msn)
		v.longest = max(v.longest, r.Time(d))
	}
	return v.describe(r, run, &line, init)
}

// likely is how long the segment that is being made will be: as long as those before it,
// and rather too long by a quarter of a part, which is more than encoders that are asked
// for key frames stray. Of what Shaka Player has it takes over only what ends later
// (5.2, segment_template.js, appendTemplateInfo): a segment that turns out longer than it
// was told it takes for another one, and plays it twice; one that is shorter is cut off
// by the next. By half of it or more the guess must not be too long: the next one would not
// end later, and be left out. So it is the shorter of the two before that counts.
func (v *view) likely(r *media.Rendition) media.Ticks {
	before := media.Ticks(0)
	for i := range min(2, len(r.Segments)) {
		if d := r.Segments[len(r.Segments)-1-i].Duration; before == 0 || d < before {
			before = d
		}
	}
	if before > 0 {
		before += media.Ticks(v.p.PartTarget/4) * media.Ticks(r.Timescale) / media.Ticks(time.Second)
	}
	return max(sum(r.Open), before)
}

func (v *view) describe(r *media.Rendition, run *period, line *timeline, init int) *mpd.SegmentTemplateType {
	if len(line.s) == 0 {
		return nil
	}
	v.end = max(v.end, r.Time(line.end))
	t := &mpd.SegmentTemplateType{}
	base := v.p.Incarnation + "/" + r.ID + "/"
	t.Media = base + "$Number$.m4s"
	t.Initialization = base + "init-0.mp4" // of text
	if !isText(r) {
		t.Initialization = base + "init-" + v.p.InitName(r, init) + ".mp4"
	}
	t.SetTimescale(r.Timescale)
	t.PresentationTimeOffset = mpd.Ptr(ticks(run.start, r.Timescale))
	t.StartNumber = mpd.Ptr(uint32(line.first))
	t.SegmentTimeline = &mpd.SegmentTimelineType{S: line.s}
	if ahead := r.Time(line.last) - v.p.PartTarget; !v.ended && ahead > 0 {
		// The last segment can be asked for when its first part is there, and comes in
		// parts; those before it are there.
		t.AvailabilityTimeOffset = mpd.FloatInf64(float64(ahead.Milliseconds()/10) / 100)
		if !isText(r) {
			t.AvailabilityTimeComplete = mpd.Ptr(false)
		}
	}
	return t
}

// timeline is a SegmentTimeline that is being written.
type timeline struct {
	s     []*mpd.S
	first uint64      // number of the first one
	end   media.Ticks // of the last one
	last  media.Ticks // its duration
}

func (l *timeline) add(start, d media.Ticks, msn uint64) {
	switch n := len(l.s); {
	case n == 0:
		l.first = msn
		l.s = append(l.s, &mpd.S{T: mpd.Ptr(uint64(max(start, 0))), D: uint64(d)})
	case start != l.end:
		l.s = append(l.s, &mpd.S{T: mpd.Ptr(uint64(max(start, 0))), D: uint64(d)})
	case l.s[n-1].D == uint64(d):
		l.s[n-1].R++
	default:
		l.s = append(l.s, &mpd.S{D: uint64(d)})
	}
	l.end, l.last = start+d, d
}
