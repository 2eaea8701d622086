package playlist

import (
	"strconv"
	"time"

	"github.com/sluice-live/sluice/media"
)

// The versions that what is used asks for (section 8): EXT-X-MAP in I-frame
// playlists and in others, EXT-X-SKIP, QUERYPARAM.
const (
	versionIFrames = 5
	versionMap     = 6
	versionSkip    = 9
	versionQuery   = 11
)

// Media appends the Media Playlist of a rendition to dst: with Partial Segments
// while the presentation goes on.
func (l *Lines) Media(dst []byte, p *media.Presentation, r *media.Rendition, v View) []byte {
	l.update(p, r)
	c := v.cut(p, r)
	skip := 0
	if v.Skip && !c.closed {
		skip = skippable(p, r, c)
	}
	w := writer{b: dst, p: p, r: r, token: l.token}
	if skip > 0 {
		w.version(versionSkip)
	} else {
		w.version(versionMap)
	}
	w.target(longest(p, r))
	w.control(v.static(c) || v.Form == Legacy)
	w.sequence(c, l.jumps(r, c.from))
	w.kind(c, v)
	if skip > 0 {
		w.b = append(w.b, "#EXT-X-SKIP:SKIPPED-SEGMENTS="...)
		w.b = append(strconv.AppendInt(w.b, int64(skip), 10), '\n')
	}
	l.body(&w, c, c.from+skip, v.static(c))
	w.end(c, v)
	return w.b
}

func (w *writer) version(version int) {
	if w.token {
		version = versionQuery
	}
	w.line("#EXTM3U")
	w.b = append(w.b, "#EXT-X-VERSION:"...)
	w.b = append(strconv.AppendInt(w.b, int64(version), 10), '\n')
	if w.token {
		w.line(`#EXT-X-DEFINE:QUERYPARAM="token"`)
	}
}

// longest is the target duration. All text of an asset is one segment; such playlists
// may have a target of their own (section 6.2.4).
func longest(p *media.Presentation, r *media.Rendition) time.Duration {
	d := p.TargetDuration
	if isText(r) && p.Ended {
		for _, s := range r.Segments {
			d = max(d, r.Time(s.Duration))
		}
	}
	return d
}

func (w *writer) target(d time.Duration) {
	w.b = append(w.b, "#EXT-X-TARGETDURATION:"...)
	w.b = append(strconv.AppendInt(w.b, int64((d+time.Second-1)/time.Second), 10), '\n')
}

// control writes what the server can do. The numbers come from the presentation's
// configuration alone and are the same in all its playlists (section 6.2.4): Apple's
// clients stop for good when PART-HOLD-BACK changes.
func (w *writer) control(static bool) {
	if static {
		return
	}
	w.b = append(w.b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK="...)
	w.b = appendSeconds(w.b, partHoldBack(w.p))
	w.b = append(w.b, ",HOLD-BACK="...)
	w.b = appendSeconds(w.b, holdBack(w.p))
	w.b = append(w.b, ",CAN-SKIP-UNTIL="...)
	w.b = append(appendSeconds(w.b, boundary(w.p)), '\n')
	w.b = append(w.b, "#EXT-X-PART-INF:PART-TARGET="...)
	w.b = append(appendSeconds(w.b, w.p.PartTarget), '\n')
}

// sequence writes the numbers of the first segment and what holds for all. jumps
// are the discontinuities among the segments before it.
func (w *writer) sequence(c span, jumps uint64) {
	segments := w.r.Segments[c.from:c.to]
	msn, _ := w.r.Next()
	if len(segments) > 0 {
		msn = segments[0].MSN
	}
	w.b = append(w.b, "#EXT-X-MEDIA-SEQUENCE:"...)
	w.b = append(appendUint(w.b, msn), '\n')
	w.b = append(w.b, "#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	w.b = append(appendUint(w.b, w.r.Removed+jumps), '\n')
	if independent(segments) && (!c.open || w.r.Open == nil || len(w.r.Open.Parts) == 0 || w.r.Open.Independent) {
		w.line("#EXT-X-INDEPENDENT-SEGMENTS")
	}
}

// independent reports whether all segments can be decoded without the one before.
func independent(segments []*media.Segment) bool {
	for _, s := range segments {
		if !s.Independent && !s.Gap {
			return false
		}
	}
	return true
}

// skippable counts the segments of a playlist that a delta update leaves out:
// those that end further from the end of the last segment than the boundary
// (section 6.2.5.1).
func skippable(p *media.Presentation, r *media.Rendition, c span) int {
	if c.to == c.from {
		return 0
	}
	last := r.Segments[c.to-1]
	end, n := last.Start+last.Duration, c.to-c.from
	for ; n > 0; n-- { // from the end: what is kept is short
		if s := r.Segments[c.from+n-1]; r.Time(end-s.Start-s.Duration) > boundary(p) {
			break
		}
	}
	return n
}

// body writes segments: older ones as they were written before, those near the
// end with their parts (section 6.2.2: three target durations).
func (l *Lines) body(w *writer, c span, from int, static bool) {
	segments := w.r.Segments
	end := media.Ticks(0)
	if c.to > 0 {
		end = segments[c.to-1].Start + segments[c.to-1].Duration
	}
	if to, ok := opened(w.r); ok && c.open {
		end = to
	}
	near := c.to
	for !static && !isText(w.r) && near > from && len(segments[near-1].Parts) > 0 && w.r.Time(end-segments[near-1].Start) <= holdBack(w.p) {
		near--
	}
	effect := none
	if from < c.to {
		first := segments[from]
		if effect = l.effect(first.MSN); effect != none && (first.Init == effect || first.Init >= len(w.r.Inits)) {
			w.mapTag(effect) // its own tag was written for one that this playlist does not show
		}
		if near > from {
			w.b = append(w.b, l.between(first.MSN, segments[near-1].MSN+1)...)
			effect = l.effect(segments[near-1].MSN + 1)
		}
	} else if c.to > 0 {
		effect = l.effect(segments[c.to-1].MSN + 1)
	}
	for _, s := range segments[near:c.to] {
		effect = w.head(s, effect)
		w.parts(s)
		w.tail(s)
	}
	if c.open && !isText(w.r) {
		w.open(effect, from == c.to)
	}
}

// open writes the segment that is being made, and hints what comes next: one more of
// its parts, or the first of the next segment under the same name.
func (w *writer) open(effect int, first bool) {
	if o := w.r.Open; o != nil && len(o.Parts) > 0 {
		if first && effect == o.Init {
			effect = none // nothing was written before it: it needs its own map
		}
		w.head(o, effect)
		w.parts(o)
	} else if o != nil && !o.Gap && o.Init != effect && o.Init < len(w.r.Inits) {
		w.b = append(w.b, `#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="`...)
		w.initURI(o.Init)
		w.b = append(w.b, "\"\n"...)
	}
	w.b = append(w.b, `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="`...)
	w.partURI(w.p.NextPart(w.r))
	w.b = append(w.b, "\"\n"...)
}

// end closes the playlist, or tells where the other renditions are.
func (w *writer) end(c span, v View) {
	if c.closed {
		w.line("#EXT-X-ENDLIST")
		return
	}
	if v.Form == Legacy {
		return
	}
	for _, other := range w.p.Renditions {
		if other.ID != w.r.ID && !empty(other) && v.lists(w.p, other) {
			w.report(other, v)
		}
	}
}

// report writes EXT-X-RENDITION-REPORT: the newest part of another rendition.
func (w *writer) report(other *media.Rendition, v View) {
	w.b = append(w.b, `#EXT-X-RENDITION-REPORT:URI="../`...)
	w.b = append(append(w.b, other.ID...), "/media.m3u8"...)
	w.child(v)
	w.b = append(w.b, `",LAST-MSN=`...)
	msn, part := newest(other)
	w.b = appendUint(w.b, msn)
	if part >= 0 {
		w.b = append(w.b, ",LAST-PART="...)
		w.b = strconv.AppendInt(w.b, int64(part), 10)
	}
	w.b = append(w.b, '\n')
}

// newest returns the number of the newest part, or -1 for a segment whose parts
// are gone.
func newest(r *media.Rendition) (msn uint64, part int) {
	if r.Open != nil && len(r.Open.Parts) > 0 {
		return r.Open.MSN, len(r.Open.Parts) - 1
	}
	s := r.Segments[len(r.Segments)-1]
	if isText(r) {
		return s.MSN, -1
	}
	return s.MSN, len(s.Parts) - 1
}

// child ends the URI of another playlist of the same view.
func (w *writer) child(v View) {
	sep := byte('?')
	if v.Query != "" {
		w.b = append(append(w.b, sep), v.Query...)
		sep = '&'
	}
	if w.token {
		w.b = append(append(w.b, sep), "token="+place...)
	}
}
