package clients

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// script is long enough to be worth packing.
var script = strings.Repeat("export const a = 1;\n", 200)

func build(t *testing.T) http.Handler {
	t.Helper()
	s, err := newSite(fstest.MapFS{
		"index.html":           {Data: []byte("<!doctype html><title>Sluice</title>")},
		"assets/index-8Gt2.js": {Data: []byte(script)},
		"assets/icon-77aa.svg": {Data: []byte("<svg/>")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	return do(t, h, http.MethodGet, path, header...)
}

func do(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestEveryPageIsTheIndexAndIsAskedForAgain(t *testing.T) {
	h := build(t)
	for _, path := range []string{"/", "/publish/demo", "/watch/demo", "/watch/a.b-c_d", "/recordings", "/recordings/0touaiyyv6j56yyo"} {
		res := get(t, h, path)
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %s", path, res.StatusCode, res.Header.Get("Content-Type"))
		}
		if got := res.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	}
}

func TestHashedFilesAreKeptForEver(t *testing.T) {
	res := get(t, build(t), "/assets/index-8Gt2.js")
	if got := res.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("Cache-Control %q", got)
	}
	if got := res.Header.Get("Content-Type"); got != "text/javascript; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestWhatIsNotThereIs404(t *testing.T) {
	h := build(t)
	for _, path := range []string{"/assets/", "/assets/gone-1234.js", "/index.html", "/publish", "/watch", "/recordingsx", "/favicon.ico", "/assets/../index.html", "/v1/none"} {
		if res := get(t, h, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	h := build(t)
	for _, path := range []string{"/", "/assets/index-8Gt2.js", "/nothing"} {
		header := get(t, h, path).Header
		csp := header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "script-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
		if header.Get("Referrer-Policy") != "no-referrer" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, header)
		}
		for _, feature := range []string{"camera=(self)", "microphone=(self)", "display-capture=(self)", "fullscreen=(self)"} {
			if !strings.Contains(header.Get("Permissions-Policy"), feature) {
				t.Errorf("%s: Permissions-Policy lacks %s", path, feature)
			}
		}
	}
}

func TestGzipOnlyWhereItIsAccepted(t *testing.T) {
	h := build(t)
	for accept, want := range map[string]string{"": "", "gzip, br": "gzip", "br;q=1, gzip;q=0.5": "gzip", "gzip;q=0": "", "x-gzip2": ""} {
		res := get(t, h, "/assets/index-8Gt2.js", "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q, want %q", accept, got, want)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if want == "gzip" {
			body = unpack(t, body)
		}
		if string(body) != script {
			t.Errorf("Accept-Encoding %q: the body is not the file", accept)
		}
	}
}

func unpack(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	h := build(t)
	etag := get(t, h, "/").Header.Get("ETag")
	if res := get(t, h, "/", "If-None-Match", etag); etag == "" || res.StatusCode != http.StatusNotModified {
		t.Errorf("ETag %q: %d", etag, res.StatusCode)
	}
}

func TestHeadHasNoBodyAndPostIsRefused(t *testing.T) {
	h := build(t)
	res := do(t, h, http.MethodHead, "/")
	if body, err := io.ReadAll(res.Body); err != nil || len(body) != 0 || res.Header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d bytes, Content-Length %s, %v", len(body), res.Header.Get("Content-Length"), err)
	}
	if res := do(t, h, http.MethodPost, "/"); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
}

func TestTheEmbeddedBuildOrItsPlaceholderIsServed(t *testing.T) {
	res := get(t, Handler(), "/")
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	if !bytes.Contains(body, []byte("make build")) && !bytes.Contains(body, []byte("/assets/")) {
		t.Errorf("neither a build nor the placeholder: %s", body)
	}
}

func TestAPageWithoutIndexIsAnError(t *testing.T) {
	if _, err := newSite(fstest.MapFS{"assets/a.js": {Data: []byte("1")}}); err == nil {
		t.Error("a build without index.html was taken")
	}
}
