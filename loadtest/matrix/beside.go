package matrix

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// BesideOptions name two results. The tags are kong's.
type BesideOptions struct {
	Ours  string `arg:"" help:"result of a matrix, as JSON"`
	Peers string `arg:"" help:"result of another one, run the same way"`
	Out   string `help:"write the tables as Markdown to this file"`
}

// Beside reads two results and prints them side by side.
func Beside(o BesideOptions, out io.Writer) error {
	a, err := read(o.Ours)
	if err != nil {
		return err
	}
	b, err := read(o.Peers)
	if err != nil {
		return err
	}
	text := a.Beside(b)
	if o.Out != "" {
		if err := os.WriteFile(o.Out, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the tables: %w", err)
		}
	}
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("print the tables: %w", err)
	}
	return nil
}

// read reads a result that save wrote.
func read(path string) (Result, error) {
	var r Result
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err == nil && r.Schema != Schema {
		err = fmt.Errorf("its schema is %q, not %q", r.Schema, Schema)
	}
	if err != nil {
		return r, fmt.Errorf("read the result %s: %w", path, err)
	}
	return r, nil
}

// twin is the same row of two results.
type twin [2]Row

// Beside is Markdown of the rows that both results have, under each other, and
// of what makes them hard to compare.
func (r Result) Beside(other Result) string {
	both := [2]Result{r, other}
	twins, alone := r.twins(other)
	var b strings.Builder
	for _, x := range both {
		fmt.Fprintf(&b, "* %s: %s, seed %d, %s", x.Server, x.At.Format("2006-01-02 15:04 MST"), x.Seed, x.Machine)
		if x.Commit != "" {
			fmt.Fprintf(&b, ", commit %s", x.Commit)
		}
		b.WriteString("\n")
	}
	b.WriteString("\nOne run per row: random rows differ by luck.\n\n" + besideRows(both, twins))
	if t := besidePhases(both, twins); t != "" {
		b.WriteString("\n" + t)
	}
	if notes := append(doubts(both, twins), alone...); len(notes) > 0 {
		b.WriteString("\n* " + strings.Join(notes, "\n* ") + "\n")
	}
	return b.String()
}

// twins pairs rows, in the order of r; what has no other is named.
func (r Result) twins(other Result) (twins []twin, alone []string) {
	same := func(a, b Row) bool { return a.title() == b.title() }
	for _, a := range r.Rows {
		if i := slices.IndexFunc(other.Rows, func(b Row) bool { return same(a, b) }); i >= 0 {
			twins = append(twins, twin{a, other.Rows[i]})
		} else {
			alone = append(alone, fmt.Sprintf("%s: only %s ran it", a.title(), r.Server))
		}
	}
	for _, b := range other.Rows {
		if !slices.ContainsFunc(r.Rows, func(a Row) bool { return same(a, b) }) {
			alone = append(alone, fmt.Sprintf("%s: only %s ran it", b.title(), other.Server))
		}
	}
	return twins, alone
}

// doubts are what a reader must know before he compares.
func doubts(both [2]Result, twins []twin) (notes []string) {
	if both[0].Machine != both[1].Machine {
		notes = append(notes, "the machines differ")
	}
	if both[0].Seed != both[1].Seed {
		notes = append(notes, "the seeds differ")
	}
	for _, t := range twins {
		if t[0].Seconds != t[1].Seconds {
			notes = append(notes, fmt.Sprintf("%s: %.0f s beside %.0f s", t[0].title(), t[0].Seconds, t[1].Seconds))
		}
		for i, row := range t {
			if row.Error != "" {
				notes = append(notes, fmt.Sprintf("%s, %s: %s", row.title(), both[i].Server, row.Error))
			}
			if row.Control.Frozen > busy {
				notes = append(notes, fmt.Sprintf("%s, %s: the control was frozen for %s %% of the time: the machine was busy, and the row tells little", row.title(), both[i].Server, percent(row.Control.Frozen)))
			}
			for _, e := range append(slices.Clone(row.Seen.Errors), row.Control.Errors...) {
				notes = append(notes, fmt.Sprintf("%s, %s: %s", row.title(), both[i].Server, e))
			}
		}
	}
	return notes
}

func besideRows(both [2]Result, twins []twin) string {
	out := [][]string{{"row", "server", "freeze % (row − control)", "row / control %", "longest ms", "seconds at height", "audio concealed % / control", "latency p50/p95 ms", "picture age p50/p95/max ms", "sound − picture p95 ms", "offered→out kbit/s", "queue p95 ms", "join ms"}}
	for _, t := range twins {
		for i, x := range t {
			if x.Error != "" {
				continue // told below
			}
			out = append(out, []string{x.title(), both[i].Server, percent(x.Freeze), percent(x.Seen.Frozen) + " / " + percent(x.Control.Frozen), fmt.Sprintf("%.0f", x.Seen.Longest), heights(x.Seen.Heights),
				percent(x.Seen.Conceals) + " / " + percent(x.Control.Conceals), x.Seen.latencies(), x.Seen.ages(), x.Seen.skew(), kbit(x.Flow), fmt.Sprintf("%.0f", x.Flow.Queue[0]), x.Seen.join()})
		}
	}
	return markdown(out)
}

func besidePhases(both [2]Result, twins []twin) string {
	out := [][]string{{"row", "from s", "step", "server", "freeze %", "longest ms", "to lower s", "to top s", "first picture ms", "calm after s", "worst second after 2 s, × link", "offered→out kbit/s", "audio concealed %", "seconds at height"}}
	for _, t := range twins {
		for n := range max(len(t[0].Phases), len(t[1].Phases)) {
			for i, x := range t {
				if x.Error != "" || n >= len(x.Phases) {
					continue
				}
				p := x.Phases[n]
				out = append(out, []string{x.title(), strconv.FormatFloat(p.From, 'f', 0, 64), p.Step, both[i].Server, percent(p.Seen.Frozen), fmt.Sprintf("%.0f", p.Seen.Longest), p.toLower(), p.toTop(), p.toFirst(),
					fmt.Sprintf("%.1f", p.Calm), p.storm(), kbit(p.Flow), percent(p.Seen.Conceals), heights(p.Seen.Heights)})
			}
		}
	}
	if len(out) == 1 {
		return ""
	}
	return markdown(out)
}
