package impair

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Parse reads a course as a command line writes it: changes separated by
// semicolons, each but the first with its time; words separated by commas. A
// change keeps what it does not name.
//
//	rate=4M,delay=20ms;12s:rate=500k;24s:rate=4M
//	loss=5%,jitter=30ms
//	burst=5%/5,reorder=10%/15ms,dup=1%,queue=64000,mtu=1200
//	clean;12s:down;15s:up
func Parse(s string) (Course, error) {
	var c Course
	var p Path
	for i, part := range strings.Split(s, ";") {
		at, words, timed := strings.Cut(part, ":")
		var begin time.Duration
		switch {
		case timed == (i == 0):
			return nil, fmt.Errorf("read the path %q: every change but the first needs its time, as in 12s:rate=500k", s)
		case timed:
			var err error
			if begin, err = time.ParseDuration(strings.TrimSpace(at)); err != nil {
				return nil, fmt.Errorf("read the path: %w", err)
			}
		default:
			words = part
		}
		for _, word := range strings.Split(words, ",") {
			if err := p.set(strings.TrimSpace(word)); err != nil {
				return nil, fmt.Errorf("read the path: %w", err)
			}
		}
		c = append(c, Change{At: begin, Path: p})
	}
	return c, c.Validate()
}

func (p *Path) set(word string) error {
	name, v, _ := strings.Cut(word, "=")
	var err error
	switch name {
	case "", "clean":
		*p = Path{}
	case "down", "up":
		p.Down = name == "down"
	case "delay":
		p.Delay, err = time.ParseDuration(v)
	case "jitter":
		p.Jitter, err = time.ParseDuration(v)
	case "loss":
		p.Loss, err = share(v)
	case "dup":
		p.Duplicate, err = share(v)
	case "rate":
		p.Rate, err = rate(v)
	case "queue":
		p.Queue, err = strconv.Atoi(v)
	case "mtu":
		p.MTU, err = strconv.Atoi(v)
	case "burst":
		err = p.Burst.set(v)
	case "reorder":
		err = p.Reorder.set(v)
	default:
		return fmt.Errorf("%q is not known; known are clean, delay, jitter, loss, burst, reorder, dup, rate, queue, mtu, down, up", name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// set reads "5%/5" or "5%/5/80%": share of loss, packets, share in the bad state.
func (b *Burst) set(v string) error {
	loss, rest, _ := strings.Cut(v, "/")
	length, bad, worse := strings.Cut(rest, "/")
	*b = Burst{}
	var err error
	if b.Loss, err = share(loss); err != nil {
		return err
	}
	if b.Length, err = strconv.ParseFloat(length, 64); err != nil || !worse {
		return err
	}
	b.Bad, err = share(bad)
	return err
}

// set reads "10%/15ms": share and how late.
func (r *Reorder) set(v string) error {
	part, by, _ := strings.Cut(v, "/")
	*r = Reorder{}
	var err error
	if r.Share, err = share(part); err != nil {
		return err
	}
	r.By, err = time.ParseDuration(by)
	return err
}

// share reads "5%" or "0.05".
func share(v string) (float64, error) {
	digits, percent := strings.CutSuffix(v, "%")
	f, err := strconv.ParseFloat(digits, 64)
	if percent {
		f /= 100
	}
	return f, err
}

// rate reads "500k", "2.5M" or plain bits per second.
func rate(v string) (media.Bitrate, error) {
	unit := 1.0
	for suffix, u := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if digits, ok := strings.CutSuffix(v, suffix); ok {
			v, unit = digits, u
		}
	}
	f, err := strconv.ParseFloat(v, 64)
	if err == nil && !(f*unit >= 0 && f*unit <= float64(maxRate)) {
		err = fmt.Errorf("%v bit/s is out of bounds", f*unit)
	}
	if err != nil {
		return 0, err
	}
	return media.Bitrate(f * unit), nil
}

// String writes the course as Parse reads it.
func (c Course) String() string {
	if len(c) == 0 {
		return "clean"
	}
	parts := make([]string, 0, len(c))
	for i, change := range c {
		words := change.Path.String()
		if i > 0 {
			words = change.At.String() + ":clean," + words
		}
		parts = append(parts, words)
	}
	return strings.Join(parts, ";")
}

// String writes the path as Parse reads it.
func (p Path) String() string {
	var w []string
	add := func(yes bool, format string, v ...any) {
		if yes {
			w = append(w, fmt.Sprintf(format, v...))
		}
	}
	add(p.Delay > 0, "delay=%v", p.Delay)
	add(p.Jitter > 0, "jitter=%v", p.Jitter)
	add(p.Loss > 0, "loss=%v", p.Loss)
	add(p.Burst.Loss > 0 && p.Burst.Bad == 0, "burst=%v/%v", p.Burst.Loss, p.Burst.Length)
	add(p.Burst.Loss > 0 && p.Burst.Bad > 0, "burst=%v/%v/%v", p.Burst.Loss, p.Burst.Length, p.Burst.Bad)
	add(p.Reorder.Share > 0, "reorder=%v/%v", p.Reorder.Share, p.Reorder.By)
	add(p.Duplicate > 0, "dup=%v", p.Duplicate)
	add(p.Rate > 0, "rate=%d", p.Rate)
	add(p.Queue > 0, "queue=%d", p.Queue)
	add(p.MTU > 0, "mtu=%d", p.MTU)
	add(p.Down, "down")
	if len(w) == 0 {
		return "clean"
	}
	return strings.Join(w, ",")
}
