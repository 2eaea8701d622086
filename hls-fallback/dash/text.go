package dash

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/sluice-live/sluice/media"
)

func isText(r *media.Rendition) bool { return r.Kind == media.SubtitleRendition }

// coming is the segment of text that is being made, as far as it is known: it begins and
// ends with that of the pictures or the sound that it follows. Nobody needs another
// manifest to ask for it, and who does when the others can be asked for waits for its
// end: Shaka Player 5.2 takes the smallest availabilityTimeOffset of all for each, and
// would be a segment late with another one here.
func (v *view) coming(r *media.Rendition, msn uint64, line *timeline) *media.Segment {
	if next, _ := r.Next(); next != msn {
		return nil
	}
	for _, of := range v.p.Renditions {
		if o := of.Open; o != nil && o.MSN == msn && of.Timescale == r.Timescale && !isText(of) {
			s := &media.Segment{MSN: msn, Start: o.Start, Duration: v.likely(of)}
			if len(line.s) > 0 && !o.Discontinuity {
				s.Start = line.end
			}
			return s
		}
	}
	return nil
}

// texts are the renditions of text of what has ended, that are in files.
func texts(p *media.Presentation, o Options) []*media.Rendition {
	if !p.Ended || !o.Asset {
		return nil
	}
	var all []*media.Rendition
	for _, r := range p.Renditions {
		if isText(r) && len(r.Segments) > 0 {
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

// closed describes captions in pictures (ANSI/SCTE 214-1 sections 7.2.5 and 7.2.6).
// Nobody knows their languages.
func closed(c media.Closed) []*mpd.DescriptorType {
	scheme, values := "urn:scte:dash:cc:cea-608:2015", []string(nil)
	for _, name := range c.Names() {
		if n, ok := strings.CutPrefix(name, "SERVICE"); ok {
			scheme = "urn:scte:dash:cc:cea-708:2015"
			values = append(values, n+"=lang:und")
			continue
		}
		values = append(values, name+"=und")
	}
	if values == nil {
		return nil
	}
	return []*mpd.DescriptorType{{SchemeIdUri: mpd.AnyURI(scheme), Value: strings.Join(values, ";")}}
}
