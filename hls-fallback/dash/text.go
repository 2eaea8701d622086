package dash

import (
	"math"
	"strconv"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/sluice-live/sluice/media"
)

// texts are the renditions of text of what has ended.
func texts(p *media.Presentation) []*media.Rendition {
	if !p.Ended {
		return nil
	}
	var all []*media.Rendition
	for _, r := range p.Renditions {
		if r.Kind == media.SubtitleRendition && len(r.Segments) > 0 {
			all = append(all, r)
		}
	}
	return all
}

// text is one language in a period: a file whose times count from where the period
// begins (DASH-IF Interoperability Points 4.3, section 6.4.5).
func (v *view) text(r *media.Rendition, p *mpd.Period) *mpd.AdaptationSetType {
	set := v.set(r, len(p.AdaptationSets)+1)
	set.ContentType, set.MimeType, set.SegmentAlignment = "text", "text/vtt", false
	set.Roles = []*mpd.DescriptorType{{SchemeIdUri: "urn:mpeg:dash:role:2011", Value: "subtitle"}}
	from := time.Duration(*p.Start).Milliseconds()
	set.Representations = []*mpd.RepresentationType{{
		Id: r.ID, Bandwidth: uint32(min(max(r.Bandwidth, r.Mean, 1), math.MaxUint32)),
		BaseURLs: []*mpd.BaseURLType{{Value: mpd.AnyURI(v.p.Incarnation + "/" + r.ID + "/from-" + strconv.FormatInt(from, 10) + ".vtt")}},
	}}
	return set
}
