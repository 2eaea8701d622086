package playlist

import (
	"strconv"
	"time"

	"github.com/sluice-live/sluice/media"
)

// joinTo is how long the segments of the legacy profile are to be: what Apple
// recommends, and what players without low latency have been built around.
const joinTo = 6 * time.Second

// maxJoined bounds how many segments one joined one is made of, by which a URI
// that asks for more is refused: six seconds of the shortest segments (0.1 s).
const maxJoined = 64

// Joined joins finished segments to longer ones. Its groups are decided once and
// never change. One Joined serves one rendition of one incarnation.
type Joined struct {
	groups []group
	number uint64 // of the first group
	next   uint64 // the first segment that is in no group yet
	began  bool
}

// group is a run of segments without a break.
type group struct{ first, last uint64 }

// target is the target duration of the legacy profile.
func target(p *media.Presentation) time.Duration { return max(joinTo, p.TargetDuration) }

func (j *Joined) update(p *media.Presentation, r *media.Rendition) {
	if len(r.Segments) == 0 {
		return
	}
	oldest := r.Segments[0].MSN
	if !j.began || oldest > j.next {
		// What was joined before cannot be known: as no more groups than segments can
		// have gone, the numbers still never fall.
		*j = Joined{number: max(oldest, j.number+uint64(len(j.groups))), next: oldest, began: true}
	}
	gone := 0
	for gone < len(j.groups) && j.groups[gone].first < oldest {
		gone++
	}
	j.number += uint64(gone)
	j.groups = j.groups[gone:]
	for j.join(p, r) {
	}
}

// join closes one group, when it is known where it ends.
func (j *Joined) join(p *media.Presentation, r *media.Rendition) bool {
	segments := r.Segments[j.next-r.Segments[0].MSN:]
	if len(segments) == 0 {
		return false
	}
	limit := target(p) + 499*time.Millisecond // EXTINF rounds to the target duration
	for i := range segments[:min(len(segments), maxJoined)] {
		d := length(r, segments[:i+1])
		full := d >= joinTo-time.Second/4 || i == maxJoined-1
		last := i == len(segments)-1
		if !full && last && !p.Ended && !over(r, segments, limit) {
			return false // what follows may belong to it
		}
		if full || last || parted(segments[i], segments[i+1]) || length(r, segments[:i+2]) > limit {
			j.groups = append(j.groups, group{segments[0].MSN, segments[i].MSN})
			j.next = segments[i].MSN + 1
			return true
		}
	}
	return false
}

// over reports whether what is being made cannot belong to the run any more.
func over(r *media.Rendition, run []*media.Segment, limit time.Duration) bool {
	end, ok := opened(r)
	return r.Open != nil && parted(run[len(run)-1], r.Open) || ok && r.Time(end-run[0].Start) > limit
}

func length(r *media.Rendition, run []*media.Segment) time.Duration {
	last := run[len(run)-1]
	return r.Time(last.Start + last.Duration - run[0].Start)
}

// parted reports whether two segments cannot be one.
func parted(a, b *media.Segment) bool {
	return b.Discontinuity || a.Gap != b.Gap || !b.Gap && a.Init != b.Init
}

// Playlist appends the legacy playlist of a rendition: EVENT as long as nothing
// of it was removed. It returns nil as long as there is no joined segment.
func (j *Joined) Playlist(dst []byte, p *media.Presentation, r *media.Rendition, v View) []byte {
	j.update(p, r)
	c := v.cut(p, r)
	w := writer{b: dst, p: p, r: r, token: v.Token}
	msn, _ := r.Next()
	from, to := msn, msn
	if c.to > c.from {
		from, to = r.Segments[c.from].MSN, r.Segments[c.to-1].MSN
	}
	first, number := 0, j.number
	for first < len(j.groups) && j.groups[first].first < from {
		first, number = first+1, number+1
	}
	groups := j.groups[first:]
	for len(groups) > 0 && groups[len(groups)-1].first > to {
		groups = groups[:len(groups)-1]
	}
	if len(groups) == 0 {
		return nil
	}
	w.groups(groups, number, c, v)
	return w.b
}

func (w *writer) groups(groups []group, number uint64, c span, v View) {
	r := w.r
	w.version(versionMap)
	w.target(target(w.p))
	w.b = append(w.b, "#EXT-X-MEDIA-SEQUENCE:"...)
	w.b = append(appendUint(w.b, number), '\n')
	jumps := r.Removed
	all := true
	for _, s := range r.Segments {
		all = all && (s.Independent || s.Gap)
		if s.Discontinuity && s.MSN < groups[0].first {
			jumps++
		}
	}
	w.b = append(w.b, "#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	w.b = append(appendUint(w.b, jumps), '\n')
	w.kind(c, v)
	if all {
		w.line("#EXT-X-INDEPENDENT-SEGMENTS")
	}
	effect := none
	for _, g := range groups {
		run := r.Segments[g.first-r.Segments[0].MSN : g.last-r.Segments[0].MSN+1]
		effect = w.head(run[0], effect)
		if run[0].Gap {
			w.line("#EXT-X-GAP")
		}
		last := run[len(run)-1]
		w.b = append(w.b, "#EXTINF:"...)
		w.b = append(appendDuration(w.b, run[0].Start, last.Start+last.Duration-run[0].Start, r.Timescale), ",\n"...)
		w.joinedURI(g)
	}
	if c.closed {
		w.line("#EXT-X-ENDLIST")
	}
}

func (w *writer) joinedURI(g group) {
	w.b = appendUint(w.b, g.first)
	if g.last > g.first {
		w.b = append(w.b, '-')
		w.b = strconv.AppendUint(w.b, g.last, 10)
	}
	w.b = append(w.b, ".m4s"...)
	w.query()
	w.b = append(w.b, '\n')
}

// Joinable returns the segments that the URI of a joined one names, or nil.
func Joinable(r *media.Rendition, first, last uint64) []*media.Segment {
	if len(r.Segments) == 0 || last < first || last-first >= maxJoined || first < r.Segments[0].MSN {
		return nil
	}
	oldest := r.Segments[0].MSN
	if last-oldest >= uint64(len(r.Segments)) {
		return nil
	}
	return r.Segments[first-oldest : last-oldest+1]
}
