package signaling_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluice-live/sluice/media"
)

// reading is an EventSource: one GET of an event stream.
type reading struct {
	http.ResponseWriter // for Header and Flush
	mu                  sync.Mutex
	got                 strings.Builder
	status              int
	cancel              context.CancelFunc
	over                chan struct{}
}

func (r *reading) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.Write(b)
}

func (r *reading) WriteHeader(status int) { r.status = status }

func (r *reading) Flush() {}

// events returns what has come since the last call: "name data" of each event.
func (r *reading) events() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for block := range strings.SplitSeq(strings.TrimSuffix(r.got.String(), "\n\n"), "\n\n") {
		if name, data, ok := strings.Cut(block, "\n"); ok {
			out = append(out, strings.TrimPrefix(name, "event: ")+" "+strings.TrimPrefix(data, "data: "))
		}
	}
	r.got.Reset()
	return out
}

func (r *reading) comments() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.got.String(), ":\n\n")
}

func (r *reading) ended() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}

// read begins to read an event stream, inside a bubble.
func (d *door) read(path string) *reading {
	ctx, cancel := context.WithCancel(d.t.Context())
	r := &reading{ResponseWriter: httptest.NewRecorder(), cancel: cancel, over: make(chan struct{})}
	d.t.Cleanup(cancel)
	go func() {
		defer close(r.over)
		d.server.Handler().ServeHTTP(r, httptest.NewRequestWithContext(ctx, "GET", path, nil))
	}()
	synctest.Wait()
	return r
}

// open makes an event stream for a fresh viewer.
func (d *door) open(wanted string) (events, session string, id media.SessionID) {
	d.t.Helper()
	session, id = d.view()
	resp := d.want(201, "POST", session+"/events", wanted, with(asPlay, "Content-Type", jsonType)...)
	return resp.Header.Get("Location"), session, id
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
