package edge_test

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/hls-fallback/edge"
)

// looks are the looks into the disk cache that ended like that.
func looks(t *testing.T, r prometheus.Gatherer, result string) (n float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "sluice_edge_disk_reads_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == result {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// The disk under an edge hangs: one viewer waits for it, half a second; everybody has
// what the origin has, and what is in memory as before. It is in real time: a read that
// does not come back stops the clock of a bubble.
func TestADiskThatHangsCostsNobodyAnAnswer(t *testing.T) {
	w, o := newWorld(t), newOrigin()
	w.hosts["origin"] = o
	names := []string{"7.m4s", "8.m4s", "9.m4s"}
	for _, name := range names {
		o.extra["/live/s/i1/v/"+name] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=86400, immutable")
			_, _ = io.WriteString(w, name)
		}
	}
	dir := t.TempDir()
	tier := func(c *edge.Config) { c.Disk, c.DiskSize = dir, 1<<20 }
	w.edge("before", tier, "origin")
	w.want(200, "before/live/s/i1/v/7.m4s")
	var kept string
	for end := time.Now().Add(time.Minute); kept == ""; <-time.After(2 * time.Millisecond) {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && filepath.Dir(path) != dir { // else it is not whole yet
				kept = path
			}
			return nil
		})
		if time.Now().After(end) {
			t.Fatal("nothing comes to the disk")
		}
	}
	// Whoever opens a pipe that nobody writes to does not come back.
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(kept, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if fd, err := syscall.Open(kept, syscall.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			_ = syscall.Close(fd)
		}
	})
	registry := prometheus.NewRegistry()
	w.edge("edge", func(c *edge.Config) {
		tier(c)
		c.Metrics = registry
	}, "origin")
	for _, name := range names {
		if got := w.want(200, "edge/live/s/i1/v/"+name); got.body != name || got.header.Get("X-Cache") != "miss" {
			t.Errorf("%s: %q, a %s", name, got.body, got.header.Get("X-Cache"))
		}
		if got := w.want(200, "edge/live/s/i1/v/"+name); got.body != name || got.header.Get("X-Cache") == "miss" || o.count("/live/s/i1/v/"+name) > 2 {
			t.Errorf("%s is a %s, and was in memory", name, got.header.Get("X-Cache"))
		}
	}
	if n := looks(t, registry, "late"); n != 1 || looks(t, registry, "hit") != 0 {
		t.Errorf("%v viewers waited for the disk, want one", n)
	}
}
