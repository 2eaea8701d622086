//go:build soak

package edge_test

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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	hlsfallback "github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/edge"
	"github.com/sluice-live/sluice/hls-fallback/stage"
)

const (
	roleVar  = "SLUICE_CAPACITY_ROLE"
	partTime = 500 * time.Millisecond
)

// TestMain makes this program an origin or an edge when it is called as one, so
// that their processor time can be told from the viewers'.
func TestMain(m *testing.M) {
	switch role, at, _ := strings.Cut(os.Getenv(roleVar), "="); role {
	case "origin":
		playOrigin()
	case "edge":
		cfg := edge.DefaultConfig()
		cfg.Origins = []string{at}
		e, err := edge.New(cfg)
		if err != nil {
			panic(err)
		}
		listen(e)
	default:
		os.Exit(m.Run())
	}
}

func listen(h http.Handler) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + l.Addr().String())
	panic(http.Serve(l, h)) // ends with the test
}

// playOrigin publishes a part of 2.5 Mbit/s video and one of sound each half second.
func playOrigin() {
	s := stage.New("show")
	s.Bytes = 160 << 10
	s.Keep(40)
	s.Segment(4)
	f := &tape{s: s, news: make(chan struct{})}
	f.part("video-h")
	f.part("audio")
	h, err := hlsfallback.New(hlsfallback.DefaultConfig(), hlsfallback.Parts{Live: f})
	if err != nil {
		panic(err)
	}
	go func() { // ends with the process
		for n := 1; ; n++ {
			<-time.After(partTime)
			for _, id := range []string{"video-h", "audio"} {
				s.Bytes = map[string]int{"video-h": 160 << 10, "audio": 4 << 10}[id]
				f.part(id)
				if n%4 == 3 { // the segment's fourth part: the next one is of another
					f.mu.Lock()
					s.Close(id)
					f.p = s.Snapshot()
					f.mu.Unlock()
				}
			}
		}
	}()
	listen(h)
}

// spawn starts this program in a role.
func spawn(t *testing.T, role string) (base string, pid int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), cmd.Process.Pid
}

// spent is the processor time of a process (proc(5): fields 14 and 15 of stat, in
// hundredths of a second).
func spent(t *testing.T, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// What a viewer of LL-HLS costs: at the origin, and at an edge. A viewer has four
// requests each part: playlist and hinted part, of pictures and of sound.
func TestCapacity(t *testing.T) {
	at, pid := spawn(t, "origin")
	for _, viewers := range []int{50, 200} {
		audit(t, "origin", at, pid, viewers)
	}
	behind, edgePID := spawn(t, "edge="+at)
	for _, viewers := range []int{50, 200} {
		before := spent(t, pid)
		audit(t, "edge", behind, edgePID, viewers)
		t.Logf("  and the origin behind it: %v", spent(t, pid)-before)
	}
}

func audit(t *testing.T, name, base string, pid, viewers int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4 * viewers, DisableCompression: true}}
	var count, bytes, failed atomic.Int64
	get := func(path string) string {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/live/show/t5abcde000000001/"+path, nil)
		if err != nil {
			t.Error(err)
			return ""
		}
		r.Header.Set("Accept-Encoding", "gzip")
		resp, err := client.Do(r)
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil {
			return ""
		}
		if resp.StatusCode != http.StatusOK {
			failed.Add(1)
		}
		count.Add(1)
		bytes.Add(n)
		return resp.Header.Get("X-Cache")
	}
	msn, part := newest(t, base)
	var all sync.WaitGroup
	for range viewers {
		for _, id := range []string{"video-h", "audio"} {
			all.Go(func() {
				msn, part := msn, part
				for ctx.Err() == nil {
					if part++; part == 4 {
						msn, part = msn+1, 0
					}
					var both sync.WaitGroup
					both.Go(func() { get(fmt.Sprintf("%s/media.m3u8?_HLS_msn=%d&_HLS_part=%d", id, msn, part)) })
					get(fmt.Sprintf("%s/%d.%d.m4s", id, msn, part))
					both.Wait()
				}
			})
		}
	}
	timer := time.NewTimer(3 * time.Second) // connections
	<-timer.C
	c0, b0, p0, began := count.Load(), bytes.Load(), spent(t, pid), time.Now()
	timer.Reset(15 * time.Second)
	<-timer.C
	n, took, cpu := count.Load()-c0, time.Since(began), spent(t, pid)-p0
	t.Logf("%s, %d viewers: %.0f requests/s (%.1f a viewer), %.0f Mbit/s, %.1f µs of processor time a request, %.2f ms a viewer and second, %d failed",
		name, viewers, float64(n)/took.Seconds(), float64(n)/took.Seconds()/float64(viewers), float64(bytes.Load()-b0)*8/took.Seconds()/1e6,
		float64(cpu.Microseconds())/float64(n), cpu.Seconds()*1000/took.Seconds()/float64(viewers), failed.Load())
	cancel()
	all.Wait()
}

// newest asks for the newest part by a playlist.
func newest(t *testing.T, base string) (msn, part int) {
	a := httpGet(t, base+"/live/show/t5abcde000000001/video-h/media.m3u8")
	for line := range strings.Lines(a) {
		if uri, ok := strings.CutPrefix(line, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\""); ok {
			_, err := fmt.Sscanf(uri, "%d.%d.m4s", &msn, &part)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return msn, part - 1
}

func httpGet(t *testing.T, address string) string {
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
