package hlsfallback_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	hlsfallback "github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/stage"
)

// idle is a ResponseWriter that costs nothing.
type idle struct{ h http.Header }

func (w idle) Header() http.Header         { return w.h }
func (w idle) WriteHeader(int)             {}
func (w idle) Write(b []byte) (int, error) { return len(b), nil }

func warm(b *testing.B, bytes int) (*hlsfallback.Server, *source) {
	s := stage.New("show")
	s.Bytes = bytes
	for range 40 {
		s.Segment(4)
	}
	f := newSource(s)
	h, err := hlsfallback.New(hlsfallback.DefaultConfig(), hlsfallback.Parts{Live: f, Authorize: func(context.Context, hlsfallback.Ask) error { return nil }})
	if err != nil {
		b.Fatal(err)
	}
	return h, f
}

// The handler alone: what we add to net/http.
func BenchmarkHandlerPlaylist(b *testing.B) {
	handler(b, base+"video-h/media.m3u8", "_HLS_msn=39&_HLS_part=3")
}
func BenchmarkHandlerPart(b *testing.B) { handler(b, base+"video-h/39.1.m4s", "") }

func handler(b *testing.B, path, query string) {
	h, _ := warm(b, 160<<10)
	r, err := http.NewRequest("GET", "http://x"+path+"?"+query, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	r.RemoteAddr = "127.0.0.1:1"
	b.ReportAllocs()
	for b.Loop() {
		w := idle{make(http.Header, 16)}
		h.ServeHTTP(w, r)
	}
}

// A new snapshot each time: rendering and compression too.
func BenchmarkRender(b *testing.B) {
	h, f := warm(b, 100)
	r, err := http.NewRequest("GET", "http://x"+base+"video-h/media.m3u8", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	b.ReportAllocs()
	for b.Loop() {
		f.do(func(*stage.Stage) {})
		h.ServeHTTP(idle{make(http.Header, 16)}, r)
	}
}

// Over real sockets, HTTP/1.1 on loopback, with a client that only reads. The
// metric is the processor time of this whole process per request, server and client
// together; BenchmarkNothing is the same with a handler that does nothing, as large.
func BenchmarkServerPlaylist(b *testing.B) {
	h, _ := warm(b, 100)
	overSockets(b, h, base+"video-h/media.m3u8?_HLS_msn=39&_HLS_part=3")
}

func BenchmarkServerPart160K(b *testing.B) {
	h, _ := warm(b, 160<<10)
	overSockets(b, h, base+"video-h/39.1.m4s")
}

func BenchmarkNothing1K(b *testing.B)   { nothing(b, 1000) }
func BenchmarkNothing160K(b *testing.B) { nothing(b, 160<<10) }

func nothing(b *testing.B, n int) {
	body := make([]byte, n)
	length := []string{strconv.Itoa(n)}
	overSockets(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Length"] = length
		_, _ = w.Write(body)
	}), "/")
}

func overSockets(b *testing.B, h http.Handler, path string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(l) // ends with Close
	defer srv.Close()
	request := []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
	const clients = 8
	conns := make([]net.Conn, clients)
	size := 0
	for i := range conns {
		if conns[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			b.Fatal(err)
		}
		defer conns[i].Close()
	}
	size = probe(b, conns[0], request)
	before := cpu()
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for range (b.N + clients - 1) / clients {
				if _, err := conns[i].Write(request); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.CopyN(io.Discard, conns[i], int64(size)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/req")
	b.ReportMetric(float64(size), "bytes")
}

// probe measures one answer, which all others equal to the byte.
func probe(b *testing.B, c net.Conn, request []byte) int {
	if _, err := c.Write(request); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	n := 0
	for {
		c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		k, err := c.Read(buf[n:])
		n += k
		if err != nil {
			c.SetReadDeadline(time.Time{})
			return n
		}
	}
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
