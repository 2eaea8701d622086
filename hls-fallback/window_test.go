package hlsfallback_test

import (
	"runtime"
	"testing"

	"github.com/sluice-live/sluice/hls-fallback/stage"
)

// Two hours in four renditions, of which somebody asks for all with each new segment: what
// is rendered takes some megabytes. In the guide: hls.md, "What the window costs".
func TestTwoHoursToRewindTakeSomeMegabytes(t *testing.T) {
	const segments = 3600
	s := stage.New("show")
	s.Keep(segments)
	for range segments {
		s.Segment(1)
	}
	f := newSource(s)
	h := serve(t, f, nil).Handler()
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC() // twice: pools keep what they have for one
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	size := 0
	all := func() {
		size = 0
		for _, id := range s.Renditions() {
			for _, query := range []string{"?dvr=1", "?dvr=1&_HLS_skip=YES", ""} {
				w := ask(h, base+id+"/media.m3u8"+query, "Accept-Encoding", "gzip")
				if w.Code != 200 {
					t.Fatalf("%s%s: %d", id, query, w.Code)
				}
				size += w.Body.Len()
			}
		}
		if w := ask(h, "/live/show/manifest.mpd?dvr=1"); w.Code != 200 {
			t.Fatalf("DASH: %d", w.Code)
		}
	}
	before := heap()
	all()
	cost := heap() - before
	for range 100 {
		f.do(func(s *stage.Stage) { s.Segment(1) })
		all()
	}
	later := heap() - before
	t.Logf("renderings of two hours in four renditions, %d KB packed: %d KB, with the stage's own %d KB after 100 further segments", size>>10, cost>>10, later>>10)
	if most := int64(12 << 20); cost < 512<<10 || cost > most || later > most {
		t.Errorf("%d KB, and %d KB after 100 further segments", cost>>10, later>>10)
	}
}
