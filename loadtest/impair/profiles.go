package impair

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
)

// How long runs take, and when the scripted ones change: the peers were
// measured so.
const (
	steady   = 30 * time.Second
	scripted = 38 * time.Second
	firstAt  = 12 * time.Second
	secondAt = 24 * time.Second
)

// Profiles are the named ones, in the order of the matrix.
func Profiles() []Profile {
	jittered := func(d time.Duration) Path { return Path{Jitter: d} }
	rough := Path{Loss: 0.05, Jitter: 30 * time.Millisecond}
	return []Profile{
		both("clean", "nothing is done", Path{}),
		both("loss1", "1 % random loss each way", Path{Loss: 0.01}),
		both("loss5", "5 % random loss each way", Path{Loss: 0.05}),
		both("loss10", "10 % random loss each way", Path{Loss: 0.10}),
		both("burst", "5 % loss each way in bursts of 5", Path{Burst: Burst{Loss: 0.05, Length: 5}}),
		both("jitter30", "0–60 ms of wandering delay each way", jittered(30*time.Millisecond)),
		both("jitter100", "0–200 ms of wandering delay each way", jittered(100*time.Millisecond)),
		both("loss5jitter30", "5 % random loss and 0–60 ms of wandering delay each way", rough),
		down("drop2m", "2 Mbit/s, 0.5 from 12 s on, 2 from 24 s on", scripted, rates(2e6, 5e5, 2e6)),
		down("drop4m", "4 Mbit/s, 0.5 from 12 s on, 4 from 24 s on", scripted, rates(4e6, 5e5, 4e6)),
		down("thin300k", "300 kbit/s", steady, Always(Path{Rate: 3e5})),
		down("thin150k", "150 kbit/s", steady, Always(Path{Rate: 15e4})),
		outage(),
		mobility(),
		both("rtt200loss2", "100 ms and 2 % loss each way", Path{Delay: 100 * time.Millisecond, Loss: 0.02}),
		both("reorder", "10 % of packets 15 ms late, 1 % twice", Path{Delay: 10 * time.Millisecond, Reorder: Reorder{0.1, 15 * time.Millisecond}, Duplicate: 0.01}),
	}
}

func both(name, about string, p Path) Profile {
	return Profile{Name: name, About: about, Down: Always(p), Up: Always(p), For: steady}
}

// down leaves the way of the feedback alone.
func down(name, about string, d time.Duration, c Course) Profile {
	return Profile{Name: name, About: about, Down: c, For: d}
}

func rates(first, second, third media.Bitrate) Course {
	return Course{{0, Path{Rate: first}}, {firstAt, Path{Rate: second}}, {secondAt, Path{Rate: third}}}
}

func outage() Profile {
	c := Course{{}, {firstAt, Path{Down: true}}, {firstAt + 3*time.Second, Path{}}}
	return Profile{Name: "outage3", About: "both ways dead from 12 s to 15 s", Down: c, Up: c, For: steady}
}

// mobility is somebody on the way through a town: each 5 s another cell, with
// its rate and delay, and 1 % of loss all along.
func mobility() Profile {
	p := Profile{Name: "mobility", About: "4, 1.5, 0.6, 2, 0.4, 3 Mbit/s for 5 s each, 20–80 ms and 1 % loss each way", For: steady}
	for i, cell := range []Path{
		{Rate: 4_000_000, Delay: 20 * time.Millisecond}, {Rate: 1_500_000, Delay: 40 * time.Millisecond},
		{Rate: 600_000, Delay: 80 * time.Millisecond}, {Rate: 2_000_000, Delay: 50 * time.Millisecond},
		{Rate: 400_000, Delay: 80 * time.Millisecond}, {Rate: 3_000_000, Delay: 30 * time.Millisecond},
	} {
		cell.Loss = 0.01
		at := time.Duration(i) * 5 * time.Second
		p.Down = append(p.Down, Change{at, cell})
		cell.Rate = 0 // feedback is thin
		p.Up = append(p.Up, Change{at, cell})
	}
	return p
}

// Named finds a profile.
func Named(name string) (Profile, error) {
	var names []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("find the profile %q: known are %s", name, strings.Join(names, ", "))
}
