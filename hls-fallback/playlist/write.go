package playlist

import (
	"strconv"
	"time"

	"github.com/sluice-live/sluice/media"
)

// dateFormat is EXT-X-PROGRAM-DATE-TIME's, to the millisecond.
const dateFormat = "2006-01-02T15:04:05.000Z"

// hundredths turns a media time into hundred-thousandths of a second, rounded.
// Durations are differences of rounded times, so that rounding never adds up
// over a playlist.
func hundredths(t media.Ticks, scale uint32) int64 {
	s := int64(scale)
	whole, rest := int64(t)/s, int64(t)%s
	return whole*100000 + (rest*100000+s/2)/s
}

// appendDuration writes the duration of [start, start+d) in seconds.
func appendDuration(b []byte, start, d media.Ticks, scale uint32) []byte {
	return appendFixed(b, max(hundredths(start+d, scale)-hundredths(start, scale), 0))
}

func appendFixed(b []byte, v int64) []byte {
	b = strconv.AppendInt(b, v/100000, 10)
	frac := v % 100000
	b = append(b, '.', byte('0'+frac/10000), byte('0'+frac/1000%10), byte('0'+frac/100%10), byte('0'+frac/10%10), byte('0'+frac%10))
	return b
}

// appendSeconds writes an attribute's decimal-floating-point, without zeros at
// its end.
func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, d.Seconds(), 'f', -1, 64)
}

func appendUint(b []byte, v uint64) []byte { return strconv.AppendUint(b, v, 10) }

// writer writes the lines of one rendition's playlists.
type writer struct {
	b     []byte
	p     *media.Presentation
	r     *media.Rendition
	token bool
}

// query ends a URI: the client puts in the token that it came with.
func (w *writer) query() {
	if w.token {
		w.b = append(w.b, "?token="+place...)
	}
}

func (w *writer) line(s string) { w.b = append(append(w.b, s...), '\n') }

func (w *writer) segmentURI(msn uint64) {
	w.b = appendUint(w.b, msn)
	if isText(w.r) {
		w.b = append(w.b, ".vtt"...)
	} else {
		w.b = append(w.b, ".m4s"...)
	}
	w.query()
}

// isText reports whether a rendition is text: WebVTT files, and no Partial Segments of
// them. Nothing asks for those, and hls.js 1.7 stalls on some (its issue 8051); text
// that comes with its segment is on time wherever segments are shorter than the delay.
func isText(r *media.Rendition) bool { return r.Kind == media.SubtitleRendition }

func (w *writer) partURI(msn uint64, part int) {
	w.b = append(appendUint(w.b, msn), '.')
	w.b = append(strconv.AppendInt(w.b, int64(part), 10), ".m4s"...)
	w.query()
}

func (w *writer) initURI(n int) {
	w.b = append(w.b, "init-"...)
	w.b = append(append(w.b, w.p.InitName(w.r, n)...), ".mp4"...)
	w.query()
}

// mapTag writes EXT-X-MAP, and before it the keys that it and what follows are
// encrypted with (section 4.4.4.5).
func (w *writer) mapTag(n int) {
	if w.r.Protection != nil {
		w.keys("#EXT-X-KEY:", w.r.Protection)
	}
	w.b = append(w.b, `#EXT-X-MAP:URI="`...)
	w.initURI(n)
	w.b = append(w.b, "\"\n"...)
}

// none is the state before any EXT-X-MAP.
const none = -1

// head writes the tags that stand before a segment and its parts (section
// 4.4.4.9 wants them there), and returns the initialisation section in effect. A
// gap may come before the first is known.
func (w *writer) head(s *media.Segment, effect int) int {
	if s.Discontinuity {
		w.line("#EXT-X-DISCONTINUITY")
	}
	if s.Init != effect && s.Init < len(w.r.Inits) {
		w.mapTag(s.Init)
		effect = s.Init
	}
	w.date(s.Start)
	return effect
}

// date writes EXT-X-PROGRAM-DATE-TIME. Every segment has one: whichever becomes
// the first keeps it, and nobody adds up durations over hours.
func (w *writer) date(t media.Ticks) {
	w.b = append(w.b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	w.b = w.p.At(w.r, t).Round(time.Millisecond).UTC().AppendFormat(w.b, dateFormat)
	w.b = append(w.b, '\n')
}

// tail writes the segment itself.
func (w *writer) tail(s *media.Segment) {
	if s.Gap {
		w.line("#EXT-X-GAP")
	}
	w.b = append(w.b, "#EXTINF:"...)
	w.b = append(appendDuration(w.b, s.Start, s.Duration, w.r.Timescale), ",\n"...)
	w.segmentURI(s.MSN)
	w.b = append(w.b, '\n')
}

// later is by how much parts of pictures are listed later than they are, all but the
// first of a segment, in hundred-thousandths of a second.
//
// Shaka Player up to 5.2.12 sets a SourceBuffer's timestampOffset to what a part's
// place in the playlist is after its tfdt, and a millisecond more when that is
// negative, as it is live (setTimestampOffset_). Where the next part's is not more
// than the one before, it finds a difference of the whole millisecond that it allows,
// and calls abort(): after that Media Source Extensions drop all pictures up to the
// next key frame (its issue 10589). Half a millisecond is in the middle of what it
// bears, as it is of what EXT-X-PROGRAM-DATE-TIME rounds away.
const later = 50

// partDuration is what the playlist says of part i, in hundred-thousandths of a second,
// after parts that it said last listed. Each part of pictures is listed a little later
// than the one before, as later says, never beyond PART-TARGET.
func (w *writer) partDuration(s *media.Segment, i int, listed int64) int64 {
	part := &s.Parts[i]
	if w.r.Kind != media.VideoRendition {
		return max(hundredths(part.Start+part.Duration, w.r.Timescale)-hundredths(part.Start, w.r.Timescale), 0)
	}
	// Rounded down and one more each time: what is added grows at every part, for one
	// in the middle of a segment may be where a player begins.
	ends := int64(part.Start+part.Duration-s.Parts[0].Start)*100000/int64(w.r.Timescale) + later + int64(i) + 1
	return min(max(ends-listed, 0), int64(w.p.PartTarget/(10*time.Microsecond)))
}

// parts writes the Partial Segments of a segment that are ready.
func (w *writer) parts(s *media.Segment) {
	if isText(w.r) {
		return
	}
	listed := int64(0)
	for i := range s.Parts {
		part := &s.Parts[i]
		d := w.partDuration(s, i, listed)
		listed += d
		w.b = append(w.b, "#EXT-X-PART:DURATION="...)
		w.b = appendFixed(w.b, d)
		w.b = append(w.b, `,URI="`...)
		w.partURI(w.p.PartName(s, i))
		w.b = append(w.b, '"')
		if part.Independent {
			w.b = append(w.b, ",INDEPENDENT=YES"...)
		}
		if part.Gap {
			w.b = append(w.b, ",GAP=YES"...)
		}
		w.b = append(w.b, '\n')
	}
}
