package hlsfallback_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	hlsfallback "github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/stage"
	"github.com/sluice-live/sluice/media"
)

const base = "/live/show/t5abcde000000001/"

func story() *stage.Stage {
	s := stage.New("show")
	s.Bytes = 1000
	for range 4 {
		s.Segment(4)
	}
	for _, id := range s.Renditions() {
		s.Part(id)
	}
	return s
}

func serve(t *testing.T, f *source, change func(*hlsfallback.Config, *hlsfallback.Parts)) *hlsfallback.Server {
	t.Helper()
	cfg, parts := hlsfallback.DefaultConfig(), hlsfallback.Parts{Live: f, Registerer: prometheus.NewRegistry()}
	if change != nil {
		change(&cfg, &parts)
	}
	s, err := hlsfallback.New(cfg, parts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask makes one request; headers are pairs.
func ask(h http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	method, path, found := strings.Cut(target, " ")
	if !found {
		method, path = "GET", target
	}
	r := httptest.NewRequest(method, "http://x/", nil)
	path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	r.URL.Path = path
	r.RemoteAddr = "192.0.2.7:1234"
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWhatIsServed(t *testing.T) {
	f := newSource(story())
	h := serve(t, f, nil).Handler()
	for _, c := range []struct {
		path, kind, cache, has string
	}{
		{"/live/show/index.m3u8", "application/vnd.apple.mpegurl", "public, max-age=3", "EXT-X-STREAM-INF"},
		{"/live/show/manifest.mpd", "application/dash+xml", "public, max-age=1", "<MPD"},
		{"/live/show/time.txt", "text/plain; charset=utf-8", "no-store", "T"},
		{base + "video-h/media.m3u8", "application/vnd.apple.mpegurl", "public, max-age=1", "EXT-X-PRELOAD-HINT"},
		{base + "video-h/media.m3u8?_HLS_msn=4&_HLS_part=0", "application/vnd.apple.mpegurl", "public, max-age=36", `URI="3.4.m4s"`},
		{base + "video-h/media.m3u8?_HLS_skip=YES", "application/vnd.apple.mpegurl", "public, max-age=1", "#EXTM3U"},
		{base + "video-h/media.m3u8?profile=legacy", "application/vnd.apple.mpegurl", "public, max-age=1", "0-2.m4s"},
		{base + "video-h/iframes.m3u8", "application/vnd.apple.mpegurl", "public, max-age=1", "I-FRAMES-ONLY"},
		{base + "video-h/init-0.mp4", "video/mp4", "public, max-age=86400, s-maxage=86400, immutable", "init video-h 0"},
		{base + "audio/init-0.mp4", "audio/mp4", "public, max-age=86400, s-maxage=86400, immutable", "init audio 0"},
		{base + "video-h/3.4.m4s", "video/mp4", "public, max-age=86400, s-maxage=86400, immutable", ""},
		{base + "video-h/3.m4s", "video/mp4", "public, max-age=86400, s-maxage=86400, immutable", ""},
		{base + "video-h/0-2.m4s", "video/mp4", "public, max-age=86400, s-maxage=86400, immutable", ""},
	} {
		w := ask(h, c.path)
		got := w.Header()
		if w.Code != 200 || got.Get("Content-Type") != c.kind || got.Get("Cache-Control") != c.cache || !strings.Contains(w.Body.String(), c.has) ||
			got.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v\n%.200s", c.path, w.Code, got, w.Body)
		}
		head := ask(h, "HEAD "+c.path)
		if head.Code != 200 || head.Header().Get("Cache-Control") != c.cache {
			t.Errorf("HEAD %s: %d %v", c.path, head.Code, head.Header())
		}
	}
}

func TestPartsAreTheSegmentAndSegmentsAreTheJoinedOne(t *testing.T) {
	f := newSource(story())
	h := serve(t, f, nil).Handler()
	whole := ""
	for _, part := range []string{"0.4", "1.1", "1.2", "1.3"} { // the first has the name by which it was hinted
		whole += ask(h, base+"video-h/"+part+".m4s").Body.String()
	}
	one := ask(h, base+"video-h/1.m4s")
	if one.Body.String() != whole || len(whole) != 4000 || one.Header().Get("Content-Length") != "4000" {
		t.Errorf("the parts have %d bytes, the segment %d", len(whole), one.Body.Len())
	}
	three := ask(h, base+"video-h/0-2.m4s").Body.String()
	f.archive("video-h")
	if got := ask(h, base+"video-h/1.m4s").Body.String(); got != whole {
		t.Error("from the disk it is another segment")
	}
	if got := ask(h, base+"video-h/0-2.m4s").Body.String(); got != three || len(got) != 12000 {
		t.Error("from the disk it is another joined segment")
	}
	for _, c := range []struct{ header, want, reported string }{
		{"bytes=0-9", whole[:10], "bytes 0-9/4000"},
		{"bytes=3990-", whole[3990:], "bytes 3990-3999/4000"},
		{"bytes=-5", whole[3995:], "bytes 3995-3999/4000"},
		{"bytes=995-1004", whole[995:1005], "bytes 995-1004/4000"},
		{"bytes=3999-99999999", whole[3999:], "bytes 3999-3999/4000"},
	} {
		for _, name := range []string{"disk", "memory"} {
			rendition := map[string]string{"disk": "video-h", "memory": "video-l"}[name]
			w := ask(h, base+rendition+"/1.m4s", "Range", c.header)
			want := c.want
			if name == "memory" {
				want = ask(h, base+"video-l/1.m4s").Body.String()
				want = want[4000-len(c.want):]
				if !strings.HasSuffix(c.reported, "3999/4000") {
					continue
				}
			}
			if w.Code != 206 || w.Body.String() != want || w.Header().Get("Content-Range") != c.reported {
				t.Errorf("%s, %s: %d %s, %d bytes", c.header, name, w.Code, w.Header().Get("Content-Range"), w.Body.Len())
			}
		}
	}
	if w := ask(h, base+"video-h/1.m4s", "Range", "bytes=4000-"); w.Code != 416 || w.Header().Get("Content-Range") != "bytes */4000" {
		t.Errorf("beyond the end: %d", w.Code)
	}
	for _, odd := range []string{"bytes=5-1", "bytes=0-1,5-6", "items=0-1", "bytes=", "bytes=-", "bytes=x-", "bytes=-0"} {
		if w := ask(h, base+"video-l/1.m4s", "Range", odd); w.Code != 200 && w.Code != 416 {
			t.Errorf("%s: %d", odd, w.Code)
		}
	}
}

func TestWhatIsNotThereIs404(t *testing.T) {
	s := story()
	s.Keep(3)
	s.Segment(4)
	s.Gap("video-l", true)
	s.Segment(4)
	s.Segment(4)
	h := serve(t, newSource(s), nil).Handler()
	for _, path := range []string{
		"/", "/live", "/live/", "/live/show", "/live/show/", "/live/none/index.m3u8", "/videos/show/index.m3u8", "/live/show/other.m3u8",
		"/live/show/t5abcde000000002/video-h/media.m3u8", base + "video-x/media.m3u8", base + "video-h/", base + "video-h/other",
		base + "video-h/init-1.mp4", base + "video-h/init-01.mp4", base + "video-h/init--1.mp4", base + "video-h/init-99999999999.mp4",
		base + "video-h/0.m4s", base + "video-h/0.0.m4s", // too old
		base + "video-h/99.m4s", base + "video-h/8.m4s", base + "video-h/7.1.m4s", base + "video-h/8.0.m4s", // too far ahead
		base + "video-h/6.9.m4s", base + "video-h/18446744073709551615.m4s", base + "video-h/-1.m4s", base + "video-h/+6.m4s", base + "video-h/06.m4s",
		base + "video-h/6.m4s/", base + "video-h/0-99.m4s", base + "video-h/6-5.m4s", base + "video-h/6-6.m4s", base + "video-h/0-18446744073709551615.m4s",
		base + "video-l/6.m4s", base + "video-l/6.0.m4s", // gaps
		base + "audio/iframes.m3u8",
		"/live/../live/show/index.m3u8", "/live/show/../../etc/passwd", base + "../video-h/media.m3u8", base + "video-h/../../../../etc/passwd",
		"/live/show/..%2f..%2fetc/passwd/x", base + "video-h/..\\..\\x.m4s", base + "video-h/6.m4s\x00",
		base + "video-h/media.m3u8?start=2030-01-01T00:00:00Z",
	} {
		w := ask(h, path)
		if w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "max-age=1" {
			t.Errorf("%q: %d %v %.100s", path, w.Code, w.Header(), w.Body)
		}
	}
}

func TestHostileQueriesAre400(t *testing.T) {
	h := serve(t, newSource(story()), nil).Handler()
	for _, q := range []string{"_HLS_part=0", "_HLS_msn=-1", "_HLS_msn=6", "_HLS_msn=18446744073709551615", "_HLS_msn=99999999999999999999", "_HLS_msn=4&_HLS_part=77", "_HLS_msn=x", "start=x", "profile=x"} {
		w := ask(h, base+"video-h/media.m3u8?"+q)
		var p struct{ Type, Title, Detail string }
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 400 || p.Detail == "" || p.Title == "" || !strings.HasPrefix(p.Type, "urn:sluice:problem:") {
			t.Errorf("%s: %d %s", q, w.Code, w.Body)
		}
	}
	if w := ask(h, "POST /live/show/index.m3u8"); w.Code != 405 || w.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", w.Code)
	}
	if w := ask(h, "OPTIONS /live/show/index.m3u8", "Origin", "https://elsewhere"); w.Code != 204 || !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("OPTIONS: %d %v", w.Code, w.Header())
	}
}

func TestCompressionAndConditions(t *testing.T) {
	h := serve(t, newSource(story()), nil).Handler()
	path := base + "video-h/media.m3u8"
	text := ask(h, path)
	zip := ask(h, path, "Accept-Encoding", "br;q=1.0, gzip;q=0.8")
	in, err := gzip.NewReader(zip.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(in)
	if err != nil || string(got) != text.Body.String() || zip.Header().Get("Content-Encoding") != "gzip" || zip.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v, %d bytes, %v", err, len(got), zip.Header())
	}
	for _, no := range []string{"", "br", "gzip;q=0", "gzip; q=0.0", "identity"} {
		if w := ask(h, path, "Accept-Encoding", no); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%q got %s", no, w.Header().Get("Content-Encoding"))
		}
	}
	for _, path := range []string{path, base + "video-h/1.m4s", base + "video-h/1.2.m4s"} {
		etag := ask(h, path).Header().Get("Etag")
		if w := ask(h, path, "If-None-Match", `"x", W/`+etag); w.Code != 304 || w.Body.Len() > 0 {
			t.Errorf("%s: %d", path, w.Code)
		}
		if w := ask(h, path, "If-None-Match", `"x"`); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := ask(h, base+"video-h/1.m4s", "Range", "bytes=0-1", "If-Range", `"other"`); w.Code != 200 {
		t.Errorf("If-Range of another: %d", w.Code)
	}
}

func TestHigherBitratesAreNeverMoreUrgent(t *testing.T) {
	h := serve(t, newSource(story()), nil).Handler()
	for path, want := range map[string]string{
		base + "video-h/media.m3u8": "u=1", base + "audio/1.m4s": "u=2", base + "video-l/1.m4s": "u=3", base + "video-h/1.m4s": "u=4",
	} {
		if got := ask(h, path).Header().Get("Priority"); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// in runs a request in the background of a bubble.
func in(h http.Handler, path string, headers ...string) *later {
	l := &later{began: time.Now(), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.w = ask(h, path, headers...)
		l.took = time.Since(l.began)
	}()
	return l
}

type later struct {
	w     *httptest.ResponseRecorder
	began time.Time
	took  time.Duration
	done  chan struct{}
}

func (l *later) waiting() bool {
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

func TestBlockingReloadAnswersWhenThePartIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSource(story())
		h := serve(t, f, nil).Handler()
		list := in(h, base+"video-h/media.m3u8?_HLS_msn=4&_HLS_part=1")
		hint := in(h, base+"video-h/4.1.m4s")
		whole := in(h, base+"video-h/media.m3u8?_HLS_msn=4")
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		if !list.waiting() || !hint.waiting() || !whole.waiting() {
			t.Fatal("answered before the part is there")
		}
		f.do(func(s *stage.Stage) { s.Part("audio") })
		synctest.Wait()
		if !list.waiting() || !hint.waiting() {
			t.Fatal("another rendition's part is none of ours")
		}
		f.do(func(s *stage.Stage) { s.Part("video-h") })
		synctest.Wait()
		if list.waiting() || hint.waiting() || !whole.waiting() {
			t.Fatal("not answered although the part is there, or the segment before it is")
		}
		if list.took != 400*time.Millisecond || !strings.Contains(list.w.Body.String(), `URI="4.1.m4s"`) || hint.w.Code != 200 || hint.w.Body.Len() != 1000 {
			t.Errorf("after %v: %d %d\n%s", list.took, list.w.Code, hint.w.Code, list.w.Body)
		}
		f.do(func(s *stage.Stage) { s.Close("video-h") })
		<-whole.done
		if !strings.Contains(whole.w.Body.String(), "\n4.m4s\n") {
			t.Error(whole.w.Body)
		}
	})
}

// Whoever asks for what is hinted gets the next part, whether it is one more of the
// segment or the first of the next one.
func TestAHintIsKeptWhenTheSegmentEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSource(story())
		h := serve(t, f, nil).Handler()
		hint := in(h, base+"video-h/4.1.m4s")
		list := in(h, base+"video-h/media.m3u8?_HLS_msn=4&_HLS_part=1")
		synctest.Wait()
		f.do(func(s *stage.Stage) { s.Close("video-h") })
		synctest.Wait()
		if !list.waiting() || !hint.waiting() {
			t.Fatal("both wait for part 0 of the next segment")
		}
		f.do(func(s *stage.Stage) { s.Part("video-h") })
		<-list.done
		<-hint.done
		if text := list.w.Body.String(); list.w.Code != 200 || hint.w.Code != 200 || !strings.Contains(text, "\n4.m4s\n") ||
			!strings.Contains(text, `,URI="4.1.m4s",INDEPENDENT=YES`+"\n"+`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="5.1.m4s"`) {
			t.Errorf("%d %d\n%s", list.w.Code, hint.w.Code, text)
		}
		whole := ask(h, base+"video-h/4.1.m4s")
		if whole.Code != 200 || whole.Body.String() != hint.w.Body.String() {
			t.Errorf("asked again: %d", whole.Code)
		}
		for _, other := range []string{"4.2.m4s", "5.0.m4s", "5.2.m4s"} {
			if w := ask(h, base+"video-h/"+other); w.Code != 404 {
				t.Errorf("%s: %d", other, w.Code)
			}
		}
	})
}

func TestWhoWaitsTooLongIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSource(story())
		h := serve(t, f, nil).Handler()
		list, hint, ahead := in(h, base+"video-h/media.m3u8?_HLS_msn=5"), in(h, base+"video-h/4.1.m4s"), in(h, base+"video-h/5.m4s")
		<-list.done
		<-hint.done
		<-ahead.done
		if list.w.Code != 503 || list.took != 18*time.Second || list.w.Header().Get("Retry-After") == "" || hint.w.Code != 503 || hint.took != 18*time.Second {
			t.Errorf("%d after %v, %d after %v", list.w.Code, list.took, hint.w.Code, hint.took)
		}
		if ahead.w.Code != 404 || ahead.took != 0 {
			t.Errorf("a segment beyond the open one: %d after %v", ahead.w.Code, ahead.took)
		}
	})
}

func TestWaitersAreBoundedAndLeaveWhenTheServerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSource(story())
		s := serve(t, f, func(c *hlsfallback.Config, _ *hlsfallback.Parts) { c.MaxWaiting = 2 })
		a, b := in(s.Handler(), base+"video-h/media.m3u8?_HLS_msn=4"), in(s.Handler(), base+"video-h/4.1.m4s")
		synctest.Wait()
		if w := ask(s.Handler(), base+"audio/4.1.m4s"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("the third: %d", w.Code)
		}
		if w := ask(s.Handler(), base+"audio/media.m3u8"); w.Code != 200 {
			t.Errorf("one that need not wait: %d", w.Code)
		}
		s.Stop()
		<-a.done
		<-b.done
		if a.w.Code != 503 || b.w.Code != 503 || a.took != 0 {
			t.Errorf("%d %d after %v", a.w.Code, b.w.Code, a.took)
		}
	})
}

func TestTheEndFreesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSource(story())
		h := serve(t, f, nil).Handler()
		list, hint := in(h, base+"video-h/media.m3u8?_HLS_msn=5"), in(h, base+"video-h/4.1.m4s")
		synctest.Wait()
		f.do(func(s *stage.Stage) { s.End() })
		<-list.done
		<-hint.done
		if list.w.Code != 200 || !strings.Contains(list.w.Body.String(), "#EXT-X-ENDLIST") || strings.Contains(list.w.Body.String(), "PRELOAD") || hint.w.Code != 404 {
			t.Errorf("%d %d\n%s", list.w.Code, hint.w.Code, list.w.Body)
		}
	})
}

func TestAClientThatLeavesIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newSource(story()), func(c *hlsfallback.Config, _ *hlsfallback.Parts) { c.MaxWaiting = 1 })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := httptest.NewRequestWithContext(ctx, "GET", base+"video-h/4.1.m4s", nil)
			s.ServeHTTP(httptest.NewRecorder(), r)
		}()
		synctest.Wait()
		cancel()
		<-done
		next := in(s.Handler(), base+"video-h/4.1.m4s")
		synctest.Wait()
		if !next.waiting() {
			t.Errorf("its place was not free: %d", next.w.Code)
		}
		s.Stop()
		<-next.done
	})
}

// The open segment comes part by part, each whole.
func TestTheOpenSegmentIsFollowed(t *testing.T) {
	f := newSource(story())
	h := httptest.NewServer(serve(t, f, nil).Handler())
	defer h.Close()
	resp, err := http.Get(h.URL + base + "video-h/4.m4s")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 1000)
	for i := range 4 {
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		f.do(func(s *stage.Stage) {
			if i < 3 {
				s.Part("video-h")
			} else {
				s.Close("video-h")
			}
		})
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 || resp.ContentLength != -1 {
		t.Errorf("%d bytes more, %v", len(rest), err)
	}
}

func TestABrokenOpenSegmentDoesNotLookWhole(t *testing.T) {
	f := newSource(story())
	h := httptest.NewServer(serve(t, f, nil).Handler())
	defer h.Close()
	resp, err := http.Get(h.URL + base + "video-h/4.m4s")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	lost := stage.New("show") // another run
	lost.Segment(1)
	f.s, f.p = lost, lost.Snapshot()
	f.p.Incarnation = "t5abcde000000009"
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the body ended as if it were whole")
	}
}

func TestManyWhoAskShareOneRendering(t *testing.T) {
	reg := prometheus.NewRegistry()
	f := newSource(story())
	s := serve(t, f, func(_ *hlsfallback.Config, p *hlsfallback.Parts) { p.Registerer = reg })
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			path := base + "video-h/media.m3u8"
			if i%2 == 0 {
				path += "?_HLS_msn=4&_HLS_part=1"
			}
			if w := ask(s.Handler(), path, "Accept-Encoding", "gzip"); w.Code != 200 {
				t.Errorf("%s: %d", path, w.Code)
			}
		})
	}
	f.do(func(s *stage.Stage) { s.Part("video-h") })
	all.Wait()
	if n := count(t, reg, "sluice_hls_renders_total", "playlist"); n < 1 || n > 2 {
		t.Errorf("%v renderings for two snapshots", n)
	}
	if n := count(t, reg, "sluice_hls_requests_total", "playlist"); n != 200 {
		t.Errorf("%v requests counted", n)
	}
}

func count(t *testing.T, reg *prometheus.Registry, name, file string) (n float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, fam := range families {
		for _, m := range fam.GetMetric() {
			for _, l := range m.GetLabel() {
				if fam.GetName() == name && l.GetValue() == file {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

func TestMadeUpTimeShiftsDoNotFillTheMemory(t *testing.T) {
	f := newSource(story())
	h := serve(t, f, nil).Handler()
	for i := range 2000 {
		if w := ask(h, fmt.Sprintf("%svideo-h/media.m3u8?start=%d.%03d", base, stage.Start.Unix(), i%1000)); w.Code != 200 {
			t.Fatalf("%d: %d", i, w.Code)
		}
	}
	// Bounded by maxAnswers: what was asked for first is rendered again, and right.
	if w := ask(h, fmt.Sprintf("%svideo-h/media.m3u8?start=%d", base, stage.Start.Unix())); w.Code != 200 {
		t.Error(w.Code)
	}
}

func TestAssetsAreKeptForAYear(t *testing.T) {
	s := story()
	s.End()
	f := newSource(s)
	h := serve(t, f, func(_ *hlsfallback.Config, p *hlsfallback.Parts) { p.Videos, p.Live = f, nil }).Handler()
	for path, want := range map[string]string{
		"/videos/show/index.m3u8":                             "public, max-age=60, s-maxage=60",
		"/videos/show/manifest.mpd":                           "public, max-age=60, s-maxage=60",
		"/videos/show/t5abcde000000001/video-h/media.m3u8":    "public, max-age=86400, s-maxage=31536000",
		"/videos/show/t5abcde000000001/video-h/2.m4s":         "public, max-age=31536000, s-maxage=31536000, immutable",
		"/videos/show/t5abcde000000001/video-h/init-0.mp4":    "public, max-age=31536000, s-maxage=31536000, immutable",
		"/videos/show/t5abcde000000001/audio-aac/media.m3u8":  "public, max-age=86400, s-maxage=31536000",
		"/videos/show/t5abcde000000001/video-h/iframes.m3u8":  "public, max-age=86400, s-maxage=31536000",
		"/videos/show/t5abcde000000001/video-h/media.m3u8?x=": "public, max-age=86400, s-maxage=31536000",
	} {
		if w := ask(h, path); w.Code != 200 || w.Header().Get("Cache-Control") != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Cache-Control"))
		}
	}
}

func TestOnDemandIsWantedAndWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := story()
		s.Add(media.Rendition{ID: "audio-es", Kind: media.AudioRendition, Codec: "mp4a.40.2", Timescale: 48000, OnDemand: true, Language: "es"})
		f := newSource(s)
		h := serve(t, f, nil).Handler()
		if w := ask(h, "/live/show/index.m3u8"); !strings.Contains(w.Body.String(), "audio-es/media.m3u8") {
			t.Error(w.Body)
		}
		list := in(h, base+"audio-es/media.m3u8")
		time.Sleep(time.Second)
		synctest.Wait()
		if !list.waiting() || f.wanted["audio-es"] == 0 {
			t.Errorf("waiting %v, wanted %v", list.waiting(), f.wanted)
		}
		f.do(func(s *stage.Stage) { s.Part("audio-es") })
		synctest.Wait()
		if !list.waiting() {
			t.Errorf("a playlist of parts alone: %s", list.w.Body)
		}
		f.do(func(s *stage.Stage) { s.Close("audio-es") })
		<-list.done
		if list.w.Code != 200 {
			t.Errorf("%d %s", list.w.Code, list.w.Body)
		}
	})
}

// Shaka Player does not start from a playlist of gaps: who tunes in waits for a segment,
// but not for ever.
func TestWhatIsMadeOnDemandIsWaitedForBehindGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const es = "audio-es"
		s := story()
		s.Add(media.Rendition{ID: es, Kind: media.AudioRendition, Codec: "mp4a.40.2", Timescale: 48000, OnDemand: true, Language: "es"})
		f := newSource(s)
		h := serve(t, f, nil).Handler()
		segment := func(gap bool) { // the next one is a gap, or not
			f.do(func(s *stage.Stage) {
				s.Gap(es, gap)
				s.Part(es)
				s.Close(es)
			})
		}
		segment(true)
		segment(true)
		list := in(h, base+"audio-es/media.m3u8")
		time.Sleep(2 * time.Second)
		segment(false)
		synctest.Wait()
		if !list.waiting() {
			t.Fatalf("a playlist that ends with gaps: %s", list.w.Body)
		}
		segment(true)
		<-list.done
		if list.w.Code != 200 {
			t.Errorf("%d %s", list.w.Code, list.w.Body)
		}
		segment(true)
		list = in(h, base+"audio-es/media.m3u8")
		time.Sleep(6 * time.Second)
		segment(true)
		<-list.done
		if list.w.Code != 200 || !strings.Contains(list.w.Body.String(), "#EXT-X-GAP") {
			t.Errorf("nothing came: %d %s", list.w.Code, list.w.Body)
		}
	})
}

func TestVP8IsRefusedInWords(t *testing.T) {
	s := stage.Bare("show")
	s.Add(media.Rendition{ID: "video", Kind: media.VideoRendition, Codec: "vp8", Timescale: 90000})
	s.Add(media.Rendition{ID: "audio", Kind: media.AudioRendition, Codec: "opus", Timescale: 48000})
	h := serve(t, newSource(s), nil).Handler()
	for _, path := range []string{"/live/show/index.m3u8", "/live/show/manifest.mpd"} {
		if w := ask(h, path); w.Code != 422 || !strings.Contains(w.Body.String(), "VP8") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func TestABrokenDiskTellsNothing(t *testing.T) {
	f := newSource(story())
	f.archive("video-h")
	f.broken = true
	w := ask(serve(t, f, nil).Handler(), base+"video-h/1.m4s")
	if w.Code != 503 || strings.Contains(w.Body.String(), "secret") || w.Header().Get("Content-Length") == "4000" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestTokens(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	key := hlsfallback.Key{ID: "k1", Secret: []byte("0123456789abcdef")}
	old := hlsfallback.Key{ID: "k0", Secret: []byte("fedcba9876543210")}
	s := serve(t, newSource(story()), func(c *hlsfallback.Config, p *hlsfallback.Parts) {
		c.Keys = []hlsfallback.Key{key, old}
		p.Authorize = func(_ context.Context, a hlsfallback.Ask) error {
			mu.Lock()
			defer mu.Unlock()
			asked++
			switch {
			case a.Token == "good" && a.Name == "show" && !a.Videos:
				return nil
			case a.Token == "":
				return fmt.Errorf("%w: a token is needed", media.ErrUnauthorized)
			}
			return media.ErrForbidden
		}
	})
	h := s.Handler()
	path := base + "video-h/media.m3u8"
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	me, other := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	sign := func(k hlsfallback.Key, name string, e time.Time, ip netip.Addr) string {
		return hlsfallback.Sign(k, hlsfallback.Grant{Name: name, Expires: e, Remote: ip})
	}
	for _, c := range []struct {
		name, query, header, value string
		want                       int
	}{
		{"nothing", "", "", "", 401},
		{"header", "", "Authorization", "Bearer good", 200},
		{"query", "?token=good", "", "", 200},
		{"cookie", "", "Cookie", "a=b; sluice_play=good", 200},
		{"wrong", "?token=bad", "", "", 403},
		{"too long", "", "Authorization", "Bearer " + strings.Repeat("x", 5000), 401},
		{"signed", "?token=" + sign(key, "show", later, netip.Addr{}), "", "", 200},
		{"signed by the key before", "?token=" + sign(old, "show", later, netip.Addr{}), "", "", 200},
		{"signed by a stranger", "?token=" + sign(hlsfallback.Key{ID: "k1", Secret: []byte("another secret!!")}, "show", later, netip.Addr{}), "", "", 401},
		{"signed for another", "?token=" + sign(key, "other", later, netip.Addr{}), "", "", 401},
		{"expired", "?token=" + sign(key, "show", past, netip.Addr{}), "", "", 401},
		{"signed for my address", "?token=" + sign(key, "show", later, me), "", "", 200},
		{"signed for another address", "?token=" + sign(key, "show", later, other), "", "", 401},
		{"signed for an asset", "?token=" + hlsfallback.Sign(key, hlsfallback.Grant{Videos: true, Name: "show", Expires: later}), "", "", 401},
		{"cut", "?token=" + sign(key, "show", later, netip.Addr{})[:40], "", "", 401},
		{"longer life", "?token=" + strings.Replace(sign(key, "show", past, netip.Addr{}), ".t", ".u", 1), "", "", 401},
		{"freed of its address", "?token=" + strings.Replace(sign(key, "show", later, other), ".1.", ".0.", 1), "", "", 401},
	} {
		for _, file := range []string{path, base + "video-h/1.m4s", base + "video-h/1.1.m4s", base + "video-h/init-0.mp4", "/live/show/manifest.mpd"} {
			w := ask(h, file+c.query, c.header, c.value)
			if w.Code != c.want {
				t.Errorf("%s, %s: %d, want %d: %s", c.name, file, w.Code, c.want, w.Body)
			}
			if c.want != 200 && strings.Contains(w.Body.String(), "sl1.") {
				t.Errorf("%s: the answer repeats the token", c.name)
			}
		}
		for _, file := range []string{"/live/show/time.txt", "/live/nobody/time.txt"} { // dash.js asks without a token
			if w := ask(h, file+c.query, c.header, c.value); w.Code != 200 || !strings.HasSuffix(w.Body.String(), "Z") {
				t.Errorf("%s, %s: %d %s", c.name, file, w.Code, w.Body)
			}
		}
	}
	if asked > 4 {
		t.Errorf("asked %d times; decisions are kept", asked)
	}
}

func TestTokensNeverEnterTheBytes(t *testing.T) {
	f := newSource(story())
	s := serve(t, f, func(_ *hlsfallback.Config, p *hlsfallback.Parts) {
		p.Authorize = func(context.Context, hlsfallback.Ask) error { return nil }
	})
	for _, path := range []string{"/live/show/index.m3u8", "/live/show/manifest.mpd", base + "video-h/media.m3u8", base + "video-h/iframes.m3u8", base + "video-h/media.m3u8?profile=legacy&x="} {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		a, b := ask(s.Handler(), path+sep+"token=alice"), ask(s.Handler(), path+sep+"token=bob")
		if a.Body.String() != b.Body.String() || strings.Contains(a.Body.String(), "alice") || a.Code != 200 {
			t.Errorf("%s: %d\n%s", path, a.Code, a.Body)
		}
		if strings.Contains(path, "m3u8") && !strings.Contains(a.Body.String(), `#EXT-X-DEFINE:QUERYPARAM="token"`) {
			t.Errorf("%s\n%s", path, a.Body)
		}
	}
}

func TestTheCookieIsForOneStreamAndNoCacheKeepsIt(t *testing.T) {
	s := serve(t, newSource(story()), func(c *hlsfallback.Config, p *hlsfallback.Parts) {
		c.HTTPS = true
		p.Authorize = func(context.Context, hlsfallback.Ask) error { return nil }
	})
	w := ask(s.Handler(), "/live/show/index.m3u8", "Authorization", "Bearer abc.def")
	want := "sluice_play=abc.def; Path=/live/show/; HttpOnly; Secure; SameSite=None"
	if got := w.Header().Get("Set-Cookie"); got != want || !strings.HasPrefix(w.Header().Get("Cache-Control"), "private") {
		t.Errorf("%s, %s", got, w.Header().Get("Cache-Control"))
	}
	if w := ask(s.Handler(), "/live/show/index.m3u8"); w.Header().Get("Set-Cookie") != "" || !strings.HasPrefix(w.Header().Get("Cache-Control"), "public") {
		t.Errorf("without a token: %v", w.Header())
	}
	if w := ask(s.Handler(), base+"video-h/media.m3u8", "Authorization", "Bearer abc.def"); w.Header().Get("Set-Cookie") != "" {
		t.Errorf("on another playlist: %v", w.Header())
	}
	if w := ask(s.Handler(), "/live/show/index.m3u8?token=a%0d%0aSet-Cookie:b"); strings.Contains(w.Header().Get("Set-Cookie"), "\n") || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("%v", w.Header())
	}
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	for _, change := range []func(*hlsfallback.Config){
		func(c *hlsfallback.Config) { c.Window = time.Second },
		func(c *hlsfallback.Config) { c.MaxWaiting = 0 },
		func(c *hlsfallback.Config) { c.Keys = []hlsfallback.Key{{ID: "a", Secret: []byte("short")}} },
		func(c *hlsfallback.Config) {
			c.Keys = []hlsfallback.Key{{ID: "a.b", Secret: []byte("0123456789abcdef")}}
		},
	} {
		cfg := hlsfallback.DefaultConfig()
		change(&cfg)
		if _, err := hlsfallback.New(cfg, hlsfallback.Parts{}); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func FuzzRequests(f *testing.F) {
	for _, s := range []string{base + "video-h/media.m3u8", base + "video-h/1.2.m4s", base + "video-h/0-2.m4s", "/live/show/index.m3u8", "/videos/a/b/c/init-0.mp4"} {
		f.Add(s, "_HLS_msn=1&token=x", "bytes=0-5", "gzip")
	}
	src := newSource(story())
	s, err := hlsfallback.New(hlsfallback.DefaultConfig(), hlsfallback.Parts{Live: src, Videos: src})
	if err != nil {
		f.Fatal(err)
	}
	s.Stop() // nothing waits
	f.Fuzz(func(t *testing.T, path, query, span, encoding string) {
		r := httptest.NewRequest("GET", "http://x/", nil)
		r.URL.Path, r.URL.RawQuery = path, query
		r.Header.Set("Range", span)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == 200 && w.Body.Len() == 0 || w.Code >= 500 && w.Code != 503 {
			t.Errorf("%q?%q: %d with %d bytes", path, query, w.Code, w.Body.Len())
		}
	})
}
