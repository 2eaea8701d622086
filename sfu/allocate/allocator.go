package allocate

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config sets margins and patience. Zero fields take the values of DefaultConfig.
type Config struct {
	// Up is how much more than it needs the link must carry before a better option is taken; Stay how much less before
	// it is left, while no queue stands.
	Up, Stay float64
	// Grace is how long a small shortage is borne, down to the share Small of what is needed: false alarms end sooner.
	Grace time.Duration
	Small float64
	// Patience is how long a better option must have fitted; at the Start, and for a picture after none, it is short.
	Patience time.Duration
	Start    time.Duration
	// Trial is how long after a step up a forced step down means that it failed.
	Trial time.Duration
	// FirstHold and LastHold bound how long a failed step is not tried again; it doubles in between.
	FirstHold, LastHold time.Duration
	// Lift is how many times the need the link must carry to end a hold early.
	Lift float64
}

// DefaultConfig goes up with 12 % to spare and stays down to 13 % below: estimates wander by 10 %, measured bitrates by 2 %,
// and the two must not meet. A quarter too little fills 75 ms of queue in 300 ms, less than an outage of the picture costs. 2 s of patience lie between what annoys by delay and what annoys by pendulum (LiveKit and JVB take 2–5 s);
// pictures that change within the first 5 s are taken for the beginning. 10 s of trial are five key frame intervals.
func DefaultConfig() Config {
	return Config{Up: 1.12, Stay: 1.15, Grace: 300 * time.Millisecond, Small: 0.75, Patience: 2 * time.Second, Start: 5 * time.Second, Trial: 10 * time.Second,
		FirstHold: 4 * time.Second, LastHold: time.Minute, Lift: 1.6}
}

// video is what is remembered of one video.
type video struct {
	key     uint32
	seen    bool
	n       int
	options []Option // by bitrate, those that the viewer has use for; n of them count
	smaller bool     // some were left out as too large

	now    int // index of the option in use, Paused for none
	chosen Option
	flows  bool // chosen is valid
	reason Code

	fits    []time.Time   // since when each option has fitted; zero: it does not
	rose    time.Time     // last step up that has not held yet
	hold    time.Duration // how long a failed step was put off last
	until   time.Time     // no step up before
	want    int           // option in the plan
	started time.Time
}

// Allocator chooses for one viewer. It is not safe for concurrent use.
type Allocator struct {
	cfg     Config
	videos  []video
	order   []int // of Input.Videos by priority
	slot    []int // of each input's video
	choices []Choice
	stalled bool
	short   time.Time // since when the link has been too thin; zero: it is not
}

// New makes an Allocator.
func New(cfg Config) *Allocator {
	d := DefaultConfig()
	if cfg.Up < 1 {
		cfg.Up = d.Up
	}
	if cfg.Stay < 1 {
		cfg.Stay = d.Stay
	}
	if cfg.Small <= 0 {
		cfg.Small = d.Small
	}
	if cfg.Lift < 1 {
		cfg.Lift = d.Lift
	}
	for _, f := range []struct{ field, otherwise *time.Duration }{{&cfg.Grace, &d.Grace}, {&cfg.Patience, &d.Patience}, {&cfg.Start, &d.Start},
		{&cfg.Trial, &d.Trial}, {&cfg.FirstHold, &d.FirstHold}, {&cfg.LastHold, &d.LastHold}} {
		if *f.field <= 0 {
			*f.field = *f.otherwise
		}
	}
	return &Allocator{cfg: cfg}
}

// Decide returns what to send now. Call it when the estimate or the options have changed, and each 100 ms or so.
func (a *Allocator) Decide(in Input, now time.Time) Result {
	a.take(in, now)
	changed := a.stalled != in.Stalled
	a.stalled = in.Stalled
	if !in.Stalled {
		changed = a.down(in, now) || changed
		changed = a.up(in, now) || changed
	}
	r := Result{Choices: a.choices[:0], Wanted: a.wanted(in, now), Changed: changed}
	for i := range in.Videos[:len(a.slot)] {
		v := &a.videos[a.slot[i]]
		c := Choice{Key: v.key, Paused: v.now == Paused || in.Stalled, Reason: Reason{Code: v.reason, Link: in.Estimate}}
		if in.Stalled {
			c.Reason.Code = Silent
		}
		if !c.Paused {
			c.Option = v.options[v.now]
		}
		r.Choices = append(r.Choices, c)
	}
	a.choices = r.Choices
	return r
}

// down leaves options that no longer fit, at once, or, where little is missing, after a moment's grace.
func (a *Allocator) down(in Input, now time.Time) (changed bool) {
	margin := a.cfg.Stay
	if in.Congested {
		margin = 1
	}
	need := 0.0
	for _, s := range a.slot {
		need += a.videos[s].rate(a.videos[s].now)
	}
	room := float64(in.Estimate - in.Audio)
	if need <= margin*room || need == 0 {
		a.short = time.Time{}
		return false
	}
	if a.short.IsZero() {
		a.short = now
	}
	if need*a.cfg.Small <= room && now.Sub(a.short) < a.cfg.Grace {
		return false
	}
	a.short = time.Time{}
	a.plan(in, 1, func(v *video) int { return v.now })
	for _, s := range a.slot {
		v := &a.videos[s]
		if v.want >= v.now {
			continue
		}
		if !v.rose.IsZero() && now.Sub(v.rose) < a.cfg.Trial {
			v.hold = min(max(2*v.hold, a.cfg.FirstHold), a.cfg.LastHold)
			v.until, v.rose = now.Add(v.hold), time.Time{}
		}
		v.turn(v.want)
		changed = true
	}
	return changed
}

// up takes better options that have fitted for long enough.
func (a *Allocator) up(in Input, now time.Time) (changed bool) {
	a.plan(in, a.cfg.Up, func(v *video) int { return v.n - 1 })
	for _, i := range a.order {
		v := &a.videos[a.slot[i]]
		if !v.rose.IsZero() && now.Sub(v.rose) >= a.cfg.Trial {
			v.hold, v.rose = 0, time.Time{} // the step has held
		}
		for o := range v.fits {
			switch {
			case o > v.want || in.Congested:
				v.fits[o] = time.Time{}
			case v.fits[o].IsZero():
				v.fits[o] = now
			}
		}
		if to := a.ready(v, now); to > v.now && (!now.Before(v.until) || a.lifted(in, v, to)) && a.room(in, v, to) {
			v.turn(to)
			v.rose, v.until, changed = now, time.Time{}, true
		}
		v.reason = a.why(v, now)
	}
	return changed
}

// ready returns the best option that has fitted for long enough. One that lacks little time is waited for: one switch
// is better than two.
func (a *Allocator) ready(v *video, now time.Time) int {
	patience := a.patience(v, now)
	for to := v.want; to > v.now; to-- {
		if age := now.Sub(v.fits[to]); age >= patience {
			return to
		} else if v.now != Paused && age+a.cfg.Patience/2 >= patience {
			return v.now
		}
	}
	return v.now
}

// room makes sure of the place for a better option: what is in use elsewhere stays, unless only the plan's way of giving
// it up makes the place.
func (a *Allocator) room(in Input, v *video, to int) bool {
	kept, planned := float64(in.Audio)+v.rate(to), float64(in.Audio)+v.rate(to)
	for _, s := range a.slot {
		if o := &a.videos[s]; o != v {
			kept += o.rate(o.now)
			planned += o.rate(min(o.now, o.want))
		}
	}
	if kept*a.cfg.Up <= float64(in.Estimate) {
		return true
	}
	if planned*a.cfg.Up > float64(in.Estimate) {
		return false
	}
	for _, s := range a.slot {
		if o := &a.videos[s]; o != v && o.want < o.now {
			o.turn(o.want)
		}
	}
	return true
}

// patience is how long a better option must fit: no time after no picture, nor at the start.
func (a *Allocator) patience(v *video, now time.Time) time.Duration {
	if v.now == Paused || now.Sub(v.started) < a.cfg.Start && v.hold == 0 {
		return 0
	}
	return a.cfg.Patience
}

// lifted reports whether the link carries so much more than a held step needs that it must have changed.
func (a *Allocator) lifted(in Input, v *video, to int) bool {
	return float64(in.Estimate) >= a.cfg.Lift*(float64(in.Audio)+v.rate(to))
}

// why says what keeps a video where it is.
func (a *Allocator) why(v *video, now time.Time) Code {
	switch {
	case v.n == 0:
		return Nothing
	case v.now == v.n-1 && v.smaller:
		return Size
	case v.now == v.n-1:
		return Best
	case now.Before(v.until):
		return Held
	case v.want > v.now:
		return Trying
	case v.now == Paused:
		return Thin
	}
	return Link
}

// wanted is what the best of all would need; for a held step, what would lift it.
func (a *Allocator) wanted(in Input, now time.Time) media.Bitrate {
	need, more, margin := float64(in.Audio), false, a.cfg.Up
	for _, s := range a.slot {
		v := &a.videos[s]
		need += v.rate(v.n - 1)
		if v.now < v.n-1 {
			more = true
			if now.Before(v.until) {
				margin = a.cfg.Lift
			}
		}
	}
	if !more {
		return 0
	}
	return media.Bitrate(need * margin)
}
