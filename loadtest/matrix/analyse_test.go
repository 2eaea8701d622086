package matrix

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/loadtest/impair"
)

// film is pictures of a height each 40 ms within [from, to), sent 30 ms before.
func film(height int, from, to float64) (p []Picture) {
	for at := from; at < to; at += 40 {
		p = append(p, Picture{At: at, Height: height, Sent: at - 30})
	}
	return p
}

func join(parts ...[]Picture) (p []Picture) {
	for _, part := range parts {
		p = append(p, part...)
	}
	return p
}

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

func TestARecordIsSummedUp(t *testing.T) {
	const begun = 1e6
	for _, tc := range []struct {
		name     string
		pictures []Picture
		frozen   float64
		freezes  int
		longest  float64
		heights  map[string]float64
	}{
		{"all is well", film(720, begun-1000, begun+10_000), 0, 0, 0, map[string]float64{"720": 10}},
		{"nothing came", nil, 1, 1, 10_000, map[string]float64{}},
		{"it began late", film(720, begun+2000, begun+10_000), 0.2, 1, 2000, map[string]float64{"720": 8}},
		{"it ended early", film(720, begun, begun+8000), 0.204, 1, 2040, map[string]float64{"720": 10}},
		{"a gap of 200 ms is none", join(film(720, begun, begun+4001), film(720, begun+4200, begun+10_000)), 0, 0, 0, map[string]float64{"720": 10}},
		{"a gap of a second", join(film(720, begun, begun+4001), film(360, begun+5000, begun+10_000)), 0.1, 1, 1000, map[string]float64{"720": 5, "360": 5}},
		{"a gap over the beginning counts from there", join(film(180, begun-5000, begun-960), film(180, begun+1000, begun+10_000)), 0.1, 1, 1000, map[string]float64{"180": 10}},
	} {
		s := see(Record{Joined: begun - 2000, Pictures: tc.pictures}, begun, begun+10_000)
		if !near(s.Frozen, tc.frozen, 0.001) || s.Freezes != tc.freezes || !near(s.Longest, tc.longest, 1) || len(s.Heights) != len(tc.heights) {
			t.Errorf("%s: %+v", tc.name, s)
		}
		for h, seconds := range tc.heights {
			if !near(s.Heights[h], seconds, 0.05) {
				t.Errorf("%s: %v s of %sp", tc.name, s.Heights[h], h)
			}
		}
	}
}

func TestLatencyAgeAndCounters(t *testing.T) {
	r := Record{Joined: 900, Pictures: join(film(720, 1000, 5001), film(720, 7000, 11_000)), Samples: []Sample{
		{At: 500, Audio: 100, Concealed: 50}, {At: 2000, Audio: 1000, Concealed: 60, NACKs: 5, Known: true, Skew: -30}, {At: 9000, Audio: 2000, Concealed: 160, NACKs: 12, PLIs: 1, Lost: 3, Known: true, Skew: 10},
	}}
	s := see(r, 1000, 11_000)
	if s.Join != 100 || s.Latency[0] != 30 || s.Latency[2] != 30 || !near(s.Age[2], 2020, 15) || !near(s.Age[0], 55, 10) {
		t.Errorf("%+v", s)
	}
	if !near(s.Conceals, 110.0/1900, 1e-9) || s.NACKs != 12 || s.PLIs != 1 || s.Lost != 3 || s.Skew != 30 {
		t.Errorf("%+v", s)
	}
}

// Frozen time and time at heights never exceed the time there was, and pieces
// add up to the whole, wherever it is cut.
func TestPiecesAddUpToTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// The first and the last lie outside: what was before and after is known.
		p := []Picture{{At: -100, Height: 180}}
		for at := 0.0; at < 10_000; {
			at += rapid.Float64Range(1, 1000).Draw(t, "gap")
			p = append(p, Picture{At: at, Height: rapid.SampledFrom([]int{180, 360, 720}).Draw(t, "height")})
		}
		r := Record{Pictures: p}
		cut, end := rapid.Float64Range(1, 9999).Draw(t, "cut"), 10_000.0
		a, b, whole := see(r, 0, cut), see(r, cut, end), see(r, 0, end)
		if sum := a.Frozen*cut + b.Frozen*(end-cut); !near(sum, whole.Frozen*end, 0.01) || whole.Frozen > 1.0001 {
			t.Fatalf("%v frozen, pieces %v", whole.Frozen*end, sum)
		}
		seconds := 0.0
		for _, s := range whole.Heights {
			seconds += s
		}
		if seconds > end/1000+0.001 || a.Frames+b.Frames != whole.Frames {
			t.Fatalf("%v s at heights; %d + %d frames of %d", seconds, a.Frames, b.Frames, whole.Frames)
		}
	})
}

func TestPhasesTellOfLayersStormsAndCalm(t *testing.T) {
	p, err := impair.Named("drop4m")
	if err != nil {
		t.Fatal(err)
	}
	const begun = 1e6
	// Frozen for 300 ms after the fall, then small; on top 5 s after the link is back.
	pictures := join(film(720, begun, begun+12_000), film(180, begun+12_300, begun+29_000), film(720, begun+29_000, begun+38_000))
	slots := make([]impair.Count, 380)
	for i := range slots {
		slots[i] = impair.Count{Packets: 40, Bytes: 50_000, Delivered: 50_000} // 4 Mbit/s
		if i >= 120 && i < 240 {
			slots[i] = impair.Count{Packets: 5, Bytes: 6250, Delivered: 6250} // 0.5
		}
	}
	slots[125] = impair.Count{Packets: 100, Bytes: 125_000, Overflow: 95, Queued: 300 * time.Millisecond}
	slots[150] = impair.Count{Packets: 20, Bytes: 25_000, Overflow: 1, Queued: 100 * time.Millisecond}
	w := watched{record: Record{Pictures: pictures}, slots: slots, course: p.Down, begun: begun, whole: p.For}
	got := w.phases()
	if len(got) != 3 {
		t.Fatalf("%d phases", len(got))
	}
	if first := got[0]; first.Seen.Longest > 50 || first.ToLower >= 0 || first.Flow.Offered != 4e6 || first.Flow.Storm < 0.99 || first.Flow.Storm > 1.01 {
		t.Errorf("first: %+v", first)
	}
	thin := got[1]
	if !near(thin.ToLower, 0.3, 0.001) || !near(thin.Seen.Longest, 300, 1) || !near(thin.Calm, 3.1, 0.001) || thin.ToTop >= 0 || thin.Flow.Queue[1] != 300 {
		t.Errorf("thin: %+v", thin)
	}
	// The storm at once is forgiven, the one after two seconds is not: 0.65 Mbit in that second.
	if !near(thin.Flow.Storm, 1.3, 0.001) {
		t.Errorf("storm %v", thin.Flow.Storm)
	}
	if back := got[2]; !near(back.ToTop, 5, 0.001) || !near(back.ToFirst, 0, 41) || back.Seen.Heights["720"] < 8.9 {
		t.Errorf("back: %+v", back)
	}
	w.top = 1080
	if never := w.phases(); never[2].ToTop >= 0 {
		t.Errorf("the top was never reached, it says after %v", never[2].ToTop)
	}
	if (watched{course: impair.Always(impair.Path{}), whole: time.Second}).phases() != nil {
		t.Error("a course without changes has phases")
	}
	seconds := w.timeline()
	if len(seconds) != 38 || seconds[5].Height != 720 || seconds[20].Height != 180 || seconds[20].Link != 5e5 || !near(seconds[12].Frozen, 0.3, 0.001) {
		t.Errorf("%d seconds, %+v", len(seconds), seconds[12])
	}
	row := Row{Profile: "drop4m", Viewer: Chromium, Layers: 3, Leg: ViewerLeg, Publisher: Load, Phases: got, Timeline: seconds}
	if svg := row.chart(); !strings.Contains(svg, "</svg>") || strings.Contains(svg, "NaN") {
		t.Error(svg)
	}
	table := Result{Rows: []Row{row}}.bars()
	for _, want := range []string{"lower layer after the link fell | chromium | 3 | 1.5 s | 0.30 s | yes", "on top after the link was back | chromium | 3 | 10 s | 5.00 s | yes", "frozen while the link was thin | chromium | 3 | 500 ms | 300"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	if strings.Contains(table, "worst second") {
		t.Error("a bar of another number of layers was held against the row")
	}
}

func TestWhatNeverHappenedMeetsNoBar(t *testing.T) {
	row := Row{Profile: "outage3", Leg: ViewerLeg, Publisher: Load, Phases: []Phase{{}, {}, {ToFirst: -1000}}}
	if table := (Result{Rows: []Row{row}}).bars(); !strings.Contains(table, "| never | no |") {
		t.Error(table)
	}
}

func TestARowWhoseControlFrozeIsDoubted(t *testing.T) {
	row := Row{Profile: "clean", Viewer: Load, Layers: 3, Leg: ViewerLeg, Control: Seen{Frozen: 0.3}}
	if s := (Result{Rows: []Row{row}}).Markdown(); !strings.Contains(s, "* clean, load, 3 layers: the control was frozen for 30.0 % of the time") {
		t.Error(s)
	}
	row.Control.Frozen = 0.01
	if s := (Result{Rows: []Row{row}}).Markdown(); strings.Contains(s, "busy") {
		t.Error(s)
	}
}

func TestARecordIsTheSameAfterTheWire(t *testing.T) {
	r := Record{Joined: 1, Pictures: []Picture{{At: 2.5, Height: 720, Sent: 1.25}}, Samples: []Sample{{At: 3, Audio: 4, Known: true, Skew: -5}}}
	b, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(b), `"pictures":[[2.5,720,1.25]]`) {
		t.Fatalf("%s, %v", b, err)
	}
	var back Record
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("%+v, %v", back, err)
	}
}
