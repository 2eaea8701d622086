package edge

import (
	"net/http"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cmcd"
	"github.com/sluice-live/sluice/media"
)

// Result is where an answer came from.
type Result string

// The results.
const (
	Hit       Result = "hit"       // it was here
	Coalesced Result = "coalesced" // somebody else had asked the origin for it
	Disk      Result = "disk"      // it was on disk
	Miss      Result = "miss"      // the origin was asked
	Passed    Result = "passed"    // the origin was asked for this client alone
	Refused   Result = "refused"   // the token does not open it
	Failed    Result = "failed"    // no origin gave an answer
	Local     Result = "local"     // needed no origin: bad paths, preflights, steering
)

// Record is one line of the request log. Times are in milliseconds; it holds no
// token.
type Record struct {
	Time    time.Time      `json:"time"`
	Client  string         `json:"client"`
	Method  string         `json:"method"`
	Host    string         `json:"host"`
	Path    string         `json:"path"`
	Query   string         `json:"query,omitempty"`
	Live    bool           `json:"live"`
	Name    string         `json:"name,omitempty"`
	Subject string         `json:"subject,omitempty"`
	Range   string         `json:"range,omitempty"`
	Agent   string         `json:"agent,omitempty"`
	Referer string         `json:"referer,omitempty"`
	Status  int            `json:"status"`
	Bytes   int64          `json:"bytes"`
	Result  Result         `json:"result"`
	Origin  string         `json:"origin,omitempty"`
	Age     time.Duration  `json:"-"`
	First   float64        `json:"first_ms"` // until the head was sent
	Took    float64        `json:"took_ms"`
	AgeSec  int64          `json:"age_s"`
	Left    bool           `json:"left,omitempty"`   // the client went away
	Broken  bool           `json:"broken,omitempty"` // the origin broke off
	CMCD    map[string]any `json:"cmcd,omitempty"`
}

// maxText bounds what clients write into a line, in bytes each.
const maxText = 256

// done measures and logs a request that is over.
func (e *Edge) done(q *request) {
	rec := q.record
	if rec.Result == "" {
		rec.Result = Local
	}
	if rec.Status == 0 {
		rec.Status = q.w.status
	}
	rec.Bytes = q.w.bytes
	rec.Query, rec.Live, rec.Name = q.target.Query, q.target.Live, q.target.Name
	e.metrics.served(rec, time.Since(q.began))
	if e.cfg.Record == nil {
		return
	}
	r := q.r
	rec.Time = q.began.UTC()
	if a := remote(r); a.IsValid() {
		rec.Client = a.String()
	}
	rec.Method, rec.Host, rec.Path = r.Method, cut(r.Host), q.target.Path
	if rec.Path == "" {
		rec.Path = cut(r.URL.Path)
	}
	rec.Range, rec.Agent = cut(r.Header.Get("Range")), cut(r.UserAgent())
	referer, _, _ := strings.Cut(r.Referer(), "?")
	rec.Referer = cut(referer)
	if !q.w.first.IsZero() {
		rec.First = ms(q.w.first.Sub(q.began))
	}
	rec.Took, rec.AgeSec = ms(time.Since(q.began)), int64(rec.Age/time.Second)
	rec.CMCD = cmcd.Parse(parameter(r.URL.RawQuery, "CMCD"), r.Header.Get("CMCD-Request"), r.Header.Get("CMCD-Object"),
		r.Header.Get("CMCD-Status"), r.Header.Get("CMCD-Session"))
	e.cfg.Record(*rec)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func cut(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "")
}

// parameter finds the first value of a parameter, still escaped.
func parameter(query, name string) string {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// refuse answers with a problem (RFC 9457).
func (q *request) refuse(status int, detail string) {
	h := q.w.Header()
	h.Set("Content-Type", media.ProblemMedia)
	h.Set("Access-Control-Allow-Origin", "*")
	if h.Get("Cache-Control") == "" || status != http.StatusNotFound {
		h.Set("Cache-Control", "no-store")
	}
	for _, name := range []string{"ETag", "Content-Encoding", "Content-Length"} {
		h.Del(name)
	}
	q.w.WriteHeader(status)
	if q.r.Method != http.MethodHead {
		_, _ = q.w.Write(media.Problem{Type: media.ProblemType(words[status]), Title: http.StatusText(status), Status: status, Detail: detail}.Body())
	}
}

// words are the kinds of problems that an edge has: those of nodes where they are the
// same.
var words = map[int]string{
	http.StatusBadRequest: "query", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden", http.StatusNotFound: "not-found",
	http.StatusMethodNotAllowed: "method", http.StatusRequestedRangeNotSatisfiable: "range", http.StatusInternalServerError: "internal",
	http.StatusBadGateway: "origin", http.StatusServiceUnavailable: "overloaded", http.StatusGatewayTimeout: "timeout",
}

// busy answers that there is no room now.
func (q *request) busy(detail string) {
	q.w.Header().Set("Retry-After", "1")
	q.refuse(http.StatusServiceUnavailable, detail)
}
