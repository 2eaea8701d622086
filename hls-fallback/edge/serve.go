package edge

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serve gives a client what the flight has or gets.
func (e *Edge) serve(q *request, f *flight, h *head) {
	out := q.w.Header()
	for name, values := range h.header {
		out[name] = values
	}
	if h.cookie != nil {
		own := *h.cookie //nolint:gosec // its attributes are the origin's
		own.Value = q.token
		http.SetCookie(q.w, &own)
	}
	if !e.shares(q) {
		narrow(out)
	}
	age := h.life.Age + time.Since(f.born)
	q.record.Age = age
	out.Set("Age", strconv.FormatInt(int64(age/time.Second), 10))
	out.Set("X-Cache", string(q.record.Result))
	if h.status == http.StatusOK && matches(q.r.Header.Get("If-None-Match"), h.header.Get("ETag")) {
		out.Del("Content-Length")
		q.w.WriteHeader(http.StatusNotModified)
		return
	}
	if steered(q, h, len(e.cfg.Pathways)) {
		e.serveSteered(q, f, h)
		return
	}
	if packed(h.header) && !takesGzip(q.r.Header) {
		e.unpack(q, f, h)
		return
	}
	from, size := int64(0), h.length
	if h.status == http.StatusOK {
		out.Set("Accept-Ranges", "bytes")
		if asked := q.r.Header.Get("Range"); asked != "" && unchanged(q.r.Header.Get("If-Range"), h.header.Get("ETag")) {
			var whole bool
			if from, size, whole = e.span(q, f, h, asked); size < 0 && !whole {
				return
			}
		}
	}
	if size >= 0 {
		out.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	status := h.status
	if q.ranged {
		status = http.StatusPartialContent
	}
	q.w.WriteHeader(status)
	if q.r.Method == http.MethodHead {
		return
	}
	e.copy(q, &reader{f: f, ctx: q.r.Context(), skip: from}, size)
}

// span reads a Range header; whole means that it is not one for us, and the
// whole is sent (RFC 9110 section 14.2). When the size is not known yet the
// range waits for the end. It has answered itself when size is negative and whole
// is false.
func (e *Edge) span(q *request, f *flight, h *head, asked string) (from, size int64, whole bool) {
	total := h.length
	if total < 0 {
		var err error
		if total, err = f.whole(q.r.Context()); err != nil {
			e.failed(q, err)
			return 0, -1, false
		}
	}
	from, size, ok := oneRange(asked, total)
	switch {
	case !ok:
		return 0, h.length, true
	case size < 0:
		q.w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(total, 10))
		q.w.Header().Del("Content-Length")
		q.refuse(http.StatusRequestedRangeNotSatisfiable, "the range is beyond the end")
		return 0, -1, false
	}
	q.w.Header().Set("Content-Range", "bytes "+strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(from+size-1, 10)+"/"+strconv.FormatInt(total, 10))
	q.ranged = true
	return from, size, false
}

// oneRange reads bytes=a-b, a- or -n. size is negative when nothing of it is
// there; ok is false when it is no single range of bytes.
func oneRange(text string, total int64) (from, size int64, ok bool) {
	spec, ok := strings.CutPrefix(text, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return 0, 0, false
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return 0, 0, false
	}
	if first == "" {
		n, err := strconv.ParseUint(last, 10, 63)
		if err != nil {
			return 0, 0, false
		}
		if n == 0 || total == 0 {
			return 0, -1, true
		}
		n = min(n, uint64(total))
		return total - int64(n), int64(n), true
	}
	a, err := strconv.ParseUint(first, 10, 63)
	if err != nil {
		return 0, 0, false
	}
	b := uint64(total) - 1
	if last != "" {
		if b, err = strconv.ParseUint(last, 10, 63); err != nil || b < a {
			return 0, 0, false
		}
	}
	if int64(a) >= total {
		return 0, -1, true
	}
	b = min(b, uint64(total)-1)
	return int64(a), int64(b-a) + 1, true
}

// copy sends size bytes, or all when negative, and shows what waits as it comes.
func (e *Edge) copy(q *request, r *reader, size int64) {
	for size != 0 {
		b, waited, err := r.next()
		if err != nil {
			q.breakOff()
		}
		if len(b) == 0 {
			if size > 0 {
				q.breakOff() // the origin promised more
			}
			return
		}
		if size > 0 {
			b = b[:min(int64(len(b)), size)]
			size -= int64(len(b))
		}
		if _, err := q.w.Write(b); err != nil {
			q.record.Left = true
			return
		}
		if waited {
			q.w.Flush()
		}
	}
}

// breakOff ends the connection in the middle of a body, so that the client sees
// that it has not got all.
func (q *request) breakOff() {
	q.record.Left = q.r.Context().Err() != nil
	q.record.Broken = !q.record.Left
	panic(http.ErrAbortHandler)
}

// unpack serves a client that takes no gzip.
func (e *Edge) unpack(q *request, f *flight, h *head) {
	out := q.w.Header()
	out.Del("Content-Encoding")
	out.Del("Content-Length")
	weaken(out)
	q.w.WriteHeader(h.status)
	if q.r.Method == http.MethodHead {
		return
	}
	z, err := gzip.NewReader(&reader{f: f, ctx: q.r.Context()})
	if err == nil {
		_, err = io.Copy(q.w, io.LimitReader(z, maxUnpacked))
	}
	if err != nil {
		q.breakOff()
	}
}

// maxUnpacked bounds what a packed playlist may become, in bytes: 14 days of
// segments of 2 s have 60 MB.
const maxUnpacked = 128 << 20

// weaken marks an ETag as one of other bytes (RFC 9110 section 8.8.1).
func weaken(h http.Header) {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h.Set("ETag", "W/"+tag)
	}
}

func packed(h http.Header) bool { return strings.EqualFold(h.Get("Content-Encoding"), "gzip") }

// takesGzip reads Accept-Encoding (RFC 9110 section 12.5.3) as far as gzip goes.
func takesGzip(h http.Header) bool {
	for _, item := range strings.Split(joined(h, "Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(item), ";")
		if name = strings.ToLower(strings.TrimSpace(name)); name != "gzip" && name != "x-gzip" && name != "*" {
			continue
		}
		weight = strings.TrimSpace(weight)
		return weight == "" || strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != ""
	}
	return false
}

// matches compares weakly (RFC 9110 section 13.1.2).
func matches(asked, tag string) bool {
	if asked == "" || tag == "" {
		return false
	}
	for _, t := range strings.Split(asked, ",") {
		t = strings.TrimSpace(t)
		if t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// unchanged is the strong comparison of If-Range; dates are not compared.
func unchanged(asked, tag string) bool {
	return asked == "" || asked == tag && !strings.HasPrefix(tag, "W/")
}

func joined(h http.Header, name string) string { return strings.Join(h.Values(name), ",") }

// passed are the headers of an origin that clients get: none that belong to the
// connection (RFC 9110 section 7.6.1), nor those that the edge sets itself.
func passed(from http.Header) http.Header {
	out := make(http.Header, len(from))
	for name, values := range from {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding",
			"Upgrade", "Set-Cookie", "Age", "Alt-Svc", "Content-Length", "Accept-Ranges", "X-Cache", "Server":
			continue
		}
		out[name] = values
	}
	return out
}

// preflight answers what browsers ask before a request with Authorization or
// with CMCD headers from another site's page.
func preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Range, CMCD-Request, CMCD-Object, CMCD-Status, CMCD-Session")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}
