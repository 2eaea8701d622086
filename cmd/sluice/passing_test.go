package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

// The other node gets what was sent here with the times that it has here, in order; one
// that does not answer holds up nobody, and is told of once.
func TestCaptionsGoToTheOtherNode(t *testing.T) {
	var mu sync.Mutex
	var got []string
	var problems []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var all []media.Caption
		err := json.NewDecoder(r.Body).Decode(&all)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || r.URL.Path != "/v1/streams/show/captions" || r.Header.Get("Authorization") != "Bearer t" || r.Header.Get(signaling.PassedHeader) == "" {
			problems = append(problems, r.URL.Path)
		}
		for _, c := range all {
			got = append(got, c.Text+" "+c.Start.Format(time.RFC3339Nano))
		}
	}))
	defer other.Close()
	dead := httptest.NewServer(http.NotFoundHandler())
	var log strings.Builder
	p := newPassing([]string{other.URL + "/", dead.URL}, slog.New(slog.NewTextHandler(guarded{&mu, &log}, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.run(ctx) }() // waited for below
	at := time.UnixMilli(1_795_000_000_123).UTC()
	for _, text := range []string{"one", "two", "three"} {
		p.on("Bearer t", "show", []media.Caption{{Language: "en", Text: text, Start: at, End: at.Add(time.Second)}})
	}
	for end := time.Now().Add(patience); ; {
		mu.Lock()
		n, told := len(got), 0 // of the dead one: to the other it may say the same when this machine stands still
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "not passed on") && strings.Contains(line, "node="+dead.URL+" ") {
				told++
			}
		}
		mu.Unlock()
		if n == 3 && told == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d came, told %d times", n, told)
		}
		<-time.After(time.Millisecond)
	}
	dead.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(got[0], "one") || !strings.HasSuffix(got[0], ".123Z") || !strings.HasPrefix(got[2], "three") || problems != nil {
		t.Errorf("%q %q", got, problems)
	}
}

type guarded struct {
	mu *sync.Mutex
	b  *strings.Builder
}

func (g guarded) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(b)
}
