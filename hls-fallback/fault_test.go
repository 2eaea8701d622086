package hlsfallback_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hlsfallback "github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/stage"
	"github.com/sluice-live/sluice/media"
)

// Faults that were found; each leaves its name here.

// unfit is a source that says why there is nothing.
type unfit struct{ *source }

func (unfit) Presentation(context.Context, string) (*media.Presentation, error) {
	return nil, fmt.Errorf("play: %w: no VP8", media.ErrUnsupported)
}

func TestALiveStreamOfVP8IsNotAnInternalError(t *testing.T) {
	h := serve(t, newSource(story()), func(_ *hlsfallback.Config, p *hlsfallback.Parts) { p.Live = unfit{newSource(story())} }).Handler()
	if w := ask(h, "/live/show/index.m3u8"); w.Code != 422 || !strings.Contains(w.Body.String(), "VP8") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestARangeBehindTheEndIsKeptByNoCache(t *testing.T) {
	w := ask(serve(t, newSource(story()), nil).Handler(), base+"video-h/1.m4s", "Range", "bytes=999999-")
	if w.Code != 416 || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Range") != "bytes */4000" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// diary is a log that is read while it is written.
type diary struct {
	mu   sync.Mutex
	text strings.Builder
}

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(b)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

func TestAViewerWhoLeavesInTheMiddleOfASegmentIsNoFaultOfTheDisk(t *testing.T) {
	s := stage.New("show")
	s.Bytes = 4 << 20
	s.Segment(4)
	s.Part("video-h")
	f := newSource(s)
	f.archive("video-h")
	log := &diary{}
	server := serve(t, f, func(_ *hlsfallback.Config, p *hlsfallback.Parts) { p.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	left := make(chan struct{})
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		server.Handler().ServeHTTP(w, r)
	}))
	defer h.Close()
	conn, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %svideo-h/0.m4s HTTP/1.1\r\nHost: x\r\n\r\n", base)
	if _, err := io.ReadFull(bufio.NewReader(conn), make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	select {
	case <-left:
	case <-time.After(time.Minute):
		t.Fatal("the request does not end")
	}
	if text := log.String(); text != "" {
		t.Error(text)
	}
}

// A link that has expired, or an old cookie, keeps nobody from what is for everybody.
func TestAnOldTokenClosesNothingThatIsPublic(t *testing.T) {
	key := hlsfallback.Key{ID: "k1", Secret: []byte("0123456789abcdef")}
	h := serve(t, newSource(story()), func(c *hlsfallback.Config, p *hlsfallback.Parts) {
		c.Keys = []hlsfallback.Key{key}
		p.Authorize = func(_ context.Context, a hlsfallback.Ask) error {
			if a.Token == "" {
				return nil
			}
			return media.ErrUnauthorized
		}
	}).Handler()
	for _, token := range []string{"junk", hlsfallback.Sign(key, hlsfallback.Grant{Name: "show", Expires: time.Now().Add(-time.Hour)})} {
		for _, header := range [][2]string{{"Cookie", "sluice_play=" + token}, {"Authorization", "Bearer " + token}} {
			if w := ask(h, base+"video-h/media.m3u8", header[0], header[1]); w.Code != 200 {
				t.Errorf("%s: %d %s", header[0], w.Code, w.Body)
			}
		}
	}
}

// Each playlist of hours is megabytes, and there are as many as somebody makes up.
func TestLongTimeShiftsOfManyNamesTakeBoundedMemory(t *testing.T) {
	s := stage.New("show")
	for range 2600 {
		s.Segment(1)
	}
	f := newSource(s)
	h := serve(t, f, nil).Handler()
	size := ask(h, base+"video-h/media.m3u8?dvr=1").Body.Len()
	const asked = 250
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range asked {
		if w := ask(h, fmt.Sprintf("%svideo-%c/media.m3u8?start=%d.%03d&end=%d", base, "hl"[i%2], stage.Start.Unix(), i%1000, stage.Start.Unix()+80000)); w.Code != 200 {
			t.Fatal(w.Code)
		}
	}
	if grown := int64(heap()) - int64(before); grown > 44<<20 {
		t.Errorf("%d playlists of %d KB take %d MB", asked, size>>10, grown>>20)
	} else {
		t.Logf("%d playlists of %d KB take %d MB", asked, size>>10, grown>>20)
	}
	if w := ask(h, base+"video-h/media.m3u8?dvr=1"); w.Body.Len() != size {
		t.Error("what was forgotten is rendered otherwise")
	}
}

// timed is a ResponseWriter that remembers its deadline.
type timed struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (w *timed) SetWriteDeadline(at time.Time) error { w.until = at; return nil }

// With a target duration of a minute a request waits for three.
func TestALongWaitIsNotBrokenOffByTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSource(story())
		f.p.TargetDuration = time.Minute
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		serve(t, f, nil).Handler().ServeHTTP(w, httptest.NewRequest("GET", base+"video-h/media.m3u8?_HLS_msn=4&_HLS_part=1", nil))
		if w.Code != 503 || time.Now().After(w.until) {
			t.Errorf("%d, and the answer had until %v, now it is %v", w.Code, w.until, time.Now())
		}
	})
}

// workshop is a source whose sound is made when it is asked for.
type workshop struct {
	*source
	busy error
}

func (f *workshop) Read(_ context.Context, _ *media.Presentation, _ string, e media.Extent) (io.ReadCloser, error) {
	if f.busy != nil {
		return nil, f.busy
	}
	return io.NopCloser(strings.NewReader(strings.Repeat("x", 10+int(e.Offset)))), nil
}

func TestWhatIsMadeWhenAskedForHasALength(t *testing.T) {
	s := story()
	s.End()
	f := &workshop{source: newSource(s)}
	r := f.p.Rendition("audio")
	for i, one := range r.Segments {
		bare := *one
		bare.Parts, bare.Extent = nil, media.Extent{Offset: int64(i), Size: -1}
		r.Segments[i] = &bare
	}
	h := serve(t, f.source, func(_ *hlsfallback.Config, p *hlsfallback.Parts) { p.Videos = f }).Handler()
	at := strings.Replace(base, "/live/", "/videos/", 1) + "audio/"
	for path, length := range map[string]string{"2.m4s": "12", "0-2.m4s": "33"} {
		if w := ask(h, at+path); w.Code != 200 || w.Header().Get("Content-Length") != length || fmt.Sprint(w.Body.Len()) != length {
			t.Errorf("%s: %d, %s of %d bytes", path, w.Code, w.Header().Get("Content-Length"), w.Body.Len())
		}
		if w := ask(h, "HEAD "+at+path); w.Code != 200 || w.Header().Get("Content-Length") != length {
			t.Errorf("HEAD %s: %d %v", path, w.Code, w.Header())
		}
	}
	if w := ask(h, at+"1.m4s", "Range", "bytes=2-4"); w.Code != 206 || w.Body.Len() != 3 || w.Header().Get("Content-Range") != "bytes 2-4/11" {
		t.Errorf("a range: %d %v", w.Code, w.Header())
	}
	f.busy = fmt.Errorf("make: %w", &media.BusyError{Why: "the encoder is at lunch", After: 7 * time.Second})
	w := ask(h, at+"1.m4s")
	if w.Code != 503 || w.Header().Get("Retry-After") != "7" || w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Body.String(), "at lunch") {
		t.Errorf("busy: %d %v %s", w.Code, w.Header(), w.Body)
	}
}

// A CDN that looks at no tokens had what a token opened for everybody: by the cookie or
// the header the address is the same for all.
func TestWhatATokenOpensIsKeptByNoSharedCache(t *testing.T) {
	s := story()
	s.End()
	f := newSource(s)
	h := serve(t, newSource(story()), func(_ *hlsfallback.Config, p *hlsfallback.Parts) {
		p.Videos = f
		p.Authorize = func(_ context.Context, a hlsfallback.Ask) error {
			if a.Token == "good" || a.Videos && a.Name == "open" {
				return nil
			}
			return media.ErrUnauthorized
		}
		p.Checks = func(r *http.Request) bool { return r.Header.Get("Sluice-Edge") != "" }
	}).Handler()
	const at = "t5abcde000000001/video-h/"
	for path, lives := range map[string][2]string{
		"/live/show/" + at + "media.m3u8":               {"private, max-age=1", "public, max-age=1"},
		"/live/show/" + at + "media.m3u8?_HLS_msn=3":    {"private, max-age=36", "public, max-age=36"},
		"/live/show/" + at + "1.m4s":                    {"private, max-age=86400, immutable", "public, max-age=86400, s-maxage=86400, immutable"},
		"/videos/show/" + at + "media.m3u8":             {"private, max-age=86400", "public, max-age=86400, s-maxage=31536000"},
		"/videos/show/" + at + "init-0.mp4":             {"private, max-age=31536000, immutable", "public, max-age=31536000, s-maxage=31536000, immutable"},
		"/videos/show/" + at + "1.m4s":                  {"private, max-age=31536000, immutable", "public, max-age=31536000, s-maxage=31536000, immutable"},
		"/videos/show/t5abcde000000001/video-h/999.m4s": {"private, max-age=1", "max-age=1"},
	} {
		for how, given := range map[string][]string{"the cookie": {"Cookie", "sluice_play=good"}, "the header": {"Authorization", "Bearer good"}} {
			if got := ask(h, path, given...).Header().Get("Cache-Control"); got != lives[0] {
				t.Errorf("%s by %s: %s", path, how, got)
			}
			if got := ask(h, path, append(given, "Sluice-Edge", "checks-tokens")...).Header().Get("Cache-Control"); got != lives[1] {
				t.Errorf("%s by %s, for a cache that looks at tokens: %s", path, how, got)
			}
		}
	}
	// What everybody may have is kept for everybody, whatever somebody has with him.
	open := newSource(s)
	open.p.Stream = "open"
	h2 := serve(t, f, func(_ *hlsfallback.Config, p *hlsfallback.Parts) {
		p.Videos, p.Authorize = open, func(context.Context, hlsfallback.Ask) error { return nil }
	}).Handler()
	if w := ask(h2, "/videos/open/"+at+"1.m4s", "Cookie", "sluice_play=good"); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Cache-Control"), "public") {
		t.Errorf("a public asset: %d %s", w.Code, w.Header().Get("Cache-Control"))
	}
}

// Whoever made up times had as many playlists rendered at once as he sent requests, and
// neither viewers nor packets had a processor.
func TestMadeUpTimesLeaveTheProcessorsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newSource(story()), nil)
		release := s.HoldShifts()
		shift := func(i int) string {
			return fmt.Sprintf("%svideo-h/media.m3u8?start=%d.%03d", base, stage.Start.Unix(), i)
		}
		var all []*later
		for i := range 64 {
			all = append(all, in(s.Handler(), shift(i)))
		}
		synctest.Wait()
		if w := ask(s.Handler(), shift(64)); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("one more: %d", w.Code)
		}
		for _, path := range []string{"/live/show/index.m3u8", base + "video-h/media.m3u8", base + "video-h/media.m3u8?dvr=1", base + "video-h/3.4.m4s"} {
			if w := ask(s.Handler(), path); w.Code != 200 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		release()
		for i, r := range all {
			if <-r.done; r.w.Code != 200 {
				t.Errorf("%d: %d", i, r.w.Code)
			}
		}
		if w := ask(s.Handler(), shift(64)); w.Code != 200 {
			t.Errorf("afterwards: %d", w.Code)
		}
	})
}

// One client held all requests that may wait, and nobody else's playlist blocked any more.
func TestOneAddressCannotKeepAllOthersFromWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newSource(story()), func(c *hlsfallback.Config, _ *hlsfallback.Parts) { c.MaxWaiting = 100 })
		one := func(from string) bool {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			w, done := httptest.NewRecorder(), make(chan struct{})
			go func() {
				defer close(done)
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, "GET", base+"video-h/4.1.m4s", nil)
				r.RemoteAddr = from + ":1"
				s.ServeHTTP(w, r)
			}()
			synctest.Wait()
			select {
			case <-done:
				return w.Code != 503
			default:
				return true
			}
		}
		held := 0
		for range 100 {
			if one("192.0.2.66") {
				held++
			}
		}
		if held != 50 {
			t.Errorf("one address waits %d times of 100", held)
		}
		if !one("192.0.2.1") || !one("192.0.2.2") {
			t.Error("others cannot wait")
		}
		time.Sleep(6 * time.Second) // all have gone
		synctest.Wait()
		if !one("192.0.2.66") {
			t.Error("afterwards it cannot wait")
		}
		s.Stop()
		synctest.Wait()
	})
}
