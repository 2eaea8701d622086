package playlist

import (
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Form is what kind of Media Playlist is wanted.
type Form uint8

// The forms of a Media Playlist.
const (
	Live   Form = iota // with Partial Segments while the presentation goes on
	Legacy             // segments joined to about six seconds, no Partial Segments
)

// View is which rendering of a presentation is wanted. Views that are equal give
// the same bytes of the same snapshot.
type View struct {
	Form Form
	// Window is how far a playlist reaches back from its end; 0 is all there is.
	Window time.Duration
	// From and To limit a playlist to what was captured in between, as time since
	// the presentation's start; To 0 is no limit.
	Shift    bool
	From, To time.Duration
	// Skip asks for a Playlist Delta Update.
	Skip bool
	// Token lets child URIs carry the query parameter "token" of the request. The
	// value is not in the bytes: all who come with one get the same.
	Token bool
	// Query is what child playlists are asked with, "dvr=1", besides the token.
	Query string
}

// lists reports whether a rendition is named beside others: one that nobody publishes
// any more has nothing in a live view but gaps, and players that choose it stand still.
func (v View) lists(p *media.Presentation, r *media.Rendition) bool {
	return !r.Left || p.Ended || v.Shift || v.Window == 0
}

// span is a run of finished segments of a rendition, [from, to), and what
// follows them in the playlist.
type span struct {
	from, to int
	open     bool // the open segment and what is hinted belong to it
	closed   bool // nothing will be added
	whole    bool // nothing of it was removed
}

// cut chooses the segments that a view shows.
func (v View) cut(p *media.Presentation, r *media.Rendition) span {
	n := len(r.Segments)
	s := span{to: n, open: !p.Ended, closed: p.Ended}
	s.whole = n == 0 || fromTheStart(p)
	switch {
	case v.Shift:
		return v.shift(r, s)
	case v.Window > 0 && n > 0:
		end := r.Segments[n-1].Start + r.Segments[n-1].Duration
		s.from = n - 1
		for s.from > 0 && r.Time(end-r.Segments[s.from].Start) < v.Window {
			s.from--
		}
		s.whole = s.whole && s.from == 0
	}
	return s
}

// fromTheStart reports whether nothing has left the window yet: a rendition that began
// later than others has lost nothing as long as they have their first segment.
func fromTheStart(p *media.Presentation) bool {
	return slices.ContainsFunc(p.Renditions, func(r *media.Rendition) bool { return len(r.Segments) > 0 && r.Segments[0].MSN <= media.FirstSegment })
}

func (v View) shift(r *media.Rendition, s span) span {
	for s.from < s.to && r.Time(r.Segments[s.from].Start+r.Segments[s.from].Duration) <= v.From {
		s.from++
	}
	s.whole = s.whole || s.from > 0 || len(r.Segments) > 0 && r.Time(r.Segments[0].Start) <= v.From
	if v.To == 0 {
		return s
	}
	if n := len(r.Segments); n > 0 && r.Time(r.Segments[n-1].Start+r.Segments[n-1].Duration) >= v.To {
		s.open, s.closed = false, true
	}
	for s.to > s.from && r.Time(r.Segments[s.to-1].Start) >= v.To {
		s.to--
	}
	if r.Open != nil && r.Time(r.Open.Start) >= v.To {
		s.open = false
	}
	return s
}

// opened returns the end of the open segment's parts, or false without any.
func opened(r *media.Rendition) (media.Ticks, bool) {
	if r.Open == nil || len(r.Open.Parts) == 0 {
		return 0, false
	}
	last := &r.Open.Parts[len(r.Open.Parts)-1]
	return last.Start + last.Duration, true
}

// Empty reports whether there is nothing yet that the view could show. A client
// that gets such a playlist gives up.
func (v View) Empty(p *media.Presentation, r *media.Rendition) bool {
	c := v.cut(p, r)
	if c.to > c.from {
		return false
	}
	end, ok := opened(r)
	return v.Form == Legacy || isText(r) || !ok || !c.open || v.Shift && r.Time(end) <= v.From
}

// static reports whether the playlist is whole and will never change: it has
// nothing of low latency then.
func (v View) static(c span) bool { return c.closed && (v.Window == 0 || v.Shift) }

// empty reports whether a rendition has no media yet.
func empty(r *media.Rendition) bool {
	_, ok := opened(r)
	return len(r.Segments) == 0 && !ok
}

// boundary is CAN-SKIP-UNTIL and holdBack HOLD-BACK: the least that section
// 4.4.3.8 allows, six and three target durations.
func boundary(p *media.Presentation) time.Duration { return 6 * p.TargetDuration }

func holdBack(p *media.Presentation) time.Duration { return 3 * p.TargetDuration }

// partHoldBack is PART-HOLD-BACK: three part targets (Apple's authoring
// specification 14.3).
func partHoldBack(p *media.Presentation) time.Duration { return 3 * p.PartTarget }
