package dash

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/sluice-live/sluice/media"
)

// Options say which part of a presentation is wanted.
type Options struct {
	// Window is how far the manifest reaches back from its end; 0 is all there is.
	Window time.Duration
	// From and To limit it to what was captured in between, as time since the
	// presentation's start; To 0 is no limit.
	Shift    bool
	From, To time.Duration
	// Token lets players repeat the query parameter of the manifest's request.
	Token bool
	// Asset tells that it is a recording's: once that has ended, its manifest begins at
	// zero, with text in files beside it. That of a stream goes on as it was live: players
	// are in the midst of it, and neither a period's start nor its offset may change
	// (ISO/IEC 23009-1 section 5.4.1, DASH-IF's timing model, "MPD updates"). dash.js 5.2
	// is thrown where they do; Shaka Player 5.2 plays on either way, but adds the window's
	// start to the duration (dash_parser.js, parsePeriods_), so that behind a stream longer
	// than the window it waits at its end, where it would have ended.
	Asset bool
}

// MPD returns the manifest of a snapshot, nil when there is nothing to show yet.
//
// What is made on demand is left out while it is live: its manifest is nobody's wish
// for one rendition, and each beginning and end of it would be a period.
//
// Text is in segments of CMAF, on the boundaries of all others: DASH has no other live
// text. A language that comes later begins a period, so that players see it. Of an asset
// it is in files beside it.
func (w *Writer) MPD(p *media.Presentation, o Options) []byte {
	texts := texts(p, o)
	p = lasting(p, o)
	w.update(p)
	lead := leading(p)
	if lead == nil {
		return nil
	}
	v := view{p: p, o: o, ended: p.Ended, texts: texts}
	v.limits(lead)
	m := v.frame()
	for i := range w.periods {
		until := w.next
		if i+1 < len(w.periods) {
			until = w.periods[i+1].first
		}
		if one := v.period(&w.periods[i], until); one != nil {
			m.Periods = append(m.Periods, one)
		}
	}
	if len(m.Periods) == 0 {
		return nil
	}
	// Of the segments in this manifest, as it is understood when it is left out
	// (ISO/IEC 23009-1 section 5.3.1.2): Shaka Player takes the live edge to be that
	// long ago, so that a bound that is never reached costs latency.
	m.MaxSegmentDuration = mpd.Ptr(mpd.Duration(roundUp(v.longest, 10*time.Millisecond)))
	if v.ended {
		// A period's length is the next one's start; the last one's ends the whole.
		end := v.end
		if !o.Asset { // whose end is cut already
			end = min(end, v.lastMedia())
		}
		m.MediaPresentationDuration = mpd.Ptr(mpd.Duration(end.Round(time.Millisecond) + v.apart()))
		if o.Asset {
			v.rebase(m)
		}
	}
	text, err := m.WriteToString("", true)
	if err != nil {
		return nil // a model of strings and numbers always marshals
	}
	return []byte(text)
}

// lasting is a presentation without what comes and goes.
func lasting(p *media.Presentation, o Options) *media.Presentation {
	fleeting := func(r *media.Rendition) bool {
		if o.Asset && p.Ended {
			return isText(r)
		}
		return r.OnDemand
	}
	if !slices.ContainsFunc(p.Renditions, fleeting) {
		return p
	}
	out := *p
	out.Renditions = slices.DeleteFunc(slices.Clone(p.Renditions), fleeting)
	return &out
}

// view is one manifest that is being made.
type view struct {
	p        *media.Presentation
	o        Options
	ended    bool
	from, to time.Duration // of what is shown
	end      time.Duration // of the last segment that is shown
	longest  time.Duration // of the segments that are shown
	texts    []*media.Rendition
}

// limits chooses what is shown.
func (v *view) limits(lead *media.Rendition) {
	last := lead.Segments[len(lead.Segments)-1]
	v.to = math.MaxInt64
	switch edge := lead.Time(last.Start + last.Duration); {
	case v.o.Shift:
		v.from = v.o.From
		if v.o.To > 0 {
			v.to = v.o.To
			v.ended = v.ended || edge >= v.o.To
		}
	case v.o.Window > 0:
		v.from = edge - v.o.Window
	}
}

// shows reports whether a segment is within what is asked for.
func (v *view) shows(r *media.Rendition, s *media.Segment, length media.Ticks) bool {
	return r.Time(s.Start+length) > v.from && r.Time(s.Start) < v.to
}

// apart is by how much the time that live players count by is ahead of media time: the
// availability start time is as much earlier. Where they are the same, Shaka Player
// (5.2, media_source_engine.js, getTimestampAndDispatchMetadata and appendBuffer) takes
// a segment's offset from its tfdt; it does so with each chunk of one that comes in
// parts, and shows text as much too early as the last chunk lies within its segment.
const apart = time.Millisecond

func (v *view) apart() time.Duration {
	if v.ended && v.o.Asset {
		return 0
	}
	return apart
}

// frame is the manifest without its periods.
func (v *view) frame() *mpd.MPD {
	kind := mpd.DYNAMIC_TYPE
	if v.ended {
		kind = mpd.STATIC_TYPE
	}
	m := mpd.NewMPD(kind)
	m.Profiles = mpd.ListOfProfilesType(mpd.PROFILE_LIVE).AddProfile(mpd.PROFILE_CMAF)
	m.MinBufferTime = mpd.Ptr(mpd.Duration(max(v.p.PartTarget, 500*time.Millisecond)))
	if v.ended {
		return m
	}
	m.AvailabilityStartTime = date(v.p.Start.Add(-apart))
	m.PublishTime = date(v.p.Start.Add(v.newest()))
	// A second: as long as caches keep the manifest. The open segment is in it, so
	// that players need no newer one to go on.
	m.MinimumUpdatePeriod = mpd.Ptr(mpd.Duration(time.Second))
	if v.o.Window > 0 && !v.o.Shift {
		m.TimeShiftBufferDepth = mpd.Ptr(mpd.Duration(v.o.Window))
	}
	// Six parts behind the edge: three to be as safe as PART-HOLD-BACK, and as many
	// again because players ask for manifests each second.
	target := 6 * v.p.PartTarget
	m.SuggestedPresentationDelay = mpd.Ptr(mpd.Duration(target))
	m.ServiceDescription = []*mpd.ServiceDescriptionType{{
		Latencies:     []*mpd.LatencyType{{Target: ms(target), Min: ms(target / 2), Max: ms(3 * v.p.TargetDuration)}},
		PlaybackRates: []*mpd.PlaybackRateType{{Min: 0.96, Max: 1.04}},
	}}
	// Players take the first that they can use. The address is relative because caches
	// give the manifest out under names of their own: Shaka Player and dash.js resolve it;
	// for who does not, the manifest's own time comes after it, late by what caches keep.
	m.UTCTimings = []*mpd.DescriptorType{
		{SchemeIdUri: "urn:mpeg:dash:utc:http-xsdate:2014", Value: "time.txt"},
		{SchemeIdUri: "urn:mpeg:dash:utc:direct:2014", Value: string(m.PublishTime)},
	}
	return m
}

func roundUp(d, unit time.Duration) time.Duration { return (d + unit - 1).Truncate(unit) }

func date(t time.Time) mpd.DateTime {
	return mpd.DateTime(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

func ms(d time.Duration) *uint32 { return mpd.Ptr(uint32(d / time.Millisecond)) }

// newest is the end of what is there, by the presentation's time.
func (v *view) newest() time.Duration {
	end := time.Duration(0)
	for _, r := range v.p.Renditions {
		if n := len(r.Segments); n > 0 {
			end = max(end, r.Time(r.Segments[n-1].Start+r.Segments[n-1].Duration))
		}
		if r.Open != nil {
			end = max(end, r.Time(r.Open.Start+sum(r.Open)))
		}
	}
	return end
}

func sum(s *media.Segment) (d media.Ticks) {
	for i := range s.Parts {
		d += s.Parts[i].Duration
	}
	return d
}

// lastMedia is where the last picture or sound ends: its segment lasts until nobody
// waited for more, and Shaka Player (5.2) does not end before all that is announced is
// there.
func (v *view) lastMedia() (end time.Duration) {
	for _, r := range v.p.Renditions {
		for _, s := range slices.Backward(r.Segments) {
			if s.Gap || isText(r) {
				continue
			}
			last := s.Start + s.Duration
			for i := range s.Parts {
				if p := &s.Parts[i]; !p.Gap {
					last = p.Start + p.Duration
				}
			}
			end = max(end, r.Time(last))
			break
		}
	}
	return end
}

// rebase lets an asset's manifest begin at zero, where players begin to play.
func (v *view) rebase(m *mpd.MPD) {
	base := *m.Periods[0].Start
	for _, p := range m.Periods {
		*p.Start -= base
	}
	*m.MediaPresentationDuration -= base
}

// period writes what is shown of one period, or nil.
func (v *view) period(run *period, until uint64) *mpd.Period {
	p := mpd.NewPeriod()
	p.Id = "p" + strconv.FormatUint(run.first, 10)
	p.Start = mpd.Ptr(mpd.Duration(run.start + v.apart()))
	sets := make(map[string]*mpd.AdaptationSetType)
	for _, r := range v.p.Renditions {
		init := run.of(r.ID)
		if init == absent {
			continue
		}
		template := v.template(r, run, until, init)
		if template == nil {
			continue
		}
		rep := representation(r, init)
		rep.SegmentTemplate = template
		key := setOf(r)
		set := sets[key]
		if set == nil {
			set = v.set(r, len(p.AdaptationSets)+1)
			sets[key] = set
			p.AdaptationSets = append(p.AdaptationSets, set)
		}
		set.Representations = append(set.Representations, rep)
	}
	if len(p.AdaptationSets) == 0 {
		return nil
	}
	if v.ended && (v.o.Asset || v.o.To > 0) {
		v.trim(p, run, until)
	}
	for _, r := range v.texts {
		p.AdaptationSets = append(p.AdaptationSets, v.text(r, p))
	}
	return p
}

// trim lets the first period of a static manifest begin where its media does; that has
// the times that it had. What is only just over is left alone: nobody begins there.
func (v *view) trim(p *mpd.Period, run *period, until uint64) {
	lead := leading(v.p)
	for msn := run.first; msn < until; msn++ {
		s := at(lead, msn)
		if s == nil {
			if next, _ := lead.Next(); msn >= next {
				return
			}
			continue
		}
		if !v.shows(lead, s, s.Duration) {
			continue
		}
		start := begin(v.p, msn)
		*p.Start = mpd.Duration(start + v.apart())
		for _, set := range p.AdaptationSets {
			for _, rep := range set.Representations {
				scale := rep.SegmentTemplate.GetTimescale()
				rep.SegmentTemplate.PresentationTimeOffset = mpd.Ptr(ticks(start, scale))
			}
		}
		return
	}
}

// setOf names what players may switch among: pictures of one codec, sound of one
// codec and language.
func setOf(r *media.Rendition) string {
	codec, _, _ := strings.Cut(r.Codec, ".")
	switch r.Kind {
	case media.VideoRendition:
		return "video " + codec
	case media.SubtitleRendition:
		return "text " + r.ID
	}
	return "audio " + codec + " " + r.Language + " " + r.Name + strconv.Itoa(r.Channels)
}

func (v *view) set(r *media.Rendition, id int) *mpd.AdaptationSetType {
	set := &mpd.AdaptationSetType{Id: mpd.Ptr(uint32(id)), Lang: r.Language, SegmentAlignment: true}
	set.Roles = []*mpd.DescriptorType{{SchemeIdUri: "urn:mpeg:dash:role:2011", Value: v.role(r)}}
	switch r.Kind {
	case media.VideoRendition:
		set.ContentType, set.MimeType, set.StartWithSAP = "video", mpd.MIME_TYPE_VIDEO_MP4, 1
		set.Accessibilities = closed(v.p.Closed())
	case media.AudioRendition:
		set.ContentType, set.MimeType, set.StartWithSAP = "audio", mpd.MIME_TYPE_AUDIO_MP4, 1
	case media.SubtitleRendition:
		set.ContentType, set.MimeType, set.StartWithSAP = "text", "application/mp4", 1
		set.Labels = []*mpd.LabelType{{Value: r.Name}}
	}
	set.ContentProtections = protections(r.Protection)
	if v.o.Token {
		set.SupplementalProperties = []*mpd.DescriptorType{{
			SchemeIdUri:  "urn:mpeg:dash:urlparam:2014",
			UrlQueryInfo: &mpd.UrlQueryInfoType{QueryTemplate: "$querypart$", UseMPDUrlQuery: true},
		}}
	}
	return set
}

// role of a set: players begin with the main one of several sounds.
func (v *view) role(r *media.Rendition) string {
	if isText(r) {
		return "subtitle" // what HLS calls it, and the recording
	}
	preset := func(o *media.Rendition) bool { return o.Kind == media.AudioRendition && o.Default }
	if r.Kind == media.AudioRendition && !r.Default && slices.ContainsFunc(v.p.Renditions, preset) {
		return "alternate"
	}
	return "main"
}

func representation(r *media.Rendition, init int) *mpd.RepresentationType {
	rep := &mpd.RepresentationType{Id: r.ID, Bandwidth: uint32(min(max(r.Bandwidth, r.Mean, 1), math.MaxUint32))}
	rep.Codecs = r.Codec
	if isText(r) {
		return rep
	}
	i := r.Inits[init]
	if i.Codec != "" {
		rep.Codecs = i.Codec
	}
	switch r.Kind {
	case media.VideoRendition:
		rep.Width, rep.Height = uint32(max(i.Width, 0)), uint32(max(i.Height, 0))
		if rep.Width == 0 {
			rep.Width, rep.Height = uint32(max(r.Width, 0)), uint32(max(r.Height, 0))
		}
		rep.FrameRate = rate(r.FPS)
	case media.AudioRendition:
		rep.AudioSamplingRate = mpd.Ptr(mpd.UIntVectorType(strconv.Itoa(int(r.Timescale))))
		if r.Channels > 0 {
			rep.AudioChannelConfigurations = []*mpd.DescriptorType{{SchemeIdUri: mpd.AUDIO_CHANNEL_CONFIGURATION_MPEG_DASH, Value: strconv.Itoa(r.Channels)}}
		}
	}
	return rep
}

// rate writes frames per second as a ratio of whole numbers.
func rate(fps float64) mpd.FrameRateType {
	switch {
	case fps <= 0:
		return ""
	case fps == math.Trunc(fps):
		return mpd.FrameRateType(strconv.Itoa(int(fps)))
	}
	return mpd.FrameRateType(fmt.Sprintf("%d/1000", int(math.Round(fps*1000))))
}

func ticks(d time.Duration, scale uint32) uint64 {
	return uint64(max(d, 0).Milliseconds()) * uint64(scale) / 1000
}
