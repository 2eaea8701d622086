package validate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// what says in a few words what each rule is about, in the order of the report.
var what = [...]struct{ rule, text string }{
	{"R0", "playlists can be had, and are what they say"},
	{"R1", "target duration: constant, equal everywhere, never exceeded"},
	{"R2", "part target and hold back: constant"},
	{"R3", "lengths of parts"},
	{"R4", "new parts and segments come in time"},
	{"R5", "hold back and skip boundary: long enough, equal everywhere"},
	{"R6", "dates: there, before the parts, and true"},
	{"R7", "numbers: only rise, name the same for ever, agree among playlists"},
	{"R8", "what is listed can be had, and stays long enough"},
	{"R9", "gaps"},
	{"R10", "changes of format are discontinuities"},
	{"R11", "version"},
	{"R12", "nothing follows the end"},
	{"R13", "blocking reload and its refusals"},
	{"R14", "delta updates"},
	{"R15", "preload hints"},
	{"R16", "rendition reports"},
	{"R18", "compression"},
	{"R19", "how long caches may keep answers"},
	{"R21", "how long caches may keep the multivariant playlist"},
	{"R22", "multivariant playlist"},
	{"CMAF", "boxes: readable, and as long as the playlist says"},
}

// Broken is how many things are against a rule; advice does not count.
func (r *Report) Broken() int { return r.List.Broken() }

// shown is how many findings of one rule are listed.
const shown = 8

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, for %v: %d playlists, %d loads, %d parts and %d segments read\n\n", r.URL, r.Took.Round(100*time.Millisecond), max(len(r.Playlists), 1), r.Loads, r.Parts, r.Segments)
	for _, w := range what {
		checked := r.List.Checked[w.rule]
		bad, advice := r.of(w.rule)
		mark := "ok    "
		switch {
		case len(bad) > 0:
			mark = "BROKEN"
		case checked == 0:
			mark = "-     "
		case len(advice) > 0:
			mark = "advice"
		}
		fmt.Fprintf(&b, "%s  %-4s  %s", mark, w.rule, w.text)
		if checked > 0 {
			fmt.Fprintf(&b, " (%d looks)", checked)
		}
		b.WriteByte('\n')
		all := slices.Concat(bad, advice)
		for i, text := range all {
			if i == shown {
				fmt.Fprintf(&b, "              … and %d more\n", len(all)-shown)
				break
			}
			fmt.Fprintf(&b, "              %s\n", text)
		}
	}
	if n := r.Broken(); n > 0 {
		fmt.Fprintf(&b, "\n%d things are against the rules.\n", n)
	} else {
		b.WriteString("\nNothing is against the rules.\n")
	}
	return b.String()
}

// of returns the texts of a rule's findings.
func (r *Report) of(rule string) (bad, advice []string) {
	for _, f := range r.List.Findings {
		switch {
		case f.Rule != rule:
		case f.Advice:
			advice = append(advice, f.Text)
		default:
			bad = append(bad, f.Text)
		}
	}
	return bad, advice
}
