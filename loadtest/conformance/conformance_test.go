package conformance_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/conformance"
	"github.com/sluice-live/sluice/loadtest/reflector"
)

const token = "secret"

// serve runs a reflector behind a spoiler.
func serve(t *testing.T, c reflector.Config, spoil func(http.Handler) http.Handler) string {
	t.Helper()
	server, err := reflector.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = server
	if spoil != nil {
		h = spoil(server)
	}
	web := httptest.NewServer(h)
	t.Cleanup(func() { server.Close(); web.Close() })
	return web.URL
}

func options(kind, url string, only ...string) conformance.Options {
	o := conformance.Options{Kind: kind, URL: url + "/" + kind + "/x", Token: token, Timeout: 10 * time.Second, Only: only}
	if kind == conformance.WHEP {
		o.PublishURL, o.PublishToken = url+"/whip/x", token
	}
	return o
}

// A server that does its duties fails no row, and every row says something.
func TestARightServerPasses(t *testing.T) {
	for _, kind := range []string{conformance.WHIP, conformance.WHEP} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			o := options(kind, serve(t, reflector.Config{Token: token}, nil))
			o.Timeout = 30 * time.Second
			r := conformance.Run(t.Context(), o)
			seen := map[string]bool{}
			for _, row := range r.Rows {
				if row.Verdict == conformance.Fail {
					t.Errorf("%s: %s: %s", row.ID, row.Duty, row.Detail)
				}
				if seen[row.ID] || row.Duty == "" || row.Section == "" || row.Verdict == "" {
					t.Errorf("a row is there twice or not whole: %+v", row)
				}
				seen[row.ID] = true
			}
			if n := r.Count(conformance.Pass); n < 50 {
				t.Errorf("only %d rows passed\n%s", n, r.Text())
			}
		})
	}
}

// A missing If-Match: the letter in strict mode, a named choice else.
func TestLeniencyIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		server, suite bool
		want          conformance.Verdict
	}{{true, true, conformance.Pass}, {true, false, conformance.Pass}, {false, false, conformance.Deviation}, {false, true, conformance.Fail}} {
		o := options(conformance.WHIP, serve(t, reflector.Config{Token: token, Strict: c.server}, nil), "patch-untagged")
		o.Strict = c.suite
		r := conformance.Run(t.Context(), o)
		if len(r.Rows) != 1 || r.Rows[0].Verdict != c.want {
			t.Errorf("server strict %v, suite strict %v: %+v", c.server, c.suite, r.Rows)
		}
	}
}

// spoiler changes one thing of a right server.
type spoiler func(http.Handler) http.Handler

// on spoils requests of a method whose path ends like that ("" any).
func on(method, suffix string, spoil func(w http.ResponseWriter, r *http.Request, next http.Handler)) spoiler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if (method == "" || r.Method == method) && strings.HasSuffix(r.URL.Path, suffix) {
				spoil(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// status answers with a status instead.
func status(method, suffix string, code int) spoiler {
	return on(method, suffix, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(code) })
}

// become turns one status into another.
func become(method string, from, to int) spoiler {
	return rewrite(method, func(_ http.Header, code *int, _ *[]byte) {
		if *code == from {
			*code = to
		}
	})
}

// rewrite changes a response before it goes out.
func rewrite(method string, change func(h http.Header, code *int, body *[]byte)) spoiler {
	return on(method, "", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		code, body := rec.Code, rec.Body.Bytes()
		change(rec.Header(), &code, &body)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(code)
		_, _ = w.Write(body)
	})
}

func header(method, name, value string) spoiler {
	return rewrite(method, func(h http.Header, _ *int, _ *[]byte) {
		if value == "" {
			h.Del(name)
			return
		}
		h.Set(name, value)
	})
}

func text(method, from, to string) spoiler {
	return rewrite(method, func(_ http.Header, _ *int, body *[]byte) {
		*body = bytes.ReplaceAll(*body, []byte(from), []byte(to))
	})
}

// ask changes a request before the server sees it.
func ask(method string, change func(r *http.Request, body []byte) []byte) spoiler {
	return on(method, "", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, _ := io.ReadAll(r.Body)
		body = change(r, body)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	})
}

func asks(method, from, to string) spoiler {
	return ask(method, func(_ *http.Request, b []byte) []byte { return bytes.ReplaceAll(b, []byte(from), []byte(to)) })
}

func demands(method, name, value string) spoiler {
	return ask(method, func(r *http.Request, b []byte) []byte { r.Header.Set(name, value); return b })
}

// always answers 201 with some answer, whatever is asked.
func always(answer string) spoiler {
	return on(http.MethodPost, "/x", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Location", "/whip/x/1")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, answer)
	})
}

// forget makes DELETE do nothing.
var forget = status(http.MethodDelete, "", http.StatusOK)

// Each spoiled duty is told by its row, and by that row's verdict alone.
func TestAWrongServerIsToldByItsRow(t *testing.T) {
	for _, c := range wrongServers {
		t.Run(c.kind+"/"+c.row, func(t *testing.T) {
			t.Parallel()
			o := options(c.kind, serve(t, reflector.Config{Token: token}, c.spoil), c.row)
			o.PublishURL = "" // these rows need no media
			var rows []conformance.Row
			for _, o.Timeout = range []time.Duration{time.Second, 10 * time.Second} { // some fail by waiting in vain; a busy machine needs more
				if rows = conformance.Run(t.Context(), o).Rows; len(rows) == 1 && rows[0].Verdict == conformance.Fail && rows[0].Detail != "" {
					return
				}
			}
			t.Errorf("%+v", rows)
		})
	}
}

// refuseLines refuses fragments that hold a text.
func refuseLines(what string) spoiler {
	return on(http.MethodPatch, "", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte(what)) {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// endWhenPatched ends the session at a restart that fails.
func endWhenPatched() spoiler {
	return on(http.MethodPatch, "", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if rec.Code == http.StatusBadRequest {
			end := r.Clone(r.Context())
			end.Method = http.MethodDelete
			next.ServeHTTP(httptest.NewRecorder(), end)
		}
		w.WriteHeader(rec.Code)
	})
}

// once lets the first request of each path through and answers the others.
func once(method string, code int) spoiler {
	seen := map[string]bool{}
	return on(method, "", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if seen[r.URL.Path] {
			w.WriteHeader(code)
			return
		}
		seen[r.URL.Path] = true
		next.ServeHTTP(w, r)
	})
}

func linkText(from, to string) spoiler {
	return rewrite(http.MethodPost, func(h http.Header, _ *int, _ *[]byte) {
		for i, l := range h["Link"] {
			h["Link"][i] = strings.ReplaceAll(l, from, to)
		}
	})
}

// Nobody publishes: the row on media says so.
func TestWithoutMediaTheMediaRowFails(t *testing.T) {
	t.Parallel()
	o := options(conformance.WHEP, serve(t, reflector.Config{Token: token}, nil), "media")
	o.PublishURL = ""
	var row conformance.Row
	for _, o.Timeout = range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second} { // a busy machine needs more to connect
		r := conformance.Run(t.Context(), o)
		if row, _ = r.Row("media"); row.Verdict == conformance.Fail && strings.Contains(row.Detail, "0 audio") {
			return
		}
	}
	t.Errorf("%+v", row)
}

func TestRateLimitsAreWaitedFor(t *testing.T) {
	t.Parallel()
	for _, row := range []string{"post", "media"} {
		n := 0
		url := serve(t, reflector.Config{Token: token}, on(http.MethodPost, "", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if n++; n == 1 {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		}))
		if r := conformance.Run(t.Context(), options(conformance.WHIP, url, row)); r.Failed() != 0 || n != 2 {
			t.Errorf("%s: %d POSTs, %+v", row, n, r.Rows)
		}
	}
}

func TestWhatCannotBeTestedIsSaid(t *testing.T) {
	t.Parallel()
	for _, o := range []conformance.Options{{Kind: "hls", URL: "http://x"}, {Kind: "whip", URL: "x"}, {Kind: "whep", URL: "http://127.0.0.1:1/whep/x", PublishURL: "http://127.0.0.1:1/whip/x"}} {
		if r := conformance.Run(t.Context(), o); r.Failed() != 1 || r.Rows[0].ID != "setup" {
			t.Errorf("%+v", r.Rows)
		}
	}
	r := conformance.Run(t.Context(), conformance.Options{Kind: "whip", URL: "http://127.0.0.1:1/whip/x", Only: []string{"consent", "redirect"}})
	for _, row := range r.Rows {
		if row.Verdict != conformance.Skipped || row.Detail == "" {
			t.Errorf("%+v", row)
		}
	}
}

func TestTheTableIsReadableAndSafe(t *testing.T) {
	r := conformance.Report{Kind: "whip", URL: "http://h/whip/x", Rows: []conformance.Row{
		{ID: "a", Section: "4.1", Duty: "does | this", Verdict: conformance.Fail, Detail: "said <b>\nno"},
		{ID: "b", Section: "4.2", Duty: "that", Verdict: conformance.Deviation},
	}}
	md := r.Markdown()
	if !strings.Contains(md, `| a | 4.1 | does \| this | **fail** | said &lt;b&gt; no |`) || !strings.Contains(md, "0 pass, 1 fail, 1 chosen deviation") {
		t.Error(md)
	}
	if text := r.Text(); !strings.Contains(text, "FAIL") || !strings.Contains(text, "chosen deviation") {
		t.Error(text)
	}
}
