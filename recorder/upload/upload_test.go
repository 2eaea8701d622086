package upload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
	"github.com/sluice-live/sluice/recorder/upload"
)

// store is a blob store that can be away, slow, or lie.
type store struct {
	mu      sync.Mutex
	objects map[string][]byte
	order   []string
	away    bool
	rots    int // so many objects more are kept with a wrong byte
	busy    int
	most    int
	tries   int
}

var errAway = errors.New("the store is away")

func newStore() *store { return &store{objects: map[string][]byte{}} }

func (s *store) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	s.mu.Lock()
	s.tries++
	s.busy++
	s.most = max(s.most, s.busy)
	away := s.away
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.busy--
		s.mu.Unlock()
	}()
	select { // the network
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(300 * time.Millisecond):
	}
	if away {
		return errAway
	}
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != size {
		return fmt.Errorf("%d bytes of %d: %w", len(b), size, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rots > 0 {
		s.rots--
		b[len(b)/2] ^= 1
	}
	s.objects[key] = b
	s.order = append(s.order, key)
	return nil
}

func (s *store) Open(_ context.Context, key string, offset, size int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[key]
	if s.away {
		return nil, errAway
	}
	if !ok {
		return nil, media.ErrNotFound
	}
	b = b[offset:]
	if size >= 0 {
		b = b[:size]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (s *store) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	return nil
}

func (s *store) set(f func(*store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// recording writes a recording whose volumes hold two segments each, and returns
// the volumes as they were finished.
func recording(t *testing.T, name string, segments uint64) (upload.Recording, []journal.Volume) {
	t.Helper()
	r := upload.Recording{Stream: "show", Incarnation: name, Dir: filepath.Join(t.TempDir(), name)}
	var volumes []journal.Volume
	j, err := journal.Create(r.Dir, journal.Start{
		Stream: r.Stream, Incarnation: name, Start: time.Now().UTC(), TargetDuration: 6 * time.Second, PartTarget: 500 * time.Millisecond,
	}, journal.Config{Segments: 2, Finished: func(v journal.Volume) { volumes = append(volumes, v) }})
	if err != nil {
		t.Fatal(err)
	}
	v := &media.Rendition{ID: "video-h", Kind: media.VideoRendition, Codec: "avc1.42c01f", Timescale: 90000}
	if err := j.AddRendition(v); err != nil {
		t.Fatal(err)
	}
	if _, err := j.AddInit(v.ID, media.Init{Codec: v.Codec, Data: []byte("init")}); err != nil {
		t.Fatal(err)
	}
	for msn := range segments {
		if _, err := j.Append(v.ID, journal.Part{MSN: msn, Start: media.Ticks(msn) * 90000, Duration: 90000, Independent: true}, segment(msn)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.End(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := j.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r, volumes
}

func segment(msn uint64) []byte { return bytes.Repeat(fmt.Appendf(nil, "segment %d,", msn), 1000) }

// hold checks that the store has a recording whole, with its manifest last.
func hold(t *testing.T, s *store, r upload.Recording, segments int) {
	t.Helper()
	m, err := upload.LoadManifest(t.Context(), s, r.Prefix())
	if err != nil {
		t.Fatal(err)
	}
	if !m.Presentation.Ended || !m.Report.Complete || len(m.Report.Renditions[0].Volumes) != (segments+1)/2 {
		t.Errorf("report: %+v", m.Report)
	}
	got := m.Presentation.Rendition("video-h").Segments
	if len(got) != segments {
		t.Fatalf("%d segments, not %d", len(got), segments)
	}
	for _, g := range got {
		b := read(t, s, upload.Recording{Stream: r.Stream, Incarnation: r.Incarnation}, g.Extent)
		if !bytes.Equal(b, segment(g.MSN)) {
			t.Errorf("segment %d differs", g.MSN)
		}
	}
	var mine []string
	for _, key := range s.order {
		if strings.HasPrefix(key, r.Prefix()) {
			mine = append(mine, strings.TrimPrefix(key, r.Prefix()))
		}
	}
	if n := len(mine); mine[n-1] != "/manifest.json" || mine[n-2] != "/journal" {
		t.Errorf("in this order: %v", mine)
	}
}

func read(t *testing.T, b upload.Blobs, r upload.Recording, e media.Extent) []byte {
	t.Helper()
	f, err := upload.Open(t.Context(), b, r, "video-h", e)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// run starts an Uploader in a bubble; what it returns stops it.
func run(t *testing.T, c upload.Config) (*upload.Uploader, func()) {
	t.Helper()
	u, err := upload.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- u.Run(ctx) }() // stopped by the returned function
	return u, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestTheStoreIsAwayForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, reg := newStore(), prometheus.NewRegistry()
		s.away = true
		r, volumes := recording(t, "0000001aaaaaaaaa", 9)
		var done []string
		u, stop := run(t, upload.Config{Blobs: s, Registerer: reg, Done: func(_ context.Context, r upload.Recording, m *journal.Manifest) error {
			done = append(done, r.Incarnation)
			return nil
		}})
		for _, v := range volumes {
			u.Finished(r, v)
		}
		u.Ended(r)
		time.Sleep(10 * time.Minute)
		if got := lag(t, reg); got < 500 || got > 600 {
			t.Errorf("the lag is %v s", got)
		}
		s.set(func(s *store) {
			if len(s.objects) > 0 || s.tries < 40 || s.tries > 200 {
				t.Errorf("%d objects, %d tries of five volumes in ten minutes", len(s.objects), s.tries)
			}
			s.away = false
		})
		if b := read(t, s, r, media.Extent{Size: 10}); string(b) != "segment 0," {
			t.Errorf("the local copy: %q", b)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		hold(t, s, r, 9)
		if s.most > 2 {
			t.Errorf("%d at once", s.most)
		}
		if !slices.Equal(done, []string{r.Incarnation}) {
			t.Errorf("done: %v", done)
		}
		if _, err := os.Stat(r.Dir); !os.IsNotExist(err) {
			t.Errorf("the local copy is still there: %v", err)
		}
		if lag(t, reg) != 0 {
			t.Error("there is a lag still")
		}
		stop()
	})
}

func lag(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sluice_recorder_upload_lag_seconds" {
			return f.Metric[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no lag")
	return 0
}

// What the store keeps with a wrong byte is sent again; until then the local copy
// stays.
func TestTheStoreLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.rots = 4
		r, volumes := recording(t, "0000002aaaaaaaaa", 4)
		u, stop := run(t, upload.Config{Blobs: s})
		for _, v := range volumes {
			u.Finished(r, v)
		}
		time.Sleep(900 * time.Millisecond) // both were sent once
		for _, v := range volumes {
			if _, err := os.Stat(journal.VolumePath(r.Dir, v.Rendition, v.Number)); err != nil {
				t.Errorf("given up although the store has other bytes: %v", err)
			}
		}
		u.Ended(r)
		time.Sleep(time.Minute)
		synctest.Wait()
		hold(t, s, r, 4)
		stop()
	})
}

// A restart at any moment goes on where it stopped, and sends nothing twice that
// was verified.
func TestRestart(t *testing.T) {
	for after := 200 * time.Millisecond; after < 3*time.Second; after += 300 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			r, volumes := recording(t, "0000003aaaaaaaaa", 8)
			u, stop := run(t, upload.Config{Blobs: s, Keep: time.Hour})
			for _, v := range volumes {
				u.Finished(r, v)
			}
			u.Ended(r)
			time.Sleep(after)
			stop()
			verified, err := journal.Uploaded(r.Dir)
			if err != nil {
				t.Fatal(err)
			}
			before := s.tries
			u, stop = run(t, upload.Config{Blobs: s, Keep: time.Hour})
			if err := u.Add(r, true); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			hold(t, s, r, 8)
			if again := s.tries - before; again > len(volumes)-len(verified)+2 {
				t.Errorf("%d objects were sent after the restart; %d of %d volumes were verified before", again, len(verified), len(volumes))
			}
			if !upload.Complete(r.Dir) || len(read(t, nil, r, media.Extent{Size: 5})) != 5 {
				t.Error("the local copy is to stay an hour")
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if _, err := os.Stat(r.Dir); !os.IsNotExist(err) {
				t.Errorf("it is still there: %v", err)
			}
			stop()
		})
	}
}

// A volume that was lost locally before it was uploaded is a hole in the manifest,
// never a name of nothing.
func TestAVolumeIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		r, _ := recording(t, "0000004aaaaaaaaa", 6)
		if err := os.Remove(journal.VolumePath(r.Dir, "video-h", 1)); err != nil {
			t.Fatal(err)
		}
		u, stop := run(t, upload.Config{Blobs: s, Keep: -1})
		if err := u.Add(r, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		m, err := upload.LoadManifest(t.Context(), s, r.Prefix())
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Gaps) != 1 || m.Gaps[0].Start != 2*time.Second || m.Gaps[0].End != 4*time.Second || m.Report.Complete {
			t.Errorf("gaps %v, report %+v", m.Gaps, m.Report)
		}
		if g := m.Presentation.Renditions[0].Segments; !g[2].Gap || !g[3].Gap || g[4].Gap {
			t.Error("the gap is not where it should be")
		}
		if _, err := os.Stat(r.Dir); err != nil {
			t.Error("it was to be kept for ever")
		}
		stop()
	})
}

// Who deletes a recording while it is on its way leaves nothing behind.
func TestItIsDeletedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		r, volumes := recording(t, "0000006aaaaaaaaa", 6)
		told := 0
		u, stop := run(t, upload.Config{Blobs: s, Done: func(context.Context, upload.Recording, *journal.Manifest) error {
			told++
			return fmt.Errorf("store it: %w", media.ErrNotFound)
		}})
		for _, v := range volumes {
			u.Finished(r, v)
		}
		u.Ended(r)
		time.Sleep(time.Minute)
		synctest.Wait()
		if told != 1 || len(s.objects) > 0 {
			t.Errorf("told %d times, %d objects are left", told, len(s.objects))
		}
		if _, err := os.Stat(r.Dir); !os.IsNotExist(err) {
			t.Errorf("the folder is still there: %v", err)
		}
		r, volumes = recording(t, "0000007aaaaaaaaa", 6)
		if err := os.RemoveAll(r.Dir); err != nil {
			t.Fatal(err)
		}
		for _, v := range volumes {
			u.Finished(r, v)
		}
		before := s.tries
		time.Sleep(time.Hour)
		if s.tries != before {
			t.Errorf("a folder that is gone was tried %d times", s.tries-before)
		}
		stop()
	})
}

// The catalogue deletes the folder, then what it finds in the store; a volume that was
// on its way came after that, and stayed for ever.
func TestAVolumeThatIsOnItsWayWhileItIsDeletedLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		r, volumes := recording(t, "0000008aaaaaaaaa", 2)
		u, stop := run(t, upload.Config{Blobs: s})
		u.Finished(r, volumes[0])
		time.Sleep(100 * time.Millisecond) // of 300 that the network takes
		if err := os.RemoveAll(r.Dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if len(s.objects) > 0 {
			t.Errorf("%d objects are left", len(s.objects))
		}
		stop()
	})
}
