package validate_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	hlsfallback "github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/stage"
	"github.com/sluice-live/sluice/hls-fallback/validate"
	"github.com/sluice-live/sluice/media"
)

// live is a staged stream that goes on by itself, in real CMAF.
type live struct {
	mu      sync.Mutex
	s       *stage.Stage
	p       *media.Presentation
	changed chan struct{}
}

func (l *live) Presentation(_ context.Context, name string) (*media.Presentation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name != "show" {
		return nil, media.ErrNotFound
	}
	return l.p, nil
}

func (l *live) Changed(string, string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *live) Read(context.Context, *media.Presentation, string, media.Extent) (io.ReadCloser, error) {
	return nil, media.ErrNotFound
}

func (l *live) Want(string, string) {}

func (l *live) publish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p = l.s.Snapshot()
	close(l.changed)
	l.changed = make(chan struct{})
}

// run publishes a part of each rendition each half second until ctx ends: the last
// part of a segment together with the segment's end.
func (l *live) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, id := range l.s.Renditions() {
			l.s.Part(id)
			if n%4 == 0 {
				l.s.Close(id)
			}
		}
		if n == 6 {
			l.s.Jump(true)
		}
		l.publish()
	}
}

func head(r *media.Rendition) []byte {
	kind := "audio"
	if r.Kind == media.VideoRendition {
		kind = "video"
	}
	i := mp4.CreateEmptyInit()
	i.AddEmptyTrack(r.Timescale, kind, "und")
	var b bytes.Buffer
	if err := i.Encode(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// chunk is a part of samples of 1/25 s.
func chunk(r *media.Rendition, seq uint32, part media.Part) []byte {
	f, err := mp4.CreateFragment(seq, 1)
	if err != nil {
		panic(err)
	}
	d := media.Ticks(r.Timescale / 50)
	for at := media.Ticks(0); at < part.Duration; at += d {
		flags := mp4.NonSyncSampleFlags
		if at == 0 && part.Independent {
			flags = mp4.SyncSampleFlags
		} else if r.Kind == media.AudioRendition {
			flags = 0 // a sync sample of which nothing else is told
		}
		f.AddFullSample(mp4.FullSample{
			Sample:     mp4.Sample{Flags: flags, Dur: uint32(d), Size: 10},
			DecodeTime: uint64(part.Start + at), Data: make([]byte, 10),
		})
	}
	var b bytes.Buffer
	if err := f.Encode(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// begin serves a live stream for a test; change stands between it and the client.
func begin(t *testing.T, change func(http.Handler) http.Handler) string {
	t.Helper()
	s := stage.New("show")
	s.Head, s.Make = head, chunk
	s.Heads()
	for range 30 {
		s.Segment(4)
	}
	l := &live{s: s, p: s.Snapshot(), changed: make(chan struct{})}
	o, err := hlsfallback.New(hlsfallback.DefaultConfig(), hlsfallback.Parts{Live: l})
	if err != nil {
		t.Fatal(err)
	}
	h := http.Handler(o)
	if change != nil {
		h = change(h)
	}
	srv := httptest.NewServer(h)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with cancel
		defer close(done)
		l.run(ctx, 500*time.Millisecond)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		o.Stop()
		srv.Close()
	})
	return srv.URL
}

// look is generous with lateness: this machine may be busy.
func look(t *testing.T, url string, d time.Duration) *validate.Report {
	t.Helper()
	r, err := validate.Run(t.Context(), validate.Options{URL: url, For: d, Slack: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOursKeepsTheRules(t *testing.T) {
	t.Parallel()
	url := begin(t, nil) + "/live/show/index.m3u8?dvr=1"
	r := look(t, url, 5*time.Second)
	for try := 0; try < 5 && len(r.List.Findings) == 0 && (r.Parts < 16 || r.Segments < 4); try++ { // too little was seen: the machine stood still
		r = look(t, url, 5*time.Second)
	}
	if len(r.List.Findings) > 0 || r.Parts < 16 || r.Segments < 4 || len(r.Playlists) != 6 {
		t.Errorf("%d parts, %d segments, %v\n%s", r.Parts, r.Segments, r.Playlists, r.Text())
	}
	for _, rule := range []string{"R1", "R2", "R3", "R4", "R5", "R6", "R7", "R11", "R13", "R14", "R15", "R16", "R18", "R19", "R22", "CMAF"} {
		if r.List.Checked[rule] == 0 {
			t.Errorf("%s was not looked at", rule)
		}
	}
	if !strings.Contains(r.Text(), "Nothing is against the rules.") {
		t.Error(r.Text())
	}
}

// spoil rewrites what a server answers.
func spoil(edit func(r *http.Request, status int, body []byte) (int, []byte)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Accept-Encoding")
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			status, body := edit(r, rec.Code, rec.Body.Bytes())
			for k, v := range rec.Header() {
				if k != "Content-Length" {
					w.Header()[k] = v
				}
			}
			w.WriteHeader(status)
			_, _ = w.Write(body)
		})
	}
}

// Each kind of mistake is found on a server that makes it.
func TestMistakesAreFound(t *testing.T) {
	for _, c := range []struct {
		name, rule string
		edit       func(r *http.Request, status int, body []byte) (int, []byte)
	}{
		{"a part target that moves", "R2", func(_ *http.Request, status int, b []byte) (int, []byte) {
			if strings.Contains(string(b), `.2.m4s"`+"\n#EXT-X-PRELOAD") {
				b = bytes.Replace(b, []byte("PART-TARGET=0.5"), []byte("PART-TARGET=0.6"), 1)
			}
			return status, b
		}},
		{"nothing is ever refused", "R13", func(r *http.Request, status int, b []byte) (int, []byte) {
			if status >= 400 && strings.HasSuffix(r.URL.Path, "m3u8") {
				return 200, []byte("#EXTM3U\n#EXT-X-TARGETDURATION:6\n")
			}
			return status, b
		}},
		{"unknown media is 200 and empty", "R15", func(_ *http.Request, status int, b []byte) (int, []byte) {
			if status == 404 {
				return 200, nil
			}
			return status, b
		}},
		{"no reports", "R16", func(_ *http.Request, status int, b []byte) (int, []byte) {
			return status, bytes.ReplaceAll(b, []byte("RENDITION-REPORT"), []byte("REPORT"))
		}},
		{"durations that are not those of the media", "CMAF", func(_ *http.Request, status int, b []byte) (int, []byte) {
			return status, bytes.ReplaceAll(b, []byte("DURATION=0.50000"), []byte("DURATION=0.44000"))
		}},
		{"parts that are cut", "CMAF", func(r *http.Request, status int, b []byte) (int, []byte) {
			if strings.Count(r.URL.Path, ".") == 2 {
				b = b[:len(b)/2]
			}
			return status, b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url, text := begin(t, spoil(c.edit))+"/live/show/index.m3u8", ""
			for range 5 { // in its time little is seen when the machine stands still
				r := look(t, url, 2*time.Second)
				for _, f := range r.List.Findings {
					if f.Rule == c.rule && !f.Advice {
						return
					}
				}
				text = r.Text()
			}
			t.Error(text)
		})
	}
}

func TestWhatCannotBeLookedAtIsAnError(t *testing.T) {
	url := begin(t, nil)
	for _, bad := range []string{"", "file:///etc/passwd", "ftp://x/y", url + "/live/none/index.m3u8", url + "/live/show/manifest.mpd?token=secret"} {
		_, err := validate.Run(t.Context(), validate.Options{URL: bad, For: time.Second})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAnEndedPlaylistIsReadOnce(t *testing.T) {
	s := stage.New("show")
	s.Segment(4)
	l := &live{s: s, p: s.End(), changed: make(chan struct{})}
	o, err := hlsfallback.New(hlsfallback.DefaultConfig(), hlsfallback.Parts{Videos: l})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(o)
	defer srv.Close()
	if r := look(t, srv.URL+"/videos/show/index.m3u8", time.Hour); r.Took > time.Minute || r.Loads != 7 {
		t.Errorf("%v, %d loads", r.Took, r.Loads)
	}
}
