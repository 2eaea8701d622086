package recorder

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"time"

	"github.com/sluice-live/sluice/media"
)

// agreed is media time 0 of what several recorders make (Config.Redundant): the Unix
// epoch, as in DASH-IF's live ingest and in "epoch locking" of broadcast encoders.
// Whoever has the clock has the numbers, and needs no word from the others.
var agreed = time.Unix(0, 0).UTC()

// shared names the incarnation that recorders with the same settings make of a
// stream: 16 characters [a-z0-9]. It never changes, because the numbers in it never
// begin anew.
func (c Config) shared(id media.StreamID) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "2 %s %d %d %d", id, c.Segment, c.Part, c.Target))
	name := new(big.Int).SetBytes(sum[:]).Text(36)
	return name[:16]
}

// name is the incarnation that readers see.
func (t *tape) name() string {
	if t.r.cfg.Redundant {
		return t.r.cfg.shared(t.id)
	}
	return t.incarnation
}

// resumable reports whether what was interrupted goes on under the settings of now:
// what never changes in a presentation did not.
func (t *tape) resumable(p *media.Presentation) bool {
	c := t.r.cfg
	if p.TargetDuration != c.Target || p.PartTarget != c.limit() || p.Start.Equal(agreed) != c.Redundant {
		return false
	}
	if !c.Redundant {
		return true
	}
	const near = 8 // segments; a discontinuity begins one early
	for _, r := range p.Renditions {
		if n := len(r.Segments); n > 0 {
			last := r.Segments[n-1]
			at := uint64(r.Time(last.Start) / c.Segment)
			return last.MSN <= at+near && at <= last.MSN+near
		}
	}
	return true
}

// begins is the media time of the first segment that was made.
func (t *tape) begins() time.Duration {
	first, known := time.Duration(0), false
	for _, r := range t.lanes {
		s := r.open
		if len(r.segments) > 0 {
			s = r.segments[0]
		}
		if s == nil {
			continue
		}
		if at := r.is.Time(s.Start); !known || at < first {
			first, known = at, true
		}
	}
	return first
}
