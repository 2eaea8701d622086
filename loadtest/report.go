package loadtest

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown is the report for people; chart is the name of the picture beside
// it, if there is one. Of several rounds each figure is the median, with the
// lowest and the highest behind it.
func (r BenchResult) Markdown(chart string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", "Servers under the same load")
	gro := "runs of datagrams are read as they were sent (UDP_GRO)"
	if !r.GRO {
		gro = "every datagram is read on its own (no UDP_GRO)"
	}
	fmt.Fprintf(&b, "%s, commit %s. %s, %d cores, %d GiB, Linux %s, %s; load average before: %.1f. One machine and loopback, the load included; arrivals are reported each %v; %s.\n\n",
		r.At.Format("2 January 2006 15:04 UTC"), r.Commit, r.Machine.CPU, r.Machine.Cores, r.Machine.Memory>>20, r.Machine.Kernel, r.Machine.Go, r.Machine.Load, r.Feedback, gro)
	if r.Command != "" {
		fmt.Fprintf(&b, "    %s\n\n", r.Command)
	}
	r.sideTable(&b)
	r.capacityTables(&b, chart)
	r.otherTables(&b)
	if len(r.Errors) > 0 {
		b.WriteString("## Not measured\n\n")
		for _, e := range r.Errors {
			fmt.Fprintf(&b, "- %s\n", strings.ReplaceAll(strings.TrimSpace(e), "\n", " "))
		}
	}
	return b.String()
}

// of is the median of figures with their range; nothing gives a dash.
func of(format string, v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	v = slices.Sorted(slices.Values(v))
	out := fmt.Sprintf(format, middle(v))
	if low, high := fmt.Sprintf(format, v[0]), fmt.Sprintf(format, v[len(v)-1]); low != high {
		out += " (" + low + "–" + high + ")"
	}
	return out
}

// middle is the median of sorted figures.
func middle(v []float64) float64 {
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// pick collects a figure of all that have it.
func pick[T any](all []T, figure func(T) (float64, bool)) []float64 {
	var out []float64
	for _, a := range all {
		if v, ok := figure(a); ok {
			out = append(out, v)
		}
	}
	return out
}

func markdownTable(b *strings.Builder, rows [][]string) {
	for i, r := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(r)) + "|\n")
		}
	}
	b.WriteString("\n")
}

// names lists the targets in the order in which they first came.
func names[T any](all []T, name func(T) string) []string {
	var out []string
	for _, a := range all {
		if !slices.Contains(out, name(a)) {
			out = append(out, name(a))
		}
	}
	return out
}

func ofTarget[T any](all []T, name func(T) string, want string) []T {
	return slices.DeleteFunc(slices.Clone(all), func(a T) bool { return name(a) != want })
}

func (c Capacity) target() string { return c.Target }
func (c Rush) target() string     { return c.Target }
func (c Idle) target() string     { return c.Target }
func (c Crowded) target() string  { return c.Target }

// marks are the steps of one target with that many viewers, of all rounds.
func (r BenchResult) marks(target string, viewers int) []Mark {
	var out []Mark
	for _, c := range ofTarget(r.Capacity, Capacity.target, target) {
		for _, m := range c.Steps {
			if m.Wanted == viewers {
				out = append(out, m)
			}
		}
	}
	return out
}

func (r BenchResult) steps() []int {
	var out []int
	for _, c := range r.Capacity {
		for _, m := range c.Steps {
			out = append(out, m.Wanted)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (r BenchResult) capacityTables(b *strings.Builder, chart string) {
	if len(r.Capacity) == 0 {
		return
	}
	fmt.Fprintf(b, "## Most viewers of one %.1f Mbit/s stream\n\nNo more than %.1f %% of packets lost, %.0f %% of the published frames and more, latency p99 below %.0f ms.\n\n",
		float64(r.Source.Bitrate)/1e6, 100*mostLoss, 100*leastFrames, mostLatency)
	rows := [][]string{{"server", "most viewers", "what broke the next step"}}
	for _, t := range names(r.Capacity, Capacity.target) {
		rounds := ofTarget(r.Capacity, Capacity.target, t)
		var broke []string
		for _, c := range rounds {
			if c.Broken != "" {
				broke = append(broke, c.Broken)
			}
		}
		rows = append(rows, []string{t, of("%.0f", pick(rounds, func(c Capacity) (float64, bool) { return float64(c.Most), true })), strings.Join(slices.Compact(broke), "; ")})
	}
	markdownTable(b, rows)
	if chart != "" {
		fmt.Fprintf(b, "![CPU per packet, latency and memory by viewers](%s)\n\n", chart)
	}
	b.WriteString("## By step\n\n")
	rows = [][]string{{"server", "viewers", "CPU per packet, µs", "of it kernel", "cores", "latency p50, ms", "p99, ms", "first to last viewer p50, ms", "p99, ms", "lost, %", "frames, %",
		"RSS per viewer, KiB", "heap, KiB", "goroutines", "load, µs per packet", "others, cores"}}
	for _, t := range names(r.Capacity, Capacity.target) {
		for _, n := range r.steps() {
			if m := r.marks(t, n); len(m) > 0 {
				rows = append(rows, stepRow(t, n, m))
			}
		}
	}
	markdownTable(b, rows)
}

func stepRow(target string, viewers int, m []Mark) []string {
	seen := func(figure func(Mark) float64) []float64 {
		return pick(m, func(m Mark) (float64, bool) { return figure(m), true })
	}
	used := func(figure func(*Usage, Mark) float64) []float64 {
		return pick(m, func(m Mark) (float64, bool) {
			if m.Server == nil {
				return 0, false
			}
			return figure(m.Server, m), true
		})
	}
	held := func(figure func(Mark) float64) []float64 {
		return pick(m, func(m Mark) (float64, bool) { return figure(m), m.Heap != 0 })
	}
	return []string{target, fmt.Sprint(viewers),
		of("%.2f", used(func(u *Usage, _ Mark) float64 { return u.PerPacket })), of("%.2f", used(func(u *Usage, _ Mark) float64 { return u.KernelPer })),
		of("%.2f", used(func(u *Usage, _ Mark) float64 { return u.Cores })),
		of("%.1f", seen(func(m Mark) float64 { return m.Summary.Latency.P50 })), of("%.1f", seen(func(m Mark) float64 { return m.Summary.Latency.P99 })),
		of("%.1f", seen(func(m Mark) float64 { return m.Summary.Spread.P50 })), of("%.1f", seen(func(m Mark) float64 { return m.Summary.Spread.P99 })),
		of("%.3f", seen(func(m Mark) float64 { return 100 * m.Summary.Loss })), of("%.1f", seen(func(m Mark) float64 { return 100 * m.Share })),
		of("%.0f", used(func(u *Usage, _ Mark) float64 { return u.RSSPerViewer })),
		of("%.1f", held(func(m Mark) float64 { return m.Heap / 1024 })), of("%.2f", held(func(m Mark) float64 { return m.Routine })),
		of("%.2f", used(func(u *Usage, m Mark) float64 {
			return u.LoadTestCores * m.Summary.Seconds * 1e6 / float64(max(1, m.Summary.Packets))
		})),
		of("%.2f", used(func(u *Usage, _ Mark) float64 { return u.OthersCores }))}
}

func (r BenchResult) otherTables(b *strings.Builder) {
	if len(r.Joins) > 0 {
		b.WriteString("## Joins as fast as they are taken\n\nPOST, ICE, DTLS and DELETE, from one process on the same cores; one viewer of ten stays until its first key frame.\n\n")
		rows := [][]string{{"server", "joins/s", "server's CPU per join, ms", "so joins/s and core", "load's CPU per join, ms", "key frame p50, ms", "p95, ms", "refused", "failed", "without key frame"}}
		for _, t := range names(r.Joins, Rush.target) {
			all := ofTarget(r.Joins, Rush.target, t)
			get := func(figure func(Rush) float64) []float64 {
				return pick(all, func(j Rush) (float64, bool) { return figure(j), true })
			}
			rows = append(rows, []string{t, of("%.0f", get(func(j Rush) float64 { return j.PerS })), of("%.2f", get(func(j Rush) float64 { return j.CPU })),
				of("%.0f", pick(all, func(j Rush) (float64, bool) { return 1000 / j.CPU, j.CPU > 0 })), of("%.2f", get(func(j Rush) float64 { return j.Own })),
				of("%.0f", get(func(j Rush) float64 { return j.Summary.Joins.KeyFrame.P50 })), of("%.0f", get(func(j Rush) float64 { return j.Summary.Joins.KeyFrame.P95 })),
				of("%.0f", get(func(j Rush) float64 { return float64(j.Summary.Joins.Refused) })), of("%.0f", get(func(j Rush) float64 { return float64(j.Summary.Joins.Failed) })),
				of("%.0f", get(func(j Rush) float64 { return float64(j.Keyless) }))})
		}
		markdownTable(b, rows)
	}
	if len(r.Idle) > 0 {
		b.WriteString("## Viewers that wait for a publisher\n\n")
		rows := [][]string{{"server", "viewers", "CPU per viewer, µs/s", "RSS, KiB", "heap, KiB", "goroutines", "load, µs/s"}}
		for _, t := range names(r.Idle, Idle.target) {
			all := ofTarget(r.Idle, Idle.target, t)
			get := func(figure func(Idle) float64) []float64 {
				return pick(all, func(i Idle) (float64, bool) { return figure(i), true })
			}
			rows = append(rows, []string{t, of("%.0f", get(func(i Idle) float64 { return float64(i.Viewers) })), of("%.0f", get(func(i Idle) float64 { return i.CPU })),
				of("%.1f", get(func(i Idle) float64 { return i.RSS })), of("%.1f", pick(all, func(i Idle) (float64, bool) { return i.Heap / 1024, i.Heap != 0 })),
				of("%.2f", pick(all, func(i Idle) (float64, bool) { return i.Routine, i.Heap != 0 })), of("%.0f", get(func(i Idle) float64 { return i.Own }))})
		}
		markdownTable(b, rows)
	}
	if len(r.Streams) > 0 {
		sound := "64 kbit/s of audio, "
		if r.Streams[0].Silent {
			sound = ""
		}
		b.WriteString("## Many small streams\n\nOne publisher each: " + sound + "five pictures of 400 bytes a second.\n\n")
		rows := [][]string{{"server", "streams", "failed", "viewers", "CPU per stream, µs/s", "RSS, KiB", "heap, KiB", "goroutines", "load, µs/s"}}
		for _, t := range names(r.Streams, Crowded.target) {
			all := ofTarget(r.Streams, Crowded.target, t)
			get := func(figure func(Crowded) float64) []float64 {
				return pick(all, func(c Crowded) (float64, bool) { return figure(c), true })
			}
			rows = append(rows, []string{t, of("%.0f", get(func(c Crowded) float64 { return float64(c.Streams) })), of("%.0f", get(func(c Crowded) float64 { return float64(c.Failed) })),
				of("%.0f", get(func(c Crowded) float64 { return float64(c.Watching.Viewers) })), of("%.0f", get(func(c Crowded) float64 { return c.CPU })),
				of("%.1f", get(func(c Crowded) float64 { return c.RSS })), of("%.1f", pick(all, func(c Crowded) (float64, bool) { return c.Heap / 1024, c.Heap != 0 })),
				of("%.1f", pick(all, func(c Crowded) (float64, bool) { return c.Routine, c.Heap != 0 })), of("%.0f", get(func(c Crowded) float64 { return c.Own }))})
		}
		markdownTable(b, rows)
	}
}
