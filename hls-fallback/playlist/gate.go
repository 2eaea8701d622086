package playlist

import (
	"fmt"
	"math"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Verdict is what is done with a request now.
type Verdict uint8

// What is done with a request.
const (
	Deliver Verdict = iota // the playlist as it is
	Wait                   // until the rendition has changed, then ask again
)

// Judge decides on the delivery directives of a request (section 6.2.5.2). The
// error wraps ErrQuery: what is asked for will not come soon, or not at all.
func Judge(p *media.Presentation, r *media.Rendition, d Directives) (Verdict, error) {
	if p.Ended {
		return Deliver, nil // R12: nothing follows, whatever was asked for
	}
	if !d.HasMSN {
		if d.HasPart {
			return Deliver, fmt.Errorf("%w: _HLS_part without _HLS_msn", ErrQuery)
		}
		return Deliver, nil
	}
	msn, ready := r.Next()
	if d.HasPart && d.MSN < msn && beyond(r, d) {
		// A part that the segment turned out not to have is part 0 of the next one.
		d.MSN, d.Part = d.MSN+1, 0
	}
	switch {
	case d.MSN < msn:
		return Deliver, nil
	case d.MSN-msn > 1: // the last of the playlist is msn-1: more than two ahead
		return Deliver, fmt.Errorf("%w: _HLS_msn is %d, and the newest segment is %d", ErrQuery, d.MSN, int64(msn)-1)
	case !d.HasPart:
		return Wait, nil
	}
	last := ready - 1
	if d.MSN > msn {
		last = -1
	}
	switch {
	case d.Part <= last:
		return Deliver, nil
	case d.Part-last > advance(p.PartTarget):
		return Deliver, fmt.Errorf("%w: _HLS_part is %d, and the newest part is %d", ErrQuery, d.Part, last)
	}
	return Wait, nil
}

// beyond reports whether a finished segment has ended without that part.
func beyond(r *media.Rendition, d Directives) bool {
	s := Segment(r, d.MSN)
	return s != nil && len(s.Parts) > 0 && d.Part >= len(s.Parts)
}

// advance is the Advance Part Limit: three seconds of parts.
func advance(target time.Duration) int {
	if target <= 0 || target >= time.Second {
		return 3
	}
	return int(math.Ceil(3 / target.Seconds()))
}

// Segment returns a finished segment by its number, or nil.
func Segment(r *media.Rendition, msn uint64) *media.Segment {
	if len(r.Segments) == 0 || msn < r.Segments[0].MSN {
		return nil
	}
	if i := msn - r.Segments[0].MSN; i < uint64(len(r.Segments)) {
		return r.Segments[i]
	}
	return nil
}
