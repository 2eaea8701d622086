package playlist_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/hls-fallback/stage"
)

func TestQueries(t *testing.T) {
	for _, c := range []struct {
		raw, want string
	}{
		{"", "{false false false 0 0} dvr=false legacy=false token= "},
		{"_HLS_msn=7&_HLS_part=2", "{true true false 7 2} dvr=false legacy=false token= "},
		{"_HLS_skip=v2&_HLS_msn=7&other=1&_HLS_next=3", "{true false true 7 0} dvr=false legacy=false token= "},
		{"_HLS_skip=NO", "{false false false 0 0} dvr=false legacy=false token= "},
		{"token=a.b%2Bc&dvr=1&profile=legacy", "{false false false 0 0} dvr=true legacy=true token=a.b+c dvr=1&profile=legacy"},
		{"start=2026-11-20T12:00:00%2B01:00&end=1795177000", "{false false false 0 0} dvr=false legacy=false token= end=2026-11-20T12:16:40.000Z&start=2026-11-20T11:00:00.000Z"},
		{"token=%7B$token%7D&dvr=1", "{false false false 0 0} dvr=true legacy=false token= dvr=1"}, // FFmpeg fills nothing in
		{"_HLS_msn=18446744073709551615", "{true false false 18446744073709551615 0} dvr=false legacy=false token= "},
	} {
		q, err := playlist.ParseQuery(c.raw)
		got := fmt.Sprintf("%v dvr=%v legacy=%v token=%s %s", q.Directives, q.DVR, q.Legacy, q.Token, q.Canonical())
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", c.raw, err, got, c.want)
		}
	}
	for _, bad := range []string{
		"_HLS_msn=-1", "_HLS_msn=", "_HLS_msn=1.5", "_HLS_msn=18446744073709551616", "_HLS_msn=0x10", "_HLS_part=-1", "_HLS_part=99999999999",
		"_HLS_msn=1&_HLS_msn=2", "profile=best", "start=yesterday", "start=NaN", "start=1e300", "start=-5", "end=5", "start=10&end=10", "token=%zz",
		"token=" + strings.Repeat("x", 9000),
	} {
		if _, err := playlist.ParseQuery(bad); !errors.Is(err, playlist.ErrQuery) {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
}

func TestDirectives(t *testing.T) {
	s := stage.New("gate")
	for range 3 {
		s.Segment(4) // 0, 1, 2
	}
	s.Part("video-h")
	p := s.Part("video-h") // 3.0 and 3.1 are there
	for _, c := range []struct{ query, want string }{
		{"", "deliver"},
		{"_HLS_msn=0", "deliver"},             // old: the playlist as it is
		{"_HLS_msn=2", "deliver"},             // there
		{"_HLS_msn=2&_HLS_part=3", "deliver"}, // there
		{"_HLS_msn=2&_HLS_part=4", "deliver"}, // was never: part 0 of the next, which is there
		{"_HLS_msn=3", "wait"},                // whole
		{"_HLS_msn=3&_HLS_part=1", "deliver"},
		{"_HLS_msn=3&_HLS_part=2", "wait"},
		{"_HLS_msn=3&_HLS_part=7", "wait"}, // six parts ahead: three seconds
		{"_HLS_msn=3&_HLS_part=8", "refuse"},
		{"_HLS_msn=4", "wait"}, // the last plus two
		{"_HLS_msn=4&_HLS_part=0", "wait"},
		{"_HLS_msn=4&_HLS_part=99", "refuse"},
		{"_HLS_msn=5", "refuse"},
		{"_HLS_msn=18446744073709551615", "refuse"},
		{"_HLS_msn=18446744073709551615&_HLS_part=0", "refuse"},
		{"_HLS_part=0", "refuse"},
	} {
		q, err := playlist.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		verdict, err := playlist.Judge(p, p.Renditions[0], q.Directives)
		got := map[playlist.Verdict]string{playlist.Deliver: "deliver", playlist.Wait: "wait"}[verdict]
		if err != nil {
			got = "refuse"
		}
		if got != c.want {
			t.Errorf("%s: %s (%v), want %s", c.query, got, err, c.want)
		}
	}
	p = s.End()
	if v, err := playlist.Judge(p, p.Renditions[0], playlist.Directives{HasMSN: true, MSN: 99}); v != playlist.Deliver || err != nil {
		t.Errorf("ended: %v %v", v, err)
	}
}

// A segment that ends with fewer parts than were asked for lets who waits go on
// with part 0 of the next.
func TestWaitingForAPartThatNeverCame(t *testing.T) {
	s := stage.New("short")
	p := s.Segment(3)
	d := playlist.Directives{HasMSN: true, HasPart: true, MSN: 0, Part: 3}
	if v, err := playlist.Judge(p, p.Renditions[0], d); v != playlist.Wait || err != nil {
		t.Errorf("before the next segment's first part: %v %v", v, err)
	}
	p = s.Part("video-h")
	if v, err := playlist.Judge(p, p.Renditions[0], d); v != playlist.Deliver || err != nil {
		t.Errorf("after it: %v %v", v, err)
	}
}

func TestTimeShiftsOutOfBounds(t *testing.T) {
	p := stage.New("x").Segment(4)
	for _, raw := range []string{"start=1795176000&end=1795276000", "start=1000&end=2000"} {
		q, err := playlist.ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.View(p, time.Minute); !errors.Is(err, playlist.ErrQuery) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	q, _ := playlist.ParseQuery("start=2026-11-20T13:00:00Z")
	if v, err := q.View(p, time.Minute); err != nil || !v.Empty(p, p.Renditions[0]) {
		t.Errorf("the future is not empty: %v", err)
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"_HLS_msn=1&_HLS_part=2", "_HLS_msn=18446744073709551615&_HLS_part=2147483647", "_HLS_msn=-1", "start=1&end=2", "token=%41+b&dvr=1", "start=2026-11-20T12:00:00.5Z&profile=legacy&_HLS_skip=v2"} {
		f.Add(s)
	}
	s := stage.New("fuzz")
	s.Segment(4)
	s.Segment(4)
	p := s.Part("video-h")
	lines := playlist.NewLines(false)
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := playlist.ParseQuery(raw)
		if err != nil {
			return
		}
		again, err := playlist.ParseQuery(q.Canonical())
		if err != nil || again.Canonical() != q.Canonical() {
			t.Errorf("%q: canonical %q is read as %q, %v", raw, q.Canonical(), again.Canonical(), err)
		}
		if _, err := playlist.Judge(p, p.Renditions[0], q.Directives); err != nil {
			return
		}
		if v, err := q.View(p, time.Minute); err == nil {
			v.Token = false
			lines.Media(nil, p, p.Renditions[0], v)
		}
	})
}
