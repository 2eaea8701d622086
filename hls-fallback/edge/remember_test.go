package edge_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge"
	words "github.com/sluice-live/sluice/media"
)

// An edge that begins again has its segments, for who may have them, and nothing else.
func TestSegmentsOutliveTheEdge(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		forever := func(body string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=86400, s-maxage=86400, immutable")
				w.Header().Set("Content-Type", "video/mp4")
				w.Header().Set("ETag", `"`+body+`"`)
				_, _ = io.WriteString(w, body)
			}
		}
		const own = "/live/s/i1/v/"
		for _, name := range []string{"7.m4s", "init-0.mp4", "7.0.m4s"} {
			o.extra[own+name] = forever(name)
		}
		o.extra[own+"8.m4s"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=86400") // it may change
			_, _ = io.WriteString(w, "8")
		}
		o.extra[own+"9.m4s"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "private, max-age=86400, immutable")
			_, _ = io.WriteString(w, "9")
		}
		o.token = "t1"
		dir := filepath.Join(t.TempDir(), "cache")
		var log []edge.Record
		change := func(c *edge.Config) {
			c.Disk, c.DiskSize = dir, 1<<20
			c.Authorize = func(_ context.Context, a edge.Ask) (edge.Leave, error) {
				if a.Token != "t1" {
					return edge.Leave{}, words.ErrUnauthorized
				}
				return edge.Leave{Subject: "token:1", Expires: time.Now().Add(time.Hour)}, nil
			}
			c.Record = func(r edge.Record) { log = append(log, r) }
		}
		names := []string{"7.m4s", "init-0.mp4", "7.0.m4s", "8.m4s", "9.m4s"}
		w.edge("before", change, "origin")
		for _, name := range names {
			w.want(200, "before"+own+name+"?token=t1")
		}
		synctest.Wait()
		time.Sleep(10 * time.Second)
		w.edge("after", change, "origin")
		synctest.Wait()
		for _, name := range names {
			got := w.want(200, "after"+own+name+"?token=t1")
			from := map[string]string{"7.m4s": "disk", "init-0.mp4": "disk"}[name]
			if from == "" {
				from = "miss"
			}
			if name == "9.m4s" {
				from = "passed"
			}
			if got.header.Get("X-Cache") != from {
				t.Errorf("%s is a %s, not a %s", name, got.header.Get("X-Cache"), from)
			}
			if from == "disk" && (got.body != name || got.header.Get("Age") != "10" || got.header.Get("Content-Type") != "video/mp4" || got.header.Get("ETag") != `"`+name+`"` || o.count(own+name) != 1) {
				t.Errorf("%s: %q %v, asked %d times", name, got.body, got.header, o.count(own+name))
			}
		}
		if got := w.want(200, "after"+own+"7.m4s?token=t1"); got.header.Get("X-Cache") != "hit" {
			t.Errorf("the second time it is a %s", got.header.Get("X-Cache"))
		}
		if got := w.want(206, "after"+own+"init-0.mp4?token=t1", "Range", "bytes=0-3"); got.body != "init" {
			t.Errorf("%q", got.body)
		}
		// Memory forgets; who may not have it gets it neither from there nor from the disk.
		w.edge("again", change, "origin")
		w.want(401, "again"+own+"7.m4s?token=t2")
		w.want(401, "again"+own+"7.m4s", "Authorization", "Bearer t2")
		w.want(401, "again"+own+"7.m4s")
		if last := log[len(log)-1]; last.Result == edge.Disk {
			t.Errorf("%+v", last)
		}
	})
}

// A disk that is not there costs nobody an answer.
func TestAnEdgeWithoutItsDisk(t *testing.T) {
	story(t, func(t *testing.T, w *world, o *origin) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.edge("edge", func(c *edge.Config) { c.Disk = file }, "origin")
		o.publish()
		w.want(200, "edge/live/s/i1/v/0.0.m4s")
	})
}
