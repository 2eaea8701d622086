package loadtest

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// The picture, in SVG units: three fields side by side.
const (
	plotWidth, plotHeight = 1080, 330
	plotTop, plotBottom   = 56, 270
	plotField             = 280
	plotLeft, plotGap     = 50, 70
	plotLegend            = 130 // between names, where there is room
	plotTick              = 26  // between numbers below, at the least
)

// panel is one diagram over viewers.
type panel struct {
	title  string
	left   float64
	low    float64 // of a logarithmic axis; 0 means a linear one from 0
	high   float64
	least  float64 // viewers, at the left end; that axis is logarithmic
	most   float64 // and at the right
	steps  []int
	limit  float64 // a line across, 0 for none
	ticks  []float64
	figure func(Mark) (float64, bool)
}

// chart draws CPU per packet, latency p99 and memory of each target by viewers.
func (r BenchResult) chart() string {
	fields := []panel{
		{title: "server CPU per packet and viewer, µs", left: plotLeft, figure: func(m Mark) (float64, bool) {
			if m.Server == nil {
				return 0, false
			}
			return m.Server.PerPacket, true
		}},
		{title: "latency p99, ms", left: plotLeft + plotField + plotGap, low: 1, limit: mostLatency, figure: func(m Mark) (float64, bool) { return m.Summary.Latency.P99, true }},
		{title: "RSS per viewer, KiB", left: plotLeft + 2*(plotField+plotGap), low: 10, figure: func(m Mark) (float64, bool) {
			if m.Server == nil {
				return 0, false
			}
			return m.Server.RSSPerViewer, true
		}},
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, plotHeight)
	targets := names(r.Capacity, Capacity.target)
	for i, t := range targets {
		x := plotLeft + i*min(plotLegend, (plotWidth-plotLeft)/len(targets))
		fmt.Fprintf(&b, `<rect x="%d" y="12" width="14" height="4" fill="%s"/><text x="%d" y="19" fill="#111">%s</text>`+"\n", x, colour(i), x+20, html.EscapeString(t))
	}
	for _, f := range fields {
		f.scale(r)
		f.frame(&b)
		for i, t := range targets {
			f.line(&b, r, t, colour(i))
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func colour(i int) string {
	colours := []string{"#06c", "#c33", "#2a8f3c", "#8a4fbf", "#d98200", "#555", "#0aa", "#b58"}
	return colours[i%len(colours)]
}

// scale finds the ends of the axes and the lines across.
func (f *panel) scale(r BenchResult) {
	f.least, f.most, f.high = 1, 2, 1
	if f.steps = r.steps(); len(f.steps) > 0 {
		f.least = float64(max(1, f.steps[0]))
		f.most = max(float64(f.steps[len(f.steps)-1]), 2*f.least)
	}
	for _, c := range r.Capacity {
		for _, m := range c.Steps {
			if v, ok := f.figure(m); ok {
				f.high = max(f.high, v)
			}
		}
	}
	if f.low > 0 {
		f.high = math.Pow(10, math.Ceil(math.Log10(max(f.high, 1000))))
		for v := f.low; v <= f.high; v *= 10 {
			f.ticks = append(f.ticks, v)
		}
		return
	}
	step := math.Pow(10, math.Floor(math.Log10(f.high)))
	for _, part := range []float64{0.2, 0.5, 1} {
		if f.high/(step*part) <= 6 {
			step *= part
			break
		}
	}
	for v := 0.0; v < f.high+step; v += step {
		f.ticks = append(f.ticks, v)
	}
	f.high = f.ticks[len(f.ticks)-1]
}

func (f panel) x(viewers float64) float64 {
	return f.left + math.Log(max(viewers, f.least)/f.least)/math.Log(f.most/f.least)*plotField
}

func (f panel) y(v float64) float64 {
	share := v / f.high
	if f.low > 0 {
		share = math.Log(max(v, f.low)/f.low) / math.Log(f.high/f.low)
	}
	return plotBottom - min(1, share)*(plotBottom-plotTop)
}

func (f panel) frame(b *strings.Builder) {
	fmt.Fprintf(b, `<text x="%.0f" y="%d" fill="#111">%s</text>`+"\n", f.left, plotTop-12, f.title)
	for _, v := range f.ticks {
		fmt.Fprintf(b, `<path d="M%.1f %.1fh%d" stroke="#e4e4e4"/><text x="%.1f" y="%.1f" fill="#555" text-anchor="end">%.6g</text>`+"\n", f.left, f.y(v), plotField, f.left-6, f.y(v)+4, v)
	}
	last := math.Inf(-1)
	for _, n := range f.steps {
		if x := f.x(float64(n)); x-last >= plotTick {
			fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#555" text-anchor="middle">%d</text>`+"\n", x, plotBottom+18, n)
			last = x
		}
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#555" text-anchor="middle">viewers</text>`+"\n", f.left+plotField/2, plotBottom+38)
	if f.limit > 0 {
		fmt.Fprintf(b, `<path d="M%.1f %.1fh%d" stroke="#c33" stroke-dasharray="4 4"/>`+"\n", f.left, f.y(f.limit), plotField)
	}
}

// line is one target: the median of the rounds at each step. Steps that broke
// an objective in most rounds are hollow.
func (f panel) line(b *strings.Builder, r BenchResult, target, colour string) {
	var points []string
	var dots strings.Builder
	for _, n := range r.steps() {
		marks := r.marks(target, n)
		v := pick(marks, f.figure)
		if len(v) == 0 {
			continue
		}
		slices.Sort(v)
		x, y := f.x(float64(n)), f.y(middle(v))
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
		fill, broken := colour, 0
		for _, m := range marks {
			if m.Broken != "" {
				broken++
			}
		}
		if 2*broken > len(marks) {
			fill = "#fff"
		}
		fmt.Fprintf(&dots, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s" stroke="%s"/>`, x, y, fill, colour)
	}
	if len(points) > 0 {
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>%s`+"\n", colour, strings.Join(points, " "), dots.String())
	}
}
