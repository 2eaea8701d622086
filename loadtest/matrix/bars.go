package matrix

import (
	"fmt"
	"strconv"
)

// bar is a figure that is asked for.
type bar struct {
	profile string
	leg     string
	layers  int    // 0: any
	what    string // what is held against most
	most    float64
	unit    string
	// of reads the figure; false: this row cannot tell.
	of func(Row) (float64, bool)
}

// bars are the project's own figures for Chromium and the load viewer.
func bars() []bar {
	freeze := func(r Row) (float64, bool) { return 100 * r.Freeze, true }
	conceals := func(r Row) (float64, bool) { return 100 * r.Seen.Conceals, true }
	skew := func(r Row) (float64, bool) { return r.Seen.Skew, r.Seen.Skew > 0 }
	phase := func(i int, of func(Phase) float64) func(Row) (float64, bool) {
		return func(r Row) (float64, bool) {
			if i >= len(r.Phases) {
				return 0, false
			}
			return of(r.Phases[i]), true
		}
	}
	frozen := func(p Phase) float64 { return 1000 * p.Seen.Frozen * (p.To - p.From) }
	lower := func(p Phase) float64 { return never(p.ToLower) }
	top := func(p Phase) float64 { return never(p.ToTop) }
	first := func(p Phase) float64 { return never(p.ToFirst) }
	storm := func(p Phase) float64 { return p.Flow.Storm }
	shown := func(r Row) (float64, bool) { return 100 * r.Seen.Frozen, true }
	longest := func(r Row) (float64, bool) { return r.Seen.Longest, true }
	unrepaired := func(r Row) (float64, bool) {
		share, ok := r.Upstream["video"].Share()
		return 100 * (1 - share), ok
	}
	return []bar{
		{"loss5jitter30", ViewerLeg, 0, "freeze", 1, "%", freeze},
		{"loss5jitter30", ViewerLeg, 0, "audio concealed", 1, "%", conceals},
		{"loss5jitter30", ViewerLeg, 0, "sound and picture apart", 80, "ms", skew},
		{"drop4m", ViewerLeg, 3, "lower layer after the link fell", 1.5, "s", phase(1, lower)},
		{"drop4m", ViewerLeg, 3, "frozen while the link was thin", 500, "ms", phase(1, frozen)},
		{"drop4m", ViewerLeg, 3, "on top after the link was back", 10, "s", phase(2, top)},
		{"drop4m", ViewerLeg, 1, "worst second offered, after 2 s", 1.5, "× link", phase(1, storm)},
		{"drop4m", ViewerLeg, 1, "picture after the link was back", 2000, "ms", phase(2, first)},
		{"rtt200loss2", ViewerLeg, 0, "freeze", 5, "%", freeze},
		{"thin300k", ViewerLeg, 3, "frozen", 5, "%", shown},
		{"thin300k", ViewerLeg, 3, "audio concealed", 5, "%", conceals},
		{"mobility", ViewerLeg, 3, "longest time without a picture", 1000, "ms", longest},
		{"outage3", ViewerLeg, 0, "picture after the outage", 500, "ms", phase(2, first)},
		{"loss5", PublisherLeg, 0, "freeze", 1, "%", freeze},
		{"loss5", PublisherLeg, 0, "picture lost upstream and not repaired", 0.5, "%", unrepaired},
	}
}

// never makes what did not happen worse than any bar.
func never(v float64) float64 {
	if v < 0 {
		return 1e9
	}
	return v
}

// bars holds the rows against the figures that are asked for.
func (r Result) bars() string {
	out := [][]string{{"asked for", "viewer", "layers", "at most", "seen", "met"}}
	for _, b := range bars() {
		for _, row := range r.Rows {
			if row.Error != "" || row.Profile != b.profile || row.Leg != b.leg || row.Publisher != Load || b.layers != 0 && b.layers != row.Layers {
				continue
			}
			v, ok := b.of(row)
			if !ok {
				continue
			}
			seen, met := fmt.Sprintf("%.2f %s", v, b.unit), "yes"
			if v >= 1e9 {
				seen = "never"
			}
			if v > b.most {
				met = "no"
			}
			out = append(out, []string{b.profile + " (" + b.leg + "): " + b.what, row.Viewer, strconv.Itoa(row.Layers), fmt.Sprintf("%v %s", b.most, b.unit), seen, met})
		}
	}
	if len(out) == 1 {
		return ""
	}
	return markdown(out)
}
