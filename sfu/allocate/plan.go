package allocate

import (
	"slices"
	"time"
)

// take sorts what came in, and finds what was in use among it.
func (a *Allocator) take(in Input, now time.Time) {
	n := min(len(in.Videos), MaxVideos)
	a.order, a.slot = a.order[:0], a.slot[:0]
	for i := range a.videos {
		a.videos[i].seen = false
	}
	for i := range in.Videos[:n] {
		a.slot = append(a.slot, a.find(in.Videos[i].Key, now))
		a.videos[a.slot[i]].seen = true
		a.videos[a.slot[i]].sort(&in.Videos[i])
		// Insert by priority; equals keep their order.
		at := len(a.order)
		for at > 0 && in.Videos[a.order[at-1]].Priority < in.Videos[i].Priority {
			at--
		}
		a.order = slices.Insert(a.order, at, i)
	}
	for i := range a.videos {
		if v := &a.videos[i]; !v.seen {
			*v = video{} // its place is free
		}
	}
}

// find returns the place of a video, a free or new one if it is not known. A free place has not started.
func (a *Allocator) find(key uint32, now time.Time) int {
	free := -1
	for i := range a.videos {
		v := &a.videos[i]
		if !v.started.IsZero() && v.key == key {
			return i
		}
		if v.started.IsZero() && free < 0 {
			free = i
		}
	}
	if free < 0 {
		a.videos = append(a.videos, video{})
		free = len(a.videos) - 1
	}
	a.videos[free] = video{key: key, now: Paused, started: now}
	return free
}

// sort takes the options that the viewer has use for, smallest rate first: those within its bounds, or the smallest
// picture where none is. What costs no less than a larger picture is left out.
func (v *video) sort(in *Video) {
	v.n, v.smaller = 0, false
	for most := min(len(in.Options), MaxOptions); len(v.options) < most; { // most streams have one
		v.options, v.fits = append(v.options, Option{}), append(v.fits, time.Time{})
	}
	for _, o := range in.Options {
		if v.n == MaxOptions {
			break
		}
		at := v.n
		for at > 0 && o.Bitrate < v.options[at-1].Bitrate {
			v.options[at] = v.options[at-1]
			at--
		}
		v.options[at] = o
		v.n++
	}
	v.bound(in)
	v.now = Paused
	if !v.flows {
		return
	}
	// What was in use is found again by what it is; if it has gone, the best below its rate stands in.
	for i := range v.n {
		o := &v.options[i]
		if o.Layer == v.chosen.Layer && o.Spatial == v.chosen.Spatial && o.Temporal == v.chosen.Temporal {
			v.now = i
			return
		}
		if o.Bitrate <= v.chosen.Bitrate || i == 0 {
			v.now = i
		}
	}
}

// bound leaves out what is larger than the viewer's bounds, but for the smallest.
func (v *video) bound(in *Video) {
	kept, largest := 0, 0
	for i := range v.n {
		o := v.options[i]
		if o.Width*o.Height < largest {
			continue
		}
		large := in.MaxWidth > 0 && o.Width > in.MaxWidth || in.MaxHeight > 0 && o.Height > in.MaxHeight
		if large {
			v.smaller = true
			continue
		}
		v.options[kept], largest = o, o.Width*o.Height
		kept++
	}
	if kept == 0 && v.n > 0 {
		smallest := 0
		for i := range v.n {
			if v.options[i].Width*v.options[i].Height < v.options[smallest].Width*v.options[smallest].Height {
				smallest = i
			}
		}
		v.options[0], kept = v.options[smallest], 1
	}
	v.n = kept
}

// turn takes an option, or Paused.
func (v *video) turn(to int) {
	v.now, v.flows = to, to != Paused
	if v.flows {
		v.chosen = v.options[to]
	}
}

// rate is what an option takes.
func (v *video) rate(option int) float64 {
	if option < 0 || option >= v.n {
		return 0
	}
	return float64(v.options[option].Bitrate)
}

// plan fills want: sound first, then a first picture for each video by priority until one does not fit, then better ones,
// again by priority, equals in turns. Nothing exceeds top. With a larger estimate the first difference is for the
// better: nobody is passed over for somebody cheaper.
func (a *Allocator) plan(in Input, margin float64, top func(*video) int) {
	left := float64(in.Estimate)/margin - float64(in.Audio)
	// A first picture needs no margin: a small one that just fits is better than none.
	slack := float64(in.Estimate) - float64(in.Estimate)/margin
	for _, s := range a.slot {
		a.videos[s].want = Paused
	}
	for _, i := range a.order {
		v := &a.videos[a.slot[i]]
		if top(v) < 0 {
			continue
		}
		if v.rate(0) > left+slack {
			return
		}
		v.want = 0
		left -= v.rate(0)
	}
	for first := 0; first < len(a.order); {
		last := first
		for last < len(a.order) && in.Videos[a.order[last]].Priority == in.Videos[a.order[first]].Priority {
			last++
		}
		for risen := true; risen; {
			risen = false
			for _, i := range a.order[first:last] {
				v := &a.videos[a.slot[i]]
				if v.want < 0 || v.want >= top(v) {
					continue
				}
				if more := v.rate(v.want+1) - v.rate(v.want); more <= left {
					v.want++
					left -= more
					risen = true
				}
			}
		}
		first = last
	}
}
