package rules

import (
	"path"
	"slices"
	"strings"
	"time"
)

// Together checks what has to hold among the Media Playlists of a presentation
// that were read at about the same time. URIs are those by which they were read.
func Together(l *List, uris []string, playlists []*Playlist) {
	for i, p := range playlists {
		first := playlists[0]
		l.must(p.TargetDuration == first.TargetDuration || p.IFrames || p.Ended && (p.Text() || first.Text()), "R1", "%s has target duration %d, %s has %d (section 6.2.4)", uris[i], p.TargetDuration, uris[0], first.TargetDuration)
		l.must(p.Type == first.Type, "R7", "%s has playlist type %q, %s has %q (section 6.2.4)", uris[i], p.Type, uris[0], first.Type)
		same := len(p.Control) == len(first.Control)
		for k, v := range first.Control {
			same = same && p.Control[k] == v
		}
		l.must(same || p.Ended != first.Ended, "R5", "EXT-X-SERVER-CONTROL of %s and %s differ (section 6.2.4)", uris[i], uris[0])
		if p.PartTarget > 0 && !p.Ended && !p.IFrames {
			reports(l, uris, playlists, i)
		}
		numbers(l, uris[i], p, uris[0], first)
	}
}

// reports checks that a playlist tells of each other one.
func reports(l *List, uris []string, playlists []*Playlist, at int) {
	for i, uri := range uris {
		other := playlists[i]
		if i == at || other.IFrames || other.Ended {
			continue
		}
		found := slices.IndexFunc(playlists[at].Reports, func(a Attributes) bool { return resolves(uris[at], a["URI"], uri) })
		l.must(found >= 0, "R16", "%s has no EXT-X-RENDITION-REPORT of %s (appendix B.1)", uris[at], uri)
		if found >= 0 {
			l.must(playlists[at].Reports[found]["LAST-MSN"] != "", "R16", "%s: a rendition report lacks LAST-MSN", uris[at])
		}
	}
}

// resolves reports whether a relative URI of a playlist is another playlist; the
// query is not compared, because variables may stand in it.
func resolves(base, relative, want string) bool {
	cut := func(s string) string { before, _, _ := strings.Cut(s, "?"); return before }
	relative, want = cut(relative), cut(want)
	if relative == want {
		return true
	}
	return path.Join(path.Dir(cut(base)), relative) == path.Clean(want)
}

// numbers checks that what has the same date has the same discontinuity number.
func numbers(l *List, uri string, p *Playlist, uri0 string, first *Playlist) {
	for i := range p.Segments {
		a := &p.Segments[i]
		if a.Date.IsZero() {
			continue
		}
		middle := a.Date.Add(time.Duration(a.Duration / 2 * float64(time.Second)))
		for k := range first.Segments {
			b := &first.Segments[k]
			if b.Date.IsZero() || middle.Before(b.Date) || !middle.Before(b.Date.Add(time.Duration(b.Duration*float64(time.Second)))) {
				continue
			}
			l.must(a.Number == b.Number, "R7", "%s segment %d and %s segment %d show the same moment and have the discontinuity numbers %d and %d (section 6.2.4)",
				uri, a.MSN, uri0, b.MSN, a.Number, b.Number)
		}
	}
}

// Multivariant checks a Multivariant Playlist.
func Multivariant(l *List, uri string, p *Playlist) {
	l.must(len(p.Variants) > 0, "R22", "%s lists no variant", uri)
	groups := make(map[string]bool)
	for _, r := range p.Renditions {
		groups[r["TYPE"]+" "+r["GROUP-ID"]] = true
		l.must(r["NAME"] != "" && r["GROUP-ID"] != "", "R22", "%s: EXT-X-MEDIA without NAME or GROUP-ID (section 4.4.6.1)", uri)
	}
	pictures := false
	for _, v := range p.Variants {
		where := uri + ": " + v["URI"]
		l.must(v.Float("BANDWIDTH") >= 1, "R22", "%s: BANDWIDTH is missing (section 4.4.6.2)", where)
		l.should(v["CODECS"] != "", "R22", "%s: CODECS is missing", where)
		l.should(v["AVERAGE-BANDWIDTH"] != "", "R22", "%s: AVERAGE-BANDWIDTH is missing (authoring specification 9.14)", where)
		if v["RESOLUTION"] != "" {
			pictures = true
			l.should(v["FRAME-RATE"] != "", "R22", "%s: FRAME-RATE is missing (authoring specification 9.15)", where)
		}
		for _, kind := range []string{"AUDIO", "VIDEO", "SUBTITLES"} {
			if id := v[kind]; id != "" {
				l.must(groups[kind+" "+id], "R22", "%s: the group %s %q is not there (section 4.4.6.2.1)", where, kind, id)
			}
		}
	}
	if pictures {
		l.should(len(p.IFrameVariants) > 0, "R22", "%s: there are no I-frame playlists (authoring specification 6.1)", uri)
	}
}
