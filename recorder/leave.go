package recorder

import (
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
)

// leave notes which renditions the publisher came back without.
func (t *tape) leave(now time.Time) {
	if t.turnedAt.IsZero() || now.Sub(t.turnedAt) < absence {
		return
	}
	t.turnedAt = time.Time{}
	here := map[*rendition]bool{}
	for _, s := range t.strands {
		here[s.to] = true
	}
	for _, r := range t.lanes {
		r.is.Left = !here[r] && !isDerived(r.is.ID)
	}
	t.follow()
}

// dismiss notes at once which renditions of pictures the publisher came back without any
// offer of. Who sends less than he offered is found out by leave.
func (t *tape) dismiss() {
	for _, k := range t.tracks[t.epoch] {
		if k.ID != media.VideoTrack {
			continue
		}
		offered := map[string]bool{}
		for i, rid := range k.RIDs {
			offered[name(rid, media.Layer(i))] = true
		}
		for _, l := range k.Layers {
			offered[name(l.RID, l.ID)] = true
		}
		for _, r := range t.lanes {
			id := "video" + strings.TrimPrefix(strings.TrimPrefix(r.is.ID, codecVP8), "video")
			if r.is.Kind == media.VideoRendition && !isDerived(r.is.ID) && !offered[id] {
				r.is.Left = true
			}
		}
	}
	t.follow()
}

// follow lets what is made of a rendition leave with it.
func (t *tape) follow() {
	for _, d := range t.encoders.all {
		d.to.is.Left = d.of.is.Left
	}
}
