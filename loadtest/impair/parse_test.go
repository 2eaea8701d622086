package impair_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
	"pgregory.net/rapid"
)

func TestACommandLineIsACourse(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want impair.Course
	}{
		{"", impair.Always(impair.Path{})},
		{"clean", impair.Always(impair.Path{})},
		{"rate=4M,delay=20ms;12s:rate=500k", impair.Course{{Path: impair.Path{Rate: 4e6, Delay: 20 * ms}}, {At: 12 * time.Second, Path: impair.Path{Rate: 5e5, Delay: 20 * ms}}}},
		{"loss=5%, jitter=30ms", impair.Always(impair.Path{Loss: 0.05, Jitter: 30 * ms})},
		{"burst=5%/5/0.8,reorder=10%/15ms,dup=1%", impair.Always(impair.Path{Burst: impair.Burst{Loss: 0.05, Length: 5, Bad: 0.8}, Reorder: impair.Reorder{Share: 0.1, By: 15 * ms}, Duplicate: 0.01})},
		{"queue=64000,mtu=1200;1s:down;2s:up", impair.Course{{Path: impair.Path{Queue: 64000, MTU: 1200}}, {At: time.Second, Path: impair.Path{Queue: 64000, MTU: 1200, Down: true}}, {At: 2 * time.Second, Path: impair.Path{Queue: 64000, MTU: 1200}}}},
	} {
		got, err := impair.Parse(tc.in)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q: %v, %v", tc.in, got, err)
		}
	}
	for _, bad := range []string{"rate", "rate=-1", "rate=1e99", "loss=101%", "loss=NaN", "delay=1", "delay=-1s", "burst=5%", "burst=90%/3/50%", "speed=1", "loss=1%;loss=2%", "1s:loss=2%", "clean;2s:down;1s:up", "rate=5"} {
		if c, err := impair.Parse(bad); err == nil {
			t.Errorf("%q was taken: %v", bad, c)
		}
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := course(t)
		for i := range c {
			if c[i].Path.Burst.Loss == 0 {
				c[i].Path.Burst = impair.Burst{}
			}
			if c[i].Path.Reorder.Share == 0 {
				c[i].Path.Reorder = impair.Reorder{}
			}
		}
		got, err := impair.Parse(c.String())
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%v became %v (%v)", c, got, err)
		}
	})
}

func TestEveryNamedProfileIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range impair.Profiles() {
		if seen[p.Name] || p.About == "" || p.For < 10*time.Second {
			t.Errorf("%+v", p)
		}
		seen[p.Name] = true
		for _, c := range []impair.Course{p.Down, p.Up} {
			if err := c.Validate(); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
			if len(c) > 0 && c[len(c)-1].At >= p.For {
				t.Errorf("%s ends before its last change", p.Name)
			}
		}
		if got, err := impair.Named(p.Name); err != nil || got.Name != p.Name {
			t.Errorf("%s is not found: %v", p.Name, err)
		}
	}
	if _, err := impair.Named("perfect"); err == nil {
		t.Error("an unknown name was found")
	}
}

func TestMobilityIsWhatItsCommandLineSays(t *testing.T) {
	p, err := impair.Named("mobility")
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		in   string
		want impair.Course
	}{
		{"rate=4M,delay=20ms,loss=1%;5s:rate=1.5M,delay=40ms;10s:rate=600k,delay=80ms;15s:rate=2M,delay=50ms;20s:rate=400k,delay=80ms;25s:rate=3M,delay=30ms", p.Down},
		{"delay=20ms,loss=1%;5s:delay=40ms;10s:delay=80ms;15s:delay=50ms;20s:delay=80ms;25s:delay=30ms", p.Up},
	} {
		if got, err := impair.Parse(way.in); err != nil || !reflect.DeepEqual(got, way.want) {
			t.Errorf("%s\nis %v, %v\nwant %v", way.in, got, err, way.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, p := range impair.Profiles() {
		f.Add(p.Down.String())
	}
	f.Add("burst=5%/5/80%,reorder=10%/15ms,dup=1%,queue=64000,mtu=1200;1s:down;2s:up")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := impair.Parse(s)
		if err != nil {
			return
		}
		l := impair.New(c, 1, epoch)
		for i := range 50 {
			now := at(time.Duration(i) * 10 * ms)
			if fate := l.Offer(1200, now); fate.Cause == impair.Passed && fate.At.Before(now) {
				t.Fatalf("%q: sent at %v, came at %v", s, now, fate.At)
			}
		}
	})
}
