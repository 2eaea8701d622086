package vod_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod"
)

// rows is a Store in memory; internal/store keeps the real one to its promises.
type rows struct {
	mu     sync.Mutex
	assets map[string]media.Asset
	events []media.AssetEvent

	trimmed time.Time // what TrimEvents was asked for last
	newest  int64
}

func (s *rows) Assets(_ context.Context, q media.AssetQuery) (media.AssetPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []media.Asset
	for _, a := range s.assets {
		seen := q.Streams == nil || q.OrPublic && a.Public ||
			slices.ContainsFunc(q.Streams, func(p media.Pattern) bool { return p.Matches(a.Stream) })
		if seen && (q.State == "" && a.State != media.AssetDeleting || a.State == q.State) && (!q.Own || a.Keep > 0) && a.ID > q.After &&
			(q.EndedBefore.IsZero() || !a.Ended.IsZero() && a.Ended.Before(q.EndedBefore)) && (q.Stream == "" || a.Stream == q.Stream) {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b media.Asset) int { return strings.Compare(a.ID, b.ID) })
	if len(all) > q.Limit {
		return media.AssetPage{Assets: all[:q.Limit], Next: all[q.Limit-1].ID}, nil
	}
	return media.AssetPage{Assets: all}, nil
}

func (s *rows) Asset(_ context.Context, id string) (media.Asset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.assets[id]
	if !ok {
		return a, fmt.Errorf("read %s: %w", id, media.ErrNotFound)
	}
	return a, nil
}

func (s *rows) Save(_ context.Context, a media.Asset, events ...media.AssetEvent) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.assets[a.ID]; was.Version != a.Version {
		if !ok {
			return 0, media.ErrNotFound
		}
		return 0, media.ErrStale
	}
	a.Version++
	s.assets[a.ID] = a
	s.events = append(s.events, events...)
	return a.Version, nil
}

func (s *rows) Remove(_ context.Context, id string, event media.AssetEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.assets[id]; ok {
		delete(s.assets, id)
		s.events = append(s.events, event)
	}
	return nil
}

func (s *rows) Viewed(_ context.Context, views map[string]int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range views {
		a := s.assets[id]
		a.Views += n
		s.assets[id] = a
	}
	return nil
}

func (s *rows) Events(_ context.Context, after int64, limit int) (all []media.AssetEvent, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range s.events {
		if e.Seq = int64(i) + 1; e.Seq > after && len(all) < limit {
			all = append(all, e)
		}
	}
	return all, nil
}

func (s *rows) TrimEvents(_ context.Context, before time.Time, newest int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trimmed = before
	s.newest = newest
	return nil
}

// kinds are the events of an asset.
func (s *rows) kinds(id string) (all []media.AssetEventKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Asset == id {
			all = append(all, e.Kind)
		}
	}
	return all
}

// blobs is an object store in memory, which can be made to fail.
type blobs struct {
	mu      sync.Mutex
	objects map[string][]byte
	fail    func(op, key string) error
}

func (b *blobs) failing(op, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail == nil {
		return nil
	}
	return b.fail(op, key)
}

func (b *blobs) setFail(fail func(op, key string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = fail
}

func (b *blobs) Put(_ context.Context, key string, r io.Reader, size int64) error {
	if err := b.failing("put", key); err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil || int64(len(data)) != size {
		return fmt.Errorf("put %s: %d bytes of %d, %w", key, len(data), size, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = data
	return nil
}

func (b *blobs) Open(_ context.Context, key string, offset, size int64) (io.ReadCloser, error) {
	if err := b.failing("open", key); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.objects[key]
	if !ok {
		return nil, media.ErrNotFound
	}
	if size < 0 {
		size = int64(len(data)) - offset
	}
	return io.NopCloser(bytes.NewReader(data[offset : offset+size])), nil
}

func (b *blobs) Delete(_ context.Context, key string) error {
	if err := b.failing("delete", key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
	return nil
}

func (b *blobs) List(_ context.Context, prefix string, fn func(string, int64, time.Time) error) error {
	for _, key := range b.keys(prefix) {
		if err := fn(key, 0, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

func (b *blobs) keys(prefix string) (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.objects {
		if strings.HasPrefix(key, prefix) {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all
}

// recorder is both what records and what has recorded.
type recorder struct {
	mu      sync.Mutex
	live    map[string]*media.Presentation // by stream
	ended   map[string]*media.Manifest     // by incarnation
	read    func(p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error)
	deleted []string
	broken  bool // it panics
}

func (f *recorder) Presentation(_ context.Context, stream string) (*media.Presentation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		panic("broken")
	}
	if p := f.live[stream]; p != nil {
		return p, nil
	}
	return nil, media.ErrNotFound
}

func (f *recorder) Changed(string, string) <-chan struct{} { return make(chan struct{}) }
func (f *recorder) Want(string, string)                    {}

func (f *recorder) Read(_ context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ended := f.ended[p.Incarnation]
	if f.read == nil || (!ended && f.live[string(p.Stream)] == nil) {
		return nil, media.ErrNotFound
	}
	return f.read(p, rendition, e)
}

func (f *recorder) Manifest(_ context.Context, incarnation string) (*media.Manifest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.ended[incarnation]; m != nil {
		return m, nil
	}
	return nil, media.ErrNotFound
}

func (f *recorder) Delete(_ context.Context, incarnation string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ended, incarnation)
	f.deleted = append(f.deleted, incarnation)
	return nil
}

// clock is what the catalogue takes for the time.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		return time.Now()
	}
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// house is a catalogue with its fakes.
type house struct {
	t        *testing.T
	cfg      vod.Config
	store    *rows
	blobs    *blobs
	recorder *recorder
	clock    *clock
	vod      *vod.Vod
	server   *httptest.Server
	stop     func()
}

// The tokens of the tests.
const (
	admin   = "admin"
	teacher = "teacher" // publishes school.*
	pupil   = "pupil"   // plays school.*
	other   = "other"   // plays and publishes other
)

func authorize(r *http.Request, inURL bool) (vod.Leave, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" && inURL {
		token = r.URL.Query().Get("token")
	}
	switch token {
	case "":
		return vod.Leave{}, nil
	case admin:
		return vod.Leave{Subject: admin, Admin: true}, nil
	case teacher:
		return vod.Leave{Subject: teacher, Publish: []media.Pattern{"school.*", "uploads"}}, nil
	case pupil:
		return vod.Leave{Subject: pupil, Play: []media.Pattern{"school.*"}}, nil
	case other:
		return vod.Leave{Subject: other, Play: []media.Pattern{"other"}, Publish: []media.Pattern{"other"}}, nil
	}
	return vod.Leave{}, media.ErrUnauthorized
}

func newHouse(t *testing.T, change func(*vod.Config)) *house {
	t.Helper()
	h := &house{
		t: t, store: &rows{assets: map[string]media.Asset{}}, blobs: &blobs{objects: map[string][]byte{}}, clock: &clock{},
		recorder: &recorder{live: map[string]*media.Presentation{}, ended: map[string]*media.Manifest{}},
		cfg:      vod.DefaultConfig(),
	}
	h.cfg.Dir = t.TempDir()
	h.cfg.Uploads.PartSize, h.cfg.Uploads.Reserve = 64<<10, 0
	if change != nil {
		change(&h.cfg)
	}
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

// start starts the catalogue; after stop, as after a restart.
func (h *house) start() {
	h.t.Helper()
	v, err := vod.New(h.cfg, vod.Parts{
		Store: h.store, Blobs: h.blobs, Live: h.recorder, Recordings: h.recorder, Authorize: authorize, Now: h.clock.now,
		Policy: func(id media.StreamID) media.Policy { return media.Policy{Public: id == "open"} },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- v.Run(ctx) }()
	h.vod, h.server = v, httptest.NewServer(v.Handler())
	h.stop = func() {
		h.server.Close()
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
		h.stop = func() {}
	}
}

// do asks the API; body is JSON, bytes, or nil.
func (h *house) do(method, path, token string, body any, headers ...string) (*http.Response, []byte) {
	h.t.Helper()
	var in io.Reader
	kind := ""
	switch b := body.(type) {
	case nil:
	case []byte:
		in = bytes.NewReader(b)
	case string:
		in, kind = strings.NewReader(b), "application/json"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			h.t.Fatal(err)
		}
		in, kind = bytes.NewReader(text), "application/json"
	}
	r, err := http.NewRequest(method, h.server.URL+path, in)
	if err != nil {
		h.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		h.t.Fatal(err)
	}
	return res, out
}

// want asks, checks the status, and reads the answer.
func (h *house) want(status int, method, path, token string, body any, headers ...string) map[string]any {
	h.t.Helper()
	res, out := h.do(method, path, token, body, headers...)
	if res.StatusCode != status {
		h.t.Fatalf("%s %s as %q: %d, want %d: %.300s", method, path, token, res.StatusCode, status, out)
	}
	var v map[string]any
	if len(out) > 0 && strings.Contains(res.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(out, &v); err != nil {
			h.t.Fatal(err)
		}
	}
	if status >= 400 && (res.Header.Get("Content-Type") != "application/problem+json" || v["status"] != float64(status)) {
		h.t.Errorf("%s %s: no problem: %s", method, path, out)
	}
	return v
}

// wait waits until an asset is as it should be.
func (h *house) wait(id string, what string, ok func(media.Asset) bool) media.Asset {
	h.t.Helper()
	var a media.Asset
	testnet.Eventually(h.t, what, func() bool {
		var err error
		a, err = h.store.Asset(context.Background(), id)
		if err == nil && a.State == media.AssetFailed {
			h.t.Logf("asset %s failed: %s", id, a.Reason)
		}
		return err == nil && ok(a)
	})
	return a
}

func isReady(a media.Asset) bool { return a.State == media.AssetReady && a.Thumbnail }

// film makes a file by ffmpeg; args choose its streams.
func film(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("ffmpeg", append(append([]string{"-y", "-hide_banner", "-loglevel", "error"}, args...), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	return path
}

// lesson is a film of some seconds with a counter, B-frames, and sound.
func lesson(t *testing.T, seconds int) string {
	t.Helper()
	return film(t, "lesson.mp4", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine=440:sample_rate=48000",
		"-t", fmt.Sprint(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac")
}

// ffprobe asks ffprobe for one thing per line.
func ffprobe(t *testing.T, path string, args ...string) []string {
	t.Helper()
	out, err := exec.Command("ffprobe", append(append([]string{"-v", "error", "-of", "csv=p=0"}, args...), path)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ffprobe: %v: %s", err, out)
	}
	return strings.Fields(string(out))
}

func testnetGone(h *house, path string) {
	h.t.Helper()
	testnet.Eventually(h.t, path+" is gone", func() bool {
		res, _ := h.do("GET", path, admin, nil)
		return res.StatusCode == http.StatusNotFound
	})
}
