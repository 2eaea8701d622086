package hlsfallback

import (
	"errors"
	"hash/crc32"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/media"
)

// entry serves what a player begins with: the Multivariant Playlist and the MPD.
func (s *Server) entry(w *reply, r *http.Request, v *visit) error {
	if err := playable(v.p); err != nil {
		return err
	}
	view, err := v.q.View(v.p, s.window(v))
	if err != nil {
		return err
	}
	view.Skip = false
	personal := s.remember(w, r, v.route, v.q.Token)
	key := wish{file: v.file, view: view}
	a, err := s.rendered(v, key, func() []byte {
		if v.file == manifest {
			return v.shelf.manifest(v.p, view, v.videos)
		}
		return playlist.Multivariant(nil, v.p, view)
	})
	if err != nil {
		return err
	}
	if a.nothing {
		return missing("nothing was captured in that time, or nothing is packaged yet")
	}
	h := w.Header()
	switch {
	case personal:
		h.Set("Cache-Control", "private, max-age=1")
	case v.fixed():
		h["Cache-Control"] = keepEntry
	case v.file == manifest:
		h["Cache-Control"] = keepSecond // its timeline grows with each segment
	default:
		// Renditions seldom come and go: half a target duration (R19).
		h.Set("Cache-Control", "public, max-age="+seconds(max(v.p.TargetDuration/2, time.Second)))
	}
	return a.send(w, r, v)
}

// playable refuses what HLS and DASH cannot carry, before a player tries in vain.
func playable(p *media.Presentation) error {
	pictures, can := 0, 0
	for _, r := range p.Renditions {
		if r.Kind == media.VideoRendition {
			pictures++
			if !strings.HasPrefix(r.Codec, "vp8") && !strings.HasPrefix(r.Codec, "vp08") {
				can++
			}
		}
	}
	switch {
	case pictures > 0 && can == 0:
		return errPicture
	case len(p.Renditions) == 0:
		return missing("nothing of this stream is packaged yet")
	}
	return nil
}

// window is how far the playlist reaches back: of an asset it is all there is.
func (s *Server) window(v *visit) time.Duration {
	if v.videos && v.p.Ended {
		return 0
	}
	return s.cfg.Window
}

// fixed reports whether the visit's playlists will never change.
func (v *visit) fixed() bool { return v.videos && v.p.Ended }

// maxShifted bounds the requests for time-shifted playlists that are rendered or wait
// for it: one of two hours takes some milliseconds.
const maxShifted = 64

// rendered returns the rendering of the visit's snapshot, or of a newer one. Playlists
// with times of their own are as many as anybody likes to make up: half of the
// processors are enough for them, and what is too much is refused.
func (s *Server) rendered(v *visit, key wish, text func() []byte) (*answer, error) {
	if !key.view.Shift {
		return v.shelf.get(key, v.p, s.maker(key, text)), nil
	}
	defer s.shifted.Add(-1)
	if s.shifted.Add(1) > maxShifted {
		s.metrics.refused.WithLabelValues("shift").Inc()
		return nil, errBusy
	}
	one := s.maker(key, text)
	return v.shelf.get(key, v.p, func(a *answer) {
		s.shifts <- struct{}{}
		defer func() { <-s.shifts }()
		one(a)
	}), nil
}

// maker measures a rendering.
func (s *Server) maker(key wish, text func() []byte) func(*answer) {
	return func(a *answer) {
		began := time.Now()
		a.fill(text())
		s.metrics.render.Observe(time.Since(began).Seconds())
		s.metrics.renders.WithLabelValues(fileNames[key.file]).Inc()
	}
}

// list serves Media Playlists, once they have what was asked for.
func (s *Server) list(w *reply, r *http.Request, v *visit) error {
	if v.file == iframeList && v.r.Kind != media.VideoRendition {
		return errMissing
	}
	if v.r.OnDemand && !v.p.Ended {
		v.src.Want(v.name, v.rendition)
	}
	view, err := v.q.View(v.p, s.window(v))
	if err != nil {
		return err
	}
	directives := v.q.Directives
	if view.Form == playlist.Legacy {
		directives = playlist.Directives{} // it offers no delivery directives
	}
	if v.file == iframeList || v.r.Kind == media.SubtitleRendition {
		directives.HasPart = false // there are no parts in it
	}
	key := wish{v.file, v.rendition, view}
	began := time.Now()
	var a *answer
	err = s.await(r.Context(), v, func() (bool, error) {
		verdict, err := playlist.Judge(v.p, v.r, directives)
		if err != nil || verdict == playlist.Wait {
			return false, err
		}
		if len(v.r.Segments) == 0 && !directives.HasMSN && !v.p.Ended && v.r.Open != nil && len(v.r.Open.Parts) > 0 {
			return false, nil // hls.js takes a playlist of parts alone for an empty one, and comes again later
		}
		if v.r.OnDemand && !directives.HasMSN && !v.p.Ended && waking(v.r) && time.Since(began) < wakes {
			return false, nil
		}
		if a, err = s.rendered(v, key, func() []byte { return v.shelf.list(key, v.p, v.r) }); err != nil {
			return false, err
		}
		if a.nothing && (v.p.Ended || view.Shift) {
			return false, missing("nothing was captured in that time, or it is not kept any more")
		}
		return !a.nothing, nil
	})
	if err != nil {
		return blocked(err, directives)
	}
	h := w.Header()
	switch {
	case v.fixed():
		h["Cache-Control"] = keepPlaylist
	case directives.HasMSN && !v.p.Ended:
		// Its URI names the part that it waits for: it may be kept as long as the media
		// (R19, six target durations).
		h.Set("Cache-Control", "public, max-age="+seconds(6*v.p.TargetDuration))
	default:
		h["Cache-Control"] = keepSecond
	}
	if v.file == mediaList && !v.fixed() {
		h.Set(cache.PlaceHeader, placeOf(v.r).String())
	}
	return a.send(w, r, v)
}

// placeOf tells edges how far a rendition reaches.
func placeOf(r *media.Rendition) cache.Place {
	msn, part := r.Next()
	p := cache.Place{MSN: msn, Part: uint64(part)}
	if r.Kind != media.VideoRendition {
		return p // sound has no pictures that others are made of
	}
	p.Tag = tagOf(r.Open)
	if n := len(r.Segments); n > 0 {
		p.Before = tagOf(r.Segments[n-1])
	}
	return p
}

// tagOf is a digest of how a segment begins: in its first bytes are the sizes of its
// first samples, which two encoders do not have in common.
func tagOf(s *media.Segment) uint32 {
	if s == nil {
		return 0
	}
	for i := range s.Parts {
		if data := s.Parts[i].Data; len(data) > 0 {
			return crc32.ChecksumIEEE(data[:min(len(data), 1<<10)])
		}
	}
	return 0
}

// wakes is how long a player that tunes in waits for what is made on demand: an
// encoder begins within a second, and a segment lasts two.
const wakes = 6 * time.Second

// waking reports whether nobody has made the rendition lately: its last finished
// segment is a gap. Shaka Player 5.2 does not start from gaps alone, and hls.js 1.7
// may not find out of them.
func waking(r *media.Rendition) bool {
	n := len(r.Segments)
	return n > 0 && r.Segments[n-1].Gap
}

// blocked lets caches remember the refusal of a blocking request no longer than a
// moment: what is too far ahead now is not in a second.
func blocked(err error, d playlist.Directives) error {
	if d.HasMSN && errors.Is(err, playlist.ErrQuery) {
		no := *explain(err)
		no.keep = keepError
		return &no
	}
	return err
}

// Lifetimes of what never changes (R21) and of plain playlists: a second, because a
// player that tunes in begins where the playlist ends.
var (
	keepSecond   = []string{"public, max-age=1"}
	keepEntry    = []string{"public, max-age=60, s-maxage=60"} // an asset's subtitles may change; their addresses change with them
	keepPlaylist = []string{"public, max-age=86400, s-maxage=31536000"}
	keepLive     = []string{"public, max-age=86400, s-maxage=86400, immutable"}
	keepForever  = []string{"public, max-age=31536000, s-maxage=31536000, immutable"}
	// What comes first matters most (R18, RFC 9218): playlists, sound, small pictures.
	urgency = [...][]string{{"u=0"}, {"u=1"}, {"u=2"}, {"u=3"}, {"u=4"}, {"u=5"}, {"u=6"}}
)

// send writes the answer, compressed where the client can take it.
func (a *answer) send(w *reply, r *http.Request, v *visit) error {
	h := w.Header()
	h["Vary"] = vary
	h["Etag"] = a.etag
	h["Priority"] = urgency[1]
	if v.file == manifest {
		h["Content-Type"] = typeDASH
	} else {
		h["Content-Type"] = typeHLS
	}
	if match := r.Header["If-None-Match"]; match != nil && matches(match, a.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body := a.body
	if gzips(r.Header["Accept-Encoding"]) {
		body = a.gz
		h["Content-Encoding"] = zipped
		h["Content-Length"] = a.gzLength
	} else {
		h["Content-Length"] = a.length
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	_, err := w.Write(body)
	return away(err)
}

// gzips reports whether a client takes gzip (RFC 9110 section 12.5.3).
func gzips(accept []string) bool {
	for _, line := range accept {
		for line != "" {
			var one string
			one, line, _ = strings.Cut(line, ",")
			name, weight, _ := strings.Cut(one, ";")
			if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && name != "*" {
				continue
			}
			q, ok := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !ok || strings.Trim(q, "0.") != ""
		}
	}
	return false
}

// matches reports whether an entity tag is in If-None-Match; weak ones count too
// (RFC 9110 section 13.1.2).
func matches(lines []string, etag string) bool {
	for _, line := range lines {
		for line != "" {
			var one string
			one, line, _ = strings.Cut(line, ",")
			one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
			if one == etag || one == "*" {
				return true
			}
		}
	}
	return false
}
