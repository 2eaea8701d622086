package board_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/vod/board"
)

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		duration      time.Duration
		width, height int
		want          string
	}{
		{time.Second, 1920, 1080, "every 2s, 1 of 160x90 on 1"},
		{21 * time.Second, 1280, 720, "every 2s, 11 of 160x90 on 1"},
		{5 * time.Minute, 1280, 720, "every 10s, 30 of 160x90 on 1"},
		{time.Hour, 1280, 720, "every 10s, 360 of 160x90 on 4"},
		{10 * time.Hour, 720, 1280, "every 1m30s, 400 of 50x90 on 4"},
		{time.Hour, 0, 0, "every 10s, 360 of 160x90 on 4"},
	} {
		l := board.Plan(c.duration, c.width, c.height)
		if got := fmt.Sprintf("every %v, %d of %dx%d on %d", l.Every, l.Count, l.Width, l.Height, l.Sheets()); got != c.want {
			t.Errorf("%v of %dx%d: %s, want %s", c.duration, c.width, c.height, got, c.want)
		}
	}
}

func TestVTT(t *testing.T) {
	l := board.Plan(6*time.Second, 1920, 1080)
	got := l.VTT(6200*time.Millisecond, func(i int) string { return fmt.Sprintf("s%d.jpg", i) })
	want := `WEBVTT

00:00:00.000 --> 00:00:02.000
s0.jpg#xywh=0,0,160,90

00:00:02.000 --> 00:00:04.000
s0.jpg#xywh=160,0,160,90

00:00:04.000 --> 00:00:06.200
s0.jpg#xywh=320,0,160,90
`
	if got != want {
		t.Errorf("%s", got)
	}
}

// Every picture lies on its sheet, alone, and there are never too many.
func TestPicturesLieApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(14*24*time.Hour)).Draw(t, "duration"))
		l := board.Plan(d, rapid.IntRange(0, 8000).Draw(t, "width"), rapid.IntRange(0, 8000).Draw(t, "height"))
		if l.Count < 1 || l.Count > 401 || l.Width%2+l.Height%2 != 0 || l.Width < 2 || l.Height < 2 {
			t.Fatalf("%+v", l)
		}
		seen := map[string]bool{}
		for i := range l.Count {
			sheet, x, y := l.Place(i)
			w, h := l.Size(sheet)
			key := fmt.Sprint(sheet, x, y)
			if seen[key] || sheet >= l.Sheets() || x+l.Width > w || y+l.Height > h {
				t.Fatalf("picture %d at %s of %dx%d in %+v", i, key, w, h, l)
			}
			seen[key] = true
		}
		if n := strings.Count(l.VTT(d, func(int) string { return "x" }), "-->"); n != l.Count {
			t.Fatalf("%d cues", n)
		}
	})
}
