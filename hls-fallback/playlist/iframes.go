package playlist

import (
	"strconv"

	"github.com/sluice-live/sluice/media"
)

// IFrames appends the I-frame playlist of a video rendition: one entry for each
// segment, with the bytes of the picture that it begins with (section 4.4.3.6).
// A segment that does not begin with one is a gap here, so that numbers stay
// those of the segments.
func IFrames(dst []byte, p *media.Presentation, r *media.Rendition, v View) []byte {
	c := v.cut(p, r)
	w := writer{b: dst, p: p, r: r, token: v.Token}
	skip := 0
	if v.Skip && !c.closed {
		skip = skippable(p, r, c)
	}
	if skip > 0 {
		w.version(versionSkip)
	} else {
		w.version(versionIFrames)
	}
	w.target(p.TargetDuration)
	w.line("#EXT-X-I-FRAMES-ONLY")
	w.control(v.static(c))
	jumps := uint64(0)
	for _, s := range r.Segments[:c.from] {
		if s.Discontinuity {
			jumps++
		}
	}
	w.sequence(span{from: c.from, to: c.to}, jumps)
	w.kind(c, v)
	if skip > 0 {
		w.b = append(w.b, "#EXT-X-SKIP:SKIPPED-SEGMENTS="...)
		w.b = append(strconv.AppendInt(w.b, int64(skip), 10), '\n')
	}
	effect := none // the first that is shown says its section, also in a delta update
	for _, s := range r.Segments[c.from+skip : c.to] {
		effect = w.head(s, effect)
		if s.Gap || !s.Independent {
			w.line("#EXT-X-GAP")
		}
		w.b = append(w.b, "#EXTINF:"...)
		w.b = append(appendDuration(w.b, s.Start, s.Duration, r.Timescale), ",\n"...)
		if s.Lead > 0 && s.Independent && !s.Gap {
			w.b = append(w.b, "#EXT-X-BYTERANGE:"...)
			w.b = append(strconv.AppendInt(w.b, s.Lead, 10), "@0\n"...)
		}
		w.segmentURI(s.MSN)
		w.b = append(w.b, '\n')
	}
	if c.closed {
		w.line("#EXT-X-ENDLIST")
	}
	return w.b
}

// kind writes EXT-X-PLAYLIST-TYPE where its promise holds: VOD never changes,
// EVENT loses nothing from its beginning.
func (w *writer) kind(c span, v View) {
	switch {
	case v.static(c):
		w.line("#EXT-X-PLAYLIST-TYPE:VOD")
	case c.whole && (v.Form == Legacy || v.Shift):
		w.line("#EXT-X-PLAYLIST-TYPE:EVENT")
	}
}
