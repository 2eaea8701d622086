package disk_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/hls-fallback/edge/disk"
)

var now = time.Now()

// opened is a store that runs until the returned function is called.
func opened(t *testing.T, cfg disk.Config) (*disk.Store, func()) {
	t.Helper()
	cfg.Patience = time.Minute // the machine may be slow
	s, err := disk.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }() // stop waits for it
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

func entry(header string, life time.Duration) disk.Entry {
	return disk.Entry{Header: http.Header{"Content-Type": {header}}, Stored: now, Until: now.Add(life), Age: 3 * time.Second}
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ask(); {
		if time.Now().After(end) {
			t.Fatal(what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// kept waits until a key is there.
func kept(t *testing.T, s *disk.Store, key string) *disk.Entry {
	t.Helper()
	var e *disk.Entry
	eventually(t, key+" is not kept", func() bool { e = s.Get(context.Background(), key, now); return e != nil })
	return e
}

// files are those of the folder.
func files(t *testing.T, dir string) (all []string, size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			all, size = append(all, path), size+info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, size
}

func TestWhatIsKeptSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s, stop := opened(t, disk.Config{Dir: dir, Size: 1 << 20})
	if s.Get(context.Background(), "a/live/x/1.m4s?", now) != nil {
		t.Error("it has what nobody put")
	}
	s.Put("a/live/x/1.m4s?", entry("video/mp4", time.Hour), [][]byte{[]byte("one, "), []byte("two")})
	s.Put("q/live/x/1.m4s?", entry("audio/mp4", time.Hour), nil)
	kept(t, s, "a/live/x/1.m4s?")
	kept(t, s, "q/live/x/1.m4s?")
	stop()
	// A kill leaves what was not whole, and somebody's notes.
	for _, name := range []string{"new-1-1", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, stop = opened(t, disk.Config{Dir: dir, Size: 1 << 20})
	e := kept(t, s, "a/live/x/1.m4s?")
	if string(e.Body) != "one, two" || e.Header.Get("Content-Type") != "video/mp4" || e.Age != 3*time.Second || !e.Stored.Equal(now.Truncate(time.Millisecond)) {
		t.Errorf("%+v", e)
	}
	if e := s.Get(context.Background(), "a/live/x/1.m4s?", now.Add(2*time.Hour)); e != nil {
		t.Error("it is given out beyond its life")
	}
	if s.Get(context.Background(), "a/live/x/1.m4s?", now) != nil {
		t.Error("what was too old is still there")
	}
	eventually(t, "what was not whole is still there", func() bool {
		_, err := os.Stat(filepath.Join(dir, "new-1-1"))
		return os.IsNotExist(err)
	})
	stop()
	if _, err := os.Stat(filepath.Join(dir, "notes.txt")); err != nil {
		t.Error("what is none of ours was removed")
	}
}

func TestTheFolderIsBoundedAndTheOldestGoes(t *testing.T) {
	dir := t.TempDir()
	s, stop := opened(t, disk.Config{Dir: dir, Size: 1 << 20})
	body := [][]byte{bytes.Repeat([]byte{7}, 100<<10)}
	for i := range 30 {
		key := fmt.Sprint("key", i)
		s.Put(key, entry("x", time.Hour), body)
		kept(t, s, key)
		kept(t, s, "key0") // somebody watches it all the time
		if _, size := files(t, dir); size > 1<<20 {
			t.Fatalf("%d bytes", size)
		}
	}
	if s.Get(context.Background(), "key1", now) != nil || s.Get(context.Background(), "key29", now) == nil {
		t.Error("the wrong one had to go")
	}
	stop()
	// The order survives, and so does the bound when it becomes smaller.
	s, _ = opened(t, disk.Config{Dir: dir, Size: 1<<20 + 1})
	s.Put("next", entry("x", time.Hour), body)
	kept(t, s, "next")
	kept(t, s, "key0")
	s.Put("too large", entry("x", time.Hour), [][]byte{make([]byte, 1<<20)})
	s.Put("after", entry("x", time.Hour), body)
	kept(t, s, "after")
	if s.Get(context.Background(), "too large", now) != nil {
		t.Error("it is larger than all")
	}
}

// Any byte that is another, any end that is missing: then it is not there, and gone.
func TestADamagedFileIsNeverGivenOut(t *testing.T) {
	dir := t.TempDir()
	s, _ := opened(t, disk.Config{Dir: dir, Size: 1 << 20})
	s.Put("k", entry("video/mp4", time.Hour), [][]byte{[]byte("the body")})
	kept(t, s, "k")
	all, _ := files(t, dir)
	good, err := os.ReadFile(all[0])
	if err != nil || len(all) != 1 {
		t.Fatal(err, all)
	}
	rapid.Check(t, func(t *rapid.T) {
		bad := bytes.Clone(good)
		if at := rapid.IntRange(0, len(bad)-1).Draw(t, "at"); rapid.Bool().Draw(t, "cut") {
			bad = bad[:at]
		} else {
			bad[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		}
		if err := os.WriteFile(all[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if e := s.Get(context.Background(), "k", now); e != nil {
			t.Fatalf("%+v", e)
		}
		if _, err := os.Stat(all[0]); err == nil {
			t.Fatal("it is still there")
		}
	})
	// A whole file under another's name is not taken for it.
	s.Put("other", entry("x", time.Hour), [][]byte{[]byte("other")})
	kept(t, s, "other")
	others, _ := files(t, dir)
	if err := os.Rename(others[0], all[0]); err != nil {
		t.Fatal(err)
	}
	if e := s.Get(context.Background(), "k", now); e != nil {
		t.Errorf("%+v", e)
	}
}

// Nothing of a key becomes part of a path, and no link leads out of the folder.
func TestNoKeyLeadsOutOfTheFolder(t *testing.T) {
	dir := t.TempDir()
	inside, outside := filepath.Join(dir, "cache"), filepath.Join(dir, "outside")
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	s, _ := opened(t, disk.Config{Dir: inside, Size: 1 << 20, Registerer: registry})
	for _, key := range []string{"../outside/x", "/etc/passwd", "a/../../outside/x", "\x00", "", strings.Repeat("x", 5000), "new-1-1"} {
		s.Put(key, entry("x", time.Hour), [][]byte{[]byte(key)})
		if e := kept(t, s, key); string(e.Body) != key {
			t.Errorf("%q", e.Body)
		}
	}
	if all, _ := files(t, outside); len(all) != 0 {
		t.Errorf("%v", all)
	}
	all, _ := files(t, inside)
	for _, file := range all {
		if err := os.RemoveAll(filepath.Dir(file)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Dir(file)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	s.Put("../outside/x", entry("x", time.Hour), [][]byte{[]byte("y")})
	eventually(t, "it is written through a link", func() bool { return value(t, registry, "sluice_edge_disk_writes_total", "failed") > 0 })
	if e := s.Get(context.Background(), "../outside/x", now); e != nil {
		t.Errorf("%+v", e)
	}
	if all, _ := files(t, outside); len(all) != 0 {
		t.Errorf("%v", all)
	}
}

// value is the sum of a metric.
func value(t *testing.T, r prometheus.Gatherer, labels ...string) (sum float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != labels[0] {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(labels) == 1 || m.GetLabel()[0].GetValue() == labels[1] {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// A disk that takes nothing more is told of once, and what is on it is still given out.
func TestADiskThatFailsCostsTheTierAlone(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	var mu sync.Mutex
	registry := prometheus.NewRegistry()
	s, stop := opened(t, disk.Config{Dir: dir, Size: 1 << 20, Registerer: registry, Logger: slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))})
	s.Put("before", entry("x", time.Hour), [][]byte{[]byte("before")})
	kept(t, s, "before")
	// Where files should be there is one already: the folder for a name cannot be made. It
	// stands for a disk that is full; permissions mean nothing to root.
	for i := range 256 {
		name := filepath.Join(dir, fmt.Sprintf("%02x", i))
		if _, err := os.Stat(name); err != nil {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 20 {
		s.Put(fmt.Sprint("key", i), entry("x", time.Hour), [][]byte{[]byte("x")})
	}
	eventually(t, "no failure is counted", func() bool { return value(t, registry, "sluice_edge_disk_writes_total", "failed") > 0 })
	if value(t, registry, "sluice_edge_disk_up") != 0 {
		t.Error("it says that it works")
	}
	if e := s.Get(context.Background(), "before", now); e == nil || string(e.Body) != "before" {
		t.Errorf("what it has: %+v", e)
	}
	stop()
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "disk cache off"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &log)
	}
}

type locked struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestSettings(t *testing.T) {
	for _, cfg := range []disk.Config{{}, {Dir: "x"}, {Dir: "x", Size: 1}} {
		if _, err := disk.New(cfg); err == nil {
			t.Errorf("%+v", cfg)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.New(disk.Config{Dir: file, Size: 1 << 20}); err == nil {
		t.Error("a file is no folder")
	}
}
