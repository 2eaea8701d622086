package matrix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Markdown is the whole result as tables.
func (r Result) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, seed %d, %s. One run per row: random rows differ by luck.\n", r.Server, r.At.Format("2006-01-02 15:04 MST"), r.Seed, r.Machine)
	if r.Commit != "" {
		fmt.Fprintf(&b, "Commit %s.\n", r.Commit)
	}
	if r.Command != "" {
		fmt.Fprintf(&b, "\n    %s\n", r.Command)
	}
	b.WriteString("\n" + r.rows())
	if t := r.phases(); t != "" {
		b.WriteString("\n" + t)
	}
	if t := r.bars(); t != "" {
		b.WriteString("\n" + t)
	}
	for _, row := range r.Rows {
		if row.Control.Frozen > busy {
			fmt.Fprintf(&b, "\n* %s: the control was frozen for %s %% of the time: the machine was busy, and the row tells little", row.title(), percent(row.Control.Frozen))
		}
		for _, e := range append([]string{row.Error}, append(row.Seen.Errors, row.Control.Errors...)...) {
			if e != "" {
				fmt.Fprintf(&b, "\n* %s: %s", row.title(), e)
			}
		}
	}
	return b.String()
}

// busy is how much of a control may be frozen before its row is doubted: a quiet
// machine has none.
const busy = 0.02

// markdown lays rows out; the first one is the head.
func markdown(rows [][]string) string {
	var b strings.Builder
	for i, r := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r, " | "))
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(r)) + "\n")
		}
	}
	return b.String()
}

func (r Result) rows() string {
	out := [][]string{{"profile", "viewer", "layers", "leg", "freeze % (row − control)", "row / control %", "freezes", "longest ms", "fps", "seconds at height", "audio concealed % / control",
		"latency p50/p95 ms", "picture age p50/p95/max ms", "sound − picture p95 ms", "nack/pli/lost (Chromium: before repair)", "link lost+overflow+cut of in", "repaired upstream %, picture / sound", "offered→out kbit/s", "queue p95 ms", "join ms", "load"}}
	for _, x := range r.Rows {
		leg := x.Leg
		if x.Publisher == Chromium {
			leg += " (Chromium)"
		}
		c := x.Flow.Counts
		out = append(out, []string{x.Profile, x.Viewer, strconv.Itoa(x.Layers), leg, percent(x.Freeze), percent(x.Seen.Frozen) + " / " + percent(x.Control.Frozen), strconv.Itoa(x.Seen.Freezes),
			fmt.Sprintf("%.0f", x.Seen.Longest), fmt.Sprintf("%.1f", x.Seen.FPS), heights(x.Seen.Heights), percent(x.Seen.Conceals) + " / " + percent(x.Control.Conceals),
			x.Seen.latencies(), x.Seen.ages(), x.Seen.skew(), fmt.Sprintf("%.0f/%.0f/%.0f", x.Seen.NACKs, x.Seen.PLIs, x.Seen.Lost),
			fmt.Sprintf("%d+%d+%d of %d", c.Lost, c.Overflow, c.Cut, c.Packets), x.Upstream.column(), kbit(x.Flow), fmt.Sprintf("%.0f", x.Flow.Queue[0]), x.Seen.join(), fmt.Sprintf("%.1f", x.Load)})
	}
	return markdown(out)
}

func (r Result) phases() string {
	out := [][]string{{"profile", "viewer", "layers", "leg", "from s", "step", "offered→out kbit/s", "use of link %", "worst second after 2 s, × link", "queue p95/max ms", "freeze %", "longest ms", "calm after s", "to lower s", "to top s", "first picture ms", "audio concealed %", "seconds at height"}}
	for _, x := range r.Rows {
		for _, p := range x.Phases {
			out = append(out, []string{x.Profile, x.Viewer, strconv.Itoa(x.Layers), x.Leg, fmt.Sprintf("%.0f", p.From), p.Step, kbit(p.Flow), known("%.0f", p.Flow.Link > 0, 100*p.Flow.Used/max(1, p.Flow.Link)),
				p.storm(), fmt.Sprintf("%.0f/%.0f", p.Flow.Queue[0], p.Flow.Queue[1]), percent(p.Seen.Frozen), fmt.Sprintf("%.0f", p.Seen.Longest),
				fmt.Sprintf("%.1f", p.Calm), p.toLower(), p.toTop(), p.toFirst(), percent(p.Seen.Conceals), heights(p.Seen.Heights)})
		}
	}
	if len(out) == 1 {
		return ""
	}
	return markdown(out)
}

// line is a row in a few words, while the matrix runs.
func (r Row) line() string {
	if r.Error != "" {
		return r.title() + ": " + r.Error
	}
	return fmt.Sprintf("%s: freeze %s %% (%s − %s), longest %.0f ms, %s, sound %s %% made up, %s kbit/s", r.title(), percent(r.Freeze), percent(r.Seen.Frozen), percent(r.Control.Frozen),
		r.Seen.Longest, heights(r.Seen.Heights), percent(r.Seen.Conceals), kbit(r.Flow))
}

func (r Row) title() string {
	s := fmt.Sprintf("%s, %s, %d layers", r.Profile, r.Viewer, r.Layers)
	if r.Leg == PublisherLeg {
		s += ", the publisher's link"
	}
	if r.Publisher == Chromium {
		s += " (Chromium)"
	}
	return s
}

func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) }

func kbit(f Flow) string { return fmt.Sprintf("%.0f→%.0f", f.Offered/1000, f.Used/1000) }

func known(format string, is bool, v ...any) string {
	if !is {
		return "–"
	}
	return fmt.Sprintf(format, v...)
}

// What a row or a phase does not know is a dash.

func (s Seen) latencies() string {
	return known("%.0f/%.0f", s.Latency[1] > 0, s.Latency[0], s.Latency[1])
}

func (s Seen) ages() string {
	return known("%.0f/%.0f/%.0f", s.Age[2] > 0, s.Age[0], s.Age[1], s.Age[2])
}

func (s Seen) skew() string { return known("%.0f", s.Skew > 0, s.Skew) }

func (s Seen) join() string { return known("%.0f", s.Join > 0, s.Join) }

func (p Phase) toLower() string { return known("%.1f", p.ToLower >= 0, p.ToLower) }

func (p Phase) toTop() string { return known("%.1f", p.ToTop >= 0, p.ToTop) }

func (p Phase) toFirst() string { return known("%.0f", p.ToFirst >= 0, p.ToFirst) }

func (p Phase) storm() string { return known("%.2f", p.Flow.Storm > 0, p.Flow.Storm) }

// heights lists seconds from the largest picture down.
func heights(m map[string]float64) string {
	var keys []int
	for k := range m {
		n, _ := strconv.Atoi(k) // they are ours
		keys = append(keys, n)
	}
	slices.Sort(keys)
	slices.Reverse(keys)
	var out []string
	for _, k := range keys {
		out = append(out, fmt.Sprintf("%dp %.1f", k, m[strconv.Itoa(k)]))
	}
	if len(out) == 0 {
		return "–"
	}
	return strings.Join(out, ", ")
}
