package admit

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Unix(1_800_000_000, 0)

// node is a machine under test: what its joins and its media cost, and what
// comes in.
type node struct {
	gate  *Gate
	now   time.Time
	cores int
	cpu   float64 // seconds spent
	owed  float64 // seconds of work that waits
	price float64 // of one join
	lag   time.Duration
}

func newNode(c Config, price float64) *node {
	return &node{gate: New(c, noon), now: noon, cores: max(1, c.Cores), cpu: 1, price: price}
}

// second lets viewers ask, evenly, beside media that takes a share of all cores.
func (n *node) second(ask int, media float64) (in int, reasons map[Reason]int) {
	reasons = map[Reason]int{}
	const steps = 20
	for i := range steps {
		for range (i+1)*ask/steps - i*ask/steps {
			if v := n.gate.Ask(Viewer, 0, n.now); v.OK {
				in++
				n.owed += n.price
			} else {
				reasons[v.Reason]++
			}
		}
		n.now = n.now.Add(time.Second / steps)
		n.owed += media * float64(n.cores) / steps
		spent := min(n.owed, float64(n.cores)/steps)
		n.cpu, n.owed = n.cpu+spent, n.owed-spent
		if i%5 == 4 {
			n.gate.Measure(Load{CPU: time.Duration(n.cpu * 1e9), Lag: n.lag}, n.now)
		}
	}
	return in, reasons
}

func TestAnIdleNodeRefusesNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cores := rapid.IntRange(1, 64).Draw(t, "cores")
		n := newNode(Config{Cores: cores}, rapid.Float64Range(0.0003, 0.003).Draw(t, "price"))
		for range rapid.IntRange(1, 30).Draw(t, "seconds") {
			few := rapid.IntRange(0, 100*cores).Draw(t, "viewers") // a third of a core at the dearest
			if in, why := n.second(few, 0.1); in != few {
				t.Fatalf("%d of %d: %v", in, few, why)
			}
		}
	})
}

func TestNoMoreAreLetInThanTheirCostAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cores := rapid.IntRange(1, 4).Draw(t, "cores")
		price := rapid.Float64Range(0.0005, 0.01).Draw(t, "price")
		media := rapid.Float64Range(0, 0.7).Draw(t, "media")
		n := newNode(Config{Cores: cores}, price)
		if rapid.Bool().Draw(t, "learned") { // else the flood is the first that it sees
			for range 10 {
				n.second(rapid.IntRange(0, int(0.2*float64(cores)/price)).Draw(t, "viewers"), media)
			}
		}
		for i := range 120 { // it finds its pace, and works off what it took on before
			n.second(2500*cores, media)
			if i > 8 && n.owed < 0.2 {
				break
			}
		}
		if n.owed > 0.2*float64(cores) {
			t.Fatalf("%.1f s of work wait after two minutes (price %.2f ms, believed %.2f)", n.owed, price*1000, n.gate.cost.seconds()*1000)
		}
		total := 0
		const seconds = 5
		for range seconds {
			in, _ := n.second(2500*cores, media)
			total += in
		}
		paid := float64(cores) * seconds * max(least, share-media) / price
		// An error of the price shows as load, and slows it down: no more than the
		// processors can do beside the media.
		if most := float64(cores) * seconds * (1 - media) / price; float64(total) > most {
			t.Fatalf("%d in %d s; %.0f can be done (price %.2f ms, believed %.2f)", total, seconds, most, price*1000, n.gate.cost.seconds()*1000)
		}
		if float64(total) < paid/20 {
			t.Fatalf("%d in %d s; %.0f could be paid for", total, seconds, paid)
		}
	})
}

func TestTheCostOfJoinsIsLearned(t *testing.T) {
	for _, price := range []float64{0.0005, 0.001, 0.004, 0.008} {
		n := newNode(Config{Cores: 4}, price)
		for i := range 30 {
			n.second([]int{0, 50, 20, 100}[i%4], 0.3)
		}
		if got := n.gate.cost.seconds(); math.Abs(got-price) > price/4 {
			t.Errorf("a join of %.1f ms is believed to cost %.2f", price*1000, got*1000)
		}
	}
}

func TestLagRefusesViewersThenPublishersAndRecovers(t *testing.T) {
	n := newNode(Config{}, 0.001)
	ask := func(who Kind) bool { return n.gate.Ask(who, 0, n.now).OK }
	for _, c := range []struct {
		what               string
		lag                time.Duration
		seconds            int
		viewers, publisher bool
	}{
		{"calm", time.Millisecond, 2, true, true},
		{"between the thresholds nothing changes", 150 * time.Millisecond, 3, true, true},
		{"too much", 250 * time.Millisecond, 2, false, true},
		{"far too much", 500 * time.Millisecond, 2, false, false},
		{"between the thresholds nothing changes either", 100 * time.Millisecond, 5, false, false},
		{"calm again", 10 * time.Millisecond, 2, true, true},
	} {
		n.lag = c.lag
		for range c.seconds {
			n.second(0, 0)
		}
		if ask(Viewer) != c.viewers || ask(Publisher) != c.publisher {
			t.Errorf("%s: viewer %v, publisher %v", c.what, !c.viewers, !c.publisher)
		}
	}
}

func TestAMomentOfLagIsNoReason(t *testing.T) {
	n := newNode(Config{}, 0.001)
	n.gate.Measure(Load{CPU: time.Second, Lag: time.Second, Missed: true}, n.now)
	if v := n.gate.Ask(Viewer, 0, n.now); !v.OK {
		t.Errorf("refused: %v", v)
	}
}

func TestMissedMediaIsLag(t *testing.T) {
	g := New(Config{}, noon)
	for i := range 10 {
		g.Measure(Load{Missed: true}, noon.Add(time.Duration(i)*250*time.Millisecond))
	}
	if v := g.Ask(Viewer, 0, noon.Add(2500*time.Millisecond)); v.OK || v.Reason != Lag || v.After <= 0 {
		t.Errorf("%+v", v)
	}
	// Whoever measures has gone: what it said does not hold for ever.
	if v := g.Ask(Viewer, 0, noon.Add(time.Minute)); !v.OK {
		t.Errorf("%+v", v)
	}
}

func TestHandshakesAreBoundedPerCoreAndPublishersComeFirst(t *testing.T) {
	g := New(Config{Cores: 2, PerCore: 10}, noon)
	for _, c := range []struct {
		who      Kind
		underway int
		ok       bool
	}{{Viewer, 19, true}, {Viewer, 20, false}, {Publisher, 20, true}, {Publisher, 24, true}, {Publisher, 25, false}} {
		if v := g.Ask(c.who, c.underway, noon); v.OK != c.ok || !v.OK && (v.Reason != Handshakes || v.After < soonest) {
			t.Errorf("%+v: %+v", c, v)
		}
	}
}

func TestAPublisherComesInWhereTheRateHoldsViewersBack(t *testing.T) {
	g := New(Config{Cost: 10 * time.Millisecond}, noon)
	for range 1000 {
		g.Ask(Viewer, 0, noon)
	}
	if v := g.Ask(Viewer, 0, noon); v.OK || v.Reason != Rate || v.After < soonest || v.After > latest {
		t.Errorf("viewer: %+v", v)
	}
	for range 10 {
		if v := g.Ask(Publisher, 0, noon); !v.OK {
			t.Fatalf("publisher: %+v", v)
		}
	}
}

// Whatever is measured, a node at rest lets people in again soon.
func TestPropertyItRecovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, now := New(Config{Cores: rapid.IntRange(1, 4).Draw(t, "cores")}, noon), noon
		cpu := time.Duration(0)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			cpu += time.Duration(rapid.IntRange(-1000, 8000).Draw(t, "cpu")) * time.Millisecond
			g.Measure(Load{CPU: cpu, Lag: time.Duration(rapid.IntRange(0, 5000).Draw(t, "lag")) * time.Millisecond, Missed: rapid.Bool().Draw(t, "missed")}, now)
			for range rapid.IntRange(0, 3000).Draw(t, "viewers") {
				if v := g.Ask(Viewer, rapid.SampledFrom([]int{0, 5000}).Draw(t, "underway"), now); !v.OK && (v.Reason == "" || v.After <= 0 || v.After > latest) {
					t.Fatalf("%+v", v)
				}
				if rapid.IntRange(0, 9).Draw(t, "more") > 0 {
					break
				}
			}
		}
		for range 20 {
			now = now.Add(250 * time.Millisecond)
			cpu += time.Millisecond
			g.Measure(Load{CPU: cpu}, now)
		}
		if v := g.Ask(Viewer, 0, now); !v.OK {
			t.Fatalf("after 5 s of rest: %+v", v)
		}
	})
}
