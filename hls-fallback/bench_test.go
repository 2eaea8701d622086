package hlsfallback_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
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

// Over real sockets, HTTP/1.1 on loopback, with a client in a process of its own that
// only reads. The metric is the processor time of the server's process per request;
// BenchmarkNothing is the same with a handler that does nothing, as large.
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

// clientEnv makes the test binary a client: address, path, number of requests.
const clientEnv = "SLUICE_BENCH_CLIENT"

func TestMain(m *testing.M) {
	if job := os.Getenv(clientEnv); job != "" {
		if err := fetchAll(strings.Fields(job)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// fetchAll asks for the same thing on a few connections, and prints how large an
// answer is.
func fetchAll(job []string) error {
	const clients = 8
	n, err := strconv.Atoi(job[2])
	if err != nil {
		return err
	}
	request := []byte("GET " + job[1] + " HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
	conns := make([]net.Conn, clients)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", job[0]); err != nil {
			return err
		}
		defer conns[i].Close()
	}
	size, err := probe(conns[0], request)
	if err != nil {
		return err
	}
	failed := make(chan error, clients)
	for _, c := range conns {
		go func() {
			for range (n + clients - 1) / clients {
				if _, err := c.Write(request); err != nil {
					failed <- err
					return
				}
				if _, err := io.CopyN(io.Discard, c, int64(size)); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range conns {
		if err := <-failed; err != nil {
			return err
		}
	}
	_, err = fmt.Print(size)
	return err
}

func overSockets(b *testing.B, h http.Handler, path string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(l) // ends with Close
	defer srv.Close()
	client := exec.Command(os.Args[0], "-test.run", "^$")
	client.Env = append(os.Environ(), clientEnv+"="+strings.Join([]string{l.Addr().String(), path, strconv.Itoa(b.N)}, " "))
	client.Stderr = os.Stderr
	before := cpu()
	b.ResetTimer()
	out, err := client.Output()
	if err != nil {
		b.Fatal(err)
	}
	size, err := strconv.Atoi(string(out))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/req")
	b.ReportMetric(float64(size), "bytes")
}

// probe measures one answer, which all others equal to the byte.
func probe(c net.Conn, request []byte) (int, error) {
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	counted := &counter{r: c}
	r, err := http.ReadResponse(bufio.NewReader(counted), nil)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK || r.ContentLength < 0 {
		return 0, fmt.Errorf("answered %s of %d bytes", r.Status, r.ContentLength)
	}
	_, err = io.Copy(io.Discard, r.Body)
	return counted.n, err
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
