package hls

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

func dialed(t *testing.T, h http.HandlerFunc) (get func(path string, limit int64, keep bool) (string, int64, error), connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	server := httptest.NewUnstartedServer(h)
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		connections.Add(1)
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	c, err := New(Config{URL: server.URL, Token: "key", Clients: 1})
	if err != nil {
		t.Fatal(err)
	}
	l := &line{crowd: c}
	t.Cleanup(l.close)
	return func(path string, limit int64, keep bool) (string, int64, error) {
		u, err := url.Parse(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		text, size, err := l.get(t.Context(), u, limit, keep)
		return string(text), size, err
	}, connections
}

func TestALineIsUsedAgainWhateverShapeTheAnswerHas(t *testing.T) {
	long := strings.Repeat("0123456789", 50_000)
	get, connections := dialed(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/chunks":
			for i := range 5 {
				fmt.Fprint(w, long[i*100_000:(i+1)*100_000])
				_ = http.NewResponseController(w).Flush()
			}
		case "/echo":
			fmt.Fprint(w, r.URL.RawQuery, r.Header.Get("Authorization"))
		default:
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			fmt.Fprint(w, long)
		}
	})
	for range 3 {
		for _, path := range []string{"/chunks", "/whole"} {
			if text, size, err := get(path, 1<<20, true); text != long || size != int64(len(long)) || err != nil {
				t.Fatalf("%s: %d bytes, %d kept, %v", path, size, len(text), err)
			}
			if text, size, err := get(path, 1<<20, false); text != "" || size != int64(len(long)) || err != nil {
				t.Fatalf("%s: %d bytes, %d kept, %v", path, size, len(text), err)
			}
		}
	}
	if text, _, err := get("/echo?a=1", 1<<20, true); text != "a=1Bearer key" || err != nil {
		t.Errorf("%q %v", text, err)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("it took %d connections", n)
	}
}

func TestALineThatTheServerClosedIsDialedAgain(t *testing.T) {
	get, connections := dialed(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/last" {
			w.Header().Set("Connection", "close")
		}
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, "text")
	})
	for range 2 {
		if text, _, err := get("/last", 100, true); text != "text" || err != nil {
			t.Fatalf("%q %v", text, err)
		}
	}
	var status statusError
	if _, _, err := get("/no", 100, true); !errors.As(err, &status) || status.status != 404 {
		t.Errorf("%v", err)
	}
	if _, _, err := get("/yes", 3, true); !errors.Is(err, errTooLong) {
		t.Errorf("%v", err)
	}
	if n := connections.Load(); n != 4 {
		t.Errorf("it took %d connections", n)
	}
}

// What ends before its length is an error, however it ends.
func TestAHalfAnswerIsAnError(t *testing.T) {
	get, _ := dialed(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	if _, _, err := get("/", 1000, false); err == nil {
		t.Error("half an answer was taken for a whole one")
	}
}

func FuzzHead(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 404 x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, length, _, err := readHead(bufio.NewReaderSize(strings.NewReader(string(text)), headRoom))
		if err == nil && length < -1 {
			t.Errorf("a length of %d", length)
		}
	})
}
