package matrix

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The chart's field, in SVG units.
const (
	chartWidth, chartHeight = 720, 260
	chartLeft, chartTop     = 88, 34
	chartRight, chartBottom = 700, 190
	stripTop, stripHeight   = 206, 12
)

// charts writes a picture of each row with phases into a folder.
func (r Result) charts(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("write the charts: %w", err)
	}
	for _, row := range r.Rows {
		if len(row.Phases) == 0 || row.Error != "" {
			continue
		}
		name := fmt.Sprintf("%s-%s-%d-%s-%s.svg", row.Profile, row.Viewer, row.Layers, row.Leg, row.Publisher)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(row.chart()), 0o600); err != nil {
			return fmt.Errorf("write the charts: %w", err)
		}
	}
	return nil
}

// chart draws what was offered and what came out over what the link carries;
// beneath it a strip of picture heights, dark where it was frozen.
func (r Row) chart() string {
	most := 1.0
	for _, s := range r.Timeline {
		most = max(most, s.Used, min(s.Offered, 3*max(s.Link, s.Used)), s.Link)
	}
	x := func(second int) float64 {
		return chartLeft + float64(second)*(chartRight-chartLeft)/float64(max(1, len(r.Timeline)))
	}
	y := func(bps float64) float64 { return chartBottom - min(1, bps/most)*(chartBottom-chartTop) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", chartWidth, chartHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><text x="%d" y="20" fill="#111">%s</text>`+"\n", chartWidth, chartHeight, chartLeft, r.title())
	fmt.Fprintf(&b, `<text x="6" y="%d" fill="#555">%.1f Mbit/s</text><text x="6" y="%d" fill="#555">0</text>`+"\n", chartTop+4, most/1e6, chartBottom)
	lines := []struct {
		name, colour string
		of           func(Second) float64
	}{{"link", "#999", func(s Second) float64 { return s.Link }}, {"offered", "#c33", func(s Second) float64 { return s.Offered }}, {"out", "#06c", func(s Second) float64 { return s.Used }}}
	for i, l := range lines {
		var points []string
		for n, s := range r.Timeline {
			points = append(points, fmt.Sprintf("%.1f,%.1f %.1f,%.1f", x(n), y(l.of(s)), x(n+1), y(l.of(s))))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/><text x="%d" y="20" fill="%s">%s</text>`+"\n", l.colour, strings.Join(points, " "), 520+60*i, l.colour, l.name)
	}
	r.strip(&b, x)
	b.WriteString("</svg>\n")
	return b.String()
}

// strip is one box per second: light blue to blue by height, red as far as frozen.
func (r Row) strip(b *strings.Builder, x func(int) float64) {
	shades := map[int]string{180: "#bcd9f5", 360: "#6aa9e4", 720: "#1d63ad"}
	for n, s := range r.Timeline {
		fill, ok := shades[s.Height]
		if !ok {
			fill = "#ddd"
		}
		width := x(n+1) - x(n)
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, x(n), stripTop, width, stripHeight, fill)
		if s.Frozen > 0 {
			fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#c33"/>`, x(n), stripTop, width*min(1, s.Frozen), stripHeight)
		}
	}
	fmt.Fprintf(b, "\n"+`<text x="%d" y="%d" fill="#555">picture: light 180p, middle 360p, dark 720p; red: frozen. %d s</text>`+"\n", chartLeft, stripTop+30, len(r.Timeline))
}
