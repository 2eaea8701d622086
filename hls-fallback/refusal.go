package hlsfallback

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/media"
)

// refusal is an answer that is no media: what a person and a program are told, and
// how long caches may repeat it.
type refusal struct {
	status int
	word   string // "urn:sluice:problem:" and this
	title  string
	detail string
	retry  time.Duration
	keep   time.Duration
}

// Error says what the client is told.
func (r *refusal) Error() string { return r.title + ": " + r.detail }

// Errors are repeated by caches for a second at most, less than the target
// duration that is allowed (appendix B.1): what is not there now may be soon.
const keepError = time.Second

func missing(detail string) *refusal {
	return &refusal{status: http.StatusNotFound, word: "not-found", title: "Not found", detail: detail, keep: keepError}
}

var (
	errMissing  = missing("nothing is served here, or it is too old")
	errMethod   = &refusal{status: http.StatusMethodNotAllowed, word: "method", title: "Method not allowed", detail: "GET, HEAD and OPTIONS are served here"}
	errPost     = &refusal{status: http.StatusMethodNotAllowed, word: "method", title: "Method not allowed", detail: "licences are asked for by POST"}
	errFull     = &refusal{status: http.StatusServiceUnavailable, word: "overloaded", title: "Server is full", detail: "as many requests wait for new media as may wait", retry: 2 * time.Second}
	errBusy     = &refusal{status: http.StatusServiceUnavailable, word: "overloaded", title: "Server is full", detail: "as many playlists with times of their own are made as may be", retry: time.Second}
	errLate     = &refusal{status: http.StatusServiceUnavailable, word: "late", title: "Nothing came", detail: "for three target durations there was nothing new; is the stream still published?", retry: time.Second}
	errStopping = &refusal{status: http.StatusServiceUnavailable, word: "shutting-down", title: "Server is shutting down", detail: "another server, or this one soon, has the stream", retry: 5 * time.Second}
	errPicture  = &refusal{status: http.StatusUnprocessableEntity, word: "codec", title: "The picture cannot be packaged", keep: keepError,
		detail: "the stream is published in VP8, which HLS and DASH do not know; publish H.264, H.265, VP9 or AV1, or turn the ladder on; WebRTC plays it as it is"}
	errBytes = &refusal{status: http.StatusServiceUnavailable, word: "storage", title: "The media cannot be read now", detail: "the log has more", retry: 2 * time.Second}
	// errAway ends a request whose client has gone: nobody reads an answer.
	errAway = errors.New("the client has gone")
)

// explain turns any error into a refusal. Errors of others tell nothing about the
// inside unless they are known.
func explain(err error) *refusal {
	var r *refusal
	var busy *media.BusyError
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, playlist.ErrQuery):
		return &refusal{status: http.StatusBadRequest, word: "query", title: "Bad query", detail: err.Error(), keep: keepError}
	case errors.Is(err, media.ErrUnauthorized):
		return &refusal{status: http.StatusUnauthorized, word: "unauthorized", title: "Not authorized", detail: err.Error()}
	case errors.Is(err, media.ErrForbidden):
		return &refusal{status: http.StatusForbidden, word: "forbidden", title: "Not allowed", detail: err.Error()}
	case errors.Is(err, media.ErrNotFound), errors.Is(err, media.ErrNoStream), errors.Is(err, media.ErrBadStreamID):
		return errMissing
	case errors.Is(err, media.ErrNotLive):
		return missing("nobody publishes this stream now")
	case errors.Is(err, media.ErrUnsupported):
		return errPicture
	case errors.As(err, &busy):
		return &refusal{status: http.StatusServiceUnavailable, word: "overloaded", title: "Not now", detail: busy.Why, retry: max(busy.After, 2*time.Second)}
	case errors.Is(err, media.ErrOverloaded):
		return errFull
	}
	return &refusal{status: http.StatusInternalServerError, word: "internal", title: "Internal error", detail: "the log has more"}
}

// refuse writes a refusal as a problem (RFC 9457).
func refuse(w http.ResponseWriter, r *refusal) {
	h := w.Header()
	for _, name := range []string{"Etag", "Content-Encoding", "Vary", "Priority", "Set-Cookie", "Content-Range", "Accept-Ranges"} {
		h.Del(name)
	}
	h.Set("Content-Type", media.ProblemMedia)
	h.Set("Cache-Control", "no-store")
	if r.keep > 0 {
		h.Set("Cache-Control", "max-age="+seconds(r.keep))
	}
	if r.retry > 0 {
		h.Set("Retry-After", seconds(r.retry))
	}
	switch r.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="sluice"`)
	case http.StatusMethodNotAllowed:
		h["Allow"] = methods
		if r == errPost {
			h["Allow"] = posts
		}
	}
	body := media.Problem{Type: media.ProblemType(r.word), Title: r.title, Status: r.status, Detail: r.detail}.Body()
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(r.status)
	_, _ = w.Write(body) // a client that has gone misses nothing
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
