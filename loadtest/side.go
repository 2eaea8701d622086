package loadtest

import (
	"fmt"
	"slices"
	"strings"
)

// common is the most viewers that were measured with every target, 0 for none.
func (r BenchResult) common() int {
	most := 0
	targets := names(r.Capacity, Capacity.target)
	for _, n := range r.steps() {
		if !slices.ContainsFunc(targets, func(t string) bool { return len(r.marks(t, n)) == 0 }) {
			most = n
		}
	}
	return most
}

// sideTable puts the targets of one run beside each other: one row each, at
// the most viewers that all of them were measured with.
func (r BenchResult) sideTable(b *strings.Builder) {
	targets, n := names(r.Capacity, Capacity.target), r.common()
	if len(targets) < 2 || n == 0 {
		return
	}
	fmt.Fprintf(b, "## Side by side\n\nAt %d viewers; what broke an objective there is marked *. Times: the median over that of %s.\n\n", n, targets[0])
	rows := [][]string{{"server", "most viewers", "CPU per packet, µs", "times", "latency p50, ms", "p99, ms", "frames, %", "RSS per viewer, KiB", "times", "joins/s", "joins/s and core"}}
	var first sideFigures
	for i, t := range targets {
		f := r.side(t, n)
		if i == 0 {
			first = f
		}
		rows = append(rows, []string{t + f.broken, of("%.0f", f.most), of("%.2f", f.cpu), times(f.cpu, first.cpu), of("%.1f", f.p50), of("%.1f", f.p99), of("%.1f", f.frames),
			of("%.0f", f.rss), times(f.rss, first.rss), of("%.0f", f.joins), of("%.0f", f.perCore)})
	}
	markdownTable(b, rows)
}

// sideFigures are those of one target, a value per round.
type sideFigures struct {
	most, cpu, p50, p99, frames, rss, joins, perCore []float64
	broken                                           string
}

func (r BenchResult) side(target string, viewers int) (f sideFigures) {
	for _, c := range ofTarget(r.Capacity, Capacity.target, target) {
		f.most = append(f.most, float64(c.Most))
	}
	for _, m := range r.marks(target, viewers) {
		f.p50, f.p99 = append(f.p50, m.Summary.Latency.P50), append(f.p99, m.Summary.Latency.P99)
		f.frames = append(f.frames, 100*m.Share)
		if m.Server != nil {
			f.cpu, f.rss = append(f.cpu, m.Server.PerPacket), append(f.rss, m.Server.RSSPerViewer)
		}
		if m.Broken != "" {
			f.broken = " *"
		}
	}
	for _, j := range ofTarget(r.Joins, Rush.target, target) {
		f.joins = append(f.joins, j.PerS)
		if j.CPU > 0 {
			f.perCore = append(f.perCore, 1000/j.CPU)
		}
	}
	return f
}

// times is how many times the median of v is that of unit.
func times(v, unit []float64) string {
	if len(v) == 0 || len(unit) == 0 {
		return "–"
	}
	low := middle(slices.Sorted(slices.Values(unit)))
	if low <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", middle(slices.Sorted(slices.Values(v)))/low)
}
