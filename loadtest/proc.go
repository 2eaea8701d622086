package loadtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/loadtest/view"
)

// userHz is the unit of utime and stime in /proc/<pid>/stat: 100 on every
// Linux that Go runs on (USER_HZ).
const userHz = 100

// Usage is what a server used over a window.
type Usage struct {
	Cores         float64 `json:"cores"`
	Kernel        float64 `json:"kernel_cores"` // part of Cores spent in the kernel
	PerPacket     float64 `json:"cpu_us_per_packet"`
	KernelPer     float64 `json:"kernel_us_per_packet"`
	RSS           uint64  `json:"rss_kib"`
	RSSPerViewer  float64 `json:"rss_kib_per_viewer"` // over the RSS before the first viewer
	Threads       int     `json:"threads"`
	Files         int     `json:"fds"`
	OthersCores   float64 `json:"others_cores"` // busy with neither server nor load
	LoadTestCores float64 `json:"load_cores"`   // this process
}

// sample is the state of a process at one moment.
type sample struct {
	at           time.Time
	user, system uint64 // ticks
	own          uint64 // ticks of this process
	busy         uint64 // ticks of the whole machine
	rss          uint64
	threads      int
	files        int
}

// take reads /proc; a pid of 0 gives nil.
func take(pid int) (*sample, error) {
	if pid == 0 {
		return nil, nil // nobody asked for a process
	}
	s := &sample{at: time.Now()}
	var err error
	if s.user, s.system, s.threads, err = ticks(strconv.Itoa(pid)); err != nil {
		return nil, err
	}
	u, k, _, err := ticks("self")
	if err != nil {
		return nil, err
	}
	s.own = u + k
	if s.busy, err = busy(); err != nil {
		return nil, err
	}
	if s.rss, err = rss(pid); err != nil {
		return nil, err
	}
	if files, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd")); err == nil {
		s.files = len(files)
	}
	return s, nil
}

func rss(pid int) (kib uint64, err error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, fmt.Errorf("read the server's memory: %w", err)
	}
	if v, ok := field(string(b), "VmRSS"); ok {
		_, _ = fmt.Sscan(v, &kib)
	}
	return kib, nil
}

// ticks reads utime, stime and num_threads (proc(5): fields 14, 15 and 20).
func ticks(pid string) (user, system uint64, threads int, err error) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return 0, 0, 0, fmt.Errorf("read the server's CPU time: %w", err)
	}
	return parseStat(string(b))
}

func parseStat(s string) (user, system uint64, threads int, err error) {
	// The name in brackets may hold anything, brackets too.
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 18 {
		return 0, 0, 0, fmt.Errorf("read /proc stat: it has %d fields", len(f))
	}
	if _, err = fmt.Sscan(f[11]+" "+f[12]+" "+f[17], &user, &system, &threads); err != nil {
		return 0, 0, 0, fmt.Errorf("read /proc stat: %w", err)
	}
	return user, system, threads, nil
}

// busy reads the machine's non-idle ticks (proc(5), /proc/stat: all but idle and iowait).
func busy() (uint64, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read the machine's CPU time: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var sum uint64
	for i, f := range strings.Fields(line)[1:] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		if i != 3 && i != 4 && i < 8 { // guest time (9, 10) is in user already
			sum += n
		}
	}
	return sum, nil
}

// usage is the difference of two samples, over packets that viewers received
// and the viewers that hold memory; empty is the server before them.
func (a *sample) usage(b, empty *sample, m view.Summary) *Usage {
	if a == nil || b == nil || empty == nil {
		return nil
	}
	seconds := b.at.Sub(a.at).Seconds()
	cores := func(t uint64) float64 { return float64(t) / userHz / seconds }
	user, system := b.user-a.user, b.system-a.system
	u := &Usage{Cores: cores(user + system), Kernel: cores(system), RSS: b.rss, Threads: b.threads, Files: b.files, LoadTestCores: cores(b.own - a.own)}
	u.OthersCores = cores(b.busy-a.busy) - u.Cores - u.LoadTestCores
	if m.Packets > 0 {
		u.PerPacket = float64(user+system) / userHz * 1e6 / float64(m.Packets)
		u.KernelPer = float64(system) / userHz * 1e6 / float64(m.Packets)
	}
	if m.Viewers > 0 {
		u.RSSPerViewer = (float64(b.rss) - float64(empty.rss)) / float64(m.Viewers)
	}
	return u
}
