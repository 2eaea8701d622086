package hlsfallback

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/webvtt"
)

// Headers as the map wants them: shared, never changed.
var (
	anyone     = []string{"*"}
	exposed    = []string{"Age, Content-Length, Content-Range, Date, ETag, Retry-After"}
	allowed    = []string{"Authorization, Content-Type, Range, If-None-Match, If-Range, Cache-Control"}
	methods    = []string{"GET, HEAD, OPTIONS"}
	posts      = []string{"POST, OPTIONS"}
	dayLong    = []string{"86400"}
	noSniff    = []string{"nosniff"}
	typeHLS    = []string{"application/vnd.apple.mpegurl"}
	typeDASH   = []string{"application/dash+xml"}
	typeVideo  = []string{"video/mp4"}
	typeAudio  = []string{"audio/mp4"}
	typeVTT    = []string{webvtt.Type}
	typeWVTT   = []string{"application/mp4"}
	typeText   = []string{"text/plain; charset=utf-8"}
	vary       = []string{"Accept-Encoding"}
	zipped     = []string{"gzip"}
	byteRanges = []string{"bytes"}
)

// reply is the answer to one request, and what is known of it.
type reply struct {
	http.ResponseWriter
	status int
	bytes  int64
	own    bool // a token opened it, and who asks does not check tokens for others
}

// WriteHeader notes the status.
func (w *reply) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		if w.own {
			narrow(w.Header())
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (w *reply) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *reply) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &reply{ResponseWriter: rw}
	h := w.Header()
	h["Access-Control-Allow-Origin"] = anyone
	h["Access-Control-Expose-Headers"] = exposed
	h["X-Content-Type-Options"] = noSniff
	rt, ok := parse(r.URL.Path)
	err := error(errMissing)
	switch {
	case r.Method == http.MethodOptions:
		h["Access-Control-Allow-Methods"] = methods
		if rt.file == licence {
			h["Access-Control-Allow-Methods"] = posts
		}
		h["Access-Control-Allow-Headers"] = allowed
		h["Access-Control-Max-Age"] = dayLong
		w.WriteHeader(http.StatusNoContent)
		return
	case rt.file == licence && r.Method != http.MethodPost:
		err = errPost
	case rt.file != licence && r.Method != http.MethodGet && r.Method != http.MethodHead:
		err = errMethod
	case ok:
		err = s.serve(w, r, &rt)
	}
	s.close(w, r, &rt, err)
}

// close tells what went wrong, and counts.
func (s *Server) close(w *reply, r *http.Request, rt *route, err error) {
	switch {
	case err == nil, errors.Is(err, errAway):
	case w.status != 0:
		// Part of the answer is out: what is broken off must not look whole.
		s.log.WarnContext(r.Context(), "answer broken off", "file", fileNames[rt.file], "name", rt.name, "error", err)
		s.count(w, rt)
		panic(http.ErrAbortHandler)
	default:
		no := explain(err)
		if no.status >= http.StatusInternalServerError && no != errFull && no != errBusy && no != errStopping {
			s.log.WarnContext(r.Context(), "request failed", "file", fileNames[rt.file], "name", rt.name, "error", err)
		}
		refuse(w, no)
	}
	s.count(w, rt)
}

func (s *Server) count(w *reply, rt *route) {
	class := w.status / 100
	if w.status == 0 {
		class = 2
	}
	s.metrics.served[rt.file][class%6].Inc()
	s.metrics.sent[rt.file].Add(float64(w.bytes))
}

// visit is a request that was let in: whose it is, and what there is now.
type visit struct {
	*route
	w     http.ResponseWriter
	src   Source
	shelf *shelf
	q     playlist.Query
	p     *media.Presentation
	r     *media.Rendition // nil above the renditions
	who   netip.Addr
}

func (s *Server) serve(w *reply, r *http.Request, rt *route) error {
	v := visit{route: rt, w: w, src: s.parts.Live, who: s.remote(r)}
	kept := s.live
	if rt.videos {
		v.src, kept = s.parts.Videos, s.videos
	}
	if v.src == nil {
		return errMissing
	}
	if rt.file == clock {
		return s.clock(w)
	}
	var err error
	if r.URL.RawQuery != "" {
		if v.q, err = playlist.ParseQuery(r.URL.RawQuery); err != nil {
			return err
		}
	}
	if w.own, err = s.admit(r, &v); err != nil {
		return err
	}
	if rt.file == licence {
		return s.license(w, r, &v)
	}
	if v.p, err = v.src.Presentation(r.Context(), rt.name); err != nil {
		return err
	}
	if rt.incarnation != "" {
		// A cache may still ask for an earlier run: its numbers mean something else.
		if rt.incarnation != v.p.Incarnation {
			return errMissing
		}
		if v.r = v.p.Rendition(rt.rendition); v.r == nil {
			return errMissing
		}
		if !v.speaks() {
			return errMissing
		}
	}
	switch rt.file {
	case multivariant, manifest, mediaList, iframeList:
		v.shelf = kept.of(rt.name, v.p.Incarnation)
	}
	return s.hand(w, r, &v)
}

// clock tells the time, to everybody and whatever the stream: dash.js asks for it without
// the token in the manifest's query, and an answer that tells nothing of the stream needs none.
func (s *Server) clock(w *reply) error {
	w.Header()["Content-Type"] = typeText
	w.Header().Set("Cache-Control", "no-store")
	_, err := w.Write(time.Now().UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"))
	return away(err)
}

func (s *Server) hand(w *reply, r *http.Request, v *visit) error {
	switch v.file {
	case multivariant, manifest:
		return s.entry(w, r, v)
	case mediaList, iframeList:
		return s.list(w, r, v)
	case initSection:
		if v.r.Kind == media.SubtitleRendition {
			return s.textSection(w, r, v)
		}
		section, ok := v.p.Init(v.r, v.init)
		if !ok {
			return errMissing
		}
		return s.bytes(w, r, v, content{memory: [][]byte{section.Data}, size: int64(len(section.Data))})
	case part:
		return s.part(w, r, v)
	case segment:
		return s.segment(w, r, v)
	case text:
		return s.text(w, r, v)
	default:
		return s.joined(w, r, v)
	}
}

// away takes the error of a write: whose client has gone needs no answer.
func away(err error) error {
	if err != nil {
		return errAway
	}
	return nil
}

// serverPatience is what servers grant an answer at least.
const serverPatience = 20 * time.Second

// await calls ready with each new snapshot of the visit's rendition until it says
// so. It waits three target durations at most (section 6.2.5.2).
func (s *Server) await(ctx context.Context, v *visit, ready func() (bool, error)) error {
	if ok, err := ready(); ok || err != nil {
		return err
	}
	if !s.take(v.who) {
		s.metrics.refused.WithLabelValues("waiting").Inc()
		return errFull
	}
	defer s.give(v.who)
	began := time.Now()
	defer func() { s.metrics.wait.Observe(time.Since(began).Seconds()) }()
	patience := 3 * v.p.TargetDuration
	if patience > serverPatience {
		// HTTP/2 breaks off what was not answered within http.Server.WriteTimeout.
		_ = http.NewResponseController(v.w).SetWriteDeadline(began.Add(2 * patience)) // tests' writers have none
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		changed := v.src.Changed(v.name, v.rendition)
		if err := v.renew(ctx); err != nil {
			return err
		}
		if ok, err := ready(); ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-late.C:
			return errLate
		case <-ctx.Done():
			return errAway
		case <-s.stop:
			return errStopping
		}
	}
}

// take takes a place among those who wait.
func (s *Server) take(who netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.Take(who)
}

// give gives it back.
func (s *Server) give(who netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting.Leave(who)
}

// renew takes the newest snapshot.
func (v *visit) renew(ctx context.Context) error {
	p, err := v.src.Presentation(ctx, v.name)
	if err != nil {
		return err
	}
	if p.Incarnation != v.p.Incarnation {
		return errMissing
	}
	r := p.Rendition(v.rendition)
	if r == nil {
		return errMissing
	}
	v.p, v.r = p, r
	return nil
}
