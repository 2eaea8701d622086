package matrix

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
)

// freezeAfter is the gap that counts as frozen: what the peers were measured by.
const freezeAfter = 200.0

// Seen is what a record comes to.
type Seen struct {
	Frames   int                `json:"frames"`
	FPS      float64            `json:"fps"`
	Frozen   float64            `json:"frozen"` // share of time in gaps over 200 ms
	Freezes  int                `json:"freezes"`
	Longest  float64            `json:"longest_ms"`
	Heights  map[string]float64 `json:"seconds_at_height"`
	Join     float64            `json:"join_ms"` // offer to the first picture; 0: none came
	Latency  [3]float64         `json:"latency_ms"`
	Age      [3]float64         `json:"picture_age_ms"` // p50, p95, max of how old what is on the screen was; counts freezes
	Conceals float64            `json:"audio_concealed"`
	NACKs    float64            `json:"nacks"`
	PLIs     float64            `json:"plis"`
	Lost     float64            `json:"lost"`
	Skew     float64            `json:"skew_p95_ms"` // of sound and picture, either way; 0 where unknown
	Errors   []string           `json:"errors,omitempty"`
}

// see sums a record up between two times.
func see(r Record, from, to float64) Seen {
	s := Seen{Heights: map[string]float64{}, Errors: r.Errors}
	if len(r.Pictures) > 0 {
		s.Join = r.Pictures[0].At - r.Joined
	}
	shown := between(r.Pictures, from, to)
	s.Frames = len(shown)
	if to > from {
		s.FPS = float64(len(shown)) * 1000 / (to - from)
		frozen := 0.0
		gaps(r.Pictures, from, to, func(gap float64) {
			frozen += gap
			s.Freezes++
			s.Longest = max(s.Longest, gap)
		})
		s.Frozen = frozen / (to - from)
	}
	s.heights(r.Pictures, from, to)
	s.Latency, s.Age = latency(shown), age(r.Pictures, from, to)
	s.counters(r.Samples, from, to)
	return s
}

// between are the pictures within [from, to).
func between(p []Picture, from, to float64) []Picture {
	i, _ := slices.BinarySearchFunc(p, from, func(p Picture, t float64) int { return cmp(p.At, t) })
	j, _ := slices.BinarySearchFunc(p, to, func(p Picture, t float64) int { return cmp(p.At, t) })
	return p[i:max(i, j)]
}

func cmp(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// spells calls f for each picture with the part of [from, to) that it was the
// latest; nil is the time before the first. The length is of the whole gap, also
// where it begins before from or ends after to.
func spells(p []Picture, from, to float64, f func(p *Picture, part, whole float64)) {
	i, _ := slices.BinarySearchFunc(p, from, func(p Picture, t float64) int { return cmp(p.At, t) })
	if i == 0 && from < to {
		end := to
		if len(p) > 0 {
			end = p[0].At
		}
		f(nil, min(end, to)-from, end-from)
	}
	for i = max(0, i-1); i < len(p) && p[i].At < to; i++ {
		end := to
		if i+1 < len(p) {
			end = p[i+1].At
		}
		if end > from {
			f(&p[i], min(end, to)-max(p[i].At, from), end-p[i].At)
		}
	}
}

// gaps calls f for what lies of each frozen gap within [from, to).
func gaps(p []Picture, from, to float64, f func(part float64)) {
	spells(p, from, to, func(_ *Picture, part, whole float64) {
		if whole > freezeAfter && part > 0 {
			f(part)
		}
	})
}

// heights sums the time up in which each size was on the screen, frozen or not.
func (s *Seen) heights(p []Picture, from, to float64) {
	spells(p, from, to, func(p *Picture, part, _ float64) {
		if p != nil && part > 0 {
			s.Heights[strconv.Itoa(p.Height)] += part / 1000
		}
	})
}

// latency is p50, p95 and the most of shown pictures.
func latency(p []Picture) [3]float64 {
	var all []float64
	for i := range p {
		if p[i].Sent > 0 {
			all = append(all, p[i].At-p[i].Sent)
		}
	}
	return quantiles(all)
}

// ageEvery is how often the picture's age is looked at.
const ageEvery = 10.0

func age(p []Picture, from, to float64) [3]float64 {
	var all []float64
	i := -1
	for t := from; t < to; t += ageEvery {
		for i+1 < len(p) && p[i+1].At <= t {
			i++
		}
		if i >= 0 && p[i].Sent > 0 {
			all = append(all, t-p[i].Sent)
		}
	}
	return quantiles(all)
}

func quantiles(v []float64) [3]float64 {
	if len(v) == 0 {
		return [3]float64{}
	}
	slices.Sort(v)
	at := func(q float64) float64 { return v[min(len(v)-1, int(q*float64(len(v))))] }
	return [3]float64{at(0.5), at(0.95), v[len(v)-1]}
}

// counters are differences between the samples at the ends.
func (s *Seen) counters(samples []Sample, from, to float64) {
	var first, last *Sample
	var skews []float64
	for i := range samples {
		k := &samples[i]
		if k.At <= from || first == nil {
			first = k
		}
		if k.At <= to {
			last = k
		}
		if k.Known && k.At >= from && k.At <= to {
			skews = append(skews, math.Abs(k.Skew))
		}
	}
	s.Skew = quantiles(skews)[1]
	if last == nil || last == first {
		return
	}
	s.NACKs, s.PLIs, s.Lost = last.NACKs-first.NACKs, last.PLIs-first.PLIs, last.Lost-first.Lost
	if due := last.Audio - first.Audio; due > 0 {
		s.Conceals = min(1, max(0, (last.Concealed-first.Concealed)/due))
	}
}

// Phase is one step of a scripted profile.
type Phase struct {
	From    float64 `json:"from_s"`
	To      float64 `json:"to_s"`
	Step    string  `json:"step"`
	Seen    Seen    `json:"seen"`
	Flow    Flow    `json:"flow"`
	ToLower float64 `json:"to_lower_s"`  // until a smaller picture than at the beginning; negative: never
	ToTop   float64 `json:"to_top_s"`    // until the top size; negative: never
	ToFirst float64 `json:"to_first_ms"` // until the first picture; negative: never
	Calm    float64 `json:"calm_s"`      // until the last packet that the queue dropped
}

// Flow is what the relay saw towards the viewer.
type Flow struct {
	Offered float64 `json:"offered_bps"`
	Used    float64 `json:"used_bps"`
	Link    float64 `json:"link_bps"` // 0: any
	// Storm is the most that was offered in any second after the first two, as a
	// multiple of the link; 0 where the link is wide.
	Storm  float64      `json:"storm"`
	Queue  [2]float64   `json:"queue_ms"` // p95 and most, of the longest waits of 100 ms each
	Counts impair.Count `json:"counts"`
}

// stormFrom is the grace that a sender has after a change (issue: 2 s).
const stormFrom = 2 * time.Second

// flow sums what the relay counted between two times of the course up.
func flow(slots []impair.Count, p impair.Path, from, to time.Duration) Flow {
	c, seconds := impair.Sum(slots, from, to), (to - from).Seconds()
	f := Flow{Offered: float64(c.Bytes) * 8 / seconds, Used: float64(c.Delivered) * 8 / seconds, Link: float64(p.Rate), Counts: c}
	var waits []float64
	for at := from; at < to; at += impair.Slot {
		if s := impair.Sum(slots, at, at+impair.Slot); s.Packets > 0 {
			waits = append(waits, float64(s.Queued)/float64(time.Millisecond))
		}
		if end := at + time.Second; p.Rate > 0 && at >= from+stormFrom && end <= to {
			f.Storm = max(f.Storm, float64(impair.Sum(slots, at, end).Bytes)*8/float64(p.Rate))
		}
	}
	q := quantiles(waits)
	f.Queue = [2]float64{q[1], q[2]}
	return f
}

// watched is what a viewer and a relay noted while a course ran.
type watched struct {
	record Record
	slots  []impair.Count // in the direction of the media
	course impair.Course
	begun  float64 // Unix milliseconds
	whole  time.Duration
	top    int // height of the largest layer; 0: as seen
}

// phases cuts at the changes of the course.
func (w watched) phases() []Phase {
	c, r, begun := w.course, w.record, w.begun
	if len(c) < 2 {
		return nil
	}
	top := w.top
	for i := 0; w.top == 0 && i < len(r.Pictures); i++ {
		top = max(top, r.Pictures[i].Height)
	}
	var out []Phase
	for i := range c {
		from, to := c[i].At, w.whole
		if i+1 < len(c) {
			to = c[i+1].At
		}
		a, b := begun+ms(from), begun+ms(to)
		p := Phase{From: from.Seconds(), To: to.Seconds(), Step: c[i].Path.String(), Seen: see(r, a, b), Flow: flow(w.slots, c[i].Path, from, to), Calm: calm(w.slots, from, to)}
		before := heightAt(r.Pictures, a)
		p.ToLower = since(r.Pictures, a, b, func(h int) bool { return h < before }) / 1000
		p.ToTop = since(r.Pictures, a, b, func(h int) bool { return h == top }) / 1000
		p.ToFirst = since(r.Pictures, a, b, func(int) bool { return true })
		out = append(out, p)
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func heightAt(p []Picture, at float64) int {
	height := 0
	for i := range p {
		if p[i].At > at {
			break
		}
		height = p[i].Height
	}
	return height
}

// since is how long after from the first picture of such a height came; −1000: none did.
func since(p []Picture, from, to float64, ok func(height int) bool) float64 {
	for _, p := range between(p, from, to) {
		if ok(p.Height) {
			return p.At - from
		}
	}
	return -1000
}

func calm(slots []impair.Count, from, to time.Duration) float64 {
	last := time.Duration(0)
	for at := from; at < to; at += impair.Slot {
		if impair.Sum(slots, at, at+impair.Slot).Overflow > 0 {
			last = at + impair.Slot - from
		}
	}
	return last.Seconds()
}
