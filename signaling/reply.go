package signaling

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/problem"
)

// refuse answers a request with its error. It is the only place that does.
func (s *Server) refuse(rt route, w http.ResponseWriter, r *http.Request, err error) {
	p := problem.For(err)
	p.Instance = Trace(r.Context())
	h := w.Header()
	h.Set("Content-Type", media.ProblemMedia)
	h.Set("Cache-Control", "no-store")
	if p.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(retryAfter(p)))
	}
	switch p.Status {
	case http.StatusTemporaryRedirect:
		h.Set("Location", p.Location)
	case http.StatusUnauthorized, http.StatusForbidden:
		h.Set("WWW-Authenticate", challenge(p.Status, bearer(r)))
	case http.StatusUnsupportedMediaType:
		describe(rt, h)
	}
	s.logRefusal(rt, r, p, err)
	w.WriteHeader(p.Status)
	_, _ = w.Write(p.Body()) // the client may be gone
}

func (s *Server) logRefusal(rt route, r *http.Request, p problem.Problem, err error) {
	if r.Context().Err() != nil {
		return // the client went away; nobody reads the answer
	}
	at := []any{"trace", p.Instance, "method", r.Method, "endpoint", rt.name, "status", p.Status, "err", err}
	if id, err := media.ParseStreamID(r.PathValue("stream")); err == nil {
		at = append(at, "stream", id)
	}
	var busy *media.BusyError // told by metrics: under load there are thousands
	switch {
	case p.Status == http.StatusInternalServerError:
		s.log.Error("request failed", at...)
	case r.Method == http.MethodPost && bearer(r) != "" && p.Status != http.StatusTooManyRequests && !errors.As(err, &busy):
		// Somebody with a key or token does not get in: the operator will be asked.
		s.log.Warn("request refused", at...)
	default:
		// Whoever floods the door must not flood the log too.
		s.log.Debug("request refused", at...)
	}
}

// retryAfter is in whole seconds, rounded up. A full node spreads those who
// come again over twice the time, so that they do not return as one avalanche
// (RFC 9725 section 5).
func retryAfter(p problem.Problem) int {
	wait := p.Retry
	if p.Status == http.StatusServiceUnavailable {
		wait += rand.N(wait) //nolint:gosec // it spreads load, it hides nothing
	}
	return int((wait + time.Second - 1) / time.Second)
}

// challenge is RFC 6750 section 3.
func challenge(status int, sent string) string {
	switch {
	case status == http.StatusForbidden:
		return `Bearer realm="sluice", error="insufficient_scope"`
	case sent != "":
		return `Bearer realm="sluice", error="invalid_token"`
	}
	return `Bearer realm="sluice"`
}

// bodyTime is how long a body may take: 64 KB at 7 KB/s.
const bodyTime = 10 * time.Second

// body reads a whole body of at most limit bytes.
func body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	control := http.NewResponseController(w)
	// Not every ResponseWriter has deadlines; those of net/http do.
	_ = control.SetReadDeadline(time.Now().Add(bodyTime))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, fmt.Errorf("%w: at most %d bytes are read", problem.ErrTooLarge, limit)
	}
	if err != nil {
		return nil, problem.ErrRead
	}
	return b, nil
}

// mediaType is the request's, in lower case and without parameters. Broken
// parameters are forgiven.
func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t, _, _ = strings.Cut(r.Header.Get("Content-Type"), ";")
	}
	return strings.ToLower(strings.TrimSpace(t))
}

func wantType(r *http.Request, want string) error {
	if got := mediaType(r); got != want {
		return fmt.Errorf("%w: send %s, not %q", problem.ErrMediaType, want, got[:min(len(got), 64)])
	}
	return nil
}

func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	w.Header().Set("Content-Type", typeJSON)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(b, '\n')) // the client may be gone
	return nil
}
