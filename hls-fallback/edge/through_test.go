package edge_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/hls-fallback/edge"
)

func unzip(t *testing.T, body string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// passing is an edge that hands the interface through.
func (w *world) passing(origins ...string) {
	w.edge("edge", func(c *edge.Config) {
		c.Pass, c.Secret = []string{"/api/", "/v1/", "/whip/"}, "s3cret"
	}, origins...)
}

func TestTheInterfaceIsHandedThroughPackedAndNotKept(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		long := strings.Repeat(`{"name":"show"},`, 100)
		asked := 0
		o.extra["/v1/streams"] = func(w http.ResponseWriter, r *http.Request) {
			asked++
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Header().Set("ETag", `"1"`)
			fmt.Fprint(w, long)
		}
		o.extra["/v1/picture"] = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "image/jpeg")
			w.Header().Set("Cache-Control", "private, max-age=10")
			fmt.Fprint(w, long)
		}
		w.passing("origin")
		for range 2 {
			got := w.want(200, "edge/v1/streams?all=1", "Accept-Encoding", "gzip, br", "Authorization", "Bearer x")
			if h := got.header; h.Get("Content-Encoding") != "gzip" || h.Get("Cache-Control") != "no-store" || h.Get("Vary") != "Accept-Encoding" ||
				h.Get("ETag") != `W/"1"` || h.Get("X-Cache") != "passed" || h.Get("Age") != "" || unzip(t, got.body) != long {
				t.Errorf("headers %v, %d bytes", h, len(got.body))
			}
		}
		if h := o.headers["/v1/streams?all=1"]; asked != 2 || h.Get("Authorization") != "Bearer x" || h.Get("Sluice-Edge") != "s3cret" || h.Get("X-Forwarded-For") != "192.0.2.1" {
			t.Errorf("the origin was asked %d times with %v", asked, h)
		}
		for _, tc := range []struct{ why, path, name, value string }{
			{"takes none", "/v1/streams", "Accept-Encoding", "identity"}, {"is known by a cookie", "/v1/streams", "Cookie", "sluice_play=x"},
			{"asks for a picture", "/v1/picture", "Accept-Encoding", "gzip"},
		} {
			got := w.want(200, "edge"+tc.path, "Accept-Encoding", "gzip", tc.name, tc.value)
			if got.header.Get("Content-Encoding") != "" || got.body != long {
				t.Errorf("who %s gets it packed", tc.why)
			}
		}
		if got := w.want(200, "edge/v1/picture"); got.header.Get("Cache-Control") != "private, max-age=10" {
			t.Errorf("what the origin says of keeping became %q", got.header.Get("Cache-Control"))
		}
		w.want(404, "edge/metrics")
		w.want(404, "edge/v1/../metrics")
		if n := o.count("/metrics") + o.count("/v1/../metrics"); n != 0 {
			t.Errorf("other paths came to the origin %d times", n)
		}
	})
}

func TestAnOfferFindsTheOriginThatWorksAndASessionItsOwn(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		other := newOrigin()
		w.hosts["other"] = other
		posts := 0
		take := func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			posts++
			w.Header().Set("Location", "/whip/show/s1")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, "%s %s", r.Method, body)
		}
		o.extra["/whip/show"], other.extra["/whip/show"] = take, take
		other.extra["/whip/show/s1"] = func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s", r.Method, body)
		}
		w.passing("gone", "origin", "other")
		send := func(method, path, body string) (int, string) {
			r, err := http.NewRequestWithContext(context.Background(), method, "http://edge"+path, bytes.NewReader([]byte(body)))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := w.hosts.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(text)
		}
		if status, text := send("POST", "/whip/show", "offer"); status != 201 || text != "POST offer" || posts != 1 {
			t.Errorf("status %d, %q, %d posts", status, text, posts)
		}
		if status, text := send("PATCH", "/whip/show/s1", "candidate"); status != 200 || text != "PATCH candidate" {
			t.Errorf("status %d, %q", status, text)
		}
	})
}

// A licence is one player's: the request goes through with who asks, whatever else is
// kept here.
func TestALicenceIsAskedForAtTheOrigin(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		asked := 0
		o.extra["/live/show/licence"] = func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked++
			w.Header().Set("Cache-Control", "no-store")
			fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("Authorization"), body)
		}
		w.edge("edge", nil, "origin")
		send := func(method, path string) (int, string) {
			r, err := http.NewRequestWithContext(t.Context(), method, "http://edge"+path, strings.NewReader("kids"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer x")
			resp, err := w.hosts.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(text)
		}
		for range 2 {
			if status, text := send("POST", "/live/show/licence"); status != 200 || text != "POST Bearer x kids" {
				t.Errorf("status %d, %q", status, text)
			}
		}
		for _, path := range []string{"/live/show/index.m3u8", "/live/show/a/licence", "/live/licence", "/other/show/licence"} {
			if status, _ := send("POST", path); status != http.StatusMethodNotAllowed {
				t.Errorf("%s: status %d", path, status)
			}
		}
		if asked != 2 {
			t.Errorf("the origin was asked %d times", asked)
		}
	})
}
