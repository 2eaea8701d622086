// Package board lays out storyboards: small pictures of an asset at even distances,
// many to a sheet, with a WebVTT file that says where which one is (what players
// show above the seek bar). It is a kernel.
package board

import (
	"fmt"
	"strings"
	"time"
)

// Layout is how an asset's pictures lie.
type Layout struct {
	// Every is the time between pictures.
	Every time.Duration
	// Count is how many there are; Columns and Rows how many lie on a sheet.
	Count, Columns, Rows int
	// Width and Height of one, pixels, even.
	Width, Height int
}

const (
	columns, rows = 10, 10
	tileWidth     = 160
	// closest is the segments' distance: there is no key frame between. maxCount
	// bounds the work and the bytes: four sheets of about 300 KB each.
	closest  = 2 * time.Second
	usual    = 10 * time.Second
	maxCount = 400
	// minCount makes short assets have some pictures too.
	minCount = 20
)

// Plan lays out an asset of a duration whose picture has this size.
func Plan(duration time.Duration, width, height int) Layout {
	l := Layout{Every: usual, Columns: columns, Rows: rows, Width: tileWidth, Height: tileWidth * 9 / 16}
	if width > 0 && height > 0 {
		l.Width, l.Height = Fit(width, height, tileWidth, tileWidth*9/16)
	}
	if duration < usual*minCount {
		l.Every = max(closest, duration/minCount)
	}
	if duration > l.Every*maxCount {
		l.Every = (duration + maxCount - 1) / maxCount
	}
	l.Count = max(1, int((duration+l.Every/2)/l.Every))
	return l
}

// Fit returns the largest even size within a box that has the picture's shape.
func Fit(width, height, boxWidth, boxHeight int) (w, h int) {
	w, h = boxWidth, boxWidth*height/width
	if h > boxHeight {
		w, h = boxHeight*width/height, boxHeight
	}
	return max(2, w&^1), max(2, h&^1)
}

// At is the time of a picture.
func (l Layout) At(i int) time.Duration { return time.Duration(i) * l.Every }

// Sheets is how many sheets there are.
func (l Layout) Sheets() int { return (l.Count + l.Columns*l.Rows - 1) / (l.Columns * l.Rows) }

// Place is where a picture lies: on which sheet, and its upper left corner.
func (l Layout) Place(i int) (sheet, x, y int) {
	n := l.Columns * l.Rows
	return i / n, i % n % l.Columns * l.Width, i % n / l.Columns * l.Height
}

// Size of a sheet, in pixels: the last one may be shorter.
func (l Layout) Size(sheet int) (width, height int) {
	n := min(l.Count-sheet*l.Columns*l.Rows, l.Columns*l.Rows)
	return min(n, l.Columns) * l.Width, (n + l.Columns - 1) / l.Columns * l.Height
}

// VTT writes the WebVTT file; name is the address of a sheet.
// The places are media fragments (W3C Media Fragments section 4.2.2).
func (l Layout) VTT(duration time.Duration, name func(sheet int) string) string {
	var b strings.Builder
	b.WriteString("WEBVTT\n")
	for i := range l.Count {
		sheet, x, y := l.Place(i)
		end := l.At(i + 1)
		if i == l.Count-1 {
			end = max(duration, l.At(i)+time.Millisecond)
		}
		fmt.Fprintf(&b, "\n%s --> %s\n%s#xywh=%d,%d,%d,%d\n", stamp(l.At(i)), stamp(end), name(sheet), x, y, l.Width, l.Height)
	}
	return b.String()
}

// stamp is a WebVTT timestamp.
func stamp(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
