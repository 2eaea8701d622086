package vod

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/webvtt"
	"github.com/sluice-live/sluice/vod/ffmpeg"
	"github.com/sluice-live/sluice/vod/upload"
)

// The errors of HTTP itself.
var (
	errNoRoute   = errors.New("nothing is served here")
	errMethod    = errors.New("this method is not served here")
	errMediaType = errors.New("the body's media type is not the one that is read here")
	errBodySize  = errors.New("the body is too large")
	errBadJSON   = errors.New("the JSON cannot be read")
	errRecording = errors.New("the asset still records; end the stream first")
	errState     = errors.New("the asset is not in a state for that")
	errBusyParts = errors.New("as many parts as may be are on their way; try again in a moment")
)

// problemRow says what a client is told of an error (RFC 9457).
type problemRow struct {
	err    error
	status int
	word   string
	title  string
}

var problems = []problemRow{
	{media.ErrUnauthorized, 401, "unauthorized", "Not authorized"},
	{media.ErrForbidden, 403, "forbidden", "Not allowed"},
	{media.ErrBadStreamID, 400, "stream-name", "Bad stream name"},
	{media.ErrBadQuery, 400, "query", "Bad query"},
	{media.ErrNotFound, 404, "not-found", "Not found"},
	{media.ErrUnsupported, 422, "codec", "The picture cannot be packaged"},
	{media.ErrStale, 412, "stale", "Precondition failed"},
	{media.ErrOverloaded, 503, "overloaded", "Server is busy"},
	{errNoRoute, 404, "not-found", "Not found"},
	{errMethod, 405, "method", "Method not allowed"},
	{errMediaType, 415, "media-type", "Unsupported media type"},
	{errBodySize, 413, "too-large", "Body too large"},
	{errBadJSON, 400, "json", "Bad JSON"},
	{errRecording, 409, "recording", "Still recording"},
	{errState, 409, "state", "Not now"},
	{errBusyParts, 503, "overloaded", "Server is busy"},
	{webvtt.ErrSyntax, 400, "subtitles", "Bad subtitles"},
	{ffmpeg.ErrMissing, 501, "no-ffmpeg", "Not installed"},
	{upload.ErrNotFound, 404, "no-upload", "No such upload"},
	{upload.ErrTooLarge, 413, "too-large", "File too large"},
	{upload.ErrNoSpace, 507, "no-space", "Disk is full"},
	{upload.ErrShare, 429, "uploads", "Too many uploads"},
	{upload.ErrBusy, 503, "overloaded", "Too many uploads"},
	{upload.ErrPart, 404, "no-part", "No such part"},
	{upload.ErrSize, 400, "part-size", "Wrong size"},
	{upload.ErrChecksum, 400, "checksum", "Damaged part"},
	{upload.ErrTaken, 409, "taken", "Part is taken"},
	{upload.ErrMissing, 409, "parts-missing", "Parts are missing"},
	{upload.ErrSignature, 403, "signature", "Bad signature"},
	{upload.ErrExpired, 403, "expired", "URL has expired"},
}

// problemFor says what the client is told. The words of unknown errors stay inside.
func problemFor(err error) media.Problem {
	var many *errTooMany
	if errors.As(err, &many) {
		return media.Problem{Type: media.ProblemType("rate"), Title: "Too many requests", Status: http.StatusTooManyRequests, Detail: many.Error()}
	}
	var unfit *errUnfit
	if errors.As(err, &unfit) {
		return media.Problem{Type: media.ProblemType("unfit"), Title: "Cannot be one file", Status: http.StatusConflict, Detail: unfit.why}
	}
	for _, row := range problems {
		if errors.Is(err, row.err) {
			return media.Problem{Type: media.ProblemType(row.word), Title: row.title, Status: row.status, Detail: err.Error()}
		}
	}
	return media.Problem{Type: media.ProblemType("internal"), Title: "Internal error", Status: 500, Detail: "the log has more under this trace"}
}

// retrySeconds is when a busy server is asked again.
const retrySeconds = 5

// retryUpload is when who has as many uploads as may be asks again: by then a small one
// may have ended.
const retryUpload = 30 * time.Second

func (v *Vod) refuse(rt route, w *response, r *http.Request, err error) {
	p := problemFor(err)
	p.Instance = w.trace
	h := w.Header()
	h.Del("ETag")
	h.Set("Content-Type", media.ProblemMedia)
	h.Set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="sluice"`)
	case http.StatusForbidden:
		h.Set("WWW-Authenticate", `Bearer realm="sluice", error="insufficient_scope"`)
	case http.StatusTooManyRequests:
		after := retryUpload
		var many *errTooMany
		if errors.As(err, &many) {
			after = many.after + time.Second
		}
		h.Set("Retry-After", strconv.Itoa(int(after/time.Second)))
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retrySeconds))
	}
	if p.Status == http.StatusInternalServerError && r.Context().Err() == nil {
		v.log.Error("request failed", "trace", w.trace, "method", r.Method, "endpoint", rt.name, "err", err)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(p.Body()) // the client may be gone
}

func writeJSON(w http.ResponseWriter, status int, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client may be gone
	return nil
}

// maxJSON bounds a body: the longest description with its escapes.
const maxJSON = 64 << 10

// bodyTime is how long such a body may take.
const bodyTime = 10 * time.Second

// readBody reads a whole body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	control := http.NewResponseController(w)
	// Not every ResponseWriter has deadlines; those of net/http do.
	_ = control.SetReadDeadline(time.Now().Add(bodyTime))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, fmt.Errorf("%w: at most %d bytes are read", errBodySize, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it did not arrive", errBadJSON)
	}
	return b, nil
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if kind = strings.ToLower(strings.TrimSpace(kind)); kind != "application/json" && kind != "application/merge-patch+json" {
		return fmt.Errorf("%w: send application/json", errMediaType)
	}
	b, err := readBody(w, r, maxJSON)
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errBadJSON, err)
	}
	if d.More() {
		return fmt.Errorf("%w: there is more than one value", errBadJSON)
	}
	return nil
}
